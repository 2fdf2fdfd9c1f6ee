//! Walks a msgpack frame without building anything, and says where it breaks the contract.
//!
//! Every declared count is held against the bytes that are left before anyone
//! could allocate for it. Nesting is bounded, so recursion is too.

use std::ops::Range;

use crate::error::Error;
use crate::types::Limits;

/// One event of an `evts` body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventEntry {
    pub request_id: u64,
    pub sequence: u64,
    /// Where the event lies in the body.
    pub event: Range<usize>,
}

/// Checks that `data` is exactly one value within the limits: UTF-8 strings, string keys that
/// occur once, finite numbers, no extension types.
pub(crate) fn scan(data: &[u8], limits: &Limits) -> Result<(), Error> {
    let mut scanner = Scanner::new(data, limits);
    scanner.value(0)?;
    scanner.end()
}

/// The same for a body `[[id, sequence, event], …]`, and where its events lie.
pub(crate) fn scan_events(data: &[u8], limits: &Limits) -> Result<Vec<EventEntry>, Error> {
    let mut scanner = Scanner::new(data, limits);
    let count = scanner.array()?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let start = scanner.position;
        if scanner.array()? != 3 {
            return Err(broken(
                start,
                "an entry of evts must be [id, sequence, event]",
            ));
        }
        let request_id = scanner.unsigned()?;
        let sequence = scanner.unsigned()?;
        let event = scanner.position;
        scanner.value(2)?;
        entries.push(EventEntry {
            request_id,
            sequence,
            event: event..scanner.position,
        });
    }
    scanner.end()?;
    Ok(entries)
}

struct Scanner<'a> {
    data: &'a [u8],
    position: usize,
    elements: u64,
    limits: &'a Limits,
    /// Keys of the maps that are open, outermost first.
    keys: Vec<&'a [u8]>,
}

impl<'a> Scanner<'a> {
    fn new(data: &'a [u8], limits: &'a Limits) -> Self {
        Self {
            data,
            position: 0,
            elements: 0,
            limits,
            keys: Vec::new(),
        }
    }

    fn end(&self) -> Result<(), Error> {
        match self.data.len() - self.position {
            0 => Ok(()),
            left => Err(broken(
                self.position,
                format!("{left} bytes follow the end of the message"),
            )),
        }
    }

    fn value(&mut self, depth: u64) -> Result<(), Error> {
        let start = self.position;
        match self.number(1)? as u8 {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Ok(()),
            byte @ 0x80..=0x8f => self.map(start, u64::from(byte & 0x0f), depth),
            byte @ 0x90..=0x9f => self.items(start, u64::from(byte & 0x0f), depth),
            byte @ (0xa0..=0xbf | 0xd9..=0xdb) => self.text(byte).map(drop),
            byte @ 0xc4..=0xc6 => {
                let length = self.number(1 << (byte - 0xc4))?;
                self.take(length).map(drop)
            }
            0xca => {
                let bits = self.number(4)? as u32;
                finite(start, f32::from_bits(bits).is_finite())
            }
            0xcb => {
                let bits = self.number(8)?;
                finite(start, f64::from_bits(bits).is_finite())
            }
            byte @ 0xcc..=0xd3 => self.take(1 << (byte & 0x03)).map(drop),
            byte @ (0xdc | 0xdd) => {
                let count = self.number(2 << (byte - 0xdc))?;
                self.items(start, count, depth)
            }
            byte @ (0xde | 0xdf) => {
                let count = self.number(2 << (byte - 0xde))?;
                self.map(start, count, depth)
            }
            0xc1 => Err(broken(start, "byte 0xc1 is not msgpack")),
            0xc7..=0xc9 | 0xd4..=0xd8 => Err(broken(
                start,
                "an extension type; only nil, bool, numbers, str, bin, array and map are used",
            )),
        }
    }

    fn items(&mut self, start: usize, count: u64, depth: u64) -> Result<(), Error> {
        self.open(start, count, depth)?;
        (0..count).try_for_each(|_| self.value(depth + 1))
    }

