/** Requests that the engine makes of this program: run a tool, ask the user. */

import { EngineError } from "./errors.js";
import type { ErrorBody } from "./types/errors.js";
import type { HostMethods } from "./types/methods.js";
import type { Header, Kind } from "./wire/header.js";

/** What a handler may want to know besides the params. */
export interface HostRequestContext {
  /** Aborted when the engine no longer wants the answer, or is gone. */
  signal: AbortSignal;
}

/** Takes a request's params, gives back its result; what it throws is the request's error. */
export type HostHandler<Params, Result> = (
  params: Params,
  context: HostRequestContext,
) => Result | Promise<Result>;

/** Handlers by the request's name, such as "host.elicit". */
export type HostHandlers = {
  readonly [Name in keyof HostMethods]?: HostHandler<
    HostMethods[Name]["params"],
    HostMethods[Name]["result"]
  >;
};

/** A handler for what arrives: the engine keeps to the protocol's types. */
type AnyHandler = HostHandler<never, unknown>;

const MESSAGE_LENGTH = 1000;

type Send = (header: Header & { k: Kind }, body: unknown) => void;

/** Runs the handlers and sends what they give back or throw. */
export class HostRequests {
  readonly #handlers: ReadonlyMap<string, AnyHandler>;
  readonly #send: Send;
  readonly #running = new Map<number, AbortController>();
  #lastId = -1;

  constructor(handlers: HostHandlers, send: Send) {
    this.#handlers = new Map(Object.entries<AnyHandler>(handlers));
    this.#send = send;
  }

  /** What hello declares: the requests that have a handler. */
  get capabilities(): string[] {
    return [...this.#handlers.keys()].sort();
  }

  /** Run the handler of a request; without one it is refused. Ids must rise: any other is ignored. */
  start(header: Header, params: unknown): void {
    const { id, m = "" } = header;
    if (id === undefined || id <= this.#lastId) return;
    this.#lastId = id;
    const handler = this.#handlers.get(m);
    if (handler === undefined) {
      this.#refuse(id, { code: "unsupported", message: `no handler for ${JSON.stringify(m)} here` });
      return;
    }
    const controller = new AbortController();
    this.#running.set(id, controller);
    void this.#run(id, handler, params, controller.signal);
  }

  /**
   * The engine no longer wants the answer. The handler's end is still waited for and told: only it knows
   * what has been done.
   */
  cancel(header: Header): void {
    if (header.id !== undefined) this.#running.get(header.id)?.abort();
  }

  /** Nobody waits for answers any more. */
  close(): void {
    for (const controller of this.#running.values()) controller.abort();
  }

  async #run(id: number, handler: AnyHandler, params: unknown, signal: AbortSignal): Promise<void> {
    try {
      const result = await handler(params as never, { signal });
      this.#give(id, result);
    } catch (error) {
      this.#refuse(id, refusal(error, signal));
    } finally {
      this.#running.delete(id);
    }
  }

  #give(id: number, result: unknown): void {
    try {
      this.#send({ k: "res", id, s: 0 }, result ?? {});
    } catch (error) {
      const message = `the handler returned what cannot be sent: ${describe(error)}`;
      this.#refuse(id, { code: "internal", message });
    }
  }

  #refuse(id: number, body: ErrorBody): void {
    try {
      this.#send({ k: "err", id, s: 0 }, body);
    } catch {
      const { code, message } = body;
      this.#send({ k: "err", id, s: 0 }, { code, message: message.toWellFormed().slice(0, MESSAGE_LENGTH) });
    }
  }
}

function refusal(error: unknown, signal: AbortSignal): ErrorBody {
  if (signal.aborted) return { code: "cancelled", message: "the handler was cancelled" };
  if (!(error instanceof EngineError)) {
    return { code: "internal", message: `the handler threw ${describe(error)}` };
  }
  const { code, message, retryable, data } = error;
  return {
    code,
    message,
    ...(retryable && { retryable }),
    ...(Object.keys(data).length > 0 && { data: { ...data } }),
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
