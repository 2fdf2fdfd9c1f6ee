/** What a program may want to tell its user about the engine's health. */

import type { EngineLost } from "./errors.js";

/** It owes an answer to a ping for this long. Requests stay pending: it may come back. */
export interface EngineFrozen {
  type: "frozen";
  silentMs: number;
}

/** It answers again after having been reported frozen. */
export interface EngineThawed {
  type: "thawed";
}

/** It is gone; what was pending has failed with `error`. */
export interface EngineCrashed {
  type: "crashed";
  error: EngineLost;
}

/** A new process took its place: models are loaded again on their next use. */
export interface EngineRestarted {
  type: "restarted";
  pid: number;
}

/** It crashed too often, or could not be started again: no further restart. */
export interface EngineGaveUp {
  type: "gave_up";
  error: EngineLost;
}

export type Notice = EngineFrozen | EngineThawed | EngineCrashed | EngineRestarted | EngineGaveUp;
