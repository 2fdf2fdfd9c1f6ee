import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

import { readmeExamples } from "./tests/support/readme.js";

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}

/** `npm run fuzz` is a million messages nobody has seen before; every other run the same few. */
function fuzz(mode: string): { FUZZ_FRAMES: string; FUZZ_SEED: string } {
  const long = mode === "fuzz";
  const { FUZZ_FRAMES = long ? "1000000" : "20000", FUZZ_SEED = long ? String(Date.now() >>> 0) : "1" } =
    process.env;
  return { FUZZ_FRAMES, FUZZ_SEED };
}

export default defineConfig(({ mode }) => ({
  // Node 20 does not know `await using`.
  oxc: { target: "es2022" },
  plugins: [
    {
      // The README's examples as modules: "virtual:readme/0" is the first.
      name: "readme",
      resolveId: (id) =>
        id.startsWith("virtual:readme/") ? `/${id.slice("virtual:".length)}.ts` : undefined,
      load: (id) => {
        const number = /^\/readme\/(\d+)\.ts$/.exec(id)?.[1];
        return number === undefined ? undefined : readmeExamples()[Number(number)];
      },
    },
  ],
  resolve: {
    alias: [
      { find: /^@llm-sidecar\/client$/, replacement: path("src/index.ts") },
      { find: /^@llm-sidecar\/client\/(preload|renderer)$/, replacement: `${path("src")}/$1.ts` },
      { find: /^electron$/, replacement: path("tests/support/electron.ts") },
    ],
  },
  test: {
    include: ["tests/**/*.test.ts"],
    env: fuzz(mode),
    // Real processes and sockets: a deadline that only a hang meets.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
}));
