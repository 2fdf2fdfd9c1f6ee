/** How often a crashed engine is started again. */

/** At most `maxRestarts` within `withinMs`; beyond, the engine stays down and says so. */
export interface RestartPolicy {
  maxRestarts: number;
  withinMs: number;
}

export const DEFAULT_RESTART: RestartPolicy = { maxRestarts: 3, withinMs: 60_000 };

/** Counts restarts against a policy. */
export class RestartBudget {
  readonly #restarts: number[] = [];

  /** `policy` false: never. */
  constructor(readonly policy: RestartPolicy | false) {}

  /** Take one restart at this time (milliseconds, monotonic); false when there is none left. */
  spend(now: number): boolean {
    if (this.policy === false) return false;
    const { maxRestarts, withinMs } = this.policy;
    while (this.#restarts[0] !== undefined && now - this.#restarts[0] >= withinMs) this.#restarts.shift();
    if (this.#restarts.length >= maxRestarts) return false;
    this.#restarts.push(now);
    return true;
  }
}
