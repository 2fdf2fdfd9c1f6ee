/** Whether processes live. */

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { processLives } from "../../src/discovery.js";

const DEADLINE_MS = 2_000;

/** Throws when the process is not gone soon. */
export async function assertGone(pid: number | undefined): Promise<void> {
  if (pid === undefined) throw new Error("there is no process id");
  for (const end = performance.now() + DEADLINE_MS; performance.now() < end;) {
    if (!processLives(pid) || isZombie(pid)) return;
    await sleep(10);
  }
  throw new Error(`process ${pid} is still there`);
}

/** Ended, and its parent, which is not this process, has not noticed yet. */
function isZombie(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}
