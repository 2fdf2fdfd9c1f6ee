/** Functions of the program's own that are told something. */

/**
 * A set of listeners. What one of them throws is the program's mistake: it surfaces as an uncaught
 * exception, and neither the others nor the client's own work is disturbed.
 */
export class Listeners<Value> {
  readonly #listeners = new Set<{ call: (value: Value) => void }>();

  /** Tell `listener` from now on; gives back the function that stops it. */
  add(listener: (value: Value) => void): () => void {
    const entry = { call: listener };
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /** Tell all of them. */
  tell(value: Value): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener.call(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
