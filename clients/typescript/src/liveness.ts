/** How a client notices an engine that is there and does not answer. */

/** Milliseconds. The defaults are the protocol's. */
export interface Liveness {
  /** A ping when something is pending and nothing came for this long. */
  pingMs: number;
  /** An unanswered ping of this age means: frozen. */
  frozenMs: number;
  /** Between heartbeats of the socket itself, which notice a connection that is cut. */
  heartbeatMs: number;
  heartbeatTimeoutMs: number;
}

export const DEFAULT_LIVENESS: Liveness = {
  pingMs: 5_000,
  frozenMs: 15_000,
  heartbeatMs: 5_000,
  heartbeatTimeoutMs: 15_000,
};

/**
 * Decides when to ping and when to call the engine frozen. Owns no timer and no socket.
 *
 * Time in which this process itself did not run (a debugger, a laptop asleep)
 * never counts against the engine: a late tick starts the wait anew.
 */
export class PingWatch {
  readonly #liveness: Liveness;
  readonly #sendPing: (nonce: number) => void;
  #nonce = 0;
  #lastHeard: number;
  #lastTick: number;
  #pingedAt: number | undefined;
  #frozen = false;

  constructor(liveness: Liveness, sendPing: (nonce: number) => void, now: number) {
    this.#liveness = liveness;
    this.#sendPing = sendPing;
    this.#lastHeard = now;
    this.#lastTick = now;
  }

  /** How often `tick` wants to be called. */
  get tickMs(): number {
    return Math.min(this.#liveness.pingMs, this.#liveness.frozenMs) / 4;
  }

  /** Any message came; gives back whether this ends a freeze. */
  heard(now: number): boolean {
    this.#lastHeard = now;
    this.#pingedAt = undefined;
    const thawed = this.#frozen;
    this.#frozen = false;
    return thawed;
  }

  /** Gives back the milliseconds of silence when the engine must be reported frozen, once per freeze. */
  tick(now: number, { pending }: { pending: boolean }): number | undefined {
    const late = now - this.#lastTick > this.#liveness.pingMs / 2;
    this.#lastTick = now;
    if (!pending || late) {
      this.#lastHeard = now;
      this.#pingedAt = undefined;
      return undefined;
    }
    if (this.#pingedAt === undefined) {
      if (now - this.#lastHeard >= this.#liveness.pingMs) {
        this.#nonce += 1;
        this.#pingedAt = now;
        this.#sendPing(this.#nonce);
      }
      return undefined;
    }
    const silent = now - this.#pingedAt;
    if (this.#frozen || silent < this.#liveness.frozenMs) return undefined;
    this.#frozen = true;
    return silent;
  }
}
