/** Handlers and tools that answer, throw or hold, as commands say. */

import { type HostHandlers, type HostTool, errors, tool } from "@llm-sidecar/client";

import { type Behaviour, type CommandTo, NotUnderstood } from "./commands.js";
import type { Said, Say } from "./said.js";

type Opening = CommandTo<"spawn">;
type Asked = Omit<Extract<Said, { said: "asked" }>, "said" | "held">;

interface Held {
  answer(result: unknown): void;
  fail(message: string): void;
}

/** What the engines ask of this program. */
export class HostSide {
  readonly #say: Say;
  readonly #held = new Map<string, Held>();
  #asked = 0;

  constructor(say: Say) {
    this.#say = say;
  }

  handlers(handlers: Opening["handlers"]): HostHandlers {
    const byMethod = handlers.map(({ method, ...behaviour }) => {
      const handle = (params: unknown, { signal }: { signal: AbortSignal }): Promise<unknown> =>
        this.#behave(behaviour, errors.Internal, { method, params }, signal);
      return [method, handle] as const;
    });
    return Object.fromEntries(byMethod);
  }

  tools(tools: Opening["tools"]): HostTool[] {
    return tools.map(({ name, parameters, ...behaviour }) =>
      tool({
        name,
        parameters,
        run: (params, { signal }) => {
          const asked = { method: "host.call_tool", tool: name, params };
          return this.#behave(behaviour, Error, asked, signal);
        },
      }),
    );
  }

  /** End a handler that holds. Throws NotUnderstood when none ever had that name. */
  answer(command: CommandTo<"answer">): void {
    const held = this.#held.get(command.held);
    if (held === undefined) throw new NotUnderstood(`nothing was held as ${command.held}`);
    if (command.throw === undefined) held.answer(command.result);
    else held.fail(command.throw);
  }

  async #behave(
    { behaviour, result, message = "" }: Behaviour,
    Failure: new (message: string) => Error,
    asked: Asked,
    signal: AbortSignal,
  ): Promise<unknown> {
    this.#asked += 1;
    const name = `h${this.#asked}`;
    this.#say({ said: "asked", held: name, ...asked });
    switch (behaviour) {
      case "answer":
        return result;
      case "throw":
        throw new Failure(message);
      case "hold":
        return await new Promise((answer, reject) => {
          this.#held.set(name, { answer, fail: (why) => reject(new Failure(why)) });
          signal.addEventListener("abort", () => {
            this.#say({ said: "withdrawn", held: name });
            reject(new Failure("withdrawn"));
          });
        });
    }
  }
}
