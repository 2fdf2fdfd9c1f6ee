#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod builder;
mod codec;
mod connection;
mod desk;
mod discovery;
mod engine;
mod envelope;
mod error;
mod from_engine;
mod handshake;
mod host_requests;
mod liveness;
mod namespaces;
mod notice;
mod outgoing;
mod pending;
mod process;
mod request;
mod restart;
mod spawn;
mod stream;
mod supervisor;
mod tools;
pub mod transport;
// Where the protocol says nothing of a field, its name does.
#[allow(missing_docs)]
pub mod types;
#[cfg(test)]
mod vectors;

pub use builder::{Connect, Spawn};
pub use engine::Engine;
pub use error::{Details, EngineLost, Error, StartFailed};
pub use from_engine::Notification;
pub use host_requests::{HandlerError, HostRequest};
pub use liveness::Liveness;
pub use namespaces::*;
pub use notice::Notice;
pub use restart::RestartPolicy;
pub use stream::{ChatStream, EventStream, GenerateStream};
pub use tools::Tools;
