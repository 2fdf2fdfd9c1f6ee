/** One request from its sending to its end. Knows no socket and no types of the protocol. */

import { Cancelled, InvalidMessage } from "./errors.js";
import { Latch } from "./latch.js";

/** How a request goes on after it was sent. */
export interface SentRequest {
  /** Events the engine may be ahead of the reader; undefined: it does not stream. */
  credit: number | undefined;
  cancel(): void;
  /** Allow the engine so many events more. */
  grant(events: number): void;
}

type Outcome = { kind: "result"; result: unknown } | { kind: "error"; error: unknown };

/** What a request is sent with besides its params. */
export interface RequestTerms {
  /** Events the caller wants the engine to be ahead of the reader at most; undefined: it does not stream. */
  credit?: number | undefined;
  /** Whole milliseconds. */
  deadlineMs?: number | undefined;
  /** Under which the engine does it once. */
  idempotencyKey?: string | undefined;
}

/** Holds a request's events until they are read, its credit, and its one result or error. */
export class Request {
  #sent: SentRequest | undefined;
  #received = 0;
  #consumed = 0;
  readonly #events: unknown[] = [];
  #hasReader = false;
  #resultWanted = false;
  #outcome: Outcome | undefined;
  #changed = new Latch();
  #cancelled = false;
  #forgetSignal: (() => void) | undefined;

  constructor(
    readonly method: string,
    readonly terms: RequestTerms = {},
  ) {}

  /** Whether the result or an error is there. */
  get ended(): boolean {
    return this.#outcome !== undefined;
  }

  /** Events that have come and were not read. */
  get buffered(): number {
    return this.#events.length;
  }

  // --- the connection's side

  /** It went out. */
  sent(sent: SentRequest): void {
    this.#sent = sent;
  }

  /** An event came. Throws InvalidMessage when one before it is missing. */
  takeEvent(sequence: number, event: unknown): void {
    if (this.#cancelled || this.ended) return;
    if (sequence !== this.#received) {
      throw new InvalidMessage(
        `${this.method}: event ${this.#received} is missing from the stream, ${sequence} came instead`,
      );
    }
    this.#received += 1;
    if (this.#hasReader || !this.#resultWanted) this.#events.push(event);
    if (this.#resultWanted) this.#consume(1);
    this.#wake();
  }

  /** The result came. Throws InvalidMessage when events before it are missing. */
  takeResult(result: unknown, eventsSent: number | undefined): void {
    this.#checkCount(eventsSent);
    this.#end({ kind: "result", result });
  }

  /** The error that ends it came. Throws InvalidMessage when events before it are missing. */
  takeError(error: unknown, eventsSent: number | undefined): void {
    this.#checkCount(eventsSent);
    this.fail(error);
  }

  /** It ends with this error, unless it has ended. */
  fail(error: unknown): void {
    this.#end({ kind: "error", error });
  }

  // --- the caller's side

  /** From now on events are kept for `nextEvent`. */
  openReader(): void {
    this.#hasReader = true;
  }

  /** The next event, or done after the last. Throws the error that ended the request. */
  async nextEvent(): Promise<IteratorResult<unknown, undefined>> {
    while (this.#events.length === 0) {
      if (this.#outcome?.kind === "error") throw this.#outcome.error;
      if (this.#outcome !== undefined) return { done: true, value: undefined };
      await this.#changed.wait();
    }
    const event = this.#events.shift();
    if (!this.#resultWanted) this.#consume(1);
    return { done: false, value: event };
  }

  /**
   * The result, or throws the error that ended the request.
   *
   * Without a reader the events are thrown away; with one they are kept for it
   * without bound, because the caller no longer waits for them.
   */
  async result(): Promise<unknown> {
    if (!this.#resultWanted) {
      this.#resultWanted = true;
      this.#consume(this.#events.length);
      if (!this.#hasReader) this.#events.length = 0;
    }
    while (this.#outcome === undefined) await this.#changed.wait();
    if (this.#outcome.kind === "error") throw this.#outcome.error;
    return this.#outcome.result;
  }

  /** Tell the engine to stop; what still comes of this request is thrown away. */
  cancel(): void {
    if (this.#cancelled || this.ended) return;
    this.#cancelled = true;
    this.#events.length = 0;
    if (this.#sent === undefined) this.fail(new Cancelled(`${this.method} was cancelled before it was sent`));
    else this.#sent.cancel();
  }

  /** Cancel it, and end it with the signal's reason at once, when the signal says so. */
  follow(signal: AbortSignal): void {
    const abort = (): void => {
      this.cancel();
      this.fail(signal.reason);
    };
    if (signal.aborted) {
      this.fail(signal.reason);
    } else {
      signal.addEventListener("abort", abort, { once: true });
      this.#forgetSignal = () => signal.removeEventListener("abort", abort);
    }
  }

  #end(outcome: Outcome): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    this.#forgetSignal?.();
    this.#wake();
  }

  #checkCount(eventsSent: number | undefined): void {
    if (eventsSent !== undefined && eventsSent !== this.#received && !this.#cancelled && !this.ended) {
      throw new InvalidMessage(`${eventsSent} events were sent, ${this.#received} have arrived`);
    }
  }

  #consume(events: number): void {
    const sent = this.#sent;
    if (sent?.credit === undefined || this.ended || this.#cancelled) return;
    this.#consumed += events;
    // In halves, so that the engine seldom stands at zero and a message is not sent for each event.
    if (this.#consumed * 2 >= sent.credit) {
      sent.grant(this.#consumed);
      this.#consumed = 0;
    }
  }

  #wake(): void {
    const changed = this.#changed;
    this.#changed = new Latch();
    changed.open();
  }
}
