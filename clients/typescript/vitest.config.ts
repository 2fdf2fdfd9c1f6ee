import { defineConfig } from "vitest/config";

export default defineConfig({
  // Node 20 does not know `await using`.
  oxc: { target: "es2022" },
  test: {
    include: ["tests/**/*.test.ts"],
    // Real processes and sockets: a deadline that only a hang meets.
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
