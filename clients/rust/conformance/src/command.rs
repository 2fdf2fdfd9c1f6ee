//! What the driver can be told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use llm_sidecar_client::types::JsonObject;
use serde::Deserialize;
use serde_json::Value;

/// One line of stdin.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    Spawn(Open),
    Connect(Open),
    Call(Call),
    Stream(Stream),
    Read(Read),
    Cancel(Named),
    Answer(Answer),
    Close(Close),
    Abort(OfEngine),
    MeasurePings(MeasurePings),
    MeasureStreams(MeasureStreams),
    MeasureTimer(MeasureTimer),
}

/// An engine to start (`command`, `app_id`) or to attach to (`connection_file`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    pub engine: String,
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub app_id: String,
    pub connection_file: Option<PathBuf>,
    #[serde(default)]
    pub options: JsonObject,
    pub environment: Option<BTreeMap<String, String>>,
    pub handshake_timeout_ms: Option<u64>,
    pub restart: Option<Restart>,
    pub liveness: Option<Pings>,
    #[serde(default)]
    pub handlers: Vec<HandlerPlan>,
    #[serde(default)]
    pub tools: Vec<ToolPlan>,
}

/// `false`: never; `true`: as the client does by itself.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Restart {
    Wanted(bool),
    Policy { max_restarts: usize, within_ms: u64 },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pings {
    pub ping_every_ms: Option<u64>,
    pub frozen_after_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub struct HandlerPlan {
    pub method: String,
    #[serde(flatten)]
    pub behaviour: Behaviour,
}

#[derive(Debug, Deserialize)]
pub struct ToolPlan {
    pub name: String,
    #[serde(default)]
    pub parameters: JsonObject,
    #[serde(flatten)]
    pub behaviour: Behaviour,
}

/// What a handler does when it is called.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "behaviour", rename_all = "snake_case")]
pub enum Behaviour {
    Answer { result: Value },
    Throw { message: String },
    Hold,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub request: String,
    pub engine: String,
    pub method: String,
    #[serde(default)]
    pub params: JsonObject,
    pub deadline_ms: Option<u64>,
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    pub request: String,
    pub engine: String,
    pub method: String,
    #[serde(default)]
    pub params: JsonObject,
    pub credit: Option<u32>,
    pub deadline_ms: Option<u64>,
    pub idempotency_key: Option<String>,
    #[serde(default)]
    pub read: Count,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    pub request: String,
    pub count: Count,
}

/// How many events to read.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(from = "CountForm")]
pub enum Count {
    #[default]
    All,
    So(u64),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CountForm {
    Number(u64),
    Word(All),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum All {
    All,
}

impl From<CountForm> for Count {
    fn from(form: CountForm) -> Self {
        match form {
            CountForm::Number(number) => Self::So(number),
            CountForm::Word(All::All) => Self::All,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    pub request: String,
}

/// The end of a handler that holds: exactly one of both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub held: String,
    pub result: Option<Value>,
    pub throw: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    pub engine: String,
    #[serde(default)]
    pub grace_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfEngine {
    pub engine: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurePings {
    pub engine: String,
    pub measure: String,
    pub count: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureStreams {
    pub engine: String,
    pub measure: String,
    pub streams: usize,
    pub method: String,
    #[serde(default)]
    pub params: JsonObject,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureTimer {
    pub measure: String,
    pub hertz: f64,
    pub seconds: f64,
}
