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
/// The greatest number a header may hold: JavaScript reads it exactly.
pub(crate) const MAX_ID: u64 = (1 << 53) - 1;

/// A value as msgpack. What [`decode`] would refuse is refused here.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, limits: &Limits) -> Result<Vec<u8>, Error> {
    let data = rmp_serde::to_vec_named(value)
        .map_err(|error| Error::invalid_message(format!("cannot be encoded: {error}")))?;
    check(&data, limits)?;
    Ok(data)
}

/// Checks a frame; afterwards [`read`] may build values of it or of its parts.
pub(crate) fn check(data: &[u8], limits: &Limits) -> Result<(), Error> {
    let (size, limit) = (data.len() as u64, limits.message_bytes);
    if size > limit {
        return Err(Error::too_large(
            format!("a frame of {size} bytes; at most {limit} are accepted"),
            [("size", size), ("limit", limit)],
        ));
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

/// A header as msgpack. Fails where a method's name or a key makes it too long.
pub(crate) fn encode_header(header: &Header) -> Result<Vec<u8>, Error> {
    encode(header, &header_limits())
}

/// The header frame.
pub(crate) fn decode_header(data: &[u8]) -> Result<Header, Error> {
    // serde would read a list as a struct, too.
    if !matches!(data.first(), Some(0x80..=0x8f | 0xde | 0xdf)) {
        return Err(Error::invalid_message("a header must be a map"));
    }
    let header: Header = decode(data, &header_limits())?;
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

fn header_limits() -> Limits {
    Limits {
        message_bytes: MAX_HEADER_BYTES,
        ..Limits::default()
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
