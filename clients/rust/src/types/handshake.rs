//! Before the first request: the spawn line, the ready line, hello and welcome, the connection file.

use serde::{Deserialize, Serialize};

use super::{ErrorBody, JsonObject};

/// Bounds of one connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limits {
    /// A longer body is refused with `too_large`; the connection lives.
    pub message_bytes: u64,
    /// The transport drops a longer frame unseen; only a hostile peer meets it.
    pub frame_bytes: u64,
    /// Nesting of arrays and maps.
    pub depth: u64,
    /// Array items, map keys and map values in one body, counted together.
    pub elements: u64,
    /// Open streaming requests of one connection; beyond: `busy`.
    pub streams: u64,
    /// Requests of one connection that run at once, streaming or not; beyond: `busy`.
    pub requests: u64,
    /// Events a stream may be ahead of its reader.
    pub credit: u64,
    /// Events held back for one stream without credit; beyond: `slow_consumer`.
    pub held_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 16 << 20,
            frame_bytes: 64 << 20,
            depth: 64,
            elements: 262_144,
            streams: 256,
            requests: 1024,
            credit: 256,
            held_bytes: 256 << 10,
        }
    }
}

/// The one JSON line a host writes to the sidecar's stdin; it then keeps stdin open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SpawnLine {
    pub protocols: Vec<i64>,
    /// The host's CURVE public key, z85.
    pub client_key: String,
    pub host_pid: u32,
    pub options: JsonObject,
}

/// The one JSON line the sidecar prints when it can be connected to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReadyLine {
    pub ready: i64,
    pub endpoint: String,
    /// The sidecar's CURVE public key, z85.
    pub server_key: String,
    pub protocol: i64,
    pub version: String,
    pub boot_id: String,
    pub pid: u32,
}

/// What the sidecar prints instead when it cannot start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StartError {
    pub error: ErrorBody,
}

/// Who is calling.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClientInfo {
    pub name: String,
    pub version: String,
    pub language: String,
}

/// A host's first message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub protocols: Vec<i64>,
    pub client: ClientInfo,
    /// Engine-to-host requests it answers.
    pub capabilities: Vec<String>,
}

/// The answer to hello: what the engine says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Welcome {
    /// The protocol version both sides speak.
    pub protocol: i64,
    /// Another one after each start.
    pub boot_id: String,
    /// The engine's version.
    pub version: String,
    /// What it can do beyond its core.
    pub capabilities: Vec<String>,
    /// Bounds of this connection.
    pub limits: Limits,
    /// The methods it serves.
    pub methods: Vec<String>,
}

/// The end of a connection and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bye {
    pub code: String,
    pub message: String,
}

/// What `sidecar --socket` leaves for its user's own tools to connect with; valid for this boot alone.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ConnectionFile {
    pub endpoint: String,
    pub server_key: String,
    pub client_key: String,
    pub client_secret: String,
    pub boot_id: String,
    pub pid: u32,
    pub protocol: i64,
    pub version: String,
    pub app_id: String,
}
