/** Types that several namespaces share. */

import type { OpenEnum } from "./open-enum.js";

/** Whose turn it is when the engine has more to do than it can: interactive work pauses background work. */
export type Priority = "interactive" | "normal" | "background";

/** Why a generation ended. */
export type FinishReasonName = OpenEnum<"stop" | "stop_sequence" | "length" | "cancelled" | "error">;

/** One stop string, or several. */
export type StopStrings = string | string[];

/** Any JSON object, such as a JSON Schema. */
export type JsonObject = Record<string, unknown>;

/** What of loading a model is being done. */
export type LoadStage = OpenEnum<"resolve" | "convert" | "load" | "allocate">;

/** How much a reasoning model thinks before it answers. */
export type ReasoningEffort = "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max";

/** How to pick tokens; what is left out takes the engine's default, which is off. */
export interface SamplingParams {
  /** 0 is greedy. Default: 1. */
  temperature?: number;
  /** Default: 0. */
  top_k?: number;
  /** Default: 1. */
  top_p?: number;
  /** Default: 0. */
  min_p?: number;
  /** Default: 1. */
  typical_p?: number;
  /** Default: 1. */
  repetition_penalty?: number;
  /** Default: 0. */
  frequency_penalty?: number;
  /** Default: 0. */
  presence_penalty?: number;
  /** Tokens the penalties look back on; -1: all, 0: none. Default: -1. */
  repeat_last_n?: number;
  /** Token id, as a string, to a number from -100 to 100. */
  logit_bias?: Record<string, number>;
  /** The same seed gives the same tokens whatever else runs. */
  seed?: number | null;
  /** Choices. Default: 1. */
  n?: number;
  /** Default: 0. */
  min_tokens?: number;
  stop?: StopStrings | null;
  stop_token_ids?: number[];
  /** Default: false. */
  ignore_eos?: boolean;
  /** Default: true. */
  skip_special_tokens?: boolean;
  /** Default: "normal". */
  priority?: Priority;
}

/** No params. */
export type Empty = Record<string, never>;

/** Nothing to give back but that it is done. */
export type Done = Record<string, never>;

/** Tokens counted, as OpenAI names them. */
export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: PromptTokensDetails;
  completion_tokens_details?: CompletionTokensDetails;
}

/** Of the prompt's tokens, those that came from the prefix cache. */
export interface PromptTokensDetails {
  cached_tokens: number;
}

/** Of the answer's tokens, those that were reasoning. */
export interface CompletionTokensDetails {
  reasoning_tokens: number;
}

/** Milliseconds spent waiting, on the prompt, and generating after the first token. */
export interface Timings {
  queued_ms: number;
  prefill_ms: number;
  decode_ms: number;
}

/** The request waits. */
export interface QueuedEvent {
  type: "queued";
  /** Requests that are before it. */
  position: number;
}

/** The model is being loaded. */
export interface LoadingEvent {
  type: "loading";
  model: string;
  stage: LoadStage;
  /** How much of the stage is done, from 0 to 1. */
  fraction: number;
}

/** Prompt tokens computed so far. */
export interface PrefillEvent {
  type: "prefill";
  done: number;
  total: number;
}

/** The prompt did not fit; this was left out of it before the start. */
export interface OverflowEvent {
  type: "overflow";
  /** Left out when 0. */
  dropped_messages?: number;
  /** Left out when 0. */
  dropped_tokens?: number;
}
