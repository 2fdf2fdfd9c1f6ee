//! engine.*: the process itself.

use serde::{Deserialize, Serialize};

use super::JsonObject;
use super::macros::{open_enum, tagged_union};

open_enum! {
    /// How much is logged.
    pub enum LogLevel {
        /// Everything.
        Debug = "debug",
        /// What happens.
        Info = "info",
        /// What may go wrong.
        Warning = "warning",
        /// What went wrong.
        Error = "error",
    }
}

open_enum! {
    /// Which way a message went.
    pub enum FrameDirection {
        /// To the engine.
        In = "in",
        /// From the engine.
        Out = "out",
    }
}

/// What is running.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EngineInfo {
    /// The engine's version.
    pub version: String,
    /// The protocol's version.
    pub protocol: i64,
    /// Another one after each start.
    pub boot_id: String,
    /// The process's id.
    pub pid: i64,
    /// The app it was started for.
    pub app_id: String,
    /// The system.
    pub platform: String,
    /// The Python it runs on.
    pub python: String,
    /// Executors this installation has, the preferred one first.
    pub executors: Vec<String>,
    /// The app's own folder.
    pub data_dir: String,
    /// Where converted models lie.
    pub cache_dir: String,
}

/// Cache blocks of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BlockStats {
    /// All.
    pub total: i64,
    /// Used by requests.
    pub used: i64,
    /// Kept for later requests.
    pub cached: i64,
}

/// Work of one loaded model since it was loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelStats {
    /// Its name.
    pub name: String,
    /// What runs it.
    pub executor: String,
    /// Where it runs.
    pub device: String,
    /// Instruction set of the native executor.
    pub kernel_path: String,
    /// How its weights are stored.
    pub quantization: String,
    /// Requests that run.
    pub running: i64,
    /// Requests that wait.
    pub waiting: i64,
    /// Steps made.
    pub steps: i64,
    /// Prompt tokens read.
    pub prompt_tokens: i64,
    /// Prompt tokens that came from the cache.
    pub cached_tokens: i64,
    /// Tokens generated.
    pub completion_tokens: i64,
    /// Requests paused for others.
    pub preemptions: i64,
    /// Its cache.
    pub blocks: BlockStats,
}

/// Use of resources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EngineStats {
    /// Time since its start.
    pub uptime_ms: i64,
    /// Memory.
    pub resident_bytes: i64,
    /// Processor time.
    pub cpu_ms: i64,
    /// Connections.
    pub connections: i64,
    /// Requests that run or wait.
    pub active_requests: i64,
    /// The loaded models.
    pub models: Vec<ModelStats>,
}

/// What the engine thread does, and for how long: an old "execute" is a long step, not a dead engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pong {
    /// What it does.
    pub phase: String,
    /// For how long.
    pub step_age_ms: f64,
    /// Time since its start.
    pub uptime_ms: i64,
}

/// One log record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogEvent {
    /// Its level.
    pub level: LogLevel,
    /// Seconds since the epoch.
    pub time: f64,
    /// Who logs.
    pub logger: String,
    /// The text.
    pub message: String,
    /// What goes with it.
    #[serde(default, deserialize_with = "super::plain::deserialize_object")]
    pub fields: JsonObject,
}

/// One message that crossed the transport; a long body is cut, `body_bytes` says how long it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FrameEvent {
    /// Which way it went.
    pub direction: FrameDirection,
    /// Whose it was.
    pub connection: String,
    /// Seconds since the epoch.
    pub time: f64,
    /// Its header.
    #[serde(deserialize_with = "super::plain::deserialize_object")]
    pub header: JsonObject,
    /// Its body.
    #[serde(default, deserialize_with = "super::plain::deserialize")]
    pub body: serde_json::Value,
    /// The body's length.
    pub body_bytes: i64,
}

/// Log more or less from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineSetLogLevel {
    /// The level.
    pub level: LogLevel,
}

impl EngineSetLogLevel {
    /// Params with what must be given.
    pub fn new(level: LogLevel) -> Self {
        Self { level }
    }
}

/// Log records from now on, until cancelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineLogs {
    /// The least level.
    pub level: LogLevel,
}

impl EngineLogs {
    /// Params with what must be given.
    pub fn new(level: LogLevel) -> Self {
        Self { level }
    }
}

/// End the process in order: running requests get `grace_ms` to finish, then are cancelled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineShutdown {
    /// Milliseconds.
    pub grace_ms: i64,
}

impl EngineShutdown {
    /// Params with what must be given.
    pub fn new(grace_ms: i64) -> Self {
        Self { grace_ms }
    }
}

tagged_union! {
    /// What `engine.logs` streams.
    pub enum EngineLogsEvent by "type" {
        /// One log record.
        Log(LogEvent) = "log",
    }
}

tagged_union! {
    /// What `engine.watch` streams.
    pub enum EngineWatchEvent by "type" {
        /// One message that crossed the transport.
        Frame(FrameEvent) = "frame",
    }
}
