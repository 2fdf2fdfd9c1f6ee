/** Streams: order, credit, gaps, and every way of leaving one, against an engine played by hand. */

import { beforeEach, expect, test, vi } from "vitest";

import { type ChatStream, type Engine, errors } from "../src/index.js";
import { LIMITS } from "../src/wire/limits.js";
import { attach } from "./support/attach.js";
import { COMPLETION, QUEUED, chunk } from "./support/chat.js";
import { collect, rejection } from "./support/deadline.js";
import { FakeEngine } from "./support/fake-engine.js";
import { collectGarbage } from "./support/garbage.js";

let fake: FakeEngine;
let engine: Engine;

beforeEach(async () => {
  fake = await FakeEngine.start();
  engine = await attach(fake);
  return () => fake.close(0);
});

async function openStream(credit = 32): Promise<{ stream: ChatStream; id: number }> {
  const stream = engine.chat.stream({ messages: [{ role: "user", content: "Hi" }] }, { credit });
  const { id, header, body } = await fake.request();
  expect(header.credit).toBe(credit);
  expect(body).toMatchObject({ stream: true });
  return { stream, id };
}

test("events, then the whole result", async () => {
  const { stream, id } = await openStream();
  await fake.sendEvents(id, [QUEUED, chunk("Hel"), chunk("lo")]);
  await fake.send("res", COMPLETION, { id, s: 3 });
  const events = await collect(stream);
  expect(events).toEqual([QUEUED, chunk("Hel"), chunk("lo")]);
  expect(await stream.result()).toEqual(COMPLETION);
});

test("text is that of one choice", async () => {
  const { stream, id } = await openStream();
  await fake.sendEvents(id, [QUEUED, chunk("a"), chunk("other", 1), chunk("b"), chunk("")]);
  await fake.send("res", COMPLETION, { id, s: 5 });
  expect(await collect(stream.text())).toEqual(["a", "b"]);
});

test("event types of tomorrow come as the unknown arm", async () => {
  const { stream, id } = await openStream();
  const added = { type: "of_tomorrow", x: 1 };
  await fake.sendEvents(id, [added, QUEUED]);
  await fake.send("res", COMPLETION, { id, s: 2 });
  expect(await collect(stream)).toEqual([{ type: "unknown", event: added }, QUEUED]);
});

test("an event without a type is an error", async () => {
  const { stream, id } = await openStream();
  await fake.sendEvents(id, [{ position: 1 }]);
  await expect(collect(stream)).rejects.toThrow("an event of chat.create without a type");
  expect((await fake.next("cancel")).header.id).toBe(id);
});

test("the error comes after the events before it", async () => {
  const { stream, id } = await openStream();
  await fake.sendEvents(id, [chunk("so far")]);
  await fake.send("err", { code: "context_overflow", message: "too long" }, { id, s: 1 });
  const texts: string[] = [];
  const read = async (): Promise<void> => {
    for await (const text of stream.text()) texts.push(text);
  };
  expect(await rejection(read())).toBeInstanceOf(errors.ContextOverflow);
  expect(texts).toEqual(["so far"]);
  await expect(stream.result()).rejects.toThrow("too long");
});

test("an event of another shape is an error", async () => {
  const { stream, id } = await openStream();
  await fake.sendEvents(id, [{ type: "chunk" }]);
  const error = await rejection(collect(stream.text()));
  expect(error).toBeInstanceOf(errors.InvalidMessage);
  expect(String(error)).toContain("an event of chat.create has another shape");
  expect((await fake.next("cancel")).header.id).toBe(id);
});

test("credit that is left undefined is the usual", async () => {
  const stream = engine.chat.stream({ messages: [] }, { credit: undefined });
  expect((await fake.request()).header.credit).toBe(32);
  stream.cancel();
});

