/** A connection with requests running on it, over a channel in memory, for frames to be thrown at. */

import type { Caller, StreamingOptions } from "../../src/caller.js";
import { termsOf } from "../../src/caller.js";
import type { ChannelOwner } from "../../src/channel.js";
import { Connection } from "../../src/connection.js";
import { EngineError, EngineLost, InvalidMessage } from "../../src/errors.js";
import { DEFAULT_LIVENESS } from "../../src/liveness.js";
import { Request } from "../../src/request.js";
import { openChatStream, openGenerateStream, openStream } from "../../src/stream.js";
import { tool, toolHandlers } from "../../src/tools.js";
import { decode } from "../../src/wire/decode.js";
import { encode } from "../../src/wire/encode.js";
import { decodeHeader, encodeHeader } from "../../src/wire/header.js";
import { LIMITS } from "../../src/wire/limits.js";

const WELCOME = { protocol: 1, boot_id: "boot", version: "1", capabilities: [], limits: LIMITS, methods: [] };
const DOOR = { endpoint: "memory", serverKey: "", clientKey: "", clientSecret: "" };
const echo = tool({ name: "echo", parameters: { type: "object" }, run: (args) => args });
const nobody = { notice: () => undefined, notification: () => undefined };

/** Its readers read all that comes, as an application's loops would. */
export class Target implements Caller {
  /** How often a request has refused what came for it. */
  refusals = 0;
  /** By id, from 1. */
  readonly requests: Request[] = [];
  /** What the readers have failed with. */
  readonly failures: unknown[] = [];
  readonly #connection: Connection;
  readonly #reading: Promise<void>[] = [];
  #owner: ChannelOwner | undefined;

  private constructor() {
    const handlers = toolHandlers([echo]);
    this.#connection = new Connection(handlers, DEFAULT_LIVENESS, nobody, (_door, _liveness, owner) => {
      this.#owner = owner;
      return { send: (frames) => this.#hear(frames), close: () => owner.ended("it was closed") };
    });
  }

  /** Welcomed, with streams of each kind and a call on their way. */
  static async open(): Promise<Target> {
    const target = new Target();
    await target.#connection.open(DOOR, 1000);
    target.#read(openChatStream(target, { messages: [] }));
    target.#read(openChatStream(target, { messages: [] }).text());
    target.#read(openGenerateStream(target, { prompt: "a" }).text());
    target.#read(openStream(target, "models.load", { model: "m" }, { credit: 1 }));
    target.#read(openStream(target, "tomorrow.create", {}));
    const call = target.submit("engine.info", {}, {});
    target.#reading.push(target.#outcome(() => call.result()));
    return target;
  }

  get endReason(): string | undefined {
    return this.#connection.endReason;
  }

  /** Ids of requests that wait for their end. */
  get pending(): number[] {
    return this.requests.flatMap((request, index) => (request.ended ? [] : [index + 1]));
  }

  submit(method: string, params: object, options: StreamingOptions): Request {
    const request = new WatchedRequest(method, termsOf(options));
    request.refused = () => (this.refusals += 1);
    this.requests.push(request);
    this.#connection.submit(request, encode(params));
    return request;
  }

  deliver(header: Uint8Array, body: Uint8Array): void {
    this.#owner?.receive([header, body]);
  }

  /** End it; waits until all readers have come to their end. */
  async close(): Promise<void> {
    this.#connection.failPending(new EngineLost("the end of the test"));
    this.#connection.close();
    await Promise.all(this.#reading);
  }

  #read(items: AsyncIterable<unknown>): void {
    this.#reading.push(
      this.#outcome(async () => {
        for await (const item of items) if (item === undefined) throw new Error("an item that is none");
      }),
    );
  }

  async #outcome(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.failures.push(error);
    }
  }

  /** What the client says is always right, whatever it has heard. */
  #hear([head, body]: readonly Uint8Array[]): void {
    if (head === undefined || body === undefined) throw new Error("a message that has not two frames");
    decode(body);
    if (decodeHeader(head).k === "hello") this.deliver(encodeHeader({ k: "welcome" }), encode(WELCOME));
  }
}

/** Tells when it fails for what came, not for what the engine said. */
class WatchedRequest extends Request {
  refused: (() => void) | undefined;

  override fail(error: unknown): void {
    if (error instanceof InvalidMessage) this.refused?.();
    super.fail(error);
  }
}

/** Whether it is one of the exceptions that the client documents. */
export function isTyped(error: unknown): boolean {
  return error instanceof EngineError;
}
