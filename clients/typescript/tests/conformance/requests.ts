/** The calls and streams of one driver, by the names that commands give them. */

import type { CallOptions, Engine, Stream } from "@llm-sidecar/client";

import { type CommandTo, NotUnderstood } from "./commands.js";
import { type Say, plainError } from "./said.js";

type Amount = CommandTo<"read">["count"];

/** Begins, reads and cancels requests. */
export class Requests {
  readonly #say: Say;
  readonly #running = new Map<string, Running>();

  constructor(say: Say) {
    this.#say = say;
  }

  call(engine: Engine, { request, method, params, ...options }: CommandTo<"call">): void {
    const running = this.#begin(request);
    running.next(async () => {
      const value = await engine.call(method, params, callOptions(options, running.signal));
      running.tell({ said: "result", request, value });
    });
  }

  stream(engine: Engine, command: CommandTo<"stream">): void {
    const { request, method, params, credit, read, ...options } = command;
    const running = this.#begin(request);
    running.next(async () => {
      const asked = { ...callOptions(options, running.signal), credit };
      running.reading = new Reading(engine.stream(method, params, asked), running);
      await running.reading.read(read);
    });
  }

  read({ request, count }: CommandTo<"read">): void {
    const running = this.#get(request);
    running.next(async () => running.reading?.read(count));
  }

  cancel({ request }: CommandTo<"cancel">): void {
    void this.#get(request)
      .leave()
      .then(() => this.#say({ said: "left", request }));
  }

  #begin(request: string): Running {
    if (this.#running.has(request)) throw new NotUnderstood(`there is a request ${request} already`);
    const running = new Running(request, this.#say);
    this.#running.set(request, running);
    return running;
  }

  #get(request: string): Running {
    const running = this.#running.get(request);
    if (running === undefined) throw new NotUnderstood(`there is no request ${request}`);
    return running;
  }
}

/** What is done about one request, one thing after the other, until it is left. */
class Running {
  reading: Reading | undefined;
  readonly #say: Say;
  readonly #controller = new AbortController();
  #work: Promise<unknown> = Promise.resolve();
  #left = false;

  constructor(
    readonly request: string,
    say: Say,
  ) {
    this.#say = say;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  next(work: () => Promise<unknown>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      this.tell({ said: "error", request: this.request, error: plainError(error) });
    });
  }

  /** Say it, unless it was left. */
  tell: Say = (said) => {
    if (!this.#left) this.#say(said);
  };

  async leave(): Promise<void> {
    this.#left = true;
    this.#controller.abort();
    await this.#work;
  }
}

/** A stream that is read as far as it is asked to. */
class Reading {
  readonly #stream: Stream<unknown, unknown>;
  readonly #events: AsyncIterator<unknown>;
  readonly #running: Running;
  #index = 0;

  constructor(stream: Stream<unknown, unknown>, running: Running) {
    this.#stream = stream;
    this.#events = stream[Symbol.asyncIterator]();
    this.#running = running;
  }

  async read(amount: Amount): Promise<void> {
    const { request } = this.#running;
    const end = amount === "all" ? Infinity : this.#index + amount;
    while (this.#index < end) {
      const next = await this.#events.next();
      if (next.done === true) {
        this.#running.tell({ said: "result", request, value: await this.#stream.result() });
        return;
      }
      this.#running.tell({ said: "event", request, index: this.#index, value: asSent(next.value) });
      this.#index += 1;
    }
  }
}

/** The event without the arm that the client puts those of an unknown type in. */
function asSent(event: unknown): unknown {
  const unknown = typeof event === "object" && event !== null && "type" in event && event.type === "unknown";
  return unknown && "event" in event ? event.event : event;
}

function callOptions(
  asked: Pick<CommandTo<"call">, "deadline_ms" | "idempotency_key">,
  signal: AbortSignal,
): CallOptions {
  return { signal, deadlineMs: asked.deadline_ms, idempotencyKey: asked.idempotency_key };
}
