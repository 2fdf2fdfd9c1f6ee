//! From a door to a connection that was welcomed.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::codec;
use crate::connection::Connection;
use crate::envelope::{Header, Kind};
use crate::error::{Error, StartFailed};
use crate::host_requests::Handlers;
use crate::liveness::Liveness;
use crate::notice::Listeners;
use crate::outgoing::send;
use crate::transport::{Door, Frames, Incoming, Link, Transport};
use crate::types::{Bye, ClientInfo, Hello, Limits, Welcome};

/// Protocol versions this client speaks.
pub(crate) const PROTOCOLS: [i64; 1] = [1];

/// What every connection of an engine has in common.
#[derive(Debug)]
pub(crate) struct Terms {
    pub transport: Box<dyn Transport>,
    pub liveness: Liveness,
    pub handshake_timeout: Duration,
    pub handlers: Handlers,
    pub listeners: Listeners,
}

impl Connection {
    /// Connects and shakes hands.
    pub(crate) async fn open(terms: &Terms, door: &Door) -> Result<Self, StartFailed> {
        let mut link = terms.transport.connect(door, &terms.liveness);
        let hello = Hello {
            protocols: PROTOCOLS.to_vec(),
            client: ClientInfo {
                name: env!("CARGO_PKG_NAME").into(),
                version: env!("CARGO_PKG_VERSION").into(),
                language: "rust".into(),
            },
            capabilities: terms.handlers.keys().cloned().collect(),
        };
        send(&link.outbox, &Header::new(Kind::Hello), &hello);
        let welcome = timeout(terms.handshake_timeout, welcome(&mut link)).await;
        let welcome = welcome.map_err(|_| {
            StartFailed::new(format!(
                "{} did not answer hello within {:?}; is it an llm-sidecar?",
                door.endpoint, terms.handshake_timeout
            ))
        })??;
        Ok(Self::begin(terms, link, welcome))
    }
}

async fn welcome(link: &mut Link) -> Result<Welcome, StartFailed> {
    while let Some(incoming) = link.inbox.recv().await {
        let frames = match incoming {
            Incoming::Message(frames) => frames,
            Incoming::Ended(reason) => {
                return Err(StartFailed::new(format!(
                    "no connection to the engine: {reason}"
                )));
            }
        };
        let unreadable = |error: Error| {
            StartFailed::new(format!(
                "the engine's answer to hello cannot be read: {error}"
            ))
        };
        let (header, body) = open_message(&frames).map_err(unreadable)?;
        match header.k {
            Kind::Welcome => {
                return codec::decode(body, &Limits::default()).map_err(unreadable);
            }
            Kind::Bye => {
                let bye: Bye = codec::decode(body, &Limits::default()).map_err(unreadable)?;
                return Err(StartFailed {
                    code: bye.code,
                    ..StartFailed::new(format!(
                        "the engine refused the connection: {}",
                        bye.message
                    ))
                });
            }
            _ => {}
        }
    }
    Err(StartFailed::new(
        "no connection to the engine: it was closed",
    ))
}

/// The header and the body of a message.
pub(crate) fn open_message(frames: &Frames) -> Result<(Header, &Bytes), Error> {
    match frames.as_slice() {
        [header, body] => Ok((codec::decode_header(header)?, body)),
        _ => Err(Error::invalid_message(format!(
            "a message of {} frames; it must have 2",
            frames.len()
        ))),
    }
}
