//! Sealing: compresses and encrypts a run of bytes under a data key, and opens it again.
//!
//! Sealed form: nonce (12 random bytes) ‖ AES-256-GCM(codec byte ‖ body) ‖ tag (16). The associated
//! data is the chunk's hash, so that a chunk moved to another place does not open; packs' indexes,
//! roots and wrapped keys are sealed the same way with associated data of their own. What was
//! compressed is decompressed and compared before it is handed out: a fault in memory or in the
//! compressor must not reach a store.

use std::io::Cursor;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use model::{ChunkHash, DataKeyId};
use rand::Rng;
use zeroize::Zeroizing;
use zstd::zstd_safe::{CParameter, Strategy};

/// How much longer a sealed run is than its body: nonce, codec byte, tag.
pub const SEAL_OVERHEAD_BYTES: usize = NONCE_LEN + 1 + MAX_TAG_LEN;

/// No chunk, page or index entry may claim more plaintext than this.
pub const PLAIN_BYTES_MAX: u32 = 64 << 20;

// Level 3's window with the matcher of the levels below and a table that fits into a core's own cache: of real files a few percent
// longer than level 3, in half the time.
const ZSTD_LEVEL: i32 = 3;
const ZSTD_PARAMETERS: [CParameter; 2] = [CParameter::Strategy(Strategy::ZSTD_fast), CParameter::HashLog(16)];

// A match of a few letters takes as many bits as the letters: without those, text gets shorter, and faster to decompress. But
// only where it is long enough to have longer matches.
const MATCH_BYTES_MIN: u32 = 5;
const TEXT_MATCH_BYTES_MIN: u32 = 7;
const TEXT_BYTES_MIN: usize = 256 << 10;

const CODEC_RAW: u8 = 0;
const CODEC_ZSTD: u8 = 1;

/// A block of zstd takes four bytes at least and yields 128 KiB at most (RFC 8878, 3.1.1.2).
const ZSTD_GROWTH_MAX: usize = (128 << 10) / 4;

// Probing eight short samples costs about 2 % of compressing a mebibyte, and spares the rest of it
// for data that is compressed or encrypted already.
const SAMPLES: usize = 8;
const SAMPLE_BYTES: usize = 2 << 10;
const PROBED_BYTES_MIN: usize = 4 * SAMPLES * SAMPLE_BYTES;

/// Sealed bytes that do not open: damaged, moved, or sealed under another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed bytes do not open: they are damaged or belong elsewhere")]
pub struct BadSeal;

/// A data key: encrypts the packs of one backup. Stored only wrapped by a KMS key.
#[derive(Clone)]
pub struct DataKey {
    id: DataKeyId,
    secret: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DataKey({}, secret)", self.id)
    }
}

impl DataKey {
    /// Mints a key: 256 random bits and a random name.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut());
        Self { id: DataKeyId::random(rng), secret }
    }

    /// The key `id` with the secret that a key service unwrapped.
    pub fn from_secret(id: DataKeyId, secret: Zeroizing<[u8; 32]>) -> Self {
        Self { id, secret }
    }

    /// Its name.
    pub fn id(&self) -> DataKeyId {
        self.id
    }

    /// The secret itself, for a key service to wrap.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Seals `plain` uncompressed; for small things such as indexes and roots.
    pub fn seal(&self, associated: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut out = begin(plain.len());
        out.push(CODEC_RAW);
        out.extend_from_slice(plain);
        self.encrypt(associated, &mut out);
        out
    }

    /// Opens what [`DataKey::seal`] made.
    ///
    /// # Errors
    /// [`BadSeal`] when the bytes, the key or the associated data are not those of the sealing.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, BadSeal> {
        let mut body = Vec::new();
        match decrypt(&self.cipher(), associated, sealed, &mut body)?.first() {
            Some(&CODEC_RAW) => {
                // In place, for it may be a secret.
                body.remove(0);
                Ok(body)
            }
            _ => Err(BadSeal),
        }
    }

    /// Opens sealed bytes and seals the same body under `new`: the length stays, compressed or not.
    ///
    /// # Errors
    /// [`BadSeal`] when the bytes do not open under this key.
    pub fn reseal(&self, new: &Self, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, BadSeal> {
        let body = sealed.get(NONCE_LEN..).ok_or(BadSeal)?;
        let mut out = begin(body.len());
        out.extend_from_slice(body);
        let nonce = Nonce::try_assume_unique_for_key(&sealed[..NONCE_LEN]).map_err(|_| BadSeal)?;
        let opened = self.cipher().open_in_place(nonce, Aad::from(associated), &mut out[NONCE_LEN..]);
        let plain = opened.map_err(|_| BadSeal)?.len();
        out.truncate(NONCE_LEN + plain);
        new.encrypt(associated, &mut out);
        Ok(out)
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.secret.as_slice()).expect("a key of 32 bytes"))
    }

    fn encrypt(&self, associated: &[u8], out: &mut Vec<u8>) {
        let nonce = Nonce::try_assume_unique_for_key(&out[..NONCE_LEN]).expect("begin() wrote a nonce");
        let tag = self
            .cipher()
            .seal_in_place_separate_tag(nonce, Aad::from(associated), &mut out[NONCE_LEN..])
            .expect("chunks are far below the cipher's limit");
        out.extend_from_slice(tag.as_ref());
    }
}

