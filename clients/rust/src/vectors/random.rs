//! Chance that can be repeated, and what it does to a frame.

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
}
