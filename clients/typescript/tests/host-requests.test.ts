/** Requests of the engine to this program. */

import { beforeEach, expect, test } from "vitest";
import { z } from "zod";

import { errors, tool } from "../src/index.js";
import type { HostRequestContext } from "../src/index.js";
import { attach } from "./support/attach.js";
import { Inbox, soon } from "./support/deadline.js";
import { FakeEngine, type Message } from "./support/fake-engine.js";

interface Question {
  ask: string;
}

const waiting = new Inbox<string>();

function answer({ ask }: Question, { signal }: HostRequestContext): unknown {
  switch (ask) {
    case "sum":
      return { sum: 3 };
    case "refuse":
      throw new errors.PermissionDenied("not today", { data: { why: "holiday" } });
    case "refuse shortly":
      throw new errors.Busy("later", { retryable: true });
    case "nonsense":
      return { value: Infinity };
    case "nothing":
      return undefined;
    case "wait":
      waiting.put(ask);
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          reject(new Error("stopped"));
        });
      });
    case "finish anyway":
      return new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          resolve({ done: true });
        });
      });
    default:
      throw new TypeError(`what is ${ask}?`);
  }
}

const add = tool({
  name: "add",
  description: "Adds two numbers.",
  parameters: z.object({ a: z.number(), b: z.number() }),
  run: ({ a, b }, { callId }) => ({ sum: a + b, callId }),
});
const fail = tool({
  name: "fail",
  parameters: { type: "object", properties: {} },
  run: () => {
    throw new Error("the disk is full");
  },
});
const hello = tool({
  name: "hello",
  parameters: { type: "object" },
  run: ({ name }) => `Hello ${String(name)}`,
});

let fake: FakeEngine;

beforeEach(async () => {
  fake = await FakeEngine.start();
  await attach(fake, { handlers: { "host.elicit": answer as never }, tools: [add, fail, hello] });
  return () => fake.close(0);
});

async function ask(question: string, id: number): Promise<void> {
  await fake.send("req", { ask: question }, { id, m: "host.elicit" });
}

let lastId = 100;

async function callTool(name: string, args: object): Promise<Message> {
  lastId += 1;
  await fake.send("req", { call_id: "c1", name, arguments: args }, { id: lastId, m: "host.call_tool" });
  return await fake.nextMessage();
}

test("hello declares what is answered", () => {
  expect(fake.hello["capabilities"]).toEqual(["host.call_tool", "host.elicit"]);
});

test.each([
  ["sum", { sum: 3 }],
  ["nothing", {}],
])("the handler's result goes back: %s", async (question, result) => {
  await ask(question, 5);
  const { header, body } = await fake.next("res");
  expect([header.id, header.s, body]).toEqual([5, 0, result]);
});

test.each([
  ["refuse", { code: "permission_denied", message: "not today", data: { why: "holiday" } }],
  ["refuse shortly", { code: "busy", message: "later", retryable: true }],
  ["this", { code: "internal", message: "the handler threw TypeError: what is this?" }],
  [
    "nonsense",
    { code: "internal", message: expect.stringContaining("Infinity at value cannot be sent") as string },
  ],
])("the handler's failure goes back: %s", async (question, error) => {
  await ask(question, 6);
  const { header, body } = await fake.next("err");
  expect(header.id).toBe(6);
  expect(body).toEqual(error);
});

test("a request without handler is refused", async () => {
  await fake.send("req", {}, { id: 9, m: "host.open_url" });
  expect((await fake.next("err")).body).toMatchObject({ code: "unsupported" });
});

test("the engine may cancel", async () => {
  await ask("wait", 10);
  await waiting.next();
  await fake.send("cancel", {}, { id: 10 });
  const { header, body } = await fake.next("err");
  expect([header.id, body]).toEqual([10, { code: "cancelled", message: "the handler was cancelled" }]);
});

test("what a cancelled handler has done all the same is told", async () => {
  await ask("finish anyway", 11);
  await fake.roundTrip();
  await fake.send("cancel", {}, { id: 11 });
  expect((await fake.next("res")).body).toEqual({ done: true });
});

test("closing aborts the handlers that still run", async () => {
  await using other = await FakeEngine.start();
  const aborted = new Inbox<boolean>();
  const engine = await attach(other, {
    handlers: {
      "host.elicit": async (_, { signal }) => {
        waiting.put("running");
        await new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => {
            resolve();
          });
        });
        aborted.put(signal.aborted);
        return { action: "cancel" };
      },
    },
  });
  await other.send("req", {}, { id: 1, m: "host.elicit" });
  await waiting.next();
  await soon(engine.close());
  expect(await aborted.next()).toBe(true);
});

test("a tool says its schema", () => {
  expect(add.definition).toMatchObject({
    type: "function",
    function: {
      name: "add",
      description: "Adds two numbers.",
      parameters: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } } },
    },
  });
});

test("a tool is called with checked arguments, and its result is written as JSON", async () => {
  expect((await callTool("add", { a: 1, b: 2 })).body).toEqual({ output: '{"sum":3,"callId":"c1"}' });
  expect((await callTool("hello", { name: "you" })).body).toEqual({ output: "Hello you" });
});

test.each([
  ["add", { a: "one", b: 2 }, "the arguments are not valid: a: "],
  ["fail", {}, "the disk is full"],
])("its failure becomes a tool error: %s %j", async (name, args, message) => {
  const { header, body } = await callTool(name, args);
  expect(header.k).toBe("res");
  expect(body).toEqual({ output: expect.stringContaining(message) as string, is_error: true });
});

test("a call of no tool is refused", async () => {
  const { header, body } = await callTool("divide", {});
  expect(header.k).toBe("err");
  const message = 'there is no tool "divide"; there are add, fail, hello';
  expect(body).toEqual({ code: "not_found", message });
});

test.each([[null], [[]], [{ name: "add", arguments: {} }], [{ call_id: "c", name: "add", arguments: [] }]])(
  "a call that is none is refused: %j",
  async (params) => {
    await fake.send("req", params, { id: 1, m: "host.call_tool" });
    expect((await fake.next("err")).body).toMatchObject({ code: "invalid_params" });
  },
);

test("a request whose id does not rise is ignored", async () => {
  await ask("sum", 5);
  await ask("sum", 5);
  await ask("sum", 4);
  await ask("nothing", 6);
  expect((await fake.next("res")).header.id).toBe(5);
  expect((await fake.next("res")).header.id).toBe(6);
});
