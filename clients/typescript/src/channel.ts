/** Frames in and out over one encrypted socket. Knows nothing of what they mean. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { Dealer, type Event as SocketEvent } from "zeromq";

import type { Liveness } from "./liveness.js";
import { LIMITS } from "./wire/limits.js";

/** Where an engine listens and the CURVE keys (z85) to get in. */
export interface Door {
  endpoint: string;
  serverKey: string;
  clientKey: string;
  clientSecret: string;
}

/** Who is told what happens on a channel. */
export interface ChannelOwner {
  /** A message came. */
  receive(frames: readonly Uint8Array[]): void;
  /** Called once, after all messages. */
  ended(reason: string): void;
}

const LINGER_MS = 200;
/** Never again, but not by -1: libzmq then throws away what came just before the end and was not read. */
const NEVER_MS = 2 ** 31 - 1;
const UNBOUNDED = 0;
const QUIET_TURNS = 3;

const ENDINGS: Partial<Record<SocketEvent["type"], string>> = {
  disconnect: "the connection was cut",
  close: "nothing listens there",
  "handshake:error:auth": "the engine refused this program's key",
  "handshake:error:protocol": "the peer does not speak the encrypted protocol",
  "handshake:error:other": "the encrypted handshake failed",
};

/** One connection's socket. */
export class Channel {
  readonly #owner: ChannelOwner;
  readonly #dealer: Dealer;
  #received = 0;
  #ending = false;

  /** Connects in the background. Throws what the socket says of an address or a key that is none. */
  constructor(door: Door, liveness: Liveness, owner: ChannelOwner) {
    this.#owner = owner;
    this.#dealer = new Dealer({
      reconnectInterval: NEVER_MS,
      linger: LINGER_MS,
      maxMessageSize: LIMITS.frame_bytes,
      heartbeatInterval: liveness.heartbeatMs,
      heartbeatTimeout: liveness.heartbeatTimeoutMs,
      heartbeatTimeToLive: 0,
      curveServerKey: door.serverKey,
      curvePublicKey: door.clientKey,
      curveSecretKey: door.clientSecret,
      // Sending never waits, so no message can be stuck behind another, and none of them blocks reading.
      sendHighWaterMark: UNBOUNDED,
      sendTimeout: 0,
    });
    void this.#watch();
    try {
      this.#dealer.connect(door.endpoint);
    } catch (error) {
      this.#dealer.close();
      throw error;
    }
    void this.#read();
  }

  /** Send a message. After the end it goes nowhere. */
  send(frames: readonly Uint8Array[]): void {
    if (this.#dealer.closed) return;
    // Refused only where the connection is over; its end is on the way here.
    this.#dealer.send([...frames]).catch(() => undefined);
  }

  /** Give everything back; what was sent has a moment to leave. */
  close(): void {
    this.#finish("it was closed by this program");
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const frames = await this.#dealer.receive();
        this.#received += 1;
        if (!this.#dealer.closed) this.#owner.receive(frames);
      }
    } catch (error) {
      if (!this.#dealer.closed) this.#finish(`its socket failed: ${String(error)}`);
    }
  }

  async #watch(): Promise<void> {
    const { events } = this.#dealer;
    try {
      for (;;) {
        const { type } = await events.receive();
        const reason = ENDINGS[type];
        if (reason !== undefined) await this.#end(reason);
        if (type === "end") return;
      }
    } catch (error) {
      if (!this.#dealer.closed) this.#finish(`its socket failed: ${String(error)}`);
    }
  }

  /**
   * The peer is gone: what it sent before is on its way through the socket.
   *
   * The socket's own `readable` is no help: asking it takes the signal that the waiting receive needs.
   */
  async #end(reason: string): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    let seen: number;
    do {
      seen = this.#received;
      for (let turn = 0; turn < QUIET_TURNS; turn += 1) await nextTurn();
    } while (this.#received !== seen);
    this.#finish(reason);
  }

  #finish(reason: string): void {
    if (this.#dealer.closed) return;
    this.#dealer.close();
    this.#owner.ended(reason);
  }
}
