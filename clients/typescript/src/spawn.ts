/** Starting an engine: the spawn line in, the ready line out, every refusal explained. */

import { curveKeyPair } from "zeromq";

import type { Door } from "./channel.js";
import { EngineError, type ProcessEnd, StartFailed } from "./errors.js";
import { readErrorBody, readReadyLine } from "./handshake.js";
import { isRecord } from "./plain.js";
import { type Environment, SidecarProcess } from "./sidecar-process.js";
import type { ReadyLine, SpawnLine } from "./types/handshake.js";
import { SUPPORTED_PROTOCOLS } from "./version.js";
import { MAX_READY_LINE_BYTES } from "./wire/limits.js";

const LAST_WORDS_MS = 500;

/** How to start an engine. */
export interface SpawnPlan {
  command: readonly string[];
  options: Readonly<Record<string, unknown>>;
  /** For the process to be ready, and again for the connection. */
  handshakeTimeoutMs: number;
  environment: Environment;
  onLog: (line: string) => void;
}

/**
 * Start it and wait until it can be connected to; once the signal is aborted, it is killed.
 *
 * Throws StartFailed; then nothing is left running.
 */
export async function startProcess(
  plan: SpawnPlan,
  signal: AbortSignal,
): Promise<{ process: SidecarProcess; door: Door }> {
  const { publicKey, secretKey } = curveKeyPair();
  const line: SpawnLine = {
    protocols: [...SUPPORTED_PROTOCOLS],
    client_key: publicKey,
    host_pid: process.pid,
    options: { ...plan.options },
  };
  const child = await SidecarProcess.start(plan.command, writeLine(line), plan.environment, plan.onLog);
  signal.addEventListener("abort", () => child.kill());
  if (signal.aborted) child.kill();
  try {
    const ready = await readyLine(child, plan.handshakeTimeoutMs);
    const { endpoint, server_key: serverKey } = ready;
    return { process: child, door: { endpoint, serverKey, clientKey: publicKey, clientSecret: secretKey } };
  } catch (error) {
    child.kill();
    await child.exited.wait();
    throw error;
  }
}

/** How a process ended, in words. */
export function describeEnd({ exitCode, signal }: ProcessEnd): string {
  return signal === null ? `exited with status ${exitCode}` : `was killed by ${signal}`;
}

/** Why a process that ended too early is no engine. */
export async function exitedBeforeReady(child: SidecarProcess): Promise<StartFailed> {
  await child.exited.wait(LAST_WORDS_MS);
  await child.stderrEnded.wait(LAST_WORDS_MS);
  const ending = child.exited.isOpen ? describeEnd(child) : "closed its output";
  const lastLine = child.stderrTail.at(-1);
  const last = lastLine === undefined ? "" : `: ${lastLine.slice(0, 300)}`;
  return new StartFailed(`the engine ${ending} before it was ready${last}`, child.end);
}

function writeLine(line: SpawnLine): string {
  try {
    return JSON.stringify(line);
  } catch (cause) {
    throw new StartFailed(`options cannot be written as JSON: ${String(cause)}`, { cause });
  }
}

async function readyLine(child: SidecarProcess, timeoutMs: number): Promise<ReadyLine> {
  if (!(await child.spoke.wait(timeoutMs))) {
    throw new StartFailed(`the engine was not ready within ${timeoutMs / 1000} s`, child.end);
  }
  const line = child.firstLine;
  if (line === undefined) throw await exitedBeforeReady(child);
  if (line.length > MAX_READY_LINE_BYTES) {
    throw new StartFailed(`the ready line is longer than ${MAX_READY_LINE_BYTES} bytes`, child.end);
  }
  return parseReadyLine(line, child);
}

function parseReadyLine(line: string, child: SidecarProcess): ReadyLine {
  let ready: ReadyLine;
  try {
    const content: unknown = JSON.parse(line);
    if (isRecord(content) && "error" in content) {
      const { code, message, data = {} } = readErrorBody(content["error"]);
      throw new StartFailed(`the engine refused to start: ${message}`, { ...child.end, code, data });
    }
    ready = readReadyLine(content);
  } catch (cause) {
    if (cause instanceof StartFailed) throw cause;
    const problem =
      cause instanceof EngineError || cause instanceof SyntaxError ? cause.message : String(cause);
    const shown = JSON.stringify(line.slice(0, 200));
    const message = `the first line of the program's output is no ready line (${problem}): ${shown}`;
    throw new StartFailed(message, { ...child.end, cause });
  }
  if (!SUPPORTED_PROTOCOLS.includes(ready.protocol)) {
    throw new StartFailed(
      `the engine (version ${ready.version}) speaks protocol ${ready.protocol}, this client ` +
        `${SUPPORTED_PROTOCOLS.join(", ")}; install the same release of both`,
      { ...child.end, code: "unsupported_protocol" },
    );
  }
  return ready;
}
