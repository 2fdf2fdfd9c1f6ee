/** generate.*: raw prompts, without a chat template. */

import type {
  FinishReasonName,
  LoadingEvent,
  OverflowEvent,
  PrefillEvent,
  QueuedEvent,
  SamplingParams,
  Timings,
  Usage,
} from "./common.js";
import type { UnknownEvent } from "./open-enum.js";

/** What to do with a prompt that leaves too little room: fail, leave out its middle, or answer until it is full. */
export type GenerateOverflow = "error" | "truncate_middle" | "stop_at_limit";

/** The stop string or token id that ended a choice. */
export type MatchedStop = string | number;

/** Text, or token ids. */
export type Prompt = string | number[];

/** One token and the natural logarithm of its probability under the raw logits. */
export interface TokenLogprobItem {
  token_id: number;
  logprob: number;
}

/** A chosen token, and the likeliest ones at its place in falling order. */
export interface TokenLogprobs {
  chosen: TokenLogprobItem;
  top: TokenLogprobItem[];
}

/** One finished choice. */
export interface GenerateChoice {
  index: number;
  text: string;
  token_ids: number[];
  finish_reason: FinishReasonName;
  matched_stop?: MatchedStop;
  logprobs?: TokenLogprobs[];
}

/** A finished generation. */
export interface Generation {
  model: string;
  choices: GenerateChoice[];
  usage: Usage;
  timings: Timings;
  /** Prompt tokens that overflow "truncate_middle" left out. */
  dropped_tokens: number;
}

/** What was added to one choice. */
export interface GenerateChunkEvent {
  type: "chunk";
  choice: number;
  text: string;
  token_ids: number[];
  logprobs?: TokenLogprobs[];
  finish_reason?: FinishReasonName;
  matched_stop?: MatchedStop;
}

export type GenerateEvent =
  QueuedEvent | LoadingEvent | PrefillEvent | OverflowEvent | GenerateChunkEvent | UnknownEvent;

/** Continue a prompt, given as text or as token ids. */
export interface GenerateCreate extends SamplingParams {
  prompt: Prompt;
  /** Default: "default". */
  model?: string;
  /** null: up to the end of the context. */
  max_tokens?: number | null;
  /** Default: false. */
  logprobs?: boolean;
  /** Default: 0. */
  top_logprobs?: number;
  /** Whether control tokens written in a text prompt count as such. Default: false. */
  parse_special?: boolean;
  /** Default: "error". */
  overflow?: GenerateOverflow;
}
