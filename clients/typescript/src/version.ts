/** The client's version, which is the package's. */
export const VERSION = "0.1.0";

/** Protocol versions this client speaks. */
export const SUPPORTED_PROTOCOLS: readonly number[] = [1];
