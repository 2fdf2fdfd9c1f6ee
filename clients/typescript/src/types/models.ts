/** models.*: the models on this computer and in memory. */

import type { OpenEnum } from "./open-enum.js";

/** Where a model is on its way in and out of memory. */
export type ModelState = OpenEnum<"loading" | "ready" | "unloading" | "error">;

/** A model that can be loaded. `origin` says where it was found. */
export interface ModelSummary {
  name: string;
  path: string;
  origin: string;
  file_format: string;
  file_bytes: number;
  loaded: boolean;
}

/** Every model found. */
export interface ModelList {
  models: ModelSummary[];
}

/** A model that is in memory, on its way there, or failed to get there. */
export interface ModelStatus {
  name: string;
  state: ModelState;
  error?: string;
  executor?: string;
  device?: string;
  kernel_path?: string;
  quantization?: string;
  context_length?: number;
  parameters?: number;
  running?: number;
  waiting?: number;
}

/** The models this process has loaded or tried to. */
export interface ModelStatusList {
  models: ModelStatus[];
}

/** Bring a model into memory; converts it first when that was never done on this computer. */
export interface ModelsLoad {
  model: string;
}

/** Take a model out of memory; its running requests end as cancelled. */
export interface ModelsUnload {
  model: string;
}
