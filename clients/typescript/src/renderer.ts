/**
 * For pages of an Electron window: the engine of the main process, with the same typed methods.
 *
 *     const engine = connectEngine(window.llmSidecar);
 *     for await (const text of engine.chat.stream({ messages }).text()) show(text);
 */

import { type Link, type PortLike, portLink } from "./bridge/link.js";
import { RemoteEngine } from "./bridge/remote-engine.js";
import type { ExposedEngine } from "./preload.js";

export type { PortLike } from "./bridge/link.js";
export type { RemoteEngine } from "./bridge/remote-engine.js";
export type { CallOptions, StreamingOptions } from "./caller.js";
export { EngineError, EngineLost } from "./errors.js";
export * as errors from "./errors.js";
export type * from "./notices.js";
export type { ExposedEngine } from "./preload.js";
export type { ChatStream, GenerateStream, Stream } from "./stream.js";
export type * from "./types/index.js";

/** The engine at the other end of what the preload script exposed, or of a message port. */
export function connectEngine(way: ExposedEngine | PortLike): RemoteEngine {
  return new RemoteEngine("postMessage" in way ? portLink(way) : exposedLink(way));
}

function exposedLink(exposed: ExposedEngine): Link {
  return {
    send: (message) => exposed.send(message),
    // A page learns nothing of the main process's end: it ends with it.
    listen: (onMessage) => exposed.listen(onMessage),
    close: () => undefined,
  };
}
