/** The window's side: the same typed methods, asked of the main process. Needs neither Node nor a socket. */

import {
  type CallOptions,
  type EventOf,
  type ParamsOf,
  type ResultOf,
  type StreamingOptions,
  call,
  termsOf,
} from "../caller.js";
import { EngineLost, InvalidMessage } from "../errors.js";
import { Listeners } from "../listeners.js";
import { Namespaces } from "../namespaces.js";
import type { Notice } from "../notices.js";
import { Request } from "../request.js";
import { type Stream, openStream } from "../stream.js";
import { LIMITS } from "../wire/limits.js";
import type { Link } from "./link.js";
import { type EngineMessage, type WindowMessage, errorOf, noticeOf } from "./messages.js";

/** The engine as a window sees it. */
export class RemoteEngine extends Namespaces {
  readonly #link: Link;
  readonly #session = crypto.getRandomValues(new Uint32Array(4)).join("-");
  readonly #requests = new Map<number, Request>();
  readonly #notices = new Listeners<Notice>();
  #lastId = 0;
  #closed = false;

  /** Use `connectEngine`. */
  constructor(link: Link) {
    super();
    this.#link = link;
    link.listen(
      (message) => this.#take(message as EngineMessage),
      () => this.#end("the main process closed the link"),
    );
    this.#send({ kind: "open", session: this.#session });
  }

  /** Tell `listener` what there is to know about the engine's health; gives back what stops it. */
  onNotice(listener: (notice: Notice) => void): () => void {
    return this.#notices.add(listener);
  }

  /** Call any method that the main process lets windows call. */
  call<Name extends string>(
    method: Name,
    params: ParamsOf<Name>,
    options?: CallOptions,
  ): Promise<ResultOf<Name>> {
    return call(this, method, params, options);
  }

  /** Open any stream that the main process lets windows open. */
  stream<Name extends string>(
    method: Name,
    params: ParamsOf<Name>,
    options?: StreamingOptions,
  ): Stream<EventOf<Name>, ResultOf<Name>> {
    return openStream(this, method, params, options);
  }

  /** Let go: what is running is cancelled. */
  close(): void {
    for (const request of this.#requests.values()) request.cancel();
    this.#end("it was closed by this window");
    this.#link.close();
  }

  /** Send a request: what the typed methods are made of. */
  override submit(method: string, params: object, options: StreamingOptions): Request {
    const request = new Request(method, termsOf(options));
    if (options.signal !== undefined) request.follow(options.signal);
    if (this.#closed) request.fail(new EngineLost("the link to the engine is closed"));
    if (request.ended) return request;
    this.#lastId += 1;
    const id = this.#lastId;
    const session = this.#session;
    const { credit, deadlineMs, idempotencyKey } = request.terms;
    this.#send({ kind: "request", session, id, method, params, credit, deadlineMs, idempotencyKey });
    request.sent({
      credit: credit === undefined ? undefined : Math.min(credit, LIMITS.credit),
      cancel: () => this.#send({ kind: "cancel", session, id }),
      grant: (events) => this.#send({ kind: "credit", session, id, events }),
    });
    this.#requests.set(id, request);
    return request;
  }

  #take(message: EngineMessage): void {
    if (message.session !== this.#session) return;
    if (message.kind === "notice") {
      this.#notices.tell(noticeOf(message.notice));
      return;
    }
    const request = this.#requests.get(message.id);
    if (request === undefined) return;
    switch (message.kind) {
      case "events":
        message.events.forEach((event, index) => request.takeEvent(message.first + index, event));
        return;
      case "result":
        request.takeResult(message.result, message.sent);
        break;
      case "error":
        request.takeError(errorOf(message.error), message.sent);
    }
    this.#requests.delete(message.id);
  }

  #end(reason: string): void {
    this.#closed = true;
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    const error = new EngineLost(`the link to the engine is closed: ${reason}`, { mayHaveExecuted: true });
    for (const request of requests) request.fail(error);
  }

  #send(message: WindowMessage): void {
    if (this.#closed) return;
    try {
      this.#link.send(message);
    } catch (cause) {
      const problem = cause instanceof Error ? cause.message : String(cause);
      throw new InvalidMessage(`params that cannot be sent: ${problem}`, { cause });
    }
  }
}
