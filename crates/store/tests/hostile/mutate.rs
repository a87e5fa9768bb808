//! Makes hostile bytes of valid ones, the same for the same case number.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// What parsers stumble over: lengths as fixed and as variable integers, numbers at their limits, nesting, paths out.
const TOKENS: [&[u8]; 18] = [
    &[0],
    &[0; 8],
    &[0xff; 4],
    &[0xff; 8],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0, 0, 0, 4],
    // In postcard's encoding: a mebibyte, u32::MAX, u64::MAX.
    &[0x80, 0x80, 0x40],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    b"18446744073709551616",
    b"-1",
    b"1e999",
    b"null",
    b"[[[[[[[[[[[[[[[[",
    b"{\"",
    b"../",
    b"\"",
    "\u{fffd}".as_bytes(),
];

/// A hostile input: one of `seeds`, altered in one to four places; now and then only noise.
pub(crate) fn hostile(case: u64, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(case);
    if rng.random_ratio(1, 32) {
        let len = rng.random_range(0..300);
        return noise(&mut rng, len);
    }
    let mut bytes = any(&mut rng, seeds).clone();
    for _ in 0..rng.random_range(1..=4) {
        alter(&mut rng, &mut bytes, seeds);
    }
    bytes
}

fn alter(rng: &mut StdRng, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = rng.random_range(0..=bytes.len());
    let end = rng.random_range(at..=bytes.len().min(at + 64));
    match rng.random_range(0..8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => insert(bytes, at, token(rng)),
        3 => {
            let len = rng.random_range(1..16);
            insert(bytes, at, &noise(rng, len));
        }
        4 => {
            let repeated = bytes[at..end].repeat(3);
            insert(bytes, at, &repeated);
        }
        5 => overwrite(bytes, at, token(rng)),
        6 => {
            let other = any(rng, seeds);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[rng.random_range(0..=other.len())..]);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
    }
}

fn any<'a, T>(rng: &mut StdRng, of: &'a [T]) -> &'a T {
    &of[rng.random_range(0..of.len())]
}

fn token(rng: &mut StdRng) -> &'static [u8] {
    TOKENS[rng.random_range(0..TOKENS.len())]
}

fn noise(rng: &mut StdRng, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn insert(bytes: &mut Vec<u8>, at: usize, inserted: &[u8]) {
    drop(bytes.splice(at..at, inserted.iter().copied()));
}

fn overwrite(bytes: &mut [u8], at: usize, token: &[u8]) {
    bytes[at..].iter_mut().zip(token).for_each(|(byte, new)| *byte = *new);
}
