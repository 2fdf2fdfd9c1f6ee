/** The engine's methods by namespace: `engine.chat.create(…)`, `engine.models.load(…)`. Each is one call. */

import { type CallOptions, type Caller, type StreamingOptions, call } from "./caller.js";
import {
  type ChatStream,
  type GenerateStream,
  type Stream,
  openChatStream,
  openGenerateStream,
  openStream,
} from "./stream.js";
import type { ChatCompletion, ChatCreate } from "./types/chat.js";
import type { Done, LoadingEvent } from "./types/common.js";
import type { GenerateCreate, Generation } from "./types/generate.js";
import type { ModelList, ModelStatus, ModelStatusList, ModelsLoad, ModelsUnload } from "./types/models.js";
import type { UnknownEvent } from "./types/open-enum.js";
import type {
  TokensCount,
  TokensCounted,
  TokensDecode,
  TokensDecoded,
  TokensEncode,
  TokensEncoded,
} from "./types/tokens.js";

class Namespace {
  /** @internal */
  constructor(protected readonly caller: Caller) {}
}

/** chat.*: OpenAI chat completions. */
export class Chat extends Namespace {
  /** Answer a conversation. */
  create(params: ChatCreate, options?: CallOptions): Promise<ChatCompletion> {
    return call(this.caller, "chat.create", params, options);
  }

  /** Answer a conversation piece by piece. */
  stream(params: ChatCreate, options?: StreamingOptions): ChatStream {
    return openChatStream(this.caller, params, options);
  }
}

/** generate.*: raw prompts, without a chat template. */
export class Generate extends Namespace {
  /** Continue a prompt, given as text or as token ids. */
  create(params: GenerateCreate, options?: CallOptions): Promise<Generation> {
    return call(this.caller, "generate.create", params, options);
  }

  /** Continue a prompt piece by piece. */
  stream(params: GenerateCreate, options?: StreamingOptions): GenerateStream {
    return openGenerateStream(this.caller, params, options);
  }
}

/** tokens.*: text to token ids and back. */
export class Tokens extends Namespace {
  /** Turn text into token ids. */
  encode(params: TokensEncode, options?: CallOptions): Promise<TokensEncoded> {
    return call(this.caller, "tokens.encode", params, options);
  }

  /** Turn token ids into text. */
  decode(params: TokensDecode, options?: CallOptions): Promise<TokensDecoded> {
    return call(this.caller, "tokens.decode", params, options);
  }

  /** Count the tokens of a text, or of a conversation as chat.create would send it. */
  count(params: TokensCount, options?: CallOptions): Promise<TokensCounted> {
    return call(this.caller, "tokens.count", params, options);
  }
}

/** models.*: the models on this computer and in memory. */
export class Models extends Namespace {
  /** Models found in the host's folders, models.toml and installed packages. */
  list(options?: CallOptions): Promise<ModelList> {
    return call(this.caller, "models.list", {}, options);
  }

  /** Bring a model into memory; converts it first when that was never done on this computer. */
  load(params: ModelsLoad, options?: CallOptions): Promise<ModelStatus> {
    return call(this.caller, "models.load", params, options);
  }

  /** The same with progress. */
  loadStream(
    params: ModelsLoad,
    options?: StreamingOptions,
  ): Stream<LoadingEvent | UnknownEvent, ModelStatus> {
    return openStream(this.caller, "models.load", params, options);
  }

  /** Take a model out of memory; its running requests end as cancelled. */
  unload(params: ModelsUnload, options?: CallOptions): Promise<Done> {
    return call(this.caller, "models.unload", params, options);
  }

  /** State of every model this process has loaded or tried to. */
  status(options?: CallOptions): Promise<ModelStatusList> {
    return call(this.caller, "models.status", {}, options);
  }
}
