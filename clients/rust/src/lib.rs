#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod builder;
mod codec;
mod connection;
mod discovery;
mod engine;
mod envelope;
mod error;
mod host_requests;
mod liveness;
mod namespaces;
mod notice;
mod process;
mod request;
mod restart;
mod spawn;
mod stream;
mod supervisor;
mod tools;
pub mod transport;
pub mod types;

pub use builder::{Connect, Spawn};
pub use engine::Engine;
pub use error::{Details, EngineLost, Error, StartFailed};
pub use host_requests::HandlerError;
pub use liveness::Liveness;
pub use namespaces::{Chat, Generate, Models, Tokens};
pub use notice::{Notice, Notification};
pub use restart::RestartPolicy;
pub use stream::{ChatStream, EventStream, GenerateStream};
pub use tools::Tools;
