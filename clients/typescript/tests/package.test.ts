/** What is published: its files, its size, and that both kinds of module load, with their types. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { publint } from "publint";
import ts from "typescript";
import { beforeAll, expect, test } from "vitest";

import { ROOT, compile } from "./support/compile.js";

const LARGEST_PACKED_BYTES = 160_000;

interface Packed {
  files: { path: string }[];
  size: number;
  unpackedSize: number;
}

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

beforeAll(() => {
  run("npm", "run", "build");
});

test("the package holds what was built and nothing else", () => {
  const [packed] = JSON.parse(run("npm", "pack", "--dry-run", "--ignore-scripts", "--json")) as Packed[];
  const { files = [], size = Infinity, unpackedSize = Infinity } = packed ?? {};
  const paths = files.map(({ path }) => path);
  expect(paths).toContain("README.md");
  expect(paths).toContain("LICENSE");
  expect(
    paths.filter((path) => !/^(dist\/[\w-]+\.(c?js|d\.c?ts)|README\.md|LICENSE|package\.json)$/.test(path)),
  ).toEqual([]);
  console.log(`the package: ${paths.length} files, ${size} bytes packed, ${unpackedSize} unpacked`);
  expect(size).toBeLessThan(LARGEST_PACKED_BYTES);
});

test("what package.json says is found by every resolver", async () => {
  const { messages } = await publint({ pkgDir: ROOT, strict: true });
  expect(messages).toEqual([]);
});

test.each([
  ["import", 'import("@llm-sidecar/client").then(print)'],
  ["require", 'print(require("@llm-sidecar/client"))'],
])("both kinds of module load: %s", (_, load) => {
  const print = "const print = (m) => console.log(typeof m.Engine.spawn, m.errors.Busy.code);";
  expect(run(process.execPath, "-e", `${print} ${load}`)).toBe("function busy\n");
});

const CONSUMER = `
  import { type ChatCompletion, Engine, EngineError, serveWindow } from "@llm-sidecar/client";
  import { exposeEngine } from "@llm-sidecar/client/preload";
  import { connectEngine } from "@llm-sidecar/client/renderer";

  export async function ask(): Promise<ChatCompletion> {
    const engine = await Engine.spawn({ appId: "app" });
    return await engine.chat.create({ messages: [{ role: "user", content: "Hi" }] });
  }
  export const both = [serveWindow, exposeEngine, connectEngine];
  // @ts-expect-error It is a boolean, which only a package with types knows.
  export const retryable: string = new EngineError("busy").retryable;
`;

test.each([
  ["consumer.mts", ts.ModuleKind.NodeNext, ts.ModuleResolutionKind.NodeNext],
  ["consumer.cts", ts.ModuleKind.NodeNext, ts.ModuleResolutionKind.NodeNext],
  ["consumer.ts", ts.ModuleKind.ESNext, ts.ModuleResolutionKind.Bundler],
])("the types are found: %s", (name, module, moduleResolution) => {
  const options = {
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
    types: ["node"],
    module,
    moduleResolution,
    strict: true,
    noEmit: true,
  };
  expect(compile({ [name]: CONSUMER }, options)).toEqual([]);
});

test.each(["renderer", "preload"])("%s needs neither Node nor the socket", (name) => {
  for (const file of reached(`${name}.js`)) {
    const source = readFileSync(`${ROOT}dist/${file}`, "utf8");
    expect(source).not.toMatch(/from "(node:|zeromq)|\bBuffer\b|\bprocess\.[a-z]/);
  }
});

/** A built file and all that it imports. */
function reached(file: string, seen = new Set<string>()): Set<string> {
  seen.add(file);
  const source = readFileSync(`${ROOT}dist/${file}`, "utf8");
  for (const [, next = ""] of source.matchAll(/from "\.\/([^"]+)"/g))
    if (!seen.has(next)) reached(next, seen);
  return seen;
}
