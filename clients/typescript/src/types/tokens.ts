/** tokens.*: text to token ids and back. */

import type { ChatMessage } from "./chat.js";

/** Token ids. */
export interface TokensEncoded {
  token_ids: number[];
}

/** Text; bytes that are no UTF-8 appear as U+FFFD. */
export interface TokensDecoded {
  text: string;
}

/** How many tokens it is, and how many the model can hold. */
export interface TokensCounted {
  count: number;
  context_length: number;
}

/** Turn text into token ids. */
export interface TokensEncode {
  text: string;
  /** Default: "default". */
  model?: string;
  /** Whether control tokens written in the text count as such. Default: false. */
  parse_special?: boolean;
}

/** Turn token ids into text. */
export interface TokensDecode {
  token_ids: number[];
  /** Default: "default". */
  model?: string;
  /** Default: true. */
  skip_special_tokens?: boolean;
}

/** Count the tokens of a text, or of a conversation as chat.create would send it: give one of the two. */
export interface TokensCount {
  /** Default: "default". */
  model?: string;
  text?: string | null;
  messages?: ChatMessage[] | null;
}
