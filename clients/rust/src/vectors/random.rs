//! Chance that can be repeated, and what it does to a frame.

use serde_json::{Map, Value, json};

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) struct Random(u64);

/// Longer frames would only be slower.
const MOST_BYTES: usize = 64 * 1024;

/// Beginnings that are easily taken too seriously: counts without end, what is no msgpack, NaN.
const RUDE: [&[u8]; 12] = [
    &[0xdd, 0xff, 0xff, 0xff, 0xff],
    &[0xdf, 0x7f, 0xff, 0xff, 0xff],
    &[0xdc, 0xff, 0xff],
    &[0xde, 0x10, 0x00],
    &[0xdb, 0xff, 0xff, 0xff, 0xff],
    &[0xc6, 0x80, 0x00, 0x00, 0x00],
    &[0xc1],
    &[0xc7, 0x0c, 0xff],
    &[0xd6, 0xff, 0x00, 0x00, 0x00, 0x00],
    &[0xcb, 0x7f, 0xf8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xa2, 0xc3, 0x28],
];

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 where there is none.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A few changes of a frame; some take a piece out of another one.
    pub(super) fn mutate(&mut self, frame: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(3) {
            let at = self.below(frame.len() + 1);
            let end = (at + 1 + self.below(8)).min(frame.len());
            match self.below(9) {
                0 if at < frame.len() => frame[at] = self.next() as u8,
                1 if at < frame.len() => frame[at] ^= 1 << self.below(8),
                2 => frame.insert(at, self.next() as u8),
                3 if at < end => drop(frame.drain(at..end)),
                4 => frame.truncate(at),
                5 if at < end => {
                    let piece = frame[at..end].repeat(1 + self.below(40));
                    frame.splice(at..at, piece);
                }
                6 => {
                    let from = self.below(other.len() + 1);
                    frame.splice(at..end.max(at), other[from..].iter().copied());
                }
                7 => {
                    let rude = *self.pick(&RUDE);
                    frame.splice(at..end.max(at), rude.iter().copied());
                }
                // Nested as deep as is allowed, or a little deeper.
                _ => {
                    let depth = 55 + self.below(15);
                    frame.splice(at..at, std::iter::repeat_n(0x91, depth));
                }
            }
            frame.truncate(MOST_BYTES);
        }
    }

    /// Another value somewhere in a value, or one value or field less; it is msgpack as before.
    pub(super) fn change(&mut self, value: &mut Value) {
        let inner = match value {
            Value::Array(items) if !items.is_empty() => Some(self.below(items.len())),
            Value::Object(fields) if !fields.is_empty() => Some(self.below(fields.len())),
            _ => None,
        };
        match (inner, value) {
            (Some(index), Value::Array(items)) => match self.below(8) {
                0 => drop(items.remove(index)),
                _ => self.change(&mut items[index]),
            },
            (Some(index), Value::Object(fields)) => match self.below(8) {
                0 => drop(remove(fields, index)),
                _ => fields
                    .values_mut()
                    .skip(index)
                    .take(1)
                    .for_each(|field| self.change(field)),
            },
            (_, leaf) => *leaf = self.value(),
        }
    }

    fn value(&mut self) -> Value {
        match self.below(9) {
            0 => Value::Null,
            1 => true.into(),
            2 => self.next().into(),
            3 => (self.next() as i64).into(),
            4 => 0.5.into(),
            5 => "".into(),
            6 => "of_tomorrow".into(),
            7 => json!([]),
            _ => json!({}),
        }
    }
}

fn remove(fields: &mut Map<String, Value>, index: usize) -> Option<Value> {
    let name = fields.keys().nth(index)?.clone();
    fields.shift_remove(&name)
}
