/**
 * A request that streams: `for await (const event of stream)`, then `await stream.result()`.
 *
 * Leaving the loop in any way, by break, return, an exception or by dropping the
 * stream, cancels the request.
 */

import type { Caller, EventOf, ParamsOf, ResultOf, StreamingOptions } from "./caller.js";
import { InvalidMessage } from "./errors.js";
import { isRecord } from "./plain.js";
import type { Request } from "./request.js";
import type { ChatCompletion, ChatEvent } from "./types/chat.js";
import type { GenerateEvent, Generation } from "./types/generate.js";
import { EVENT_TYPES } from "./types/methods.js";
import { DEFAULT_CREDIT } from "./wire/limits.js";

/** Cancels requests whose stream nobody holds any more. Held weakly, a request cannot keep its stream alive. */
const dropped = new FinalizationRegistry<WeakRef<Request>>((request) => request.deref()?.cancel());

/** A running request. Events are read once, by one reader. */
export class Stream<Event, Result> implements AsyncIterable<Event>, AsyncDisposable {
  readonly #request: Request;
  readonly #readEvent: (plain: unknown) => Event;

  constructor(request: Request, readEvent: (plain: unknown) => Event) {
    this.#request = request;
    this.#readEvent = readEvent;
    dropped.register(this, new WeakRef(request), this);
  }

  /** Events as they come. Throws the error that ended the request, after the events before it. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Event> {
    return this.pick((event) => event);
  }

  /** The complete result, also of what was not read. Throws the error that ended the request. */
  async result(): Promise<Result> {
    // Whoever waits for the result need not hold the stream.
    dropped.unregister(this);
    return (await this.#request.result()) as Result;
  }

  /** Tell the engine to stop. `result()` then throws Cancelled, with what there was by then. */
  cancel(): void {
    this.#request.cancel();
  }

  /** The end of `await using`: an unfinished request is cancelled. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#request.cancel();
    return Promise.resolve();
  }

  /** What `item` makes of each event, without what it gives back as undefined. */
  protected pick<Item>(item: (event: Event) => Item | undefined): AsyncIterableIterator<Item> {
    return new StreamReader(this, this.#request, (plain) => item(this.#readEvent(plain)));
  }
}

/** What `for await` holds while it reads; when it lets go, an unfinished request is cancelled. */
class StreamReader<Item> implements AsyncIterableIterator<Item> {
  /** A loop over `engine.chat.stream(…)` holds nothing but this reader. */
  readonly stream: unknown;
  readonly #request: Request;
  readonly #read: (plain: unknown) => Item | undefined;

  constructor(stream: unknown, request: Request, read: (plain: unknown) => Item | undefined) {
    this.stream = stream;
    this.#request = request;
    this.#read = read;
    request.openReader();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Item, undefined>> {
    for (;;) {
      const next = await this.#request.nextEvent();
      if (next.done) return next;
      const item = this.#tryRead(next.value);
      if (item !== undefined) return { done: false, value: item };
    }
  }

  return(): Promise<IteratorResult<Item, undefined>> {
    this.#request.cancel();
    return Promise.resolve({ done: true, value: undefined });
  }

  #tryRead(plain: unknown): Item | undefined {
    try {
      return this.#read(plain);
    } catch (cause) {
      this.#request.cancel();
      if (cause instanceof InvalidMessage) throw cause;
      const { method } = this.#request;
      throw new InvalidMessage(`an event of ${method} has another shape: ${String(cause)}`, { cause });
    }
  }
}

/** A chat completion on its way. */
export class ChatStream extends Stream<ChatEvent, ChatCompletion> {
  /** Only the text that is added to one choice. */
  text(choice = 0): AsyncIterableIterator<string> {
    return this.pick((event) => {
      if (event.type !== "chunk") return undefined;
      const added = event.chunk.choices.filter(({ index }) => index === choice);
      return added.map(({ delta }) => delta.content ?? "").join("") || undefined;
    });
  }
}

/** A generation on its way. */
export class GenerateStream extends Stream<GenerateEvent, Generation> {
  /** Only the text that is added to one choice. */
  text(choice = 0): AsyncIterableIterator<string> {
    return this.pick((event) => {
      if (event.type !== "chunk" || event.choice !== choice) return undefined;
      return event.text || undefined;
    });
  }
}

/** Open a stream; its event types are those of the method. */
export function openStream<Name extends string>(
  caller: Caller,
  method: Name,
  params: ParamsOf<Name>,
  options?: StreamingOptions,
): Stream<EventOf<Name>, ResultOf<Name>> {
  return new Stream(streamingRequest(caller, method, params, options), eventReader(method));
}

/** Open a chat stream. */
export function openChatStream(
  caller: Caller,
  params: ParamsOf<"chat.create">,
  options?: StreamingOptions,
): ChatStream {
  return new ChatStream(streamingRequest(caller, "chat.create", params, options), eventReader("chat.create"));
}

/** Open a generation stream. */
export function openGenerateStream(
  caller: Caller,
  params: ParamsOf<"generate.create">,
  options?: StreamingOptions,
): GenerateStream {
  return new GenerateStream(
    streamingRequest(caller, "generate.create", params, options),
    eventReader("generate.create"),
  );
}

function streamingRequest(
  caller: Caller,
  method: string,
  params: object,
  options: StreamingOptions = {},
): Request {
  const { credit = DEFAULT_CREDIT, ...rest } = options;
  return caller.submit(method, { ...params, stream: true }, { ...rest, credit });
}

/** Reads events of a method; a type that this version does not know becomes the unknown arm of the union. */
function eventReader<Name extends string>(method: Name): (plain: unknown) => EventOf<Name> {
  const known = Object.hasOwn(EVENT_TYPES, method) ? EVENT_TYPES[method] : undefined;
  return (plain) => {
    if (known === undefined) return plain as EventOf<Name>;
    if (!isRecord(plain) || typeof plain["type"] !== "string") {
      throw new InvalidMessage(`an event of ${method} without a type`);
    }
    return (known.includes(plain["type"]) ? plain : { type: "unknown", event: plain }) as EventOf<Name>;
  };
}
