/** The conformance driver: commands as lines of JSON on stdin, what was seen as lines of JSON on stdout. */

import { once } from "node:events";
import { createInterface } from "node:readline";

import { NotUnderstood } from "./commands.js";
import { Driver } from "./driver.js";
import { writeJson } from "./json.js";
import type { Said } from "./said.js";

const NOT_UNDERSTOOD = 3;

function say(said: Said): void {
  process.stdout.write(`${writeJson(said)}\n`);
}

const driver = new Driver(say);
const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  try {
    driver.take(line);
  } catch (error) {
    if (!(error instanceof NotUnderstood)) throw error;
    say({ said: "bad_command", line, why: error.message });
    process.stdout.write("", () => process.exit(NOT_UNDERSTOOD));
  }
});
await once(lines, "close");
await driver.close();