/// The name of a chunk: BLAKE3 of its plaintext.
pub fn hash_chunk(plain: &[u8]) -> ChunkHash {
    ChunkHash(*blake3::hash(plain).as_bytes())
}

fn begin(body_len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(body_len + SEAL_OVERHEAD_BYTES);
    let mut nonce = [0_u8; NONCE_LEN];
    // 96 random bits are safe for 2³² sealings under one key (NIST SP 800-38D, 8.3): four
    // pebibytes of mean chunks per backup.
    rand::rng().fill_bytes(&mut nonce);
    out.extend_from_slice(&nonce);
    out
}

/// Whether a compressed body may decompress to so much. Memory is taken for what it can hold, not for what a length beside it
/// or in it claims.
fn may_hold(body: &[u8], plain_len: u32) -> bool {
    plain_len <= PLAIN_BYTES_MAX && plain_len as usize <= body.len() * ZSTD_GROWTH_MAX
}

/// Decrypts sealed bytes into `room`, which may be longer. Returns the codec and the body.
fn decrypt<'r>(
    cipher: &LessSafeKey,
    associated: &[u8],
    sealed: &[u8],
    room: &'r mut Vec<u8>,
) -> Result<&'r [u8], BadSeal> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(BadSeal)?;
    let (body, tag) = body.split_last_chunk::<MAX_TAG_LEN>().ok_or(BadSeal)?;
    let (nonce, room) = (Nonce::assume_unique_for_key(*nonce), room_in(room, body.len()));
    cipher.open_separate_gather(nonce, Aad::from(associated), body, tag, room).map_err(|_| BadSeal)?;
    Ok(room)
}

/// Opens chunks that were sealed under one data key; keeps the decompressor's state between them. One per thread.
pub struct Opener {
    cipher: LessSafeKey,
    decompressor: zstd::bulk::Decompressor<'static>,
    /// Kept from chunk to chunk, since fresh memory is slow.
    scratch: Vec<u8>,
}

impl Opener {
    /// An opener of what `key` has sealed.
    pub fn new(key: &DataKey) -> Self {
        let decompressor = zstd::bulk::Decompressor::new().expect("needs only memory");
        Self { cipher: key.cipher(), decompressor, scratch: Vec::new() }
    }

    /// Opens a sealed chunk and checks that it is the one of that hash.
    ///
    /// # Errors
    /// [`BadSeal`] when the bytes, the key, the hash or the length are not those of the sealing.
    pub fn open_chunk(&mut self, hash: &ChunkHash, sealed: &[u8], plain_len: u32) -> Result<Vec<u8>, BadSeal> {
        let plain = match decrypt(&self.cipher, &hash.0, sealed, &mut self.scratch)?.split_first() {
            Some((&CODEC_RAW, plain)) => plain.to_vec(),
            Some((&CODEC_ZSTD, body)) if may_hold(body, plain_len) => {
                self.decompressor.decompress(body, plain_len as usize).map_err(|_| BadSeal)?
            }
            _ => return Err(BadSeal),
        };
        check_plain(hash, &plain, plain_len).map(|()| plain)
    }

    /// The same of a chunk that nobody needs opened; its sealed bytes are lost.
    ///
    /// # Errors
    /// As for [`Opener::open_chunk`].
    pub(crate) fn check_chunk(&mut self, hash: &ChunkHash, sealed: &mut [u8], plain_len: u32) -> Result<(), BadSeal> {
        let (nonce, body) = sealed.split_first_chunk_mut::<NONCE_LEN>().ok_or(BadSeal)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let body = &*self.cipher.open_in_place(nonce, Aad::from(&hash.0), body).map_err(|_| BadSeal)?;
        match body.split_first() {
            Some((&CODEC_RAW, plain)) => check_plain(hash, plain, plain_len),
            Some((&CODEC_ZSTD, body)) if may_hold(body, plain_len) => {
                let room = room_in(&mut self.scratch, plain_len as usize);
                let len = self.decompressor.decompress_to_buffer(body, room).map_err(|_| BadSeal)?;
                check_plain(hash, &room[..len], plain_len)
            }
            _ => Err(BadSeal),
        }
    }
}

