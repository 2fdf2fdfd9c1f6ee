/** The engine's process: started with a clean environment, watched, and never left behind. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";

import { type ProcessEnd, StartFailed } from "./errors.js";
import { Latch } from "./latch.js";
import { readLines } from "./lines.js";
import { killGroup, killTree } from "./process-tree.js";
import { MAX_READY_LINE_BYTES } from "./wire/limits.js";

/** Variables by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

const SCRUBBED_PREFIXES = ["LD_", "DYLD_", "PYTHON", "_PYI_"];
const TAIL_LINES = 200;
const LINE_BYTES = 16 * 2 ** 10;

/** The environment without what would change which code a child loads. */
export function scrubbed(environment: Environment): Environment {
  const kept = Object.entries(environment).filter(
    ([name]) => !SCRUBBED_PREFIXES.some((prefix) => name.toUpperCase().startsWith(prefix)),
  );
  return Object.fromEntries(kept);
}

/** One running child process. */
export class SidecarProcess implements ProcessEnd {
  readonly exited = new Latch();
  readonly stderrEnded = new Latch();
  /** There is a first line on stdout, or it ended without. */
  readonly spoke = new Latch();
  firstLine: string | undefined;
  exitCode: number | null = null;
  signal: string | null = null;
  onExit: (() => void) | undefined;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #tail: string[] = [];
  readonly #onLog: (line: string) => void;

  private constructor(
    child: ChildProcessWithoutNullStreams,
    spawnLine: string,
    onLog: (line: string) => void,
  ) {
    this.#child = child;
    this.#onLog = onLog;
    child.once("exit", (code, signal) => this.#ended(code, signal));
    // A process that died at once is reported with how it ended, not as a broken pipe.
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.on("error", () => undefined);
    readLines(child.stdout, MAX_READY_LINE_BYTES + 1, (line) => this.#takeLine(line));
    child.stdout.once("close", () => this.spoke.open());
    readLines(child.stderr, LINE_BYTES, (line) => this.#takeLog(line));
    child.stderr.once("close", () => this.stderrEnded.open());
    child.stdin.write(`${spawnLine}\n`);
  }

  /** Start it and hand it its line. Throws StartFailed when there is nothing to start. */
  static async start(
    command: readonly string[],
    spawnLine: string,
    environment: Environment,
    onLog: (line: string) => void,
  ): Promise<SidecarProcess> {
    const [program = "", ...args] = command;
    const child = spawn(program, args, {
      stdio: "pipe",
      env: { ...scrubbed(environment) },
      // A process group of its own, so that nothing it starts is left when it is killed.
      detached: process.platform !== "win32",
      windowsHide: true,
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", (cause) => {
        reject(new StartFailed(`${JSON.stringify(program)} cannot be started: ${cause.message}`, { cause }));
      });
    });
    return new SidecarProcess(child, spawnLine, onLog);
  }

  /** Its process id. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The last lines it wrote to stderr. */
  get stderrTail(): readonly string[] {
    return [...this.#tail];
  }

  /** What is known of its end. */
  get end(): ProcessEnd {
    return { exitCode: this.exitCode, signal: this.signal, stderrTail: this.stderrTail };
  }

  /** End it and its whole process group: stdin's end and SIGTERM, after `patienceMs` SIGKILL. */
  async terminate(patienceMs: number): Promise<void> {
    this.#child.stdin.end();
    if (!this.exited.isOpen) {
      if (process.platform !== "win32") this.#child.kill("SIGTERM");
      await this.exited.wait(patienceMs);
    }
    this.kill();
    await this.exited.wait();
  }

  /** SIGKILL to its whole process group, now. After its end its number may be somebody else's. */
  kill(): void {
    if (!this.exited.isOpen) killTree(this.#child);
  }

  #takeLine(line: string): void {
    this.firstLine ??= line;
    this.spoke.open();
  }

  #takeLog(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
    this.#onLog(line);
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    killGroup(this.#child);
    this.exitCode = code;
    this.signal = signal;
    this.#child.stdin.destroy();
    this.exited.open();
    this.onExit?.();
  }
}
