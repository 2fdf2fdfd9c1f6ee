/** Handshake, calls, errors and the end of a connection, against an engine played by hand. */

import { beforeEach, describe, expect, test } from "vitest";
import { Reply } from "zeromq";

import type { Engine, Notice } from "../src/index.js";
import { EngineError, EngineLost, StartFailed, errors } from "../src/index.js";
import { encode } from "../src/wire/encode.js";
import { LIMITS } from "../src/wire/limits.js";
import { attach } from "./support/attach.js";
import { Inbox, rejection, soon } from "./support/deadline.js";
import { FakeEngine } from "./support/fake-engine.js";

const MESSAGES = [{ role: "user", content: "Hi" }] as const;

describe("an open connection", () => {
  let fake: FakeEngine;
  let engine: Engine;

  beforeEach(async () => {
    fake = await FakeEngine.start();
    engine = await attach(fake);
    return () => fake.close(0);
  });

  test("gives results as they are", async () => {
    const call = engine.call("tokens.encode", { text: "hi" });
    const { id, header, body } = await fake.request();
    expect([header.m, body, header.credit]).toEqual(["tokens.encode", { text: "hi" }, undefined]);
    await fake.send("res", { token_ids: [1] }, { id, s: 0 });
    expect(await call).toEqual({ token_ids: [1] });
  });

  test("numbers requests upwards and finds each its answer", async () => {
    const calls = ["a", "b"].map((text) => engine.tokens.encode({ text }));
    const ids = [(await fake.request()).id, (await fake.request()).id];
    expect(ids[1]).toBeGreaterThan(ids[0] ?? 0);
    for (const id of ids.toReversed()) await fake.send("res", { token_ids: [id] }, { id, s: 0 });
    expect(await Promise.all(calls)).toEqual(ids.map((id) => ({ token_ids: [id] })));
  });

  test("leaves undefined out and sends a deadline as time to live", async () => {
    const call = engine.chat.create({ messages: [], stop: undefined as never }, { deadlineMs: 1500.7 });
    const { id, header, body } = await fake.request();
    expect([header.ttl, body]).toEqual([1500, { messages: [] }]);
    const data = { partial: { text: "so far" } };
    await fake.send("err", { code: "deadline_exceeded", message: "too slow", data }, { id, s: 0 });
    const error = await rejection(call);
    expect(error).toBeInstanceOf(errors.DeadlineExceeded);
    expect(error).toMatchObject({ partial: { text: "so far" }, message: "too slow" });
  });

  test("sends an idempotency key, whose refusal is the engine's", async () => {
    const call = engine.models.load({ model: "m" }, { idempotencyKey: "load m" });
    const { id, header } = await fake.request();
    expect(header.idem).toBe("load m");
    await fake.send("err", { code: "invalid_params", message: "takes none" }, { id, s: 0 });
    expect(await rejection(call)).toBeInstanceOf(errors.InvalidParams);
  });

  test("refuses a header that the engine could not read", async () => {
    const error = await rejection(engine.info({ idempotencyKey: "x".repeat(5000) }));
    expect(error).toBeInstanceOf(errors.TooLarge);
    expect(error).toMatchObject({ data: { size: expect.any(Number) as number, limit: 4096 } });
    const other = engine.tokens.encode({ text: "a" });
    const { id } = await fake.request();
    await fake.send("res", { token_ids: [] }, { id, s: 0 });
    expect(await other).toEqual({ token_ids: [] });
  });

  test.each([{ deadlineMs: NaN }, { deadlineMs: Infinity }, { credit: 0 }, { credit: -1 }, { credit: 1.5 }])(
    "refuses options that cannot be meant: %j",
    async (options) => {
      const opening = async (): Promise<unknown> =>
        await engine.stream("chat.create", { messages: [] }, options).result();
      const error = await rejection(opening());
      expect(error).toBeInstanceOf(errors.InvalidParams);
      expect(error).toMatchObject({ data: { parameter: Object.keys(options)[0] } });
      await fake.roundTrip();
      expect(fake.count("req")).toBe(0);
    },
  );

  test("gives an error as the exception of its code", async () => {
    const call = engine.models.load({ model: "huge" });
    const { id } = await fake.request();
    const body = { code: "busy", message: "full", retryable: true, data: { retry_after_ms: 5 } };
    await fake.send("err", body, { id, s: 0 });
    const error = await rejection(call);
    expect(error).toBeInstanceOf(errors.Busy);
    expect(error).toMatchObject({ ...body, name: "Busy" });
  });

  test("gives an unknown code as EngineError", async () => {
    const call = engine.info();
    const { id } = await fake.request();
    await fake.send("err", { code: "of_tomorrow", message: "new" }, { id, s: 0 });
    const error = await rejection(call);
    expect(error).toMatchObject({ code: "of_tomorrow" });
    expect(Object.getPrototypeOf(error)).toBe(EngineError.prototype);
  });

  test("ignores unknown kinds and fields", async () => {
    const call = engine.tokens.encode({ text: "a" });
    const { id } = await fake.request();
    await fake.send("of_tomorrow", { x: 1 }, { id });
    await fake.sendFrames(encode({ k: "res", id, s: 0, added: [1] }), encode({ token_ids: [] }));
    expect(await call).toEqual({ token_ids: [] });
  });

  test("refuses params that cannot be sent", async () => {
    const error = await rejection(engine.chat.create({ messages: [], temperature: NaN }));
    expect(error).toBeInstanceOf(errors.InvalidMessage);
    expect(error).toMatchObject({ message: "NaN at temperature cannot be sent" });
  });

  test("cancels a call whose signal is aborted", async () => {
    const controller = new AbortController();
    const call = engine.chat.create({ messages: [...MESSAGES] }, { signal: controller.signal });
    const { id } = await fake.request();
    controller.abort(new Error("no longer wanted"));
    await expect(call).rejects.toThrow("no longer wanted");
    expect((await fake.next("cancel")).header.id).toBe(id);
    await fake.send("err", { code: "cancelled", message: "cancelled" }, { id, s: 0 });
    await fake.roundTrip();
  });

  test("sends nothing whose signal is aborted already", async () => {
    await expect(engine.info({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
    await fake.roundTrip();
    expect(fake.count("req")).toBe(0);
  });

  test("is over when it hears an unreadable message", async () => {
    const call = engine.info();
    await fake.request();
    await fake.sendFrames(Uint8Array.of(0xc1), Uint8Array.of(0x80));
    await expect(call).rejects.toThrow(/unreadable message: byte 0/);
  });

  test("fails one request alone for its unreadable result", async () => {
    const call = engine.info();
    const other = engine.tokens.encode({ text: "a" });
    const { id } = await fake.request();
    const { id: otherId } = await fake.request();
    await fake.sendFrames(encode({ k: "res", id, s: 0 }), Uint8Array.of(0xc1));
    await fake.send("res", { token_ids: [] }, { id: otherId, s: 0 });
    await expect(call).rejects.toThrow(/answer to engine.info is not valid: byte 0/);
    expect(await other).toEqual({ token_ids: [] });
  });

  test("answers pings", async () => {
    await fake.send("ping", {}, { n: 41 });
    expect((await fake.next("pong")).header.n).toBe(41);
  });

  test("says bye when it is closed and fails what is pending", async () => {
    const call = engine.info();
    await fake.request();
    const closed = engine.close();
    const error = await rejection(call);
    expect(error).toMatchObject({ message: "the engine was closed by this program", mayHaveExecuted: true });
    await closed;
    await fake.next("bye");
    await expect(engine.info()).rejects.toMatchObject({ code: "engine_lost", mayHaveExecuted: false });
    await engine.close();
  });

  test("tells notifications to their listeners", async () => {
    const bodies: unknown[] = [];
    const stop = engine.onNotification("models.changed", (body) => bodies.push(body));
    await fake.send("ntf", { model: "m" }, { m: "models.changed" });
    await fake.send("ntf", {}, { m: "engine.pressure" });
    await fake.roundTrip();
    expect(bodies).toEqual([{ model: "m" }]);
    stop();
    await fake.send("ntf", { model: "n" }, { m: "models.changed" });
    await fake.roundTrip();
    expect(bodies).toEqual([{ model: "m" }]);
  });
});

test("a notification on the heels of the welcome is not lost", async () => {
  await using fake = await FakeEngine.start({ answersHello: false });
  const heard: unknown[] = [];
  const opening = attach(fake, { onNotification: (name, body) => heard.push([name, body]) });
  await fake.next("hello");
  await fake.welcome();
  await fake.send("ntf", { level: "high" }, { m: "engine.pressure" });
  await opening;
  await fake.roundTrip();
  expect(heard).toEqual([["engine.pressure", { level: "high" }]]);
});

test("hello says who calls and what it answers", async () => {
  await using fake = await FakeEngine.start();
  const engine = await attach(fake, { handlers: { "host.elicit": () => ({ action: "decline" }) } });
  expect(fake.hello).toMatchObject({
    protocols: [1],
    client: { name: "@llm-sidecar/client", language: "typescript" },
    capabilities: ["host.elicit"],
  });
  expect(engine.welcome.version).toBe("9.9.9");
});

test("an oversized message never leaves", async () => {
  await using fake = await FakeEngine.start({ limits: { ...LIMITS, message_bytes: 1000 } });
  const engine = await attach(fake);
  const error = await rejection(engine.tokens.encode({ text: "x".repeat(1001) }));
  expect(error).toBeInstanceOf(errors.TooLarge);
  expect(error).toMatchObject({ data: { limit: 1000 } });
  await fake.roundTrip();
  expect(fake.count("req")).toBe(0);
});

test("a bye in the handshake is explained", async () => {
  await using fake = await FakeEngine.start({ answersHello: false });
  const opening = attach(fake);
  await fake.next("hello");
  await fake.send("bye", { code: "conflict", message: "another host is connected" });
  await expect(opening).rejects.toMatchObject({
    code: "conflict",
    message: "the engine refused the connection: another host is connected",
  });
});

test("an engine that never welcomes is given up", async () => {
  await using fake = await FakeEngine.start({ answersHello: false });
  await expect(attach(fake, { handshakeTimeoutMs: 200 })).rejects.toThrow(
    "did not answer hello within 0.2 s",
  );
});

test("a wrong server key is explained at once", async () => {
  await using fake = await FakeEngine.start();
  await using other = await FakeEngine.start();
  fake.door = { ...fake.door, serverKey: other.door.serverKey };
  await expect(attach(fake)).rejects.toThrow("the encrypted handshake failed");
});

test.each([
  [{ endpoint: "tcp://127.0.0.1:1" }, "nothing listens there"],
  [{ endpoint: "nonsense" }, "cannot be connected to"],
  [{ clientKey: "no key" }, "cannot be connected to"],
  [{ clientSecret: "r".repeat(40) }, "the encrypted handshake failed"],
])("a door that leads nowhere is explained at once: %j", async (change, explanation) => {
  await using fake = await FakeEngine.start();
  fake.door = { ...fake.door, ...change };
  const began = performance.now();
  const error = await rejection(attach(fake));
  expect(error).toBeInstanceOf(StartFailed);
  expect(String(error)).toContain(explanation);
  expect(performance.now() - began).toBeLessThan(2000);
});

test("a refused key is explained", async () => {
  await using fake = await FakeEngine.start({ zapDomain: "refused" });
  const doorkeeper = new Reply();
  await doorkeeper.bind("inproc://zeromq.zap.01");
  const refused = refuseOnce(doorkeeper);
  await expect(attach(fake)).rejects.toThrow("the engine refused this program's key");
  await refused;
  doorkeeper.close();
});

async function refuseOnce(doorkeeper: Reply): Promise<void> {
  const [version = "", id = ""] = await soon(doorkeeper.receive(), "a request to admit a key");
  await doorkeeper.send([version, id, "400", "unknown key", "", ""]);
}

test("a lost connection fails what is pending within a second", async () => {
  const notices: Notice[] = [];
  const fake = await FakeEngine.start();
  const engine = await attach(fake, { onNotice: (notice) => notices.push(notice) });
  const call = engine.info();
  await fake.request();
  const began = performance.now();
  fake.close(0);
  const lost = await rejection(call);
  expect(performance.now() - began).toBeLessThan(1000);
  expect(lost).toBeInstanceOf(EngineLost);
  expect(lost).toMatchObject({ mayHaveExecuted: true, exitCode: null, signal: null });
  expect(await rejection(engine.info())).toMatchObject({ mayHaveExecuted: false });
  expect(notices.map(({ type }) => type)).toEqual(["crashed"]);
});

test("answers before the end still count", async () => {
  const fake = await FakeEngine.start();
  const engine = await attach(fake);
  const call = engine.tokens.encode({ text: "a" });
  const pending = engine.info();
  const { id } = await fake.request();
  await fake.send("res", { token_ids: [3] }, { id, s: 0 });
  await fake.send("bye", { code: "shutting_down", message: "told to end" });
  const lost = rejection(pending);
  expect(await call).toEqual({ token_ids: [3] });
  expect(String(await lost)).toContain("told to end");
  fake.close();
});

test("an answer with the end on its heels is not lost", async () => {
  for (let round = 0; round < 20; round += 1) {
    const fake = await FakeEngine.start();
    const engine = await attach(fake);
    const call = engine.tokens.encode({ text: "a" });
    const { id } = await fake.request();
    void fake.send("res", { token_ids: [3] }, { id, s: 0 });
    fake.close();
    expect(await call).toEqual({ token_ids: [3] });
  }
});

test("a frozen engine is reported and requests stay pending", async () => {
  await using fake = await FakeEngine.start({ answersPings: false });
  const notices = new Inbox<Notice>();
  const liveness = { pingMs: 100, frozenMs: 200 };
  const engine = await attach(fake, { liveness, onNotice: (notice) => notices.put(notice) });
  const call = engine.tokens.encode({ text: "a" });
  const { id } = await fake.request();
  const frozen = await notices.next();
  expect(frozen).toMatchObject({ type: "frozen" });
  await fake.send("res", { token_ids: [] }, { id, s: 0 });
  expect(await call).toEqual({ token_ids: [] });
  expect(await notices.next()).toEqual({ type: "thawed" });
});