fn check_plain(hash: &ChunkHash, plain: &[u8], plain_len: u32) -> Result<(), BadSeal> {
    if plain.len() == plain_len as usize && hash_chunk(plain) == *hash { Ok(()) } else { Err(BadSeal) }
}

/// Seals chunks under one data key; keeps the compressors' state between them. One per thread.
pub struct Sealer {
    key: DataKey,
    compressor: zstd::bulk::Compressor<'static>,
    text_compressor: zstd::bulk::Compressor<'static>,
    decompressor: zstd::bulk::Decompressor<'static>,
    /// All are kept from chunk to chunk, since fresh memory is slow.
    sample: Vec<u8>,
    probe: Vec<u8>,
    scratch: Vec<u8>,
}

impl Sealer {
    /// A sealer under `key`.
    pub fn new(key: DataKey) -> Self {
        Self {
            key,
            compressor: compressor(MATCH_BYTES_MIN),
            text_compressor: compressor(TEXT_MATCH_BYTES_MIN),
            decompressor: zstd::bulk::Decompressor::new().expect("needs only memory"),
            sample: Vec::new(),
            probe: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// The key it seals under.
    pub fn key(&self) -> &DataKey {
        &self.key
    }

    /// Seals one chunk, compressed if that saves at least a sixteenth.
    pub fn seal_chunk(&mut self, hash: &ChunkHash, plain: &[u8]) -> Vec<u8> {
        let mut out = self.compress(plain).unwrap_or_else(|| {
            let mut out = begin(plain.len());
            out.push(CODEC_RAW);
            out.extend_from_slice(plain);
            out
        });
        self.key.encrypt(&hash.0, &mut out);
        out
    }

    /// What is to be encrypted when `plain` is worth compressing: it is compressed to where it will lie.
    fn compress(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        let room = plain.len() - plain.len() / 16;
        take_sample(plain, &mut self.sample);
        if room <= 16 || (plain.len() >= PROBED_BYTES_MIN && self.sample_is_incompressible()) {
            return None;
        }
        let is_long_text = plain.len() >= TEXT_BYTES_MIN && is_text(&self.sample);
        let compressor = if is_long_text { &mut self.text_compressor } else { &mut self.compressor };
        // Compressing into hardly more room than there may be fails early when it does not shrink.
        let mut out = begin(room);
        out.push(CODEC_ZSTD);
        let at = out.len();
        let mut body = Cursor::new(out);
        body.set_position(at as u64);
        compressor.compress_to_buffer(plain, &mut body).ok().filter(|len| *len <= room)?;
        let out = body.into_inner();
        let scratch = room_in(&mut self.scratch, plain.len());
        let back = self.decompressor.decompress_to_buffer(&out[at..], scratch);
        back.is_ok_and(|len| self.scratch[..len] == *plain).then_some(out)
    }

    fn sample_is_incompressible(&mut self) -> bool {
        let room = room_in(&mut self.probe, self.sample.len() - self.sample.len() / 64);
        self.compressor.compress_to_buffer(&self.sample, room).is_err()
    }
}

fn compressor(match_bytes_min: u32) -> zstd::bulk::Compressor<'static> {
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("level 3 exists");
    for parameter in ZSTD_PARAMETERS.into_iter().chain([CParameter::MinMatch(match_bytes_min)]) {
        compressor.set_parameter(parameter).expect("within the bounds of every version");
    }
    compressor
}

/// Takes short samples from all over a chunk, or the whole of one that has no more bytes.
fn take_sample(plain: &[u8], sample: &mut Vec<u8>) {
    sample.clear();
    let stride = (plain.len() / SAMPLES).max(SAMPLE_BYTES);
    let samples = plain.chunks(stride).take(SAMPLES);
    samples.for_each(|of| sample.extend_from_slice(&of[..of.len().min(SAMPLE_BYTES)]));
}

/// Whether nearly all bytes are those of plain text: letters and digits, code or markup.
fn is_text(sample: &[u8]) -> bool {
    let of_text = |byte: &&u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    sample.iter().filter(of_text).count() >= sample.len() - sample.len() / 16
}

/// So many bytes of a buffer that is kept, whatever they hold.
fn room_in(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    &mut buffer[..len]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> DataKey {
        DataKey::generate(&mut rand::rng())
    }

    fn open_chunk(key: &DataKey, hash: &ChunkHash, sealed: &[u8], plain_len: u32) -> Result<Vec<u8>, BadSeal> {
        let mut opener = Opener::new(key);
        let opened = opener.open_chunk(hash, sealed, plain_len);
        let checked = opener.check_chunk(hash, &mut sealed.to_vec(), plain_len);
        assert_eq!(opened.as_ref().err(), checked.as_ref().err());
        opened
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_to_the_same(plain in proptest::collection::vec(0_u8..4, 0..5000)) {
            let mut sealer = Sealer::new(key());
            let hash = hash_chunk(&plain);
            let sealed = sealer.seal_chunk(&hash, &plain);
            let len = u32::try_from(plain.len()).unwrap();
            prop_assert_eq!(open_chunk(sealer.key(), &hash, &sealed, len), Ok(plain));
        }

        #[test]
        fn any_flipped_bit_is_noticed(flip in 0_usize..1000) {
            let plain = vec![7_u8; 100];
            let key = key();
            let hash = hash_chunk(&plain);
            let mut sealed = key.seal(&hash.0, &plain);
            let at = flip % (sealed.len() * 8);
            sealed[at / 8] ^= 1 << (at % 8);
            prop_assert_eq!(open_chunk(&key, &hash, &sealed, 100), Err(BadSeal));
        }
    }

    #[test]
    fn text_is_told_from_other_bytes_by_samples_from_all_over() {
        let is_text = |plain: &[u8]| {
            let mut sample = b"of the last chunk".to_vec();
            take_sample(plain, &mut sample);
            is_text(&sample)
        };
        let text = b"\tall work and no play\r\n".repeat(10_000);
        assert!(is_text(&text) && is_text(&text[..100]) && is_text(b""));
        assert!(is_text(&[&text[..], "\u{e4}".as_bytes()].concat()));
        assert!(!is_text(&[7; 100_000]) && !is_text("\u{4e2d}\u{6587}".repeat(1000).as_bytes()));
        // Half of it is no text, from whichever end it is read.
        let mixed = [&text[..], &vec![0; text.len()]].concat();
        assert!(!is_text(&mixed) && !is_text(&mixed.iter().rev().copied().collect::<Vec<u8>>()));
    }

    #[test]
    fn text_is_compressed_and_noise_is_not() {
        let mut sealer = Sealer::new(key());
        let text = b"all work and no play ".repeat(10_000);
        assert!(sealer.seal_chunk(&hash_chunk(&text), &text).len() < text.len() / 10);
        for len in [20, 100, 10_000, 200_000] {
            let mut noise = vec![0; len];
            rand::rng().fill_bytes(&mut noise);
            let sealed = sealer.seal_chunk(&hash_chunk(&noise), &noise);
            assert_eq!(sealed.len(), len + SEAL_OVERHEAD_BYTES);
        }
    }

    #[test]
    fn the_most_compressible_chunk_opens() {
        let mut sealer = Sealer::new(key());
        for mebibytes in [4, PLAIN_BYTES_MAX >> 20] {
            let zeros = vec![0; (mebibytes as usize) << 20];
            let hash = hash_chunk(&zeros);
            let sealed = sealer.seal_chunk(&hash, &zeros);
            assert!(open_chunk(sealer.key(), &hash, &sealed, mebibytes << 20).is_ok(), "{mebibytes} MiB");
        }
    }

    #[test]
    fn another_hash_length_or_key_does_not_open() {
        let plain = b"some bytes".repeat(100);
        let hash = hash_chunk(&plain);
        let mut sealer = Sealer::new(key());
        let sealed = sealer.seal_chunk(&hash, &plain);
        let key = sealer.key();
        assert_eq!(open_chunk(key, &hash_chunk(b"other"), &sealed, 1000), Err(BadSeal));
        assert_eq!(open_chunk(key, &hash, &sealed, 999), Err(BadSeal));
        assert_eq!(open_chunk(key, &hash, &sealed, u32::MAX), Err(BadSeal));
        assert_eq!(open_chunk(&self::key(), &hash, &sealed, 1000), Err(BadSeal));
        assert_eq!(open_chunk(key, &hash, &sealed[..5], 1000), Err(BadSeal));
    }
}
