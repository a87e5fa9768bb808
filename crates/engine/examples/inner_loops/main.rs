//! The inner loops of backups and restores over seeded bytes, one a run, for `cargo xtask instructions` to count.
//!
//! Only what runs within [`counted`] counts. It does so in one thread, touches no clock and draws no random number that
//! changes what is done, so the same program takes the same number of instructions each time.

use std::fs::File;
use std::hint::black_box;

use capture::{Cut, Pieces};
use model::{ChunkHash, ChunkLocation, DataKeyId, Entry, EntryKind, Extent, FileTime, Inode, PackId, RelPath};
use store::manifest::{ChunkSink, Content as FileContent, ManifestEntry, PageWriter, decode_page};
use store::seal::hash_chunk;
use store::{Buffers, DataKey, Opener, PackBuilder, Sealer};
use testkit::corpus::{Content, Random};
use zeroize::Zeroizing;

/// The mean of chunks cut by content.
const CHUNK_BYTES: usize = 1 << 20;

/// What is cut: some windows of the reader's.
const FILE_BYTES: usize = 24 << 20;

/// Enough for a thousand pages.
const ENTRIES: u64 = 20_000;

const PACK: PackId = PackId([7; 16]);

const LOOPS: [(&str, fn()); 8] = [
    ("chunk", chunk),
    ("hash", hash),
    ("seal text", || seal(Content::Text)),
    ("seal noise", || seal(Content::Incompressible)),
    ("open", open),
    ("pack", pack),
    ("page encode", page_encode),
    ("page decode", page_decode),
];

/// Runs the loop that is named, or else says which there are, one a line.
fn main() {
    let Some(wanted) = std::env::args().nth(1) else { return LOOPS.iter().for_each(|(name, _)| println!("{name}")) };
    let found = LOOPS.iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("there is no loop named {wanted:?}")).1();
}

/// Callgrind counts from its entry to its end, which it finds by this name.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) {
    black_box(work());
}

fn chunk() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let path = dir.path().join("file");
    std::fs::write(&path, bytes_of(Content::Incompressible, FILE_BYTES)).expect("a scratch file");
    let file = File::open(&path).expect("the file is there");
    counted(|| {
        for piece in Pieces::new(file, FILE_BYTES as u64, Cut::ByContent) {
            black_box(piece.expect("it reads"));
        }
    });
}

fn hash() {
    let plain = bytes_of(Content::Incompressible, CHUNK_BYTES);
    counted(|| {
        for _ in 0..8 {
            black_box(hash_chunk(&plain));
        }
    });
}

fn seal(content: Content) {
    let plain = bytes_of(content, CHUNK_BYTES);
    let hash = hash_chunk(&plain);
    let mut sealer = Sealer::new(key());
    counted(|| {
        for _ in 0..2 {
            black_box(sealer.seal_chunk(&hash, &plain));
        }
    });
}

fn open() {
    let plain = bytes_of(Content::Text, CHUNK_BYTES);
    let hash = hash_chunk(&plain);
    let sealed = Sealer::new(key()).seal_chunk(&hash, &plain);
    let mut opener = Opener::new(&key());
    counted(|| {
        for _ in 0..4 {
            black_box(opener.open_chunk(&hash, &sealed, len_of(&plain)).expect("it was sealed so"));
        }
    });
}

fn pack() {
    let sealed = bytes_of(Content::Incompressible, CHUNK_BYTES);
    let hash = hash_chunk(&sealed);
    let mut builder = PackBuilder::new(PACK, key().id(), &Buffers::default());
    counted(|| {
        for _ in 0..8 {
            builder.push(hash, len_of(&sealed), &sealed);
        }
        builder.finish(&key())
    });
}

fn page_encode() {
    let entries = entries();
    counted(|| pages_of(&entries).len());
}

fn page_decode() {
    let pages = pages_of(&entries());
    counted(|| pages.iter().map(|page| decode_page::<ManifestEntry>(page).expect("a page").len()).sum::<usize>());
}

fn bytes_of(content: Content, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    content.write(&mut bytes, &mut Random::new(5), len as u64).expect("memory takes all");
    bytes
}

fn key() -> DataKey {
    DataKey::from_secret(DataKeyId([1; 16]), Zeroizing::new([2; 32]))
}

fn len_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("far below 4 GiB")
}

/// Small files, each of which is a slice of a shared chunk.
fn entries() -> Vec<ManifestEntry> {
    let mut random = Random::new(6);
    let mut entry = |serial: u64| {
        let (size, number) = (random.between(1, 16 << 10), random.number());
        let chunk = ChunkLocation {
            pack: PACK,
            offset: 48,
            sealed_len: 300_000,
            plain_len: len_of(&[0; CHUNK_BYTES]),
            hash: hash_of(serial / 200),
        };
        let time = FileTime { seconds: 1_600_000_000 + (number >> 40) as i64, nanos: 123_456_789 };
        let extent = Extent::Slice { chunk, skip: 4096, len: u32::try_from(size).unwrap_or(0), hash: hash_of(serial) };
        let entry = Entry {
            path: RelPath::new(format!("dir-{}/small-{serial}.txt", serial / 12)).expect("a path below the root"),
            kind: EntryKind::File { size },
            mode: 0o644,
            uid: 1000,
            gid: 1000,
            mtime: time,
            ctime: time,
            inode: Inode { file_system: 0, number: 1_000_000 + serial },
            links: 1,
            settled: true,
            xattrs: Vec::new(),
        };
        ManifestEntry { entry, content: FileContent::Inline(vec![extent]) }
    };
    (0..ENTRIES).map(&mut entry).collect()
}

fn hash_of(serial: u64) -> ChunkHash {
    hash_chunk(&serial.to_le_bytes())
}

fn pages_of(entries: &[ManifestEntry]) -> Vec<Vec<u8>> {
    let (mut writer, mut pages) = (PageWriter::default(), Pages(Vec::new()));
    for entry in entries {
        writer.push(entry, &mut pages).expect("memory takes all");
    }
    writer.finish(&mut pages).expect("memory takes all");
    pages.0
}

/// Keeps pages as they are: neither hashing nor sealing them counts here.
struct Pages(Vec<Vec<u8>>);

impl ChunkSink for Pages {
    type Error = std::convert::Infallible;

    fn store(&mut self, plain: &[u8]) -> Result<ChunkLocation, Self::Error> {
        self.0.push(plain.to_vec());
        Ok(ChunkLocation { pack: PACK, offset: 0, sealed_len: 0, plain_len: len_of(plain), hash: ChunkHash([0; 32]) })
    }
}
