/** What a window and the main process say to each other. All of it survives structured cloning. */

import { EngineError, EngineLost, errorFromBody } from "../errors.js";
import type { Notice } from "../notices.js";
import { isCount, isRecord } from "../plain.js";

/** From the window. A new session ends what an earlier page of the same window has asked for. */
export type WindowMessage =
  | { kind: "open"; session: string }
  | {
      kind: "request";
      session: string;
      id: number;
      method: string;
      params: object;
      credit: number | undefined;
      deadlineMs: number | undefined;
      idempotencyKey: string | undefined;
    }
  | { kind: "cancel"; session: string; id: number }
  | { kind: "credit"; session: string; id: number; events: number };

/** To the window. */
export type EngineMessage =
  | { kind: "events"; session: string; id: number; first: number; events: unknown[] }
  | { kind: "result"; session: string; id: number; result: unknown; sent: number }
  | { kind: "error"; session: string; id: number; error: PlainError; sent: number }
  | { kind: "notice"; session: string; notice: PlainNotice };

/** An error without its class, which cloning would take. */
export interface PlainError {
  code: string;
  message: string;
  data: Readonly<Record<string, unknown>>;
  retryable: boolean;
  /** Of EngineLost alone. */
  lost?: { exitCode: number | null; signal: string | null; mayHaveExecuted: boolean };
}

type PlainNotice = { [Type in Notice as Type["type"]]: Plain<Type> }[Notice["type"]];
type Plain<Of> = { [Key in keyof Of]: Of[Key] extends Error ? PlainError : Of[Key] };

/** Any exception as what can be cloned. The last lines of the engine's log stay in the main process. */
export function plainError(error: unknown): PlainError {
  if (!(error instanceof EngineError)) {
    return { code: "internal", message: String(error), data: {}, retryable: false };
  }
  const { code, message, data, retryable } = error;
  if (!(error instanceof EngineLost)) return { code, message, data, retryable };
  const { exitCode, signal, mayHaveExecuted } = error;
  return { code, message, data, retryable, lost: { exitCode, signal, mayHaveExecuted } };
}

/** The exception again. */
export function errorOf(plain: PlainError): EngineError {
  return plain.lost === undefined ? errorFromBody(plain) : new EngineLost(plain.message, plain.lost);
}

/** A notice as what can be cloned. */
export function plainNotice(notice: Notice): PlainNotice {
  return "error" in notice ? { ...notice, error: plainError(notice.error) } : notice;
}

/** The notice again. */
export function noticeOf(plain: PlainNotice): Notice {
  if (!("error" in plain)) return plain;
  return { type: plain.type, error: new EngineLost(plain.error.message, plain.error.lost) };
}

/** The message, or undefined for what is none: a window is not trusted to send nothing else. */
export function readWindowMessage(value: unknown): WindowMessage | undefined {
  if (!isRecord(value)) return undefined;
  const { kind, session, id, method, params, credit, deadlineMs, idempotencyKey, events } = value;
  if (typeof session !== "string") return undefined;
  if (kind === "open") return { kind, session };
  if (!isCount(id)) return undefined;
  switch (kind) {
    case "request":
      if (typeof method !== "string" || !isRecord(params)) return undefined;
      if (!isOptionalCount(credit) || !isOptionalCount(deadlineMs)) return undefined;
      if (idempotencyKey !== undefined && typeof idempotencyKey !== "string") return undefined;
      return { kind, session, id, method, params, credit, deadlineMs, idempotencyKey };
    case "cancel":
      return { kind, session, id };
    case "credit":
      return isCount(events) ? { kind, session, id, events } : undefined;
    default:
      return undefined;
  }
}

function isOptionalCount(value: unknown): value is number | undefined {
  return value === undefined || isCount(value);
}
