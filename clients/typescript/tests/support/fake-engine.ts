/** An engine that a test plays by hand: the protocol's frames over a real socket, and nothing behind them. */

import { Router, curveKeyPair } from "zeromq";

import type { Door } from "../../src/channel.js";
import type { Limits } from "../../src/types/limits.js";
import { decode } from "../../src/wire/decode.js";
import { encode } from "../../src/wire/encode.js";
import { type Header, type Kind, decodeHeader, encodeHeader } from "../../src/wire/header.js";
import { LIMITS } from "../../src/wire/limits.js";
import { Inbox } from "./deadline.js";

export interface Message {
  header: Header;
  body: unknown;
  frames: readonly [Uint8Array, Uint8Array];
}

interface Behaviour {
  zapDomain?: string;
  limits?: Limits;
  answersHello?: boolean;
  answersPings?: boolean;
}

/** Of pings that no test speaks of. */
const OWN_NONCE = 77;

/** Answers hello and ping by itself, unless told otherwise; everything else waits in `next`. */
export class FakeEngine implements AsyncDisposable {
  hello: Record<string, unknown> = {};
  readonly #behaviour: Behaviour;
  readonly #router: Router;
  readonly #inbox = new Inbox<Message>();
  #peer: Uint8Array = new Uint8Array();

  private constructor(
    router: Router,
    /** Any key is admitted. */
    public door: Door,
    behaviour: Behaviour,
  ) {
    this.#router = router;
    this.#behaviour = behaviour;
    void this.#receive();
  }

  static async start(behaviour: Behaviour = {}): Promise<FakeEngine> {
    const server = curveKeyPair();
    const client = curveKeyPair();
    const router = new Router({ curveServer: true, curveSecretKey: server.secretKey });
    if (behaviour.zapDomain !== undefined) router.zapDomain = behaviour.zapDomain;
    await router.bind("tcp://127.0.0.1:*");
    const door: Door = {
      endpoint: router.lastEndpoint ?? "",
      serverKey: server.publicKey,
      clientKey: client.publicKey,
      clientSecret: client.secretKey,
    };
    return new FakeEngine(router, door, behaviour);
  }

  close(lingerMs = 500): void {
    if (this.#router.closed) return;
    this.#router.linger = lingerMs;
    this.#router.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close(0);
    return Promise.resolve();
  }

  async send(k: Kind | "of_tomorrow", body: unknown = {}, fields: Partial<Header> = {}): Promise<void> {
    await this.sendFrames(encodeHeader({ ...fields, k } as Header & { k: Kind }), encode(body));
  }

  async sendFrames(...frames: Uint8Array[]): Promise<void> {
    await this.#router.send([this.#peer, ...frames]);
  }

  async welcome(): Promise<void> {
    await this.send("welcome", {
      protocol: 1,
      boot_id: "boot",
      version: "9.9.9",
      capabilities: [],
      limits: this.#behaviour.limits ?? LIMITS,
      methods: ["chat.create"],
    });
  }

  async sendEvents(id: number, events: readonly unknown[], start = 0): Promise<void> {
    await this.send(
      "evts",
      events.map((event, index) => [id, start + index, event]),
    );
  }

  /** The next message of this kind; others stay. */
  async next(kind: Kind): Promise<Message> {
    return await this.#inbox.next(({ header }) => header.k === kind);
  }

  /** The next message of any kind. */
  async nextMessage(): Promise<Message> {
    return await this.#inbox.next();
  }

  /** The next request and its id. */
  async request(): Promise<{ id: number; header: Header; body: unknown }> {
    const { header, body } = await this.next("req");
    return { id: header.id ?? 0, header, body };
  }

  /** Messages of this kind that are there and were not taken. */
  count(kind: Kind): number {
    return this.#inbox.count(({ header }) => header.k === kind);
  }

  /** Wait until the client has handled all that was sent to it before. */
  async roundTrip(): Promise<void> {
    await this.send("ping", {}, { n: OWN_NONCE });
    await this.#inbox.next(({ header }) => header.k === "pong" && header.n === OWN_NONCE);
  }

  async #receive(): Promise<void> {
    try {
      for (;;) await this.#take(await this.#router.receive());
    } catch (error) {
      if (!this.#router.closed) throw error;
    }
  }

  async #take([peer, head, body]: readonly Uint8Array[]): Promise<void> {
    if (peer === undefined || head === undefined || body === undefined) return;
    const message: Message = { header: decodeHeader(head), body: decode(body), frames: [head, body] };
    if (message.header.k === "hello") {
      this.#peer = peer;
      this.hello = message.body as Record<string, unknown>;
      if (this.#behaviour.answersHello ?? true) {
        await this.welcome();
        return;
      }
    } else if (message.header.k === "ping" && (this.#behaviour.answersPings ?? true)) {
      await this.send("pong", {}, { n: message.header.n });
      return;
    }
    this.#inbox.put(message);
  }
}
