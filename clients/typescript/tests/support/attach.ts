/** Client engines connected to fake ones, closed after each test. */

import { afterEach } from "vitest";

import { Engine, type EngineOptions } from "../../src/engine.js";
import { Life } from "../../src/life.js";
import type { FakeEngine } from "./fake-engine.js";

const engines: Engine[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

/** An engine whose connection leads to the fake one; it is never started again. */
export async function attach(fake: FakeEngine, options: EngineOptions = {}): Promise<Engine> {
  const engine = await Engine.open(
    async (connection) => {
      await connection.open(fake.door, options.handshakeTimeoutMs ?? 5_000);
      return new Life(connection);
    },
    options,
    false,
  );
  engines.push(engine);
  return engine;
}
