/**
 * What can go wrong, as exceptions.
 *
 *     EngineError              anything the engine, or its absence, answers with
 *     ├── one class per code of the protocol: InvalidParams, ContextOverflow, Busy, Cancelled …
 *     ├── StartFailed          no engine came up, or none could be attached to
 *     └── EngineLost           it was there and is gone; nothing is ever sent again by itself
 *
 * A code that this version does not know arrives as EngineError itself.
 */

import type { ErrorBody } from "./types/errors.js";

/** What an error is made of besides its message. */
export interface ErrorDetails {
  code?: string;
  data?: Readonly<Record<string, unknown>>;
  retryable?: boolean;
  cause?: unknown;
}

/** An error the engine answered with; `code`, `message` and `data` are the protocol's. */
export class EngineError extends Error {
  static readonly code: string = "internal";
  readonly code: string;
  /** What a program may want to read. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = details.code ?? new.target.code;
    this.data = details.data ?? {};
    this.retryable = details.retryable ?? false;
  }

  /** Of a cancelled or timed out request: what there was by then, as the method's result. */
  get partial(): unknown {
    return this.data["partial"];
  }
}

/** A message that breaks the protocol. */
export class InvalidMessage extends EngineError {
  static override readonly code = "invalid_message";
}

/** A message above the size limit; `data` has `size` and `limit` in bytes. */
export class TooLarge extends EngineError {
  static override readonly code = "too_large";
}

/** No protocol version is common to both sides. */
export class UnsupportedProtocol extends EngineError {
  static override readonly code = "unsupported_protocol";
}

/** There is no such method; `data.nearest` may name the one that was meant. */
export class MethodNotFound extends EngineError {
  static override readonly code = "method_not_found";
}

/** A parameter is unknown, missing or out of range; `data.parameter` names it. */
export class InvalidParams extends EngineError {
  static override readonly code = "invalid_params";
}

/** This connection may not do that. */
export class Unauthorized extends EngineError {
  static override readonly code = "unauthorized";
}

/** Known, but not allowed. */
export class PermissionDenied extends EngineError {
  static override readonly code = "permission_denied";
}

/** A named thing, such as a model, does not exist. */
export class NotFound extends EngineError {
  static override readonly code = "not_found";
}

/** The request contradicts the present state. */
export class Conflict extends EngineError {
  static override readonly code = "conflict";
}

/** A bounded queue is full; `data.retry_after_ms` is the advised wait. */
export class Busy extends EngineError {
  static override readonly code = "busy";
}

/** The request's time ran out; `partial` is what there was by then. */
export class DeadlineExceeded extends EngineError {
  static override readonly code = "deadline_exceeded";
}

/** The request was cancelled; `partial` is what there was by then. */
export class Cancelled extends EngineError {
  static override readonly code = "cancelled";
}

/** The model is not in memory. */
export class ModelNotLoaded extends EngineError {
  static override readonly code = "model_not_loaded";
}

/** The model could not be brought into memory. */
export class ModelLoadFailed extends EngineError {
  static override readonly code = "model_load_failed";
}

/** The prompt does not fit the model's context. */
export class ContextOverflow extends EngineError {
  static override readonly code = "context_overflow";
}

/** Not enough memory. */
export class OutOfMemory extends EngineError {
  static override readonly code = "out_of_memory";
}

/** Known, but not built or not installed in this engine; the message names what is missing. */
export class Unsupported extends EngineError {
  static override readonly code = "unsupported";
}

/** The reader of a stream fell too far behind. */
export class SlowConsumer extends EngineError {
  static override readonly code = "slow_consumer";
}

/** A third party wants the user to sign in. */
export class NeedsAuth extends EngineError {
  static override readonly code = "needs_auth";
}

/** A third party failed. */
export class UpstreamFailed extends EngineError {
  static override readonly code = "upstream_failed";
}

/** The engine is ending and takes no new work. */
export class ShuttingDown extends EngineError {
  static override readonly code = "shutting_down";
}

/** A bug in the engine; its log has the details. */
export class Internal extends EngineError {
  static override readonly code = "internal";
}

/** How a process ended, as far as it is known: one of the two is set, none of an engine that is not ours. */
export interface ProcessEnd {
  exitCode: number | null;
  signal: string | null;
  /** Its last lines on stderr. */
  stderrTail: readonly string[];
}

/** No end of any process is known. */
export const NO_PROCESS_END: ProcessEnd = { exitCode: null, signal: null, stderrTail: [] };

/** No engine came up. `code` is the engine's own when it said why, else "start_failed". */
export class StartFailed extends EngineError implements ProcessEnd {
  static override readonly code = "start_failed";
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stderrTail: readonly string[];

  constructor(message: string, details: ErrorDetails & Partial<ProcessEnd> = {}) {
    super(message, details);
    this.exitCode = details.exitCode ?? null;
    this.signal = details.signal ?? null;
    this.stderrTail = details.stderrTail ?? [];
  }
}

/**
 * The engine's process or its connection is gone.
 *
 * `mayHaveExecuted` is false only when the request never left this process.
 */
export class EngineLost extends EngineError implements ProcessEnd {
  static override readonly code = "engine_lost";
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stderrTail: readonly string[];
  readonly mayHaveExecuted: boolean;

  constructor(message: string, details: Partial<ProcessEnd> & { mayHaveExecuted?: boolean } = {}) {
    super(message);
    this.exitCode = details.exitCode ?? null;
    this.signal = details.signal ?? null;
    this.stderrTail = details.stderrTail ?? [];
    this.mayHaveExecuted = details.mayHaveExecuted ?? false;
  }

  /** The same loss, as one request saw it. */
  forRequest(seen: { sent: boolean }): EngineLost {
    return new EngineLost(this.message, {
      exitCode: this.exitCode,
      signal: this.signal,
      stderrTail: this.stderrTail,
      mayHaveExecuted: seen.sent,
    });
  }
}

const KINDS: readonly (typeof EngineError)[] = [
  InvalidMessage,
  TooLarge,
  UnsupportedProtocol,
  MethodNotFound,
  InvalidParams,
  Unauthorized,
  PermissionDenied,
  NotFound,
  Conflict,
  Busy,
  DeadlineExceeded,
  Cancelled,
  ModelNotLoaded,
  ModelLoadFailed,
  ContextOverflow,
  OutOfMemory,
  Unsupported,
  SlowConsumer,
  NeedsAuth,
  UpstreamFailed,
  ShuttingDown,
  Internal,
];

/** Exception classes by the protocol's code. */
export const ERRORS: ReadonlyMap<string, typeof EngineError> = new Map(
  KINDS.map((kind) => [kind.code, kind]),
);

/** The protocol's error as the exception of its code. */
export function errorFromBody(body: ErrorBody): EngineError {
  const Kind = ERRORS.get(body.code) ?? EngineError;
  const { code, data = {}, retryable = false } = body;
  return new Kind(body.message, { code, data, retryable });
}
