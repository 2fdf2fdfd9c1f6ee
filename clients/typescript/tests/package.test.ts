/** What is published: its files, its size, and that both kinds of module load. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const LARGEST_PACKED_BYTES = 160_000;

interface Packed {
  files: { path: string }[];
  size: number;
}

function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

beforeAll(() => {
  run("npm", "run", "build");
});

test("the package holds what was built and nothing else", () => {
  const [packed] = JSON.parse(run("npm", "pack", "--dry-run", "--ignore-scripts", "--json")) as Packed[];
  const paths = packed?.files.map(({ path }) => path) ?? [];
  expect(paths).toContain("README.md");
  expect(paths).toContain("LICENSE");
  expect(
    paths.filter((path) => !/^(dist\/[\w-]+\.(c?js|d\.c?ts)|README\.md|LICENSE|package\.json)$/.test(path)),
  ).toEqual([]);
  expect(packed?.size).toBeLessThan(LARGEST_PACKED_BYTES);
});

test.each([
  ["import", 'import("@llm-sidecar/client").then(print)'],
  ["require", 'print(require("@llm-sidecar/client"))'],
])("both kinds of module load: %s", (_, load) => {
  const print = "const print = (m) => console.log(typeof m.Engine.spawn, m.errors.Busy.code);";
  expect(run(process.execPath, "-e", `${print} ${load}`)).toBe("function busy\n");
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
