/** The client and the sidecar together: a real process with the executor that says what it is told. */

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { curveKeyPair } from "zeromq";
import { z } from "zod";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { Connection } from "../src/connection.js";
import { type ChatCompletion, Engine, EngineLost, errors, tool } from "../src/index.js";
import { DEFAULT_LIVENESS } from "../src/liveness.js";
import { type SpawnPlan, startProcess } from "../src/spawn.js";
import { collect, rejection, soon } from "./support/deadline.js";
import { assertGone } from "./support/processes.js";
import { COMMAND, say, spawnSidecar } from "./support/sidecar.js";

describe("a sidecar of one's own", () => {
  let engine: Engine;

  beforeEach(async () => {
    engine = await spawnSidecar();
  });

  afterEach(async () => {
    await engine.close();
  });

  test("chat whole and streamed", async () => {
    const completion = await engine.chat.create({ messages: say("count 5") });
    expect(completion.choices[0]?.message.content).toBe("1 2 3 4 5");
    const stream = engine.chat.stream({ messages: say("count 5") });
    expect((await collect(stream.text())).join("")).toBe("1 2 3 4 5");
    expect((await stream.result()).usage.completion_tokens).toBe(completion.usage.completion_tokens);
  });

  test("every namespace", async () => {
    expect((await engine.info()).app_id).toBe("tests");
    const loading = engine.models.loadStream({ model: "default" });
    const events = await collect(loading);
    expect(events[0]).toMatchObject({ type: "loading", stage: "resolve" });
    expect((await loading.result()).executor).toBe("scripted");
    expect((await engine.models.status()).models.map(({ name }) => name)).toEqual(["default"]);
    const { token_ids } = await engine.tokens.encode({ text: "ab" });
    expect((await engine.tokens.decode({ token_ids })).text).toBe("ab");
    expect((await engine.tokens.count({ messages: say("ab") })).count).toBeGreaterThan(2);
    const generation = await engine.generate.create({ prompt: "abc", max_tokens: 3 });
    expect(generation.choices[0]?.text).toBe("def");
    const stream = engine.generate.stream({ prompt: "abc", max_tokens: 3 });
    expect((await collect(stream.text())).join("")).toBe("def");
    expect((await engine.ping()).phase).toBe("idle");
    expect((await engine.stats()).models[0]?.completion_tokens).toBeGreaterThan(0);
    await engine.setLogLevel({ level: "debug" });
    await engine.models.unload({ model: "default" });
    expect((await engine.models.status()).models).toEqual([]);
    expect(Array.isArray((await engine.models.list()).models)).toBe(true);
  });

  test("errors of the engine", async () => {
    expect(await rejection(engine.call("engine.nonsense", {}))).toBeInstanceOf(errors.MethodNotFound);
    const misspelt = await rejection(engine.call("chat.create", { mesages: [] } as never));
    expect(misspelt).toBeInstanceOf(errors.InvalidParams);
    expect(String(misspelt)).toContain("messages");
    expect(await rejection(engine.watch().result())).toBeInstanceOf(errors.Unauthorized);
    const text = "x".repeat(17 * 2 ** 20);
    expect(await rejection(engine.tokens.encode({ text }))).toBeInstanceOf(errors.TooLarge);
  });

  test("a method that is not idempotent refuses an idempotency key", async () => {
    const error = await rejection(
      engine.chat.create({ messages: say("count 1") }, { idempotencyKey: "one" }),
    );
    expect(error).toBeInstanceOf(errors.InvalidParams);
    expect(String(error)).toContain("takes no idempotency key");
  });

  test("a deadline gives what there was by then", async () => {
    await engine.models.load({ model: "default" });
    const call = engine.chat.create({ messages: say("slow 5 talk") }, { deadlineMs: 500 });
    const error = await rejection(call);
    expect(error).toBeInstanceOf(errors.DeadlineExceeded);
    expect(error).toMatchObject({
      partial: { choices: [{ message: { content: expect.stringMatching(/^la/) as string } }] },
    });
  });

  test("leaving a stream stops the work", async () => {
    const stream = engine.chat.stream({ messages: say("slow 2 talk") });
    for await (const text of stream.text()) {
      expect(text).toMatch(/^l/);
      break;
    }
    expect(await rejection(stream.result())).toBeInstanceOf(errors.Cancelled);
    await soon(stopped(engine));
  });

  test("an aborted signal stops the work", async () => {
    await engine.models.load({ model: "default" });
    const call = engine.chat.create({ messages: say("slow 2 talk") }, { signal: AbortSignal.timeout(200) });
    expect(await rejection(call)).toMatchObject({ name: "TimeoutError" });
    await soon(stopped(engine));
  });

  test("a reader that does not read disturbs nobody", async () => {
    // Slow, so that it cannot end meanwhile: an end lets all held events go.
    const params = { messages: say("slow 5 talk"), stream: true };
    const idle = engine.submit("chat.create", params, { credit: 4 });
    idle.openReader();
    await idle.nextEvent();
    for (let round = 0; round < 5; round += 1) {
      const completion = await engine.chat.create({ messages: say("count 9") });
      expect(completion.usage.completion_tokens).toBe(18);
    }
    expect(idle.buffered).toBeGreaterThan(0);
    expect(idle.buffered).toBeLessThanOrEqual(4);
    idle.cancel();
  });

  test("many streams at once are each whole", async () => {
    const numbers = Array.from({ length: 40 }, (_, index) => index + 1);
    const answers = numbers.map(async (number) => {
      const stream = engine.chat.stream({ messages: say(`count ${number}`) }, { credit: 3 });
      return [(await collect(stream.text())).join(""), await stream.result()] as const;
    });
    for (const [index, [text, completion]] of (await Promise.all(answers)).entries()) {
      expect(text).toBe(numbers.slice(0, index + 1).join(" "));
      expect(completion.choices[0]?.message.content).toBe(text);
    }
  });

  test("logs are streamed", async () => {
    const logs = engine.logs()[Symbol.asyncIterator]();
    const record = logs.next();
    expect(await rejection(engine.chat.create({ messages: say("crash") }))).toBeInstanceOf(errors.Internal);
    expect((await soon(record)).value).toMatchObject({ type: "log", level: "error" });
    await logs.return?.();
  });

  test("killed in the middle, it is reported within a second", async () => {
    const reader = engine.chat.stream({ messages: say("slow 5 talk") }).text();
    await soon(reader.next());
    process.kill(engine.pid ?? 0, "SIGKILL");
    const began = performance.now();
    // What came before the kill may still be read.
    const lost = await rejection(collect(reader));
    expect(performance.now() - began).toBeLessThan(1000);
    expect(lost).toBeInstanceOf(EngineLost);
    expect(lost).toMatchObject({ signal: "SIGKILL", mayHaveExecuted: true });
  });

  test("closing lets running requests finish", async () => {
    await engine.models.load({ model: "default" });
    const running = engine.chat.create({ messages: say("slow 5 count 20") });
    await engine.chat.create({ messages: say("count 1") });
    await engine.close({ graceMs: 20_000 });
    expect((await running).choices[0]?.finish_reason).toBe("stop");
  });
});

