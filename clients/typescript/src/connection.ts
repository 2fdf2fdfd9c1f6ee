/** The protocol over one channel: handshake, request ids, events to their request, pings. */

import { debuglog } from "node:util";

import { Channel, type ChannelOwner, type Door } from "./channel.js";
import {
  EngineError,
  type EngineLost,
  InvalidMessage,
  StartFailed,
  TooLarge,
  errorFromBody,
} from "./errors.js";
import { readBye, readErrorBody, readWelcome } from "./handshake.js";
import { type HostHandlers, HostRequests } from "./host-requests.js";
import { Latch } from "./latch.js";
import { type Liveness, PingWatch } from "./liveness.js";
import type { Notice } from "./notices.js";
import { isCount } from "./plain.js";
import type { Request } from "./request.js";
import type { Bye, Hello, Welcome } from "./types/handshake.js";
import { SUPPORTED_PROTOCOLS, VERSION } from "./version.js";
import { decode } from "./wire/decode.js";
import { encode } from "./wire/encode.js";
import { type Header, type Kind, decodeHeader, encodeHeader } from "./wire/header.js";
import { LIMITS } from "./wire/limits.js";

const log = debuglog("llm-sidecar");

/** Who is told what a connection hears. */
export interface ConnectionOwner {
  notice(notice: Notice): void;
  notification(name: string, body: unknown): void;
}

/** Makes what frames go through. Throws StartFailed. */
export type OpenChannel = (
  door: Door,
  liveness: Liveness,
  owner: ChannelOwner,
) => Pick<Channel, "send" | "close">;

/** One connection. When it is over `onEnd` is called, and its owner fails what is pending. */
export class Connection {
  onEnd: (() => void) | undefined;
  readonly ended = new Latch();
  endReason: string | undefined;
  saidBye = false;
  readonly #owner: ConnectionOwner;
  readonly #openChannel: OpenChannel;
  readonly #liveness: Liveness;
  readonly #requests = new Map<number, Request>();
  readonly #hostRequests: HostRequests;
  readonly #watch: PingWatch;
  readonly #greeted = new Latch();
  #welcome: Welcome | undefined;
  #refusal: StartFailed | undefined;
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;
  #channel: ReturnType<OpenChannel> | undefined;

  constructor(
    handlers: HostHandlers,
    liveness: Liveness,
    owner: ConnectionOwner,
    openChannel: OpenChannel = openSocket,
  ) {
    this.#owner = owner;
    this.#openChannel = openChannel;
    this.#liveness = liveness;
    this.#hostRequests = new HostRequests(handlers, (header, body) => this.#send(header, body));
    this.#watch = new PingWatch(liveness, (n) => this.#send({ k: "ping", n }), performance.now());
  }

