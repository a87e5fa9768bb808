//! Seeded random numbers, and the two kinds of bytes that corpora are filled with.

use std::io::{self, Write};

/// The most that is made in memory before it is written.
const PIECE_BYTES: u64 = 256 << 10;

/// A stream of random numbers, SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, figure 17).
///
/// Not the `rand` crate's: that one may give other numbers after an update.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A stream that depends on `seed` alone.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number, any value equally likely.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; zero when `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    /// A number from `low` up to, not including, `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// An index into something of `len` items; zero when there are none.
    pub fn index(&mut self, len: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "below a usize")]
        let index = self.below(len as u64) as usize;
        index
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Puts `items` in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

/// What a file's bytes are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Lines of words and numbers, which zstd makes about three times smaller.
    Text,
    /// Random bytes, which nothing makes smaller.
    Incompressible,
    /// Zero bytes, written rather than left as a hole.
    Zero,
}

impl Content {
    /// Writes `bytes` of this kind to `target`.
    ///
    /// # Errors
    /// What `target` answers.
    pub fn write(self, target: &mut impl Write, random: &mut Random, bytes: u64) -> io::Result<()> {
        let mut piece = Vec::new();
        let mut left = bytes;
        while left > 0 {
            let wanted = left.min(PIECE_BYTES);
            self.fill(&mut piece, random, wanted as usize);
            target.write_all(&piece)?;
            left -= wanted;
        }
        Ok(())
    }

    fn fill(self, piece: &mut Vec<u8>, random: &mut Random, len: usize) {
        piece.clear();
        match self {
            Self::Zero => piece.resize(len, 0),
            Self::Incompressible => {
                while piece.len() < len {
                    piece.extend_from_slice(&random.number().to_le_bytes());
                }
            }
            Self::Text => {
                while piece.len() < len {
                    write_line(piece, random);
                }
            }
        }
        piece.truncate(len);
    }
}

const SYLLABLES: [&str; 32] = [
    "ab", "al", "ar", "ba", "co", "de", "di", "en", "er", "ex", "fa", "ge", "ha", "in", "is", "ke", "la", "me", "mo",
    "na", "no", "or", "pa", "qu", "re", "se", "st", "ta", "ti", "un", "ve", "wi",
];

fn write_line(piece: &mut Vec<u8>, random: &mut Random) {
    let indent = random.index(4) * 2;
    piece.extend(std::iter::repeat_n(b' ', indent));
    for _ in 0..random.between(3, 12) {
        write_word(piece, random);
        piece.push(b' ');
    }
    if random.one_in(4) {
        piece.extend_from_slice(random.below(1_000_000).to_string().as_bytes());
    }
    piece.push(b'\n');
}

/// A word out of about 4,000, the first few far more often than the rest, as in any language.
fn write_word(piece: &mut Vec<u8>, random: &mut Random) {
    let mut bits = {
        let range = random.below(4096) + 1;
        random.below(range)
    };
    loop {
        piece.extend_from_slice(SYLLABLES[(bits % 32) as usize].as_bytes());
        bits /= 32;
        if bits == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_matches_the_published_one() {
        // The reference program's first three numbers for seed 1234567.
        let mut random = Random::new(1_234_567);
        let numbers: Vec<u64> = std::iter::repeat_with(|| random.number()).take(3).collect();
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn content_has_the_length_asked_for() {
        for content in [Content::Text, Content::Incompressible, Content::Zero] {
            for bytes in [0, 1, 7, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1] {
                let mut written = Vec::new();
                content.write(&mut written, &mut Random::new(1), bytes).unwrap();
                assert_eq!(written.len() as u64, bytes, "{content:?}");
            }
        }
    }
}
