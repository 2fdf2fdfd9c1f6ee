/** What the typed methods are made of. */

import { InvalidParams } from "./errors.js";
import { isCount } from "./plain.js";
import type { Request, RequestTerms } from "./request.js";
import type { Methods } from "./types/methods.js";

/** Of a call: when to give it up, and what makes it safe to repeat. */
export interface CallOptions {
  /** Aborted, the request is cancelled and what waits for it throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** After so many milliseconds the engine ends the request with DeadlineExceeded. */
  deadlineMs?: number | undefined;
  /**
   * A name of your own for this piece of work: asked again under the same name, the engine gives the first
   * answer and does nothing twice. Methods that are not idempotent refuse it with InvalidParams.
   */
  idempotencyKey?: string | undefined;
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
  /** Send a request; its end comes later. Throws the EngineError of what cannot be sent. */
  submit(method: string, params: object, options: StreamingOptions): Request;
}

/** Call a method. Throws EngineError, or the signal's reason. */
export async function call<Name extends string>(
  caller: Caller,
  method: Name,
  params: ParamsOf<Name>,
  options: CallOptions = {},
): Promise<ResultOf<Name>> {
  return (await caller.submit(method, params, { ...options, credit: undefined }).result()) as ResultOf<Name>;
}

/** What goes out with the params. Throws InvalidParams for numbers that cannot be meant. */
export function termsOf({ credit, deadlineMs, idempotencyKey }: StreamingOptions): RequestTerms {
  if (credit !== undefined && !(isCount(credit) && credit > 0)) {
    throw outOfRange("credit", credit, "a whole number above 0");
  }
  const ttl = deadlineMs === undefined ? undefined : Math.max(0, Math.trunc(deadlineMs));
  if (ttl !== undefined && !isCount(ttl)) throw outOfRange("deadlineMs", deadlineMs, "milliseconds from now");
  return { credit, deadlineMs: ttl, idempotencyKey };
}

function outOfRange(parameter: string, value: unknown, expected: string): InvalidParams {
  return new InvalidParams(`${parameter} is ${String(value)}; it must be ${expected}`, {
    data: { parameter },
  });
}
