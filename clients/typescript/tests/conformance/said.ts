/** What a driver says. */

import { constants } from "node:os";

import { EngineError, EngineLost, StartFailed } from "@llm-sidecar/client";

/** An exception, with the client's own name of it. */
export interface PlainError {
  class: string;
  code: string | null;
  message: string;
  data: unknown;
  retryable: boolean;
  may_have_executed?: boolean;
  exit_status?: number | null;
  stderr_tail?: readonly string[];
}

export type Said =
  | {
      said: "opened";
      engine: string;
      pid: number | null;
      boot_id: string;
      version: string;
      protocol: number;
      methods: readonly string[];
      capabilities: readonly string[];
    }
  | { said: "not_opened"; engine: string; error: PlainError }
  | { said: "closed"; engine: string }
  | { said: "event"; request: string; index: number; value: unknown }
  | { said: "result"; request: string; value: unknown }
  | { said: "error"; request: string; error: PlainError }
  | { said: "left"; request: string }
  | { said: "asked"; held: string; method: string; tool?: string; params: unknown }
  | { said: "withdrawn"; held: string }
  | { said: "notice"; engine: string; kind: "frozen"; silent_ms: number }
  | { said: "notice"; engine: string; kind: "recovered" }
  | { said: "notice"; engine: string; kind: "lost" | "gave_up"; error: PlainError }
  | { said: "notice"; engine: string; kind: "restarted"; pid: number }
  | { said: "notification"; engine: string; name: string; body: unknown }
  | ({ said: "measured"; measure: string } & Readonly<Record<string, unknown>>)
  | { said: "bad_command"; line: string; why: string };

export type Say = (said: Said) => void;

/** Any exception as what can be said. */
export function plainError(error: unknown): PlainError {
  if (!(error instanceof EngineError)) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    return { class: name, code: null, message, data: {}, retryable: false };
  }
  const { name, code, message, data, retryable } = error;
  const plain = { class: name, code, message, data, retryable };
  if (error instanceof EngineLost) {
    return { ...plain, ...processEnd(error), may_have_executed: error.mayHaveExecuted };
  }
  return error instanceof StartFailed ? { ...plain, ...processEnd(error) } : plain;
}

/** A status is negative where a signal ended the process. */
function processEnd({ exitCode, signal, stderrTail }: EngineLost | StartFailed): Partial<PlainError> {
  const number = signal === null ? undefined : constants.signals[signal as NodeJS.Signals];
  return { exit_status: number === undefined ? exitCode : -number, stderr_tail: stderrTail };
}