    fn map(&mut self, start: usize, count: u64, depth: u64) -> Result<(), Error> {
        self.open(start, 2 * count, depth)?;
        let outer_keys = self.keys.len();
        for _ in 0..count {
            let at = self.position;
            let byte = self.number(1)? as u8;
            if !matches!(byte, 0xa0..=0xbf | 0xd9..=0xdb) {
                return Err(broken(at, "a map key is no string; keys must be strings"));
            }
            let key = self.text(byte)?;
            self.keys.push(key);
            self.value(depth + 1)?;
        }
        self.unique_keys(start, outer_keys)
    }

    fn unique_keys(&mut self, start: usize, outer_keys: usize) -> Result<(), Error> {
        let keys = &mut self.keys[outer_keys..];
        keys.sort_unstable();
        if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            let key = String::from_utf8_lossy(&pair[0][..pair[0].len().min(100)]);
            return Err(broken(
                start,
                format!("the key {key:?} occurs twice in one map"),
            ));
        }
        self.keys.truncate(outer_keys);
        Ok(())
    }

    fn open(&mut self, start: usize, count: u64, depth: u64) -> Result<(), Error> {
        let left = (self.data.len() - self.position) as u64;
        if count > left {
            return Err(broken(
                start,
                format!("announces {count} values, {left} bytes are left"),
            ));
        }
        self.elements += count;
        if self.elements > self.limits.elements {
            let limit = self.limits.elements;
            return Err(Error::too_large(
                format!("byte {start}: more than {limit} elements"),
                [("offset", start as u64), ("limit", limit)],
            ));
        }
        if depth >= self.limits.depth {
            return Err(broken(
                start,
                format!("nested deeper than {} levels", self.limits.depth),
            ));
        }
        Ok(())
    }

    /// The count of an array that must come next.
    fn array(&mut self) -> Result<usize, Error> {
        let start = self.position;
        let count = match self.number(1)? as u8 {
            byte @ 0x90..=0x9f => u64::from(byte & 0x0f),
            byte @ (0xdc | 0xdd) => self.number(2 << (byte - 0xdc))?,
            _ => return Err(broken(start, "here must be an array")),
        };
        self.open(start, count, 0)?;
        Ok(count as usize)
    }

    /// A whole number that must come next and must not be negative.
    fn unsigned(&mut self) -> Result<u64, Error> {
        let start = self.position;
        match self.number(1)? as u8 {
            byte @ 0x00..=0x7f => Ok(u64::from(byte)),
            byte @ 0xcc..=0xcf => self.number(1 << (byte - 0xcc)),
            byte @ 0xd0..=0xd3 => {
                let bytes = 1 << (byte - 0xd0);
                let number = self.number(bytes)?;
                // The sign is the first bit of as many bytes as it has.
                match number >> (8 * bytes - 1) {
                    0 => Ok(number),
                    _ => Err(broken(start, "a negative number")),
                }
            }
            _ => Err(broken(start, "here must be a whole number")),
        }
    }

    fn text(&mut self, byte: u8) -> Result<&'a [u8], Error> {
        let length = match byte {
            0xd9..=0xdb => self.number(1 << (byte - 0xd9))?,
            _ => u64::from(byte & 0x1f),
        };
        let start = self.position;
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(broken(
                start + error.valid_up_to(),
                format!("a string is no UTF-8 ({error})"),
            )),
        }
    }

    /// A number of `bytes` bytes, the greatest first.
    fn number(&mut self, bytes: u64) -> Result<u64, Error> {
        let digits = self.take(bytes)?;
        Ok(digits
            .iter()
            .fold(0, |number, digit| number << 8 | u64::from(*digit)))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Error> {
        let left = &self.data[self.position..];
        if length > left.len() as u64 {
            return Err(broken(
                self.position,
                format!(
                    "the frame ends here, {length} more bytes were announced, {} are left",
                    left.len()
                ),
            ));
        }
        let taken = &left[..length as usize];
        self.position += taken.len();
        Ok(taken)
    }
}

fn finite(start: usize, is_finite: bool) -> Result<(), Error> {
    match is_finite {
        true => Ok(()),
        false => Err(broken(
            start,
            "a number that is NaN or infinite; numbers must be finite",
        )),
    }
}

fn broken(position: usize, problem: impl std::fmt::Display) -> Error {
    Error::invalid_message(format!("byte {position}: {problem}"))
}
