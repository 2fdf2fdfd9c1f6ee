/** The README's examples, word for word: they compile, and they run. */

import { delimiter, dirname } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { z } from "zod";

import { Engine, tool } from "../src/index.js";
import { compile, ownOptions } from "./support/compile.js";
import { soon } from "./support/deadline.js";
import { app } from "./support/electron.js";
import { assertGone } from "./support/processes.js";
import { readmeExamples } from "./support/readme.js";
import { PYTHON, say, spawnSidecar } from "./support/sidecar.js";

/** What the examples take for granted. */
const AROUND = `
  declare const engine: import("@llm-sidecar/client").Engine;
  declare const Engine: typeof import("@llm-sidecar/client").Engine;
  declare const tool: typeof import("@llm-sidecar/client").tool;
  declare const z: typeof import("zod").z;
  declare const messages: import("@llm-sidecar/client").ChatCreate["messages"];
  declare const signal: AbortSignal;
  declare const document: { body: { append(text: string): void } };
  declare function show(text: string | null | undefined): void;
  declare function showProgress(stage: string, fraction: number | undefined): void;
  declare function forecast(city: string): string;
`;

const told: string[] = [];

beforeEach(() => {
  told.length = 0;
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

function tell(text: unknown): boolean {
  if (typeof text === "string") told.push(text);
  return true;
}

/** As if the sidecar had been installed. */
function stubPath(): void {
  vi.stubEnv("PATH", dirname(PYTHON) + delimiter + String(process.env["PATH"]));
}

test("they compile", () => {
  const examples = readmeExamples().map((text, index) => [`tests/example-${index}.ts`, text]);
  const sources = Object.fromEntries([["tests/around.d.ts", AROUND], ...examples]) as Record<string, string>;
  expect(compile(sources, ownOptions())).toEqual([]);
  expect(examples).toHaveLength(6);
});

test("the quick start, with the real model", async () => {
  stubPath();
  const write = vi.spyOn(process.stdout, "write").mockImplementation(tell);
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  await import("virtual:readme/0");
  write.mockRestore();
  expect(told.join("")).toMatch(/photosynthesis|plants|light/i);
  expect(log).toHaveBeenCalledWith(
    expect.objectContaining({ completion_tokens: expect.any(Number) as number }),
  );
});

test("calls and streams", async () => {
  await using engine = await spawnSidecar();
  const { signal } = new AbortController();
  const around = { engine, messages: say("count 3"), signal, show: tell, showProgress: tell };
  for (const [name, value] of Object.entries(around)) vi.stubGlobal(name, value);
  await import("virtual:readme/1");
  const [whole, ...streamed] = told;
  expect(whole).toBe("1 2 3");
  expect(streamed.join("")).toContain("1 2 3");
});

test("tools", async () => {
  const forecast = vi.fn(() => "rain");
  const messages = say('call weather {"city": "Bern"}');
  for (const [name, value] of Object.entries({ tool, z, forecast, messages })) vi.stubGlobal(name, value);
  vi.stubGlobal("Engine", { spawn: spawnSidecar });
  await import("virtual:readme/2");
  expect(forecast).toHaveBeenCalledExactlyOnceWith("Bern");
});

test("a window's main process, preload script and page, with the real model", async () => {
  stubPath();
  const spawn = vi.spyOn(Engine, "spawn");
  vi.stubGlobal("document", { body: { append: tell } });
  await import("virtual:readme/3");
  await import("virtual:readme/4");
  await import("virtual:readme/5");
  expect(told.join("")).toMatch(/\w/);
  const engine = (await spawn.mock.results[0]?.value) as Engine;
  const { pid } = engine;
  const quit = new Promise((resolve) => app.once("quit", resolve));
  app.emit("window-all-closed");
  await soon(quit);
  await assertGone(pid);
});
