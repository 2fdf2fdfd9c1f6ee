/** Keeps an engine running, one life after another as the restart policy allows. Sends nothing twice. */

import { EngineLost, StartFailed } from "./errors.js";
import type { Life } from "./life.js";
import type { Notice } from "./notices.js";
import type { Request } from "./request.js";
import { RestartBudget, type RestartPolicy } from "./restart.js";

/** Starts or attaches to an engine; gives up once the signal is aborted. Throws StartFailed. */
export type OpenLife = (signal: AbortSignal) => Promise<Life>;

interface Unsent {
  request: Request;
  body: Uint8Array;
}

/** Requests go to the present life; between two lives they wait, unsent, for the next. */
export class EngineKeeper {
  readonly #openLife: OpenLife;
  #budget: RestartBudget;
  readonly #notify: (notice: Notice) => void;
  #life: Life | undefined;
  #opening: AbortController | undefined;
  #restarting: Promise<void> | undefined;
  #unsent: Unsent[] = [];
  #over: EngineLost | undefined;
  #closing = false;
  #closed: Promise<void> | undefined;

  constructor(openLife: OpenLife, restart: RestartPolicy | false, notify: (notice: Notice) => void) {
    this.#openLife = openLife;
    this.#budget = new RestartBudget(restart);
    this.#notify = notify;
  }

  /** The present life. Throws EngineLost between two lives and after the last. */
  get life(): Life {
    if (this.#life === undefined) throw this.#over ?? new EngineLost("the engine is being started again");
    return this.#life;
  }

  /** Begin the first life; once the signal is aborted, give up. Throws StartFailed. */
  async start(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const giveUp = (): void => this.#opening?.abort();
    signal?.addEventListener("abort", giveUp);
    try {
      await this.#open();
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Send it now, or once a restart is through; fails it when there is no engine and will be none. */
  submit(request: Request, body: Uint8Array): void {
    if (this.#over !== undefined) request.fail(this.#over.forRequest({ sent: false }));
    else if (this.#life === undefined || this.#life.isOver) this.#unsent.push({ request, body });
    else this.#life.connection.submit(request, body);
  }

  /** The next end of the engine is its last. */
  stopRestarting(): void {
    this.#budget = new RestartBudget(false);
  }

  /** End the present life in order. */
  async close(graceMs: number): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    await this.#closed;
  }

  /** End the present life at once. */
  async abort(): Promise<void> {
    this.#closing = true;
    await this.#life?.abort();
    await this.close(0);
  }

  async #close(graceMs: number): Promise<void> {
    this.#closing = true;
    this.#opening?.abort();
    await this.#restarting;
    await this.#life?.close(graceMs);
    this.#finish(new EngineLost("the engine was closed by this program"));
  }

  async #open(): Promise<void> {
    this.#opening = new AbortController();
    let life: Life;
    try {
      life = await this.#openLife(this.#opening.signal);
    } finally {
      this.#opening = undefined;
    }
    this.#life = life;
    void life.concluded.then((error) => this.#lost(life, error));
  }

  #lost(life: Life, error: EngineLost): void {
    this.#life = undefined;
    if (this.#closing || life.endedInOrder) {
      this.#finish(error);
      return;
    }
    this.#notify({ type: "crashed", error });
    this.#restartAfter(error);
  }

  #restartAfter(error: EngineLost): void {
    const { policy } = this.#budget;
    if (this.#closing || policy === false) {
      this.#finish(error);
    } else if (this.#budget.spend(performance.now())) {
      this.#restarting = this.#restart();
    } else {
      const within = `after ${policy.maxRestarts} restarts within ${policy.withinMs / 1000} s`;
      const last = new EngineLost(`${error.message}; ${within} it is not started again`, error);
      this.#notify({ type: "gave_up", error: last });
      this.#finish(last);
    }
  }

  async #restart(): Promise<void> {
    try {
      await this.#open();
    } catch (error) {
      const failed = error instanceof StartFailed ? error : new StartFailed(String(error));
      this.#restartAfter(new EngineLost(failed.message, failed));
      return;
    }
    const life = this.#life;
    if (this.#closing || life === undefined) return;
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const { request, body } of unsent) if (!request.ended) life.connection.submit(request, body);
    if (life.process !== undefined) this.#notify({ type: "restarted", pid: life.process.pid });
  }

  #finish(error: EngineLost): void {
    this.#over ??= error;
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const { request } of unsent) request.fail(this.#over.forRequest({ sent: false }));
  }
}
