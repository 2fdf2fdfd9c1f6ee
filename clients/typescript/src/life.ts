/** One life of an engine: a connection and, when this program started it, the process behind it. */

import type { Connection } from "./connection.js";
import { doorOf, findConnection } from "./discovery.js";
import { EngineError, EngineLost, NO_PROCESS_END } from "./errors.js";
import { Latch } from "./latch.js";
import { Request } from "./request.js";
import type { SidecarProcess } from "./sidecar-process.js";
import { type SpawnPlan, describeEnd, exitedBeforeReady, startProcess } from "./spawn.js";
import { encode } from "./wire/encode.js";

// Together below the second within which a loss must be reported.
const EXIT_AFTER_DISCONNECT_MS = 400;
const LAST_WORDS_MS = 500;
const EXIT_AFTER_BYE_MS = 5_000;
const EXIT_AFTER_SHUTDOWN_MS = 2_000;
const EXIT_AFTER_TERMINATE_MS = 1_000;

/** From the welcome to the end. */
export class Life {
  /** Resolves at the end, after every pending request has failed. */
  readonly concluded: Promise<EngineLost>;
  readonly #over = new Latch();
  #closing = false;

  constructor(
    readonly connection: Connection,
    readonly process?: SidecarProcess,
  ) {
    connection.onEnd = () => this.#over.open();
    if (connection.endReason !== undefined) this.#over.open();
    if (process !== undefined) {
      process.onExit = () => this.#over.open();
      if (process.exited.isOpen) this.#over.open();
    }
    this.concluded = this.#conclude();
  }

  /** Whether it takes no request any more. */
  get isOver(): boolean {
    return this.#over.isOpen;
  }

  /** Whether the engine ended because it was told to, by whomever. */
  get endedInOrder(): boolean {
    return this.connection.saidBye || this.#closing;
  }

  /** End our process in order, or only leave an engine that is not ours. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    if (this.process !== undefined) await this.#shutDown(this.process, graceMs);
    this.connection.close();
    await this.concluded;
  }

  /** End our process now, or only leave an engine that is not ours. */
  async abort(): Promise<void> {
    this.#closing = true;
    if (this.process === undefined) this.connection.close();
    else this.process.kill();
    await this.concluded;
  }

  async #shutDown(process: SidecarProcess, graceMs: number): Promise<void> {
    if (!this.isOver) {
      const request = new Request("engine.shutdown");
      this.connection.submit(request, encode({ grace_ms: Math.trunc(graceMs) }));
      await process.exited.wait(graceMs + EXIT_AFTER_SHUTDOWN_MS);
    }
    await process.terminate(EXIT_AFTER_TERMINATE_MS);
  }

  async #conclude(): Promise<EngineLost> {
    await this.#over.wait();
    const { process } = this;
    if (process !== undefined) {
      if (!this.#closing) {
        if (this.connection.saidBye) this.#failPending();
        await process.exited.wait(this.connection.saidBye ? EXIT_AFTER_BYE_MS : EXIT_AFTER_DISCONNECT_MS);
        process.kill();
      }
      await process.exited.wait();
      // What it still said, on stderr and in messages, is on its way here.
      await Promise.all([process.stderrEnded.wait(LAST_WORDS_MS), this.connection.ended.wait(LAST_WORDS_MS)]);
    }
    const error = this.#failPending();
    this.connection.close();
    return error;
  }

  #failPending(): EngineLost {
    const error = new EngineLost(this.#reason(), this.process?.end ?? NO_PROCESS_END);
    this.connection.failPending(error);
    return error;
  }

  #reason(): string {
    if (this.#closing) return "the engine was closed by this program";
    if (this.process?.exited.isOpen) return `the engine ${describeEnd(this.process)}`;
    return `the engine is gone: ${this.connection.endReason ?? "its process ended"}`;
  }
}

/**
 * Start a process and connect to it; once the signal is aborted, give up.
 *
 * Throws StartFailed; then nothing is left running.
 */
export async function startLife(plan: SpawnPlan, connection: Connection, signal: AbortSignal): Promise<Life> {
  const { process, door } = await startProcess(plan, signal);
  try {
    await connection.open(door, plan.handshakeTimeoutMs);
  } catch (error) {
    const ended = error instanceof EngineError && (await process.exited.wait(LAST_WORDS_MS));
    process.kill();
    await process.exited.wait();
    throw ended ? await exitedBeforeReady(process) : error;
  }
  return new Life(connection, process);
}

/** Connect to an engine that somebody else started; once the signal is aborted, give up. Throws StartFailed. */
export async function attachLife(
  connectionFile: string | undefined,
  handshakeTimeoutMs: number,
  connection: Connection,
  signal: AbortSignal,
): Promise<Life> {
  const door = doorOf(await findConnection(connectionFile));
  signal.addEventListener("abort", () => connection.close());
  await connection.open(door, handshakeTimeoutMs);
  return new Life(connection);
}
