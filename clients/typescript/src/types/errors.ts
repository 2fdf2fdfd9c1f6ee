/** Errors as they cross the wire. */

import type { JsonObject } from "./common.js";
import type { OpenEnum } from "./open-enum.js";

/** What went wrong, for programs. */
export type ErrorCode = OpenEnum<
  | "invalid_message"
  | "too_large"
  | "unsupported_protocol"
  | "method_not_found"
  | "invalid_params"
  | "unauthorized"
  | "permission_denied"
  | "not_found"
  | "conflict"
  | "busy"
  | "deadline_exceeded"
  | "cancelled"
  | "model_not_loaded"
  | "model_load_failed"
  | "context_overflow"
  | "out_of_memory"
  | "unsupported"
  | "slow_consumer"
  | "needs_auth"
  | "upstream_failed"
  | "shutting_down"
  | "internal"
>;

/** Body of `err`: what was wrong, where, and what would be accepted. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  /** Whether the same request may succeed later without being changed. Left out when false. */
  retryable?: boolean;
  /** What a program may want to read. */
  data?: JsonObject;
}

/** A message of the host was ignored because it breaks the contract. */
export interface ProtocolErrorNotice {
  code: ErrorCode;
  message: string;
  /** The id the message carried. */
  id?: number;
  /** The highest request id used so far on this connection. */
  limit?: number;
}
