/** Windows that use the engine of the main process, over real message channels. */

import { MessageChannel } from "node:worker_threads";
import { beforeEach, describe, expect, test } from "vitest";

import { type Engine, EngineLost, errors, portLink, serveWindow, windowLink } from "../src/index.js";
import type { Notice, WindowOptions } from "../src/index.js";
import { type RemoteEngine, connectEngine } from "../src/renderer.js";
import { attach } from "./support/attach.js";
import { COMPLETION, QUEUED, chunk } from "./support/chat.js";
import { Inbox, collect, rejection } from "./support/deadline.js";
import { Ipc } from "./support/electron.js";
import { FakeEngine } from "./support/fake-engine.js";

let fake: FakeEngine;
let engine: Engine;
const closing: (() => void)[] = [];

beforeEach(async () => {
  fake = await FakeEngine.start();
  engine = await attach(fake);
  return () => {
    for (const close of closing.splice(0)) close();
    fake.close(0);
  };
});

function openWindow(options?: WindowOptions): RemoteEngine {
  const { port1, port2 } = new MessageChannel();
  closing.push(serveWindow(engine, portLink(port1), options));
  const remote = connectEngine(port2);
  closing.push(() => remote.close());
  return remote;
}

test("calls and streams as in the main process", async () => {
  const remote = openWindow();
  const call = remote.tokens.encode({ text: "hi" }, { deadlineMs: 700.5, idempotencyKey: "once" });
  const { id, header, body } = await fake.request();
  expect([header.m, header.ttl, header.idem, body]).toEqual(["tokens.encode", 700, "once", { text: "hi" }]);
  await fake.send("res", { token_ids: [1] }, { id, s: 0 });
  expect(await call).toEqual({ token_ids: [1] });

  const stream = remote.chat.stream({ messages: [] });
  const { id: streamId } = await fake.request();
  await fake.sendEvents(streamId, [QUEUED, chunk("Hel"), chunk("lo")]);
  await fake.send("res", COMPLETION, { id: streamId, s: 3 });
  expect(await collect(stream)).toEqual([QUEUED, chunk("Hel"), chunk("lo")]);
  expect(await stream.result()).toEqual(COMPLETION);
});

test("errors arrive as the exceptions of their codes", async () => {
  const remote = openWindow();
  const call = remote.models.load({ model: "m" });
  const { id } = await fake.request();
  await fake.send("err", { code: "busy", message: "full", retryable: true, data: { x: 1 } }, { id, s: 0 });
  const error = await rejection(call);
  expect(error).toBeInstanceOf(errors.Busy);
  expect(error).toMatchObject({ message: "full", retryable: true, data: { x: 1 } });

  const pending = remote.models.status();
  await fake.request();
  fake.close(0);
  const lost = await rejection(pending);
  expect(lost).toBeInstanceOf(EngineLost);
  expect(lost).toMatchObject({ mayHaveExecuted: true });
});

test("a window calls what it may and nothing else", async () => {
  const remote = openWindow();
  expect(await rejection(remote.call("engine.shutdown", {}))).toBeInstanceOf(errors.PermissionDenied);
  const bold = openWindow({ methods: ["engine.info"] });
  const call = bold.call("engine.info", {});
  const { id } = await fake.request();
  await fake.send("res", { version: "1" }, { id, s: 0 });
  expect(await call).toEqual({ version: "1" });
  expect(await rejection(bold.tokens.encode({ text: "a" }))).toBeInstanceOf(errors.PermissionDenied);
});

test("a window has so many requests running and no more", async () => {
  const remote = openWindow({ maxRequests: 1 });
  const first = remote.tokens.encode({ text: "a" });
  expect(await rejection(remote.tokens.encode({ text: "b" }))).toBeInstanceOf(errors.Busy);
  const { id } = await fake.request();
  await fake.send("res", { token_ids: [] }, { id, s: 0 });
  expect(await first).toEqual({ token_ids: [] });
});

test("what cannot be sent is refused on its side", async () => {
  const remote = openWindow();
  expect(() => remote.chat.stream({ messages: [], stop: (() => 1) as never })).toThrow(errors.InvalidMessage);
  expect(await rejection(remote.chat.create({ messages: [], temperature: NaN }))).toMatchObject({
    code: "invalid_message",
    message: "NaN at temperature cannot be sent",
  });
});

test("leaving the loop and aborting cancel in the engine", async () => {
  const remote = openWindow();
  const stream = remote.chat.stream({ messages: [] });
  const { id } = await fake.request();
  await fake.sendEvents(id, [chunk("a"), chunk("b")]);
  for await (const text of stream.text()) {
    expect(text).toBe("a");
    break;
  }
  expect((await fake.next("cancel")).header.id).toBe(id);
  await fake.send(
    "err",
    { code: "cancelled", message: "stopped", data: { partial: COMPLETION } },
    { id, s: 2 },
  );
  expect(await rejection(stream.result())).toMatchObject({ code: "cancelled", partial: COMPLETION });

  const controller = new AbortController();
  const call = remote.chat.create({ messages: [] }, { signal: controller.signal });
  const { id: callId } = await fake.request();
  controller.abort(new Error("enough"));
  await expect(call).rejects.toThrow("enough");
  expect((await fake.next("cancel")).header.id).toBe(callId);
});

test("a window that does not read holds the engine back", async () => {
  const remote = openWindow();
  const stream = remote.chat.stream({ messages: [] }, { credit: 2 });
  const { id, header } = await fake.request();
  expect(header.credit).toBe(2);
  await fake.sendEvents(id, [chunk("a"), chunk("b")]);
  // What the window has room for leaves the main process, which gives the engine credit for it, once.
  expect((await fake.next("credit")).header.credit).toBe(1);
  expect((await fake.next("credit")).header.credit).toBe(1);
  await fake.sendEvents(id, [chunk("c"), chunk("d")], 2);
  await fake.roundTrip();
  await fake.roundTrip();
  expect(fake.count("credit")).toBeLessThanOrEqual(1);
  const reader = collect(stream.text());
  await fake.send("res", COMPLETION, { id, s: 4 });
  expect(await reader).toEqual(["a", "b", "c", "d"]);
});

