/** The main process's side: what a window asks for, asked of the engine in its name. */

import type { Caller } from "../caller.js";
import { Busy, PermissionDenied } from "../errors.js";
import type { Notice } from "../notices.js";
import type { Request } from "../request.js";
import { LIMITS } from "../wire/limits.js";
import type { Link } from "./link.js";
import {
  type EngineMessage,
  type WindowMessage,
  plainError,
  plainNotice,
  readWindowMessage,
} from "./messages.js";

/** What windows may call unless told otherwise: what spends time, but changes nothing that lasts. */
export const WINDOW_METHODS: readonly string[] = [
  "chat.create",
  "embeddings.create",
  "engine.ping",
  "generate.create",
  "models.list",
  "models.load",
  "models.status",
  "tokens.count",
  "tokens.decode",
  "tokens.encode",
];

/** What a window may do. */
export interface WindowOptions {
  /** Methods it may call. Default: WINDOW_METHODS. */
  methods?: readonly string[];
  /** Requests it may have running at once; beyond: Busy. Default: 64. */
  maxRequests?: number;
}

/** An engine that windows can be served from. */
export interface WindowEngine extends Caller {
  onNotice(listener: (notice: Notice) => void): () => void;
}

/**
 * Let the window at the other end of the link use the engine. What it has running is cancelled when the
 * link closes, when it loads another page, or by the function that is given back.
 */
export function serveWindow(engine: WindowEngine, link: Link, options: WindowOptions = {}): () => void {
  const { methods = WINDOW_METHODS, maxRequests = 64 } = options;
  let session: WindowSession | undefined;
  const end = (): void => {
    session?.end();
    session = undefined;
  };
  const stopNotices = engine.onNotice((notice) => session?.tell(notice));
  const stop = (): void => {
    stopNotices();
    end();
  };
  link.listen((value) => {
    const message = readWindowMessage(value);
    if (message === undefined) return;
    if (message.kind === "open") {
      end();
      session = new WindowSession(engine, link, message.session, new Set(methods), maxRequests);
    } else if (message.session === session?.name) {
      session.take(message);
    }
  }, stop);
  return () => {
    stop();
    link.close();
  };
}

interface Running {
  request: Request;
  /** Events the window is ready to take. */
  credit: number;
  wake: () => void;
}

/** One page of a window, from its opening to its end. */
class WindowSession {
  readonly #running = new Map<number, Running>();
  #ended = false;

  constructor(
    private readonly engine: Caller,
    private readonly link: Link,
    readonly name: string,
    private readonly methods: ReadonlySet<string>,
    private readonly maxRequests: number,
  ) {}

  take(message: Exclude<WindowMessage, { kind: "open" }>): void {
    const running = this.#running.get(message.id);
    switch (message.kind) {
      case "request":
        if (running === undefined) this.#start(message);
        break;
      case "cancel":
        running?.request.cancel();
        break;
      case "credit":
        if (running === undefined) break;
        running.credit = Math.min(running.credit + message.events, LIMITS.credit);
        running.wake();
    }
  }

  tell(notice: Notice): void {
    this.#send({ kind: "notice", session: this.name, notice: plainNotice(notice) });
  }

  end(): void {
    this.#ended = true;
    for (const { request, wake } of this.#running.values()) {
      request.cancel();
      wake();
    }
  }

  #start(message: Extract<WindowMessage, { kind: "request" }>): void {
    const { id, method, params, deadlineMs, idempotencyKey } = message;
    try {
      if (!this.methods.has(method)) throw new PermissionDenied(`windows may not call ${method}`);
      if (this.#running.size >= this.maxRequests) {
        throw new Busy(`this window has ${this.maxRequests} requests running, which is the limit`);
      }
      const credit = message.credit === undefined ? undefined : Math.min(message.credit, LIMITS.credit);
      const request = this.engine.submit(method, params, { credit, deadlineMs, idempotencyKey });
      const running = { request, credit: credit ?? 0, wake: () => undefined };
      this.#running.set(id, running);
      void this.#run(id, running);
    } catch (error) {
      this.#fail(id, error, 0);
    }
  }

  async #run(id: number, running: Running): Promise<void> {
    const { request } = running;
    let sent = 0;
    try {
      if (request.terms.credit !== undefined) {
        for await (const events of batches(running, () => this.#ended)) {
          this.#send({ kind: "events", session: this.name, id, first: sent, events });
          sent += events.length;
        }
      }
      const result = await request.result();
      this.#send({ kind: "result", session: this.name, id, result, sent });
    } catch (error) {
      this.#fail(id, error, sent);
    } finally {
      this.#running.delete(id);
    }
  }

  #fail(id: number, error: unknown, sent: number): void {
    this.#send({ kind: "error", session: this.name, id, error: plainError(error), sent });
  }

  #send(message: EngineMessage): void {
    if (!this.#ended) this.link.send(message);
  }
}

/** A stream's events, as many at a time as there are and as the window is ready to take. */
async function* batches(running: Running, ended: () => boolean): AsyncGenerator<unknown[]> {
  const { request } = running;
  request.openReader();
  for (;;) {
    const next = await request.nextEvent();
    if (next.done) return;
    const events = [next.value];
    while (running.credit === 0 && !ended()) await new Promise<void>((wake) => (running.wake = wake));
    if (ended()) return;
    while (request.buffered > 0 && events.length < running.credit) {
      events.push((await request.nextEvent()).value);
    }
    running.credit -= events.length;
    yield events;
  }
}
