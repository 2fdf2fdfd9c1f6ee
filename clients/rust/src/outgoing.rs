//! Messages of this side's own making.

use serde::Serialize;
use tokio::sync::mpsc;

use crate::codec;
use crate::envelope::Header;
use crate::error::Error;
use crate::transport::Frames;
use crate::types::Limits;

/// Encodes and sends a message.
pub(crate) fn send<T: Serialize>(
    outbox: &mpsc::UnboundedSender<Frames>,
    header: &Header,
    body: &T,
) {
    let sent =
        codec::encode(body, &Limits::default()).and_then(|body| send_encoded(outbox, header, body));
    if let Err(error) = sent {
        tracing::error!(%error, "a message could not be encoded");
    }
}

/// Sends a message whose body is encoded; fails where its header is too long.
pub(crate) fn send_encoded(
    outbox: &mpsc::UnboundedSender<Frames>,
    header: &Header,
    body: Vec<u8>,
) -> Result<(), Error> {
    let header = codec::encode_header(header)?;
    // The link's end is told by its inbox.
    let _ = outbox.send(vec![header.into(), body.into()]);
    Ok(())
}