test("a window that asks for more credit than there is reads on", async () => {
  const remote = openWindow();
  const reader = remote.chat.stream({ messages: [] }, { credit: 10_000 }).text();
  const { id, header } = await fake.request();
  const texts = Array.from({ length: 300 }, (_, index) => String(index));
  expect(header.credit).toBe(256);
  await fake.sendEvents(
    id,
    texts.map((text) => chunk(text)),
  );
  for (const text of texts) expect((await reader.next()).value).toBe(text);
  await reader.return?.();
});

test("a window that closes cancels what it has running, and no other's", async () => {
  const first = openWindow();
  const second = openWindow();
  const lost = rejection(first.chat.create({ messages: [] }));
  const { id } = await fake.request();
  const other = second.tokens.encode({ text: "a" });
  const { id: otherId } = await fake.request();
  first.close();
  expect((await fake.next("cancel")).header.id).toBe(id);
  expect(await lost).toMatchObject({ code: "engine_lost" });
  expect(await rejection(first.models.list())).toMatchObject({ code: "engine_lost" });
  await fake.send("res", { token_ids: [] }, { id: otherId, s: 0 });
  expect(await other).toEqual({ token_ids: [] });
  expect(fake.count("cancel")).toBe(0);
});

test("a main process that lets go fails what is pending", async () => {
  const { port1, port2 } = new MessageChannel();
  const stop = serveWindow(engine, portLink(port1));
  const remote = connectEngine(port2);
  const call = rejection(remote.chat.create({ messages: [] }));
  const { id } = await fake.request();
  stop();
  expect((await fake.next("cancel")).header.id).toBe(id);
  expect(await call).toMatchObject({ code: "engine_lost", mayHaveExecuted: true });
});

test("notices reach the window", async () => {
  const remote = openWindow();
  const notices = new Inbox<Notice>();
  remote.onNotice((notice) => notices.put(notice));
  const call = rejection(remote.tokens.encode({ text: "a" }));
  await fake.request();
  fake.close(0);
  await call;
  const notice = await notices.next();
  expect(notice.type).toBe("crashed");
  expect("error" in notice && notice.error).toBeInstanceOf(EngineLost);
});

test("messages that are none are ignored", async () => {
  const { port1, port2 } = new MessageChannel();
  closing.push(serveWindow(engine, portLink(port1)));
  const session = "s";
  port2.postMessage(null);
  port2.postMessage({ kind: "request", session, id: 1, method: "chat.create", params: {} });
  port2.postMessage({ kind: "open", session });
  port2.postMessage({ kind: "request", session, id: -1, method: "chat.create", params: {} });
  port2.postMessage({ kind: "request", session, id: 1, method: "chat.create", params: [] });
  port2.postMessage({ kind: "request", session, id: 1, method: 7, params: {} });
  port2.postMessage({ kind: "cancel", session, id: 99 });
  port2.postMessage({ kind: "credit", session, id: 99, events: "many" });
  port2.postMessage({ kind: "request", session, id: 2, method: "models.list", params: {} });
  const { header } = await fake.request();
  expect(header.m).toBe("models.list");
  expect(fake.count("req")).toBe(0);
  port2.close();
});

describe("over Electron's ipc", () => {
  test("the page has functions alone", () => {
    const exposed = new Ipc().loadPage();
    expect(Object.values(exposed).map((value) => typeof value)).toEqual(["function", "function"]);
  });

  test("a page streams, and its end cancels", async () => {
    const ipc = new Ipc();
    closing.push(serveWindow(engine, windowLink(ipc)));
    const remote = connectEngine(ipc.loadPage());
    const stream = remote.chat.stream({ messages: [] });
    const { id } = await fake.request();
    await fake.sendEvents(id, [chunk("a")]);
    const reader = stream.text();
    expect(await reader.next()).toEqual({ done: false, value: "a" });
    ipc.webContents.destroyed = true;
    ipc.webContents.emit("destroyed");
    expect((await fake.next("cancel")).header.id).toBe(id);
    expect(ipc.ipcMain.listenerCount("llm-sidecar")).toBe(0);
  });

  test("another page in the same window begins anew", async () => {
    const ipc = new Ipc();
    closing.push(serveWindow(engine, windowLink(ipc)));
    const old = connectEngine(ipc.loadPage()).chat.stream({ messages: [] });
    const { id } = await fake.request();
    const remote = connectEngine(ipc.loadPage());
    expect((await fake.next("cancel")).header.id).toBe(id);
    const call = remote.tokens.encode({ text: "a" });
    const { id: callId } = await fake.request();
    await fake.send("err", { code: "cancelled", message: "cancelled" }, { id, s: 0 });
    await fake.send("res", { token_ids: [7] }, { id: callId, s: 0 });
    expect(await call).toEqual({ token_ids: [7] });
    old.cancel();
  });

  test("other windows' messages are not taken", async () => {
    const ipc = new Ipc();
    closing.push(serveWindow(engine, windowLink(ipc)));
    const stranger = { sender: {} };
    ipc.ipcMain.emit("llm-sidecar", stranger, { kind: "open", session: "s" });
    const message = { kind: "request", session: "s", id: 1, method: "models.list", params: {} };
    ipc.ipcMain.emit("llm-sidecar", stranger, message);
    await fake.roundTrip();
    expect(fake.count("req")).toBe(0);
  });
});
