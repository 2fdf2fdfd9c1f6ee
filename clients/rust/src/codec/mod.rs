//! Values to bytes and back: msgpack, held to the rules that both sides rely on.
//!
//! Strict UTF-8, string keys, no key twice, no trailing bytes, no NaN, no Infinity,
//! no extension types, bounded nesting and elements.

mod scan;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use scan::scan_events;

use crate::envelope::Header;
use crate::error::Error;
use crate::types::Limits;

const MAX_HEADER_BYTES: u64 = 4 * 1024;
const MAX_ID: u64 = (1 << 53) - 1;

/// A value as msgpack. What [`decode`] would refuse is refused here.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, limits: &Limits) -> Result<Vec<u8>, Error> {
    let data = rmp_serde::to_vec_named(value)
        .map_err(|error| Error::invalid_message(format!("cannot be encoded: {error}")))?;
    check(&data, limits)?;
    Ok(data)
}

/// Checks a frame; afterwards [`read`] may build values of it or of its parts.
pub(crate) fn check(data: &[u8], limits: &Limits) -> Result<(), Error> {
    if data.len() as u64 > limits.message_bytes {
        return Err(Error::too_large(format!(
            "a body of {} bytes; at most {} are accepted",
            data.len(),
            limits.message_bytes
        )));
    }
    scan::scan(data, limits)
}

/// A value of a frame that was checked.
pub(crate) fn read<T: DeserializeOwned>(checked: &[u8]) -> Result<T, Error> {
    rmp_serde::from_slice(checked)
        .map_err(|error| Error::invalid_message(format!("a message of another shape: {error}")))
}

/// One value of a whole frame.
pub(crate) fn decode<T: DeserializeOwned>(data: &[u8], limits: &Limits) -> Result<T, Error> {
    check(data, limits)?;
    read(data)
}

/// A header as msgpack.
pub(crate) fn encode_header(header: &Header) -> Vec<u8> {
    // Only a type that refuses to serialize itself could fail.
    rmp_serde::to_vec_named(header).unwrap_or_default()
}

/// The header frame.
pub(crate) fn decode_header(data: &[u8]) -> Result<Header, Error> {
    let limits = Limits {
        message_bytes: MAX_HEADER_BYTES,
        ..Limits::default()
    };
    let header: Header = decode(data, &limits)?;
    let numbers = [
        header.id,
        header.s,
        header.p,
        header.ttl,
        header.credit,
        header.n,
    ];
    match numbers
        .into_iter()
        .flatten()
        .find(|number| *number > MAX_ID)
    {
        None => Ok(header),
        Some(number) => Err(Error::invalid_message(format!(
            "header: {number} is above 2^53 - 1"
        ))),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
