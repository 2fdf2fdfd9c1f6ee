//! Messages of this side's own making.

use serde::Serialize;
use tokio::sync::mpsc;

use crate::codec;
use crate::envelope::Header;
use crate::transport::Frames;
use crate::types::Limits;

/// Encodes and sends a message.
pub(crate) fn send<T: Serialize>(
    outbox: &mpsc::UnboundedSender<Frames>,
    header: &Header,
    body: &T,
) {
    match codec::encode(body, &Limits::default()) {
        Ok(body) => send_encoded(outbox, header, body),
        Err(error) => tracing::error!(%error, "a message could not be encoded"),
    }
}

/// Sends a message whose body is encoded.
pub(crate) fn send_encoded(outbox: &mpsc::UnboundedSender<Frames>, header: &Header, body: Vec<u8>) {
    // The link's end is told by its inbox.
    let _ = outbox.send(vec![codec::encode_header(header).into(), body.into()]);
}
