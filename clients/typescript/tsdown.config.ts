import { defineConfig } from "tsdown";

export default defineConfig({
  entry: ["src/index.ts", "src/preload.ts", "src/renderer.ts"],
  format: ["esm", "cjs"],
  platform: "node",
  target: "node20",
  dts: true,
  fixedExtension: false,
  publint: true,
});
