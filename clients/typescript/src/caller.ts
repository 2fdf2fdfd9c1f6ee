/** What the typed methods are made of. */

import type { Request } from "./request.js";
import type { Methods } from "./types/methods.js";

/** Of a call: when to give it up. */
export interface CallOptions {
  /** Aborted, the request is cancelled and what waits for it throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** After so many milliseconds the engine ends the request with DeadlineExceeded. */
  deadlineMs?: number | undefined;
}

/** Of a stream: how far ahead it may be, too. */
export interface StreamingOptions extends CallOptions {
  /** Events the engine may be ahead of the reader. Default: 32. */
  credit?: number | undefined;
}

/** Params of a method that this version knows, or whatever another takes. */
export type ParamsOf<Name extends string> = Name extends keyof Methods ? Methods[Name]["params"] : object;

/** The result of a method that this version knows. */
export type ResultOf<Name extends string> = Name extends keyof Methods ? Methods[Name]["result"] : unknown;

/** The events of a method that this version knows. */
export type EventOf<Name extends string> = Name extends keyof Methods
  ? Methods[Name] extends { event: infer Event }
    ? Event
    : never
  : unknown;

/** Whoever can send requests. */
export interface Caller {
  /** Send a request; its end comes later. Throws InvalidMessage or TooLarge for params that cannot be sent. */
  submit(method: string, params: object, options: StreamingOptions): Request;
}

/** Call a method. Throws EngineError, or the signal's reason. */
export async function call<Name extends string>(
  caller: Caller,
  method: Name,
  params: ParamsOf<Name>,
  options: CallOptions = {},
): Promise<ResultOf<Name>> {
  const { signal, deadlineMs } = options;
  return (await caller.submit(method, params, { signal, deadlineMs }).result()) as ResultOf<Name>;
}
