/** Something that happens once, and can be waited for. */
export class Latch {
  #isOpen = false;
  readonly #waiting = new Set<() => void>();

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** It has happened. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Wait for it, `milliseconds` at most; gives back whether it has happened. */
  async wait(milliseconds?: number): Promise<boolean> {
    if (this.#isOpen) return true;
    await new Promise<void>((resolve) => {
      const timer = milliseconds === undefined ? undefined : setTimeout(end, milliseconds);
      const waiting = this.#waiting;
      waiting.add(end);
      function end(): void {
        clearTimeout(timer);
        waiting.delete(end);
        resolve();
      }
    });
    return this.#isOpen;
  }
}