test("credit above the engine's limit is granted back in time", async () => {
  await using small = await FakeEngine.start({ limits: { ...LIMITS, credit: 4 } });
  const other = await attach(small);
  const reader = other.chat.stream({ messages: [] }, { credit: 1000 }).text();
  const { id, header } = await small.request();
  expect(header.credit).toBe(4);
  await small.sendEvents(id, [chunk("a"), chunk("b")]);
  await reader.next();
  await reader.next();
  expect((await small.next("credit")).header.credit).toBe(2);
});

test("reading gives credit back, in halves", async () => {
  const { stream, id } = await openStream(4);
  const reader = stream.text();
  await fake.sendEvents(
    id,
    ["0", "1", "2", "3"].map((text) => chunk(text)),
  );
  await fake.roundTrip();
  expect(fake.count("credit")).toBe(0);
  await reader.next();
  await fake.roundTrip();
  expect(fake.count("credit")).toBe(0);
  await reader.next();
  expect((await fake.next("credit")).header).toMatchObject({ id, credit: 2 });
});

test("a reader that does not read gives no credit", async () => {
  const { stream, id } = await openStream(2);
  await fake.sendEvents(id, [chunk("a"), chunk("b")]);
  await fake.roundTrip();
  expect(fake.count("credit")).toBe(0);
  stream.cancel();
});

test("waiting for the result alone gives credit", async () => {
  const { stream, id } = await openStream(2);
  const result = stream.result();
  await fake.sendEvents(id, [chunk("a"), chunk("b")]);
  expect((await fake.next("credit")).header.credit).toBe(1);
  await fake.send("res", COMPLETION, { id, s: 2 });
  expect(await result).toEqual(COMPLETION);
});

test("a result wanted inside the loop keeps the events", async () => {
  const { stream, id } = await openStream(2);
  const texts: string[] = [];
  await fake.sendEvents(id, [chunk("a"), chunk("b")]);
  for await (const text of stream.text()) {
    texts.push(text);
    if (text !== "a") continue;
    const result = stream.result();
    await fake.next("credit");
    await fake.sendEvents(id, [chunk("c")], 2);
    await fake.send("res", COMPLETION, { id, s: 3 });
    await result;
  }
  expect(texts).toEqual(["a", "b", "c"]);
});

test("a gap ends the stream", async () => {
  const { stream, id } = await openStream();
  await fake.sendEvents(id, [chunk("a")]);
  await fake.sendEvents(id, [chunk("c")], 2);
  await expect(collect(stream)).rejects.toThrow("event 1 is missing");
  expect((await fake.next("cancel")).header.id).toBe(id);
});

test("a terminal that counts more events is a gap", async () => {
  const { stream, id } = await openStream();
  await fake.sendEvents(id, [chunk("a")]);
  await fake.send("res", COMPLETION, { id, s: 2 });
  await expect(stream.result()).rejects.toThrow("2 events were sent, 1 have arrived");
});

test("break cancels, and what still comes is thrown away", async () => {
  const { stream, id } = await openStream();
  await fake.sendEvents(id, [chunk("a"), chunk("b")]);
  for await (const text of stream.text()) {
    expect(text).toBe("a");
    break;
  }
  expect((await fake.next("cancel")).header.id).toBe(id);
  await fake.sendEvents(id, [chunk("c")], 2);
  const body = { code: "cancelled", message: "cancelled", data: { partial: COMPLETION } };
  await fake.send("err", body, { id, s: 3 });
  const error = await rejection(stream.result());
  expect(error).toBeInstanceOf(errors.Cancelled);
  expect(error).toMatchObject({ partial: COMPLETION });
  const events: unknown[] = [];
  const read = async (): Promise<void> => {
    for await (const event of stream) events.push(event);
  };
  await expect(read()).rejects.toThrow("cancelled");
  expect(events).toEqual([]);
});

test("an exception in the loop cancels", async () => {
  const { stream, id } = await openStream();
  await fake.sendEvents(id, [chunk("a")]);
  const read = async (): Promise<void> => {
    for await (const text of stream.text()) throw new Error(`did not like ${text}`);
  };
  await expect(read()).rejects.toThrow("did not like a");
  expect((await fake.next("cancel")).header.id).toBe(id);
});

