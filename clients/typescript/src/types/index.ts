/** The protocol's types. */

export * from "./chat.js";
export * from "./common.js";
export * from "./engine.js";
export * from "./errors.js";
export * from "./generate.js";
export * from "./handshake.js";
export type * from "./methods.js";
export * from "./models.js";
export * from "./open-enum.js";
export * from "./tokens.js";
