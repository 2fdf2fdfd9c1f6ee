import { fileURLToPath } from "node:url";
import { defineConfig } from "tsdown";

/** The program that conformance tests of all clients talk to; it is not published. */
export default defineConfig({
  entry: { "conformance-driver": "tests/conformance/main.ts" },
  outDir: "build",
  format: "esm",
  platform: "node",
  target: "node20",
  dts: false,
  alias: { "@llm-sidecar/client": fileURLToPath(new URL("src/index.ts", import.meta.url)) },
  deps: { onlyBundle: ["zod"] },
});
