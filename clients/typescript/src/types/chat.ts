/** chat.*: OpenAI chat completions. */

import type {
  JsonObject,
  LoadingEvent,
  OverflowEvent,
  PrefillEvent,
  QueuedEvent,
  SamplingParams,
  Timings,
  Usage,
} from "./common.js";
import type { OpenEnum, UnknownEvent } from "./open-enum.js";

/** Why a choice ended. */
export type ChatFinishReason = OpenEnum<"stop" | "length">;

/** What to do with a conversation that does not fit. */
export type ChatOverflow = "drop_turns" | "error";

/** A piece of text content. */
export interface TextPart {
  type: "text";
  text: string;
}

/** A picture; text models answer `unsupported`. */
export interface ImagePart {
  type: "image_url";
  image_url: Record<string, string>;
}

export type ContentPart = TextPart | ImagePart;

/** Text, or parts. */
export type MessageContent = string | ContentPart[];

/** How the model should behave. */
export interface SystemMessage {
  role: "system";
  name?: string | null;
  content: MessageContent;
}

/** The same as a system message, in OpenAI's newer word. */
export interface DeveloperMessage {
  role: "developer";
  name?: string | null;
  content: MessageContent;
}

/** What a person said. */
export interface UserMessage {
  role: "user";
  name?: string | null;
  content: MessageContent;
}

/** What the model said earlier. */
export interface AssistantMessage {
  role: "assistant";
  name?: string | null;
  content: MessageContent;
}

export type ChatMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage;

/** What a stream holds besides text. */
export interface StreamOptions {
  /** A last chunk without choices that carries `usage`. Default: false. */
  include_usage?: boolean;
}

/** One token and the natural logarithm of its probability. */
export interface ChatLogprob {
  token: string;
  logprob: number;
  bytes: number[];
}

/** A chosen token, and the likeliest ones at its place. */
export interface ChatTokenLogprobs extends ChatLogprob {
  top_logprobs: ChatLogprob[];
}

/** Log probabilities of a choice's tokens. */
export interface ChatLogprobs {
  content: ChatTokenLogprobs[];
}

/** The model's message. */
export interface AssistantReply {
  role: "assistant";
  content: string;
}

/** One finished choice. */
export interface ChatChoice {
  index: number;
  message: AssistantReply;
  /** Left out in the partial output of a request that was ended from outside. */
  finish_reason?: ChatFinishReason;
  logprobs?: ChatLogprobs;
}

/** What an overflow policy left out of the prompt. */
export interface Overflow {
  dropped_messages: number;
  dropped_tokens: number;
}

/** A whole chat completion. */
export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  choices: ChatChoice[];
  usage: Usage;
  timings: Timings;
  overflow?: Overflow;
}

/** What a chunk adds to a message; `role` is in the first one. */
export interface ChatDelta {
  role?: "assistant";
  content?: string;
}

/** What a chunk adds to a choice. */
export interface ChunkChoice {
  index: number;
  delta: ChatDelta;
  finish_reason?: ChatFinishReason;
  logprobs?: ChatLogprobs;
}

/** A piece of a chat completion; one choice, or none and `usage`. */
export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  choices: ChunkChoice[];
  usage?: Usage;
}

/** Text, as OpenAI's chunk. */
export interface ChatChunkEvent {
  type: "chunk";
  chunk: ChatCompletionChunk;
}

export type ChatEvent =
  QueuedEvent | LoadingEvent | PrefillEvent | OverflowEvent | ChatChunkEvent | UnknownEvent;

/** Answer a conversation. The result is the whole completion, also after a stream. */
export interface ChatCreate extends SamplingParams {
  messages: ChatMessage[];
  /** Default: "default". */
  model?: string;
  /** null: up to the end of the context. */
  max_tokens?: number | null;
  /** OpenAI's newer name for max_tokens; only one of the two may be given. */
  max_completion_tokens?: number | null;
  /** Default: false. */
  logprobs?: boolean;
  /** Default: 0. */
  top_logprobs?: number;
  stream_options?: StreamOptions | null;
  /** Extra variables for the model's chat template. */
  chat_template_kwargs?: JsonObject;
  /**
   * When the conversation does not fit: drop whole turns, oldest first, never a system message; or fail.
   * Default: "drop_turns".
   */
  overflow?: ChatOverflow;
}