  /** Connect and shake hands. Throws StartFailed. */
  async open(door: Door, timeoutMs: number): Promise<void> {
    this.#channel = this.#openChannel(door, this.#liveness, {
      receive: (frames) => this.#receive(frames),
      ended: (reason) => this.#end(reason),
    });
    const hello: Hello = {
      protocols: [...SUPPORTED_PROTOCOLS],
      client: { name: "@llm-sidecar/client", version: VERSION, language: "typescript" },
      capabilities: this.#hostRequests.capabilities,
    };
    this.#send({ k: "hello" }, hello);
    await this.#greeted.wait(timeoutMs);
    if (this.#welcome === undefined) {
      const error = this.#refusal ?? silence(door, timeoutMs);
      this.close();
      throw error;
    }
    this.#timer = setInterval(() => this.#tick(), this.#watch.tickMs);
  }

  /** Whether it was welcomed and has not ended. */
  get isOpen(): boolean {
    return this.#welcome !== undefined && this.endReason === undefined;
  }

  /** What the engine said about itself. */
  get welcome(): Welcome {
    if (this.#welcome === undefined) throw new StartFailed("the engine has not welcomed this program yet");
    return this.#welcome;
  }

  /** Send a request, or fail it when this side can tell that it would be refused. */
  submit(request: Request, body: Uint8Array): void {
    const { method, terms } = request;
    const { message_bytes: limit = LIMITS.message_bytes, credit: most = LIMITS.credit } = this.welcome.limits;
    const id = this.#lastId + 1;
    // The engine gives no more ahead than its limit; a reader that counts on more would grant too late.
    const credit = terms.credit === undefined ? undefined : Math.min(terms.credit, most);
    let header: Uint8Array;
    try {
      checkParams(method, body, limit);
      const { deadlineMs: ttl, idempotencyKey: idem } = terms;
      header = encodeHeader({ k: "req", id, m: method, ttl, idem, credit });
    } catch (error) {
      request.fail(error);
      return;
    }
    this.#lastId = id;
    request.sent({
      credit,
      cancel: () => this.#send({ k: "cancel", id }),
      grant: (events) => this.#send({ k: "credit", id, credit: events }),
    });
    this.#requests.set(id, request);
    this.#sendFrames(header, body);
  }

  /** End every request that has no answer yet. */
  failPending(error: EngineLost): void {
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const request of requests) request.fail(error.forRequest({ sent: true }));
  }

  /** Say bye and give the socket back. */
  close(): void {
    if (this.isOpen) {
      const bye: Bye = { code: "closed", message: "the host closed the connection" };
      this.#send({ k: "bye" }, bye);
    }
    clearInterval(this.#timer);
    this.#hostRequests.close();
    this.#channel?.close();
  }

  // --- from the channel

  #receive(frames: readonly Uint8Array[]): void {
    if (this.#watch.heard(performance.now())) this.#owner.notice({ type: "thawed" });
    try {
      this.#dispatch(frames);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      // No id tells whom it was meant for: a request may now wait for ever, so the connection cannot go on.
      this.#end(`it sent an unreadable message: ${error.message}`);
    }
  }

  #dispatch(frames: readonly Uint8Array[]): void {
    const [head, body] = frames;
    if (head === undefined || body === undefined || frames.length !== 2) {
      throw new InvalidMessage(`a message of ${frames.length} frames; it must have 2`);
    }
    const header = decodeHeader(head);
    switch (header.k) {
      case "evts":
        return this.#takeEvents(decode(body));
      case "res":
      case "err":
        return this.#takeTerminal(header, body);
      case "req":
        return this.#hostRequests.start(header, decode(body));
      case "cancel":
        return this.#hostRequests.cancel(header);
      case "ntf":
        return this.#takeNotification(header.m ?? "", decode(body));
      case "ping":
        return this.#send({ k: "pong", n: header.n });
      case "welcome":
        return this.#takeWelcome(readWelcome(decode(body)));
      case "bye":
        return this.#takeBye(readBye(decode(body)));
      case "pong":
        return;
      default:
        log("a message of unknown kind %j was ignored", header.k.slice(0, 100));
    }
  }

  #takeEvents(entries: unknown): void {
    if (!Array.isArray(entries)) throw new InvalidMessage("events that are no list");
    for (const entry of entries as unknown[]) {
      const [id, sequence, event] = readEntry(entry);
      const request = this.#requests.get(id);
      if (request === undefined) continue;
      try {
        request.takeEvent(sequence, event);
      } catch (error) {
        request.cancel();
        request.fail(error);
        this.#requests.delete(id);
      }
    }
  }

  #takeTerminal(header: Header, body: Uint8Array): void {
    const id = header.id ?? 0;
    const request = this.#requests.get(id);
    if (request === undefined) return;
    this.#requests.delete(id);
    try {
      const content = decode(body);
      if (header.k === "res") request.takeResult(content, header.s);
      else request.takeError(errorFromBody(readErrorBody(content)), header.s);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      request.fail(new InvalidMessage(`the engine's answer to ${request.method} is not valid: ${problem}`));
    }
  }

  #takeNotification(name: string, body: unknown): void {
    if (name === "protocol.error") log("the engine reports a protocol error: %j", body);
    this.#owner.notification(name, body);
  }

  #takeWelcome(welcome: Welcome): void {
    this.#welcome ??= welcome;
    this.#greeted.open();
  }

  #takeBye(bye: Bye): void {
    this.saidBye = true;
    if (this.#welcome === undefined) {
      this.#refusal ??= new StartFailed(`the engine refused the connection: ${bye.message}`, {
        code: bye.code,
      });
      this.#greeted.open();
    } else {
      this.#end(`it said goodbye: ${bye.message}`);
    }
  }

  #end(reason: string): void {
    if (this.endReason !== undefined) return;
    this.endReason = reason;
    this.#refusal ??= new StartFailed(`no connection to the engine: ${reason}`);
    this.#greeted.open();
    clearInterval(this.#timer);
    this.ended.open();
    this.onEnd?.();
  }

  // --- to the channel

  #send(header: Header & { k: Kind }, body: unknown = {}): void {
    this.#sendFrames(encodeHeader(header), encode(body));
  }

  #sendFrames(...frames: Uint8Array[]): void {
    this.#channel?.send(frames);
  }

  #tick(): void {
    const silentMs = this.#watch.tick(performance.now(), { pending: this.#requests.size > 0 });
    if (silentMs !== undefined) this.#owner.notice({ type: "frozen", silentMs });
  }
}

function openSocket(...[door, liveness, owner]: Parameters<OpenChannel>): Channel {
  try {
    return new Channel(door, liveness, owner);
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new StartFailed(`${JSON.stringify(door.endpoint)} cannot be connected to: ${problem}`, { cause });
  }
}

function silence(door: Door, timeoutMs: number): StartFailed {
  return new StartFailed(
    `${door.endpoint} did not answer hello within ${timeoutMs / 1000} s; is it an llm-sidecar?`,
  );
}

function readEntry(entry: unknown): [number, number, unknown] {
  if (Array.isArray(entry) && entry.length === 3) {
    const [id, sequence, event] = entry as unknown[];
    if (isCount(id) && isCount(sequence)) return [id, sequence, event];
  }
  throw new InvalidMessage("an event that is not [id, sequence, event]");
}

function checkParams(method: string, body: Uint8Array, limit: number): void {
  if (body.length <= limit) return;
  throw new TooLarge(`${method}: the params have ${body.length} bytes, the engine accepts ${limit}`, {
    data: { size: body.length, limit },
  });
}
