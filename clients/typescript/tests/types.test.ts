/** What the compiler knows of calls and events; `npm run check` is what runs these. */

import { expectTypeOf, test } from "vitest";

import type {
  ChatCompletion,
  ChatEvent,
  ChatFinishReason,
  Engine,
  LoadingEvent,
  ModelStatus,
  Stream,
  UnknownEvent,
} from "../src/index.js";
import { tool } from "../src/index.js";
import { z } from "zod";

function texts(event: ChatEvent): string | undefined {
  switch (event.type) {
    case "chunk":
      return event.chunk.choices[0]?.delta.content;
    case "loading":
      return event.stage;
    case "unknown":
      return Object.keys(event.event).join();
    default:
      return undefined;
  }
}

test("events are told apart by their type", () => {
  expectTypeOf(texts).returns.toEqualTypeOf<string | undefined>();
  type Chunk = Extract<ChatEvent, { type: "chunk" }>;
  expectTypeOf<Chunk>().toHaveProperty("chunk");
});

test("methods by name have their own types", () => {
  const chat = (engine: Engine) => engine.call("chat.create", { messages: [] });
  expectTypeOf(chat).returns.toEqualTypeOf<Promise<ChatCompletion>>();
  const load = (engine: Engine) => engine.stream("models.load", { model: "m" });
  expectTypeOf(load).returns.toExtend<Stream<LoadingEvent | UnknownEvent, ModelStatus>>();
  const later = (engine: Engine) => engine.call("tomorrow.create", { x: 1 });
  expectTypeOf(later).returns.toEqualTypeOf<Promise<unknown>>();
});

test("open enums take what is unknown, and still name what is known", () => {
  expectTypeOf<"of_tomorrow">().toExtend<ChatFinishReason>();
  expectTypeOf<"stop">().toExtend<ChatFinishReason>();
  expectTypeOf<ChatFinishReason>().toExtend<string>();
});

test("a tool's arguments have the types of its schema", () => {
  tool({
    name: "add",
    parameters: z.object({ a: z.number(), b: z.string().optional() }),
    run: (args) => {
      expectTypeOf(args).toEqualTypeOf<{ a: number; b?: string | undefined }>();
    },
  });
});
