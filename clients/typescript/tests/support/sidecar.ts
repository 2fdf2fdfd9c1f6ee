/** The real sidecar, with the executor that says what a test tells it. */

import { fileURLToPath } from "node:url";

import { Engine, type SpawnOptions } from "../../src/index.js";

const REPOSITORY = fileURLToPath(new URL("../../../../", import.meta.url));

/** `SIDECAR_PYTHON`, or the Python of the repository's own environment. */
export const PYTHON = process.env["SIDECAR_PYTHON"] ?? `${REPOSITORY}.venv/bin/python`;
export const COMMAND = [PYTHON, "-P", "-m", "sidecar"];

export function spawnSidecar(options: Partial<SpawnOptions> = {}): Promise<Engine> {
  return Engine.spawn({
    appId: "tests",
    command: COMMAND,
    restart: false,
    ...options,
    options: { executor: "scripted", ...options.options },
  });
}

export function say(content: string): [{ role: "user"; content: string }] {
  return [{ role: "user", content }];
}
