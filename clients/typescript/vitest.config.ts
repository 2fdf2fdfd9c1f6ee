import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const QUICK_START = "/quick-start.ts";

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}

/** The README's first example as a module. */
function quickStart(): string {
  const example = /```ts\n([^]*?)```/.exec(readFileSync(path("README.md"), "utf8"));
  return example?.[1] ?? "";
}

export default defineConfig({
  // Node 20 does not know `await using`.
  oxc: { target: "es2022" },
  plugins: [
    {
      name: "quick-start",
      resolveId: (id) => (id === "virtual:quick-start" ? QUICK_START : undefined),
      load: (id) => (id === QUICK_START ? quickStart() : undefined),
    },
  ],
  resolve: { alias: [{ find: /^@llm-sidecar\/client$/, replacement: path("src/index.ts") }] },
  test: {
    include: ["tests/**/*.test.ts"],
    // Real processes and sockets: a deadline that only a hang meets.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
