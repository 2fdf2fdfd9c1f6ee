/**
 * Client of llm-sidecar: private LLM inference in a process of one's own.
 *
 *     await using engine = await Engine.spawn({ appId: "my-app" });
 *     const stream = engine.chat.stream({ messages: [{ role: "user", content: "Hello" }] });
 *     for await (const text of stream.text()) process.stdout.write(text);
 */

export { type IpcMainLike, type WebContentsLike, windowLink } from "./bridge/electron.js";
export { type Link, type PortLike, portLink } from "./bridge/link.js";
export { WINDOW_METHODS, type WindowOptions, serveWindow } from "./bridge/window-server.js";
export type { CallOptions, StreamingOptions } from "./caller.js";
export { Engine, type EngineOptions, type SpawnOptions } from "./engine.js";
export { EngineError, EngineLost, StartFailed } from "./errors.js";
export * as errors from "./errors.js";
export type { HostHandlers, HostRequestContext } from "./host-requests.js";
export type { Liveness } from "./liveness.js";
export type { Namespaces } from "./namespaces.js";
export type * from "./notices.js";
export type { RestartPolicy } from "./restart.js";
export type { ChatStream, GenerateStream, Stream } from "./stream.js";
export { type HostTool, type StandardSchema, type ToolContext, tool } from "./tools.js";
export type * from "./types/index.js";
export { VERSION } from "./version.js";
