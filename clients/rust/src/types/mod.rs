//! The protocol's types.
//!
//! Fields of params that are `None` are left out and take the engine's default. Results and
//! events ignore fields that this version does not know; values and kinds it does not know
//! arrive in an arm named `Unknown`.

pub(crate) mod macros;
pub(crate) mod plain;

mod chat;
mod chat_messages;
mod common;
mod engine;
mod errors;
mod generate;
mod handshake;
mod models;
mod tokens;

pub use chat::*;
pub use chat_messages::*;
pub use common::*;
pub use engine::*;
pub use errors::*;
pub use generate::*;
pub use handshake::*;
pub use models::*;
pub use tokens::*;

/// Any JSON object, such as a JSON Schema.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;
