/** The engine, as a program sees it. */

import {
  type CallOptions,
  type EventOf,
  type ParamsOf,
  type ResultOf,
  type StreamingOptions,
  call,
  termsOf,
} from "./caller.js";
import { Connection } from "./connection.js";
import type { HostHandlers } from "./host-requests.js";
import { EngineKeeper } from "./keeper.js";
import { type Life, attachLife, startLife } from "./life.js";
import { Listeners } from "./listeners.js";
import { DEFAULT_LIVENESS, type Liveness } from "./liveness.js";
import { Namespaces } from "./namespaces.js";
import type { Notice } from "./notices.js";
import { Request } from "./request.js";
import { DEFAULT_RESTART, type RestartPolicy } from "./restart.js";
import type { Environment } from "./sidecar-process.js";
import type { SpawnPlan } from "./spawn.js";
import { type Stream, openStream } from "./stream.js";
import { type HostTool, toolHandlers } from "./tools.js";
import type { Done } from "./types/common.js";
import type {
  EngineInfo,
  EngineLogs,
  EngineSetLogLevel,
  EngineStats,
  FrameEvent,
  LogEvent,
  Pong,
} from "./types/engine.js";
import type { Welcome } from "./types/handshake.js";
import type { Notifications } from "./types/methods.js";
import type { UnknownEvent } from "./types/open-enum.js";
import { encode } from "./wire/encode.js";
import { LIMITS } from "./wire/limits.js";

/** What an engine does for this program, and what it tells it. */
export interface EngineOptions {
  /** For each step of opening. Default: 30 s to spawn, 10 s to connect. */
  handshakeTimeoutMs?: number | undefined;
  /** Answer requests of the engine, by name, such as "host.elicit". */
  handlers?: HostHandlers | undefined;
  /** Functions the model may call; pass their `definition` with a chat. */
  tools?: readonly HostTool[] | undefined;
  /** Told what there is to know about its health. */
  onNotice?: ((notice: Notice) => void) | undefined;
  /** Told each notification, also one that comes before `onNotification` of the engine could be called. */
  onNotification?: ((name: string, body: unknown) => void) | undefined;
  liveness?: Partial<Liveness> | undefined;
  /** Aborted while the engine is being opened: give up, leave nothing behind, throw the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** How to start an engine. */
export interface SpawnOptions extends EngineOptions {
  /** Names this application; its data is kept apart from that of others. */
  appId: string;
  /** The program and its arguments. Default: `sidecar`, looked up in PATH. */
  command?: readonly string[] | undefined;
  /** The protocol's start options, such as `model_dirs` and `threads`. */
  options?: Readonly<Record<string, unknown>> | undefined;
  /** How often it is started again after a crash; false: never. No request is ever sent twice. */
  restart?: RestartPolicy | false | undefined;
  /** Gets each line of its stderr. */
  onLog?: ((line: string) => void) | undefined;
  /** Default: this program's. What would change which code the engine loads is left out. */
  environment?: Environment | undefined;
}

/** Begins a life over this connection; gives up once the signal is aborted. Throws StartFailed. */
type OpenWith = (connection: Connection, signal: AbortSignal) => Promise<Life>;

/** The body of a notification that this version knows. */
type BodyOf<Name extends string> = Name extends keyof Notifications ? Notifications[Name] : unknown;

/** A running engine. Every method throws EngineError and its subclasses. */
export class Engine extends Namespaces implements AsyncDisposable {
  readonly #keeper: EngineKeeper;
  readonly #notices = new Listeners<Notice>();
  readonly #notifications = new Map<string, Listeners<unknown>>();

  private constructor(openLife: OpenWith, options: EngineOptions, restart: RestartPolicy | false) {
    super();
    if (options.onNotice !== undefined) this.#notices.add(options.onNotice);
    const handlers = { ...toolHandlers(options.tools ?? []), ...options.handlers };
    const liveness = { ...DEFAULT_LIVENESS, ...options.liveness };
    const notice = (what: Notice): void => this.#notices.tell(what);
    const everything = new Listeners<{ name: string; body: unknown }>();
    const { onNotification } = options;
    if (onNotification !== undefined) everything.add(({ name, body }) => onNotification(name, body));
    const owner = {
      notice,
      notification: (name: string, body: unknown) => {
        everything.tell({ name, body });
        this.#notifications.get(name)?.tell(body);
      },
    };
    this.#keeper = new EngineKeeper(
      (signal) => openLife(new Connection(handlers, liveness, owner), signal),
      restart,
      notice,
    );
  }

  /**
   * Start an engine of one's own; it ends with this program at the latest.
   *
   * Throws StartFailed.
   */
  static async spawn(options: SpawnOptions): Promise<Engine> {
    const logs = new Listeners<string>();
    if (options.onLog !== undefined) logs.add(options.onLog);
    const plan: SpawnPlan = {
      command: options.command ?? ["sidecar"],
      options: { ...options.options, app_id: options.appId },
      handshakeTimeoutMs: options.handshakeTimeoutMs ?? 30_000,
      environment: options.environment ?? process.env,
      onLog: (line) => logs.tell(line),
    };
    const restart = options.restart ?? DEFAULT_RESTART;
    return await Engine.open((connection, signal) => startLife(plan, connection, signal), options, restart);
  }

