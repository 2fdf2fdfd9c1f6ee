//! The first of a message's two frames: what kind it is, and which request it belongs to.

use serde::{Deserialize, Serialize};

use crate::types::macros::open_enum;

open_enum! {
    /// Kinds of message. A receiver ignores kinds it does not know.
    pub enum Kind {
        /// A host's first message.
        Hello = "hello",
        /// The answer to hello.
        Welcome = "welcome",
        /// A request, in either direction.
        Request = "req",
        /// Events of several streams.
        Events = "evts",
        /// The result that ends a request.
        Result = "res",
        /// The error that ends a request.
        Error = "err",
        /// Told without being asked.
        Notification = "ntf",
        /// The asker no longer wants the answer.
        Cancel = "cancel",
        /// The asker is ready for more events.
        Credit = "credit",
        /// Asks for a pong.
        Ping = "ping",
        /// The answer to ping.
        Pong = "pong",
        /// The end of the connection.
        Bye = "bye",
    }
}

/// The header frame. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub k: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Method, on req and ntf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub m: Option<String>,
    /// On res and err: events sent before this terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s: Option<u64>,
    /// On a req from the engine: id of the host request it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<u64>,
    /// On req: milliseconds left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// On req: idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idem: Option<String>,
    /// On req and credit: events the host is ready to take, a delta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<u64>,
    /// Nonce of ping and pong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
}

impl Header {
    pub(crate) fn new(k: Kind) -> Self {
        Self {
            k,
            id: None,
            m: None,
            s: None,
            p: None,
            ttl: None,
            idem: None,
            credit: None,
            n: None,
        }
    }

    pub(crate) fn with_id(k: Kind, id: u64) -> Self {
        Self {
            id: Some(id),
            ..Self::new(k)
        }
    }
}
