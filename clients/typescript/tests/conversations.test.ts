/** Whole conversations, byte for byte: the test plays the engine, the conformance driver the application. */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";

import { decode } from "../src/wire/decode.js";
import { Driver } from "./conformance/driver.js";
import { writeJson } from "./conformance/json.js";
import type { Said } from "./conformance/said.js";
import { FakeEngine, type Message } from "./support/fake-engine.js";
import { COUNTS, fromHex, readFixtures, toHex } from "./support/fixtures.js";

interface Step {
  from: "host" | "engine";
  header: string;
  body: string;
}

/** A command of the driver, with what comes before it: so many steps, and so many things that were said. */
type Action = { do: string; after: number; seen: number } & Record<string, unknown>;

interface Conversation {
  name: string;
  what: string;
  actions: Action[];
  steps: Step[];
  observes: Said[];
}

const CONVERSATIONS = readFixtures("conversations") as Conversation[];

const SOON = { timeout: 5_000, interval: 5 };

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "llm-sidecar-"));
  return () => {
    rmSync(folder, { recursive: true });
  };
});

test("all conversations are read", () => {
  expect(CONVERSATIONS).toHaveLength(COUNTS.conversations);
});

test.each(CONVERSATIONS)("$name: $what", async ({ actions, steps, observes }) => {
  await using fake = await FakeEngine.start({ answersHello: false, answersPings: false });
  const heard: Said[] = [];
  const driver = new Driver((said) => heard.push(said));
  const act = async (passed: number): Promise<void> => {
    for (const { after, seen, ...command } of actions) {
      if (after !== passed) continue;
      await vi.waitFor(() => expect(heard.length).toBeGreaterThanOrEqual(seen), SOON);
      driver.take(writeJson(towards(fake, command)));
    }
  };
  for (const [passed, step] of steps.entries()) {
    await act(passed);
    if (step.from === "engine") await play(fake, step);
    else expectFrames(await fake.nextMessage(), step);
  }
  await act(steps.length);
  await vi.waitFor(() => expectHeard(heard, observes), SOON);
  await driver.close();
});

/** An engine is opened where the fake one listens; everything else is done as it is written. */
function towards(fake: FakeEngine, command: Record<string, unknown>): Record<string, unknown> {
  if (command["do"] !== "connect" && command["do"] !== "spawn") return command;
  const { endpoint, serverKey, clientKey, clientSecret } = fake.door;
  const file = join(folder, "connection.json");
  const door = { endpoint, server_key: serverKey, client_key: clientKey, client_secret: clientSecret };
  const about = { boot_id: "boot", pid: process.pid, protocol: 1, version: "1", app_id: "tests" };
  writeFileSync(file, JSON.stringify({ ...door, ...about }));
  chmodSync(file, 0o600);
  return { ...command, do: "connect", connection_file: file };
}

/** Send what the engine says, and wait until the client has taken it, where it still listens. */
async function play(fake: FakeEngine, { header, body }: Step): Promise<void> {
  await fake.sendFrames(fromHex(header), fromHex(body));
  const { k } = decode(fromHex(header)) as { k: string };
  if (k !== "bye") await fake.roundTrip();
}

function expectFrames({ header, frames: [head, body] }: Message, step: Step): void {
  expect([header.k, toHex(head)]).toEqual([header.k, step.header]);
  if (header.k === "hello") expect(greeting(body)).toEqual(greeting(fromHex(step.body)));
  else expect(toHex(body)).toBe(step.body);
}

/** A hello without who says it. */
function greeting(body: Uint8Array): unknown {
  return { ...(decode(body) as object), client: undefined };
}

/** About each request, each handler and everything else the same was said, in the same order. */
function expectHeard(heard: readonly Said[], expected: readonly Said[]): void {
  for (const name of new Set(expected.map(subject))) {
    const about = (said: Said): boolean => subject(said) === name;
    expect(heard.filter(about), name).toMatchObject(expected.filter(about));
  }
}

function subject(said: Said): string {
  const about = said as { said: string; request?: string; held?: string; name?: string };
  return about.request ?? about.held ?? `${about.said} ${about.name ?? ""}`;
}
