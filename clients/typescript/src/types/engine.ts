/** engine.*: the process itself. */

import type { JsonObject } from "./common.js";
import type { OpenEnum } from "./open-enum.js";

/** How much is logged: this and what is graver. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** From the host, or to it. */
export type FrameDirection = OpenEnum<"in" | "out">;

/** What the engine thread does at the moment. */
export type EnginePhase = OpenEnum<"idle" | "schedule" | "execute" | "postprocess">;

/** What is running. */
export interface EngineInfo {
  version: string;
  protocol: number;
  boot_id: string;
  pid: number;
  app_id: string;
  platform: string;
  python: string;
  /** Executors this installation has, the preferred one first. */
  executors: string[];
  data_dir: string;
  cache_dir: string;
}

/** Cache blocks of one model. */
export interface BlockStats {
  total: number;
  used: number;
  cached: number;
}

/** Work of one loaded model since it was loaded. */
export interface ModelStats {
  name: string;
  executor: string;
  device: string;
  kernel_path: string;
  quantization: string;
  running: number;
  waiting: number;
  steps: number;
  prompt_tokens: number;
  cached_tokens: number;
  completion_tokens: number;
  preemptions: number;
  blocks: BlockStats;
}

/** Use of resources. */
export interface EngineStats {
  uptime_ms: number;
  resident_bytes: number;
  cpu_ms: number;
  connections: number;
  active_requests: number;
  models: ModelStats[];
}

/** What the engine thread does, and for how long: an old "execute" is a long step, not a dead engine. */
export interface Pong {
  phase: EnginePhase;
  step_age_ms: number;
  uptime_ms: number;
}

/** One log record; `time` is seconds since the epoch. */
export interface LogEvent {
  type: "log";
  level: LogLevel;
  time: number;
  logger: string;
  message: string;
  /** Left out when empty. */
  fields?: JsonObject;
}

/** One message that crossed the transport; a long body is cut, `body_bytes` says how long it was. */
export interface FrameEvent {
  type: "frame";
  direction: FrameDirection;
  connection: string;
  time: number;
  header: JsonObject;
  body?: unknown;
  body_bytes: number;
}

/** Log more or less from now on. */
export interface EngineSetLogLevel {
  level: LogLevel;
}

/** Log records from now on, until cancelled. Streams always. */
export interface EngineLogs {
  /** Default: "info". */
  level?: LogLevel;
}

/** End the process in order: running requests get `grace_ms` to finish, then are cancelled. */
export interface EngineShutdown {
  /** Default: 0. */
  grace_ms?: number;
}