async function stopped(engine: Engine): Promise<void> {
  while ((await engine.stats()).models[0]?.running !== 0);
}

test("a chat calls functions of this program", async () => {
  const calls: string[] = [];
  const add = tool({
    name: "add",
    parameters: z.object({ a: z.number(), b: z.number() }),
    run: ({ a, b }, { callId }) => {
      calls.push(callId);
      return a + b;
    },
  });
  await using engine = await spawnSidecar({ tools: [add] });
  const ask = (text: string): Promise<ChatCompletion> =>
    engine.chat.create({ messages: say(text), tools: [add.definition], tool_execution: "host" });
  const sum = await ask('call add {"a": 20, "b": 22}');
  expect(sum.choices[0]?.message.content).toBe("42");
  expect(calls).toHaveLength(1);
  const failed = await ask('call add {"a": "many"}');
  expect(failed.tool_rounds?.[0]?.replies[0]?.content).toContain("the arguments are not valid: a: ");
  expect(calls).toHaveLength(1);
});

test("a frozen sidecar is reported, and goes on when it thaws", async () => {
  const notices: string[] = [];
  const liveness = { pingMs: 100, frozenMs: 300 };
  await using engine = await spawnSidecar({ liveness, onNotice: ({ type }) => notices.push(type) });
  const thawed = new Promise<void>((resolve) => {
    engine.onNotice(({ type }) => {
      if (type === "frozen") process.kill(engine.pid ?? 0, "SIGCONT");
      if (type === "thawed") resolve();
    });
  });
  process.kill(engine.pid ?? 0, "SIGSTOP");
  const call = engine.chat.create({ messages: say("count 2") });
  await soon(thawed);
  expect((await call).choices[0]?.message.content).toBe("1 2");
  expect(notices).toEqual(["frozen", "thawed"]);
});