test("an aborted signal ends the loop with its reason", async () => {
  const controller = new AbortController();
  const stream = engine.chat.stream({ messages: [] }, { signal: controller.signal });
  const { id } = await fake.request();
  const reading = rejection(collect(stream));
  controller.abort(new Error("enough"));
  expect(String(await reading)).toContain("enough");
  expect((await fake.next("cancel")).header.id).toBe(id);
});

test("the end of its scope cancels once", async () => {
  const { stream, id } = await openStream();
  {
    await using held = stream;
    expect(held).toBe(stream);
  }
  stream.cancel();
  expect((await fake.next("cancel")).header.id).toBe(id);
  await fake.roundTrip();
  expect(fake.count("cancel")).toBe(0);
});

test("a dropped stream cancels", async () => {
  void engine.chat.stream({ messages: [] });
  const { id } = await fake.request();
  const cancelled = fake.next("cancel");
  const timer = setInterval(collectGarbage, 10);
  expect((await cancelled).header.id).toBe(id);
  clearInterval(timer);
});

test("a stream that has ended is forgotten, also when its error leads to it", async () => {
  const endOne = async (): Promise<WeakRef<ChatStream>> => {
    const controller = new AbortController();
    const stream = engine.chat.stream({ messages: [] }, { signal: controller.signal });
    const { id } = await fake.request();
    controller.abort(Object.assign(new Error("enough"), { stream }));
    await fake.send("err", { code: "cancelled", message: "cancelled" }, { id, s: 0 });
    await fake.roundTrip();
    return new WeakRef(stream);
  };
  const ended = await endOne();
  await vi.waitFor(() => {
    collectGarbage();
    expect(ended.deref() === undefined).toBe(true);
  });
});

test("a loop over, and a result of, a stream that nobody holds are not cancelled", async () => {
  const texts = collect(engine.chat.stream({ messages: [] }).text());
  const result = engine.chat.stream({ messages: [] }).result();
  const ids = [(await fake.request()).id, (await fake.request()).id];
  for (let round = 0; round < 3; round += 1) {
    collectGarbage();
    await fake.roundTrip();
  }
  for (const id of ids) {
    await fake.sendEvents(id, [chunk("a")]);
    await fake.send("res", COMPLETION, { id, s: 1 });
  }
  expect(await texts).toEqual(["a"]);
  expect(await result).toEqual(COMPLETION);
  expect(fake.count("cancel")).toBe(0);
});

test("a finished stream sends no cancel", async () => {
  const { stream, id } = await openStream();
  await fake.send("res", COMPLETION, { id, s: 0 });
  expect(await collect(stream)).toEqual([]);
  stream.cancel();
  await fake.roundTrip();
  expect(fake.count("cancel")).toBe(0);
});

test("events of many streams come in one message", async () => {
  const first = await openStream();
  const second = await openStream();
  await fake.send("evts", [
    [first.id, 0, chunk("a")],
    [second.id, 0, chunk("b")],
    [first.id, 1, chunk("c")],
    [999, 0, {}],
  ]);
  await fake.send("res", COMPLETION, { id: first.id, s: 2 });
  await fake.send("res", COMPLETION, { id: second.id, s: 1 });
  expect(await collect(first.stream.text())).toEqual(["a", "c"]);
  expect(await collect(second.stream.text())).toEqual(["b"]);
});

test("methods of tomorrow stream what they stream", async () => {
  const stream = engine.stream("tomorrow.create", { x: 1 });
  const { id, body } = await fake.request();
  expect(body).toEqual({ x: 1, stream: true });
  await fake.sendEvents(id, [{ type: "new" }, 7]);
  await fake.send("res", { y: 2 }, { id, s: 2 });
  expect(await collect(stream)).toEqual([{ type: "new" }, 7]);
  expect(await stream.result()).toEqual({ y: 2 });
});
