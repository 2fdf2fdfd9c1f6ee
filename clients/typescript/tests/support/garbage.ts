/** The garbage collector, for tests of what may go and what must stay. */

import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");

/** Collect what nobody holds. */
export const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes in use once everything has gone that may go, finalizers included. */
export async function heapBytes(): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    collectGarbage();
    await nextTurn();
  }
  return process.memoryUsage().heapUsed;
}