  /**
   * Attach to an engine started with `sidecar --socket`: the newest that lives, or that of the file.
   *
   * Closing leaves it running. Throws StartFailed.
   */
  static async connect(connectionFile?: string, options: EngineOptions = {}): Promise<Engine> {
    const timeoutMs = options.handshakeTimeoutMs ?? 10_000;
    const openLife: OpenWith = (connection, signal) =>
      attachLife(connectionFile, timeoutMs, connection, signal);
    return await Engine.open(openLife, options, false);
  }

  /** @internal Begin with lives of any kind. */
  static async open(
    openLife: OpenWith,
    options: EngineOptions,
    restart: RestartPolicy | false,
  ): Promise<Engine> {
    const engine = new Engine(openLife, options, restart);
    try {
      await engine.#keeper.start(options.signal);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw error;
    }
    return engine;
  }

  /** What the engine said about itself: version, limits, methods. Throws EngineLost without one. */
  get welcome(): Welcome {
    return this.#keeper.life.connection.welcome;
  }

  /** Process id of an engine of one's own. Throws EngineLost while there is none. */
  get pid(): number | undefined {
    return this.#keeper.life.process?.pid;
  }

  /**
   * End the engine, or leave one that was connected to.
   *
   * Running requests get `graceMs` to finish, then are cancelled; the process is
   * asked, then terminated, then killed, with all of its group.
   */
  async close({ graceMs = 0 }: { graceMs?: number } = {}): Promise<void> {
    await this.#keeper.close(graceMs);
  }

  /** End the engine at once: its process group is killed. */
  async abort(): Promise<void> {
    await this.#keeper.abort();
  }

  /** The end of `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Tell `listener` what there is to know about the engine's health; gives back what stops it. */
  onNotice(listener: (notice: Notice) => void): () => void {
    return this.#notices.add(listener);
  }

  /** Give `listener` the body of each notification of that name; gives back what stops it. */
  onNotification<Name extends string>(name: Name, listener: (body: BodyOf<Name>) => void): () => void {
    let listeners = this.#notifications.get(name);
    if (listeners === undefined) {
      listeners = new Listeners();
      this.#notifications.set(name, listeners);
    }
    return listeners.add((body) => listener(body as BodyOf<Name>));
  }

  /** Call any method. */
  call<Name extends string>(
    method: Name,
    params: ParamsOf<Name>,
    options?: CallOptions,
  ): Promise<ResultOf<Name>> {
    return call(this, method, params, options);
  }

  /** Open any stream. */
  stream<Name extends string>(
    method: Name,
    params: ParamsOf<Name>,
    options?: StreamingOptions,
  ): Stream<EventOf<Name>, ResultOf<Name>> {
    return openStream(this, method, params, options);
  }

  /** Version, process, folders and what can run models here. */
  info(options?: CallOptions): Promise<EngineInfo> {
    return call(this, "engine.info", {}, options);
  }

  /** Memory, requests and tokens, for the process and each model. */
  stats(options?: CallOptions): Promise<EngineStats> {
    return call(this, "engine.stats", {}, options);
  }

  /** Whether the engine is alive and what it is doing. */
  ping(options?: CallOptions): Promise<Pong> {
    return call(this, "engine.ping", {}, options);
  }

  /** Log more or less from now on. */
  setLogLevel(params: EngineSetLogLevel, options?: CallOptions): Promise<Done> {
    return call(this, "engine.set_log_level", params, options);
  }

  /** Log records from now on, until the stream is left. */
  logs(params: EngineLogs = {}, options?: StreamingOptions): Stream<LogEvent | UnknownEvent, Done> {
    return openStream(this, "engine.logs", params, options);
  }

  /** Every message that crosses the transport, until the stream is left; debug connections only. */
  watch(options?: StreamingOptions): Stream<FrameEvent | UnknownEvent, Done> {
    return openStream(this, "engine.watch", {}, options);
  }

  /** End the process in order, also one that was connected to; `close` does so for one's own. */
  shutdown({ graceMs = 0 }: { graceMs?: number } = {}): Promise<Done> {
    this.#keeper.stopRestarting();
    return call(this, "engine.shutdown", { grace_ms: Math.trunc(graceMs) });
  }

  /** Send a request, or keep it until a restart is through: what the typed methods are made of. */
  override submit(method: string, params: object, options: StreamingOptions): Request {
    const request = new Request(method, termsOf(options));
    // What is too large for the engine is refused with its whole size, once the engine's limit is known.
    const body = encode(params, { ...LIMITS, message_bytes: LIMITS.frame_bytes });
    if (options.signal !== undefined) request.follow(options.signal);
    if (!request.ended) this.#keeper.submit(request, body);
    return request;
  }
}
