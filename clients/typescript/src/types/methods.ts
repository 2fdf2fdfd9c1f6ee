/** Every method of the protocol with what it takes, gives back and streams. */

import type { ChatCompletion, ChatCreate, ChatEvent } from "./chat.js";
import type { Done, Empty, LoadingEvent } from "./common.js";
import type {
  EngineInfo,
  EngineLogs,
  EngineSetLogLevel,
  EngineShutdown,
  EngineStats,
  FrameEvent,
  LogEvent,
  Pong,
} from "./engine.js";
import type { GenerateCreate, GenerateEvent, Generation } from "./generate.js";
import type { ModelList, ModelStatus, ModelStatusList, ModelsLoad, ModelsUnload } from "./models.js";
import type { UnknownEvent } from "./open-enum.js";
import type {
  TokensCount,
  TokensCounted,
  TokensDecode,
  TokensDecoded,
  TokensEncode,
  TokensEncoded,
} from "./tokens.js";

/** Methods by name. */
export interface Methods {
  "chat.create": { params: ChatCreate; result: ChatCompletion; event: ChatEvent };
  "engine.info": { params: Empty; result: EngineInfo };
  "engine.logs": { params: EngineLogs; result: Done; event: LogEvent | UnknownEvent };
  "engine.ping": { params: Empty; result: Pong };
  "engine.set_log_level": { params: EngineSetLogLevel; result: Done };
  "engine.shutdown": { params: EngineShutdown; result: Done };
  "engine.stats": { params: Empty; result: EngineStats };
  "engine.watch": { params: Empty; result: Done; event: FrameEvent | UnknownEvent };
  "generate.create": { params: GenerateCreate; result: Generation; event: GenerateEvent };
  "models.list": { params: Empty; result: ModelList };
  "models.load": { params: ModelsLoad; result: ModelStatus; event: LoadingEvent | UnknownEvent };
  "models.status": { params: Empty; result: ModelStatusList };
  "models.unload": { params: ModelsUnload; result: Done };
  "tokens.count": { params: TokensCount; result: TokensCounted };
  "tokens.decode": { params: TokensDecode; result: TokensDecoded };
  "tokens.encode": { params: TokensEncode; result: TokensEncoded };
}

/** The event types that this version knows, by method. */
export const EVENT_TYPES: Readonly<Record<string, readonly string[]>> = {
  "chat.create": ["queued", "loading", "prefill", "overflow", "chunk"],
  "engine.logs": ["log"],
  "engine.watch": ["frame"],
  "generate.create": ["queued", "loading", "prefill", "overflow", "chunk"],
  "models.load": ["loading"],
};
