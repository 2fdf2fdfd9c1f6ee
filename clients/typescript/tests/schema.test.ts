/** The client and protocol/schema.json say the same. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

import { ERRORS } from "../src/errors.js";
import { VERSION } from "../src/index.js";
import { EVENT_TYPES } from "../src/types/methods.js";
import { SUPPORTED_PROTOCOLS } from "../src/version.js";
import { LIMITS } from "../src/wire/limits.js";
import { attach } from "./support/attach.js";
import { FakeEngine } from "./support/fake-engine.js";

interface Schema {
  protocol: number;
  errors: string[];
  limits: Record<string, number>;
  methods: { name: string; events?: string }[];
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
}

const schema = read("../../../protocol/schema.json") as Schema;

test("every error has its class", () => {
  expect([...ERRORS.keys()].toSorted()).toEqual(schema.errors.toSorted());
  for (const [code, Kind] of ERRORS) expect(new Kind("m").code).toBe(code);
});

test("limits are the same", () => {
  expect(LIMITS).toEqual(schema.limits);
});

test("the protocol is spoken", () => {
  expect(SUPPORTED_PROTOCOLS).toContain(schema.protocol);
});

test("the version is the package's", () => {
  expect(VERSION).toBe((read("../package.json") as { version: string }).version);
});

test("what streams is known", () => {
  const streaming = schema.methods.filter(({ events }) => events !== undefined).map(({ name }) => name);
  expect(Object.keys(EVENT_TYPES).toSorted()).toEqual(streaming.toSorted());
});

test("every method has a typed call", async () => {
  await using fake = await FakeEngine.start();
  const engine = await attach(fake);
  const namespaces = engine as unknown as Record<string, Record<string, unknown> | undefined>;
  for (const { name } of schema.methods) {
    const [namespace = "", verb = ""] = name.split(".");
    const method = verb.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    const holder = namespace === "engine" ? namespaces : namespaces[namespace];
    expect(holder?.[method], name).toBeTypeOf("function");
  }
});
