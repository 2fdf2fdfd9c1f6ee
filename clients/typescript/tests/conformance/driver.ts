/** Does what commands say through the client's public names alone, as an application would. */

import { type Command, readCommand } from "./commands.js";
import { Engines } from "./engines.js";
import { HostSide } from "./host-side.js";
import { measurePings, measureStreams, measureTimer } from "./measures.js";
import { Requests } from "./requests.js";
import type { Say } from "./said.js";

/** Commands are begun at once and run side by side; each answer names what it is about. */
export class Driver {
  readonly #say: Say;
  readonly #hostSide: HostSide;
  readonly #engines: Engines;
  readonly #requests: Requests;

  constructor(say: Say) {
    this.#say = say;
    this.#hostSide = new HostSide(say);
    this.#engines = new Engines(this.#hostSide, say);
    this.#requests = new Requests(say);
  }

  /** Throws NotUnderstood. */
  take(line: string): void {
    this.do(readCommand(line));
  }

  /** Throws NotUnderstood for a command about something that there is not. */
  do(command: Command): void {
    switch (command.do) {
      case "spawn":
        return this.#engines.spawn(command);
      case "connect":
        return this.#engines.connect(command);
      case "close":
        return this.#engines.close(command);
      case "abort":
        return this.#engines.abort(command);
      case "call":
        return this.#requests.call(this.#engines.get(command.engine), command);
      case "stream":
        return this.#requests.stream(this.#engines.get(command.engine), command);
      case "read":
        return this.#requests.read(command);
      case "cancel":
        return this.#requests.cancel(command);
      case "answer":
        return this.#hostSide.answer(command);
      case "measure_pings":
        return this.#measure(command.measure, measurePings(this.#engines.get(command.engine), command));
      case "measure_streams":
        return this.#measure(command.measure, measureStreams(this.#engines.get(command.engine), command));
      case "measure_timer":
        return this.#measure(command.measure, measureTimer(command));
    }
  }

  /** Close all engines, also those on their way. */
  async close(): Promise<void> {
    await this.#engines.closeAll();
  }

  #measure(measure: string, figures: Promise<object>): void {
    void figures.then((found) => this.#say({ said: "measured", measure, ...found }));
  }
}