test("after a crash a new sidecar answers, and nothing is sent twice", async () => {
  await using engine = await spawnSidecar({ restart: { maxRestarts: 1, withinMs: 60_000 } });
  const { pid } = engine;
  const pending = rejection(engine.chat.create({ messages: say("slow 5 talk") }));
  await engine.ping();
  process.kill(pid ?? 0, "SIGKILL");
  expect(await pending).toMatchObject({ code: "engine_lost", mayHaveExecuted: true });
  const completion = await engine.chat.create({ messages: say("count 3") });
  expect(completion.choices[0]?.message.content).toBe("1 2 3");
  expect(engine.pid).not.toBe(pid);
  expect((await engine.stats()).models[0]?.completion_tokens).toBe(completion.usage.completion_tokens);
});

test("wrong options are explained", async () => {
  const error = await rejection(spawnSidecar({ options: { thread: 1 } }));
  expect(error).toMatchObject({ code: "invalid_params" });
  expect(String(error)).toContain("did you mean 'threads'");
});

test("a wrong key is refused", async () => {
  const plan: SpawnPlan = {
    command: COMMAND,
    options: { executor: "scripted", app_id: "tests" },
    handshakeTimeoutMs: 20_000,
    environment: process.env,
    onLog: () => undefined,
  };
  const { process: sidecar, door } = await startProcess(plan, new AbortController().signal);
  const { publicKey, secretKey } = curveKeyPair();
  const stranger = { ...door, clientKey: publicKey, clientSecret: secretKey };
  const nobody = { notice: () => undefined, notification: () => undefined };
  const opening = new Connection({}, DEFAULT_LIVENESS, nobody).open(stranger, 5_000);
  expect(String(await rejection(opening))).toContain("the engine refused this program's key");
  await sidecar.terminate(2_000);
});

test("one that was started for debugging is attached to and left running", async () => {
  const folder = mkdtempSync(join(tmpdir(), "llm-sidecar-"));
  const [program = "", ...args] = COMMAND;
  const environment = { ...process.env, XDG_RUNTIME_DIR: folder };
  const sidecar = spawn(program, [...args, "--socket"], { env: environment });
  const printed = new Promise((resolve) => createInterface({ input: sidecar.stdout }).once("line", resolve));
  await soon(printed, "its address");
  const [name = ""] = readdirSync(join(folder, "llm-sidecar")).filter((entry) => entry.endsWith(".json"));
  const file = join(folder, "llm-sidecar", name);
  for (let round = 0; round < 2; round += 1) {
    await using engine = await Engine.connect(file);
    expect((await engine.info()).pid).toBe(sidecar.pid);
    expect(engine.pid).toBeUndefined();
  }
  const ended = new Promise((resolve) => sidecar.once("exit", resolve));
  const engine = await Engine.connect(file);
  await engine.shutdown();
  await soon(ended);
  await engine.close();
  await assertGone(sidecar.pid);
  rmSync(folder, { recursive: true });
});
