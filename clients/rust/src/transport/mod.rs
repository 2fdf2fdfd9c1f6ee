//! Frames in and out over one encrypted connection. Knows nothing of what they mean.

#[cfg(feature = "omq")]
mod omq;
#[cfg(feature = "zmq")]
mod zmq;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

#[cfg(feature = "omq")]
pub use self::omq::OmqTransport;
#[cfg(feature = "zmq")]
pub use self::zmq::ZmqTransport;
use crate::liveness::Liveness;

/// What is sent waits so long for the peer to take it when a connection is closed.
pub(crate) const LINGER: Duration = Duration::from_millis(200);
/// Longer than any connection lives: none is ever made a second time. Not "never", since
/// libzmq then throws away what came just before the end and was not read.
pub(crate) const RECONNECT: Duration = Duration::from_millis(i32::MAX as u64);
/// Messages that wait for the connection's task.
pub(crate) const INBOX_MESSAGES: usize = 64;

/// The frames of one message.
pub type Frames = Vec<Bytes>;

/// A CURVE key pair in z85.
#[derive(Clone)]
pub struct KeyPair {
    /// The public key.
    pub public: String,
    /// The secret key.
    pub secret: String,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyPair({}, …)", self.public)
    }
}

/// Where an engine listens and the keys to get in.
#[derive(Debug, Clone)]
pub struct Door {
    /// A ZeroMQ address, such as `tcp://127.0.0.1:5555`.
    pub endpoint: String,
    /// The engine's public key, z85.
    pub server_key: String,
    /// This side's keys.
    pub keys: KeyPair,
}

/// What comes from a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A message.
    Message(Frames),
    /// It is over, and why; after all messages that came before the end, and once.
    Ended(String),
}

/// A connection being made, or made: both halves may be used at once.
///
/// Dropping the outbox closes it: what was sent leaves as far as the peer takes it within
/// 200 ms, then the inbox ends.
#[derive(Debug)]
pub struct Link {
    /// Messages to the peer; they wait while the connection is being made.
    pub outbox: mpsc::UnboundedSender<Frames>,
    /// Messages from the peer.
    pub inbox: mpsc::Receiver<Incoming>,
}

/// A library that speaks ZeroMQ's DEALER with CURVE.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// A new key pair.
    fn generate_keys(&self) -> std::io::Result<KeyPair>;

    /// Begins a connection. Called on a tokio runtime; what fails becomes [`Incoming::Ended`].
    fn connect(&self, door: &Door, liveness: &Liveness) -> Link;
}

/// The transport that is used unless another is chosen.
pub(crate) fn default_transport() -> Box<dyn Transport> {
    #[cfg(feature = "omq")]
    return Box::new(OmqTransport);
    #[cfg(all(feature = "zmq", not(feature = "omq")))]
    return Box::new(ZmqTransport);
}

#[cfg(not(any(feature = "omq", feature = "zmq")))]
compile_error!("llm-sidecar-client needs a transport: turn on the feature `omq` or `zmq`");

pub(crate) fn not_connectable(endpoint: &str, error: impl fmt::Display) -> String {
    format!("{endpoint:?} cannot be connected to: {error}")
}

pub(crate) const CUT: &str = "the connection was cut";
pub(crate) const NOBODY: &str = "nothing listens there";
pub(crate) const KEY_REFUSED: &str = "the engine refused this program's key";
pub(crate) const HANDSHAKE_FAILED: &str = "the encrypted handshake failed";
