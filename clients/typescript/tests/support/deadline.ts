/** Waiting for what must come. */

const DEADLINE_MS = 10_000;

/** The promise's value; throws when it takes too long. */
export async function soon<Value>(promise: Promise<Value>, what = "it"): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Values that arrive one by one and are waited for. */
export class Inbox<Value> {
  readonly #values: Value[] = [];
  #arrived: (() => void)[] = [];

  put(value: Value): void {
    this.#values.push(value);
    const waiting = this.#arrived;
    this.#arrived = [];
    for (const wake of waiting) wake();
  }

  count(matches: (value: Value) => boolean): number {
    return this.#values.filter(matches).length;
  }

  /** The first value that matches; the others stay. */
  next(matches: (value: Value) => boolean = () => true): Promise<Value> {
    return soon(this.#next(matches), "a value");
  }

  async #next(matches: (value: Value) => boolean): Promise<Value> {
    for (;;) {
      const index = this.#values.findIndex(matches);
      if (index >= 0) return this.#values.splice(index, 1)[0] as Value;
      await new Promise<void>((resolve) => this.#arrived.push(resolve));
    }
  }
}

/** Everything an iterable gives. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await soon(promise);
  } catch (error) {
    return error;
  }
  throw new Error("it was expected to fail");
}
