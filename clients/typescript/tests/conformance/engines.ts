/** The engines of one driver, by the names that commands give them. */

import { Engine, type EngineOptions, type Notice } from "@llm-sidecar/client";

import { type CommandTo, NotUnderstood } from "./commands.js";
import type { HostSide } from "./host-side.js";
import { type Said, type Say, plainError } from "./said.js";

/** Opens and closes engines, and passes on what they tell unasked. */
export class Engines {
  readonly #hostSide: HostSide;
  readonly #say: Say;
  readonly #engines = new Map<string, Engine>();
  readonly #openings = new Set<Promise<void>>();
  readonly #giveUp = new AbortController();

  constructor(hostSide: HostSide, say: Say) {
    this.#hostSide = hostSide;
    this.#say = say;
  }

  spawn(command: CommandTo<"spawn">): void {
    const { app_id: appId, command: program, options, environment, restart } = command;
    const opening = Engine.spawn({
      ...this.#options(command),
      appId,
      command: program,
      options,
      environment,
      restart: restart && { maxRestarts: restart.max_restarts, withinMs: restart.within_ms },
    });
    this.#open(command.engine, opening);
  }

  connect(command: CommandTo<"connect">): void {
    this.#open(command.engine, Engine.connect(command.connection_file, this.#options(command)));
  }

  /** Throws NotUnderstood for a name that no open engine has had. */
  get(name: string): Engine {
    const engine = this.#engines.get(name);
    if (engine === undefined) throw new NotUnderstood(`no engine ${name} was opened`);
    return engine;
  }

  close({ engine, grace_ms: graceMs = 0 }: CommandTo<"close">): void {
    const closing = this.get(engine).close({ graceMs });
    void closing.then(() => this.#say({ said: "closed", engine }));
  }

  abort({ engine }: CommandTo<"abort">): void {
    const aborting = this.get(engine).abort();
    void aborting.then(() => this.#say({ said: "closed", engine }));
  }

  async closeAll(): Promise<void> {
    this.#giveUp.abort();
    await Promise.all(this.#openings);
    await Promise.all([...this.#engines.values()].map((engine) => engine.close()));
  }

  #options(command: CommandTo<"spawn" | "connect">): EngineOptions {
    const { engine, liveness, handlers, tools } = command;
    return {
      handshakeTimeoutMs: command.handshake_timeout_ms,
      liveness: liveness && { pingMs: liveness.ping_every_ms, frozenMs: liveness.frozen_after_ms },
      handlers: this.#hostSide.handlers(handlers),
      tools: this.#hostSide.tools(tools),
      onNotice: (notice) => this.#say(saidOf(engine, notice)),
      onNotification: (name, body) => this.#say({ said: "notification", engine, name, body }),
      signal: this.#giveUp.signal,
    };
  }

  #open(name: string, opening: Promise<Engine>): void {
    const opened = this.#opened(name, opening);
    this.#openings.add(opened);
    void opened.then(() => this.#openings.delete(opened));
  }

  async #opened(name: string, opening: Promise<Engine>): Promise<void> {
    let engine: Engine;
    try {
      engine = await opening;
    } catch (error) {
      this.#say({ said: "not_opened", engine: name, error: plainError(error) });
      return;
    }
    this.#engines.set(name, engine);
    const { boot_id, version, protocol, methods, capabilities } = engine.welcome;
    const about = { boot_id, version, protocol, methods, capabilities };
    this.#say({ said: "opened", engine: name, pid: engine.pid ?? null, ...about });
  }
}

function saidOf(engine: string, notice: Notice): Said {
  switch (notice.type) {
    case "frozen":
      return { said: "notice", engine, kind: "frozen", silent_ms: notice.silentMs };
    case "thawed":
      return { said: "notice", engine, kind: "recovered" };
    case "crashed":
      return { said: "notice", engine, kind: "lost", error: plainError(notice.error) };
    case "restarted":
      return { said: "notice", engine, kind: "restarted", pid: notice.pid };
    case "gave_up":
      return { said: "notice", engine, kind: "gave_up", error: plainError(notice.error) };
  }
}
