/** Bounds on what crosses the wire, the same in every language. */

import type { Limits } from "../types/limits.js";

/** What this client accepts and sends. */
export const LIMITS: Required<Limits> = {
  message_bytes: 16 * 2 ** 20,
  frame_bytes: 64 * 2 ** 20,
  depth: 64,
  elements: 262_144,
  streams: 256,
  requests: 1024,
  credit: 256,
  held_bytes: 256 * 2 ** 10,
};

/** Events the engine may be ahead of a reader, unless told otherwise. */
export const DEFAULT_CREDIT = 32;
export const MAX_HEADER_BYTES = 4 * 2 ** 10;
export const MAX_READY_LINE_BYTES = 4 * 2 ** 10;
