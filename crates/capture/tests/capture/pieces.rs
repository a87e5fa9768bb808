//! Cutting files into pieces.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use capture::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Cut, IMAGE_BLOCK_BYTES, Piece, Pieces};
use fastcdc::v2020::FastCDC;
use proptest::prelude::*;

use crate::support::{noise, pieces_of};

fn lengths(pieces: &[Piece]) -> Vec<i64> {
    let signed = |piece: &Piece| {
        let len = i64::try_from(piece.len()).unwrap();
        if matches!(piece, Piece::Hole(_)) { -len } else { len }
    };
    pieces.iter().map(signed).collect()
}

fn joined(pieces: &[Piece]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Data(data) => bytes.extend_from_slice(data),
            Piece::Hole(len) => bytes.resize(bytes.len() + *len as usize, 0),
        }
    }
    bytes
}

fn sparse_file(path: &Path, size: u64, runs: &[(u64, &[u8])]) {
    let file = File::create(path).unwrap();
    file.set_len(size).unwrap();
    for (offset, bytes) in runs {
        file.write_all_at(bytes, *offset).unwrap();
    }
}

#[test]
fn a_small_file_is_one_piece() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    for len in [1, 4095, 4096, 200_000, 256 * 1024 - 1] {
        fs::write(&file, noise(len, 1)).unwrap();
        assert_eq!(pieces_of(&file, Cut::ByContent), [Piece::Data(noise(len, 1).into())]);
    }
    fs::write(&file, b"").unwrap();
    assert_eq!(pieces_of(&file, Cut::ByContent), []);
}

/// Windows are invisible: boundaries are those of the whole file cut in one go.
#[test]
fn chunks_are_those_of_fastcdc_over_the_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    // Noise, then bytes without any boundary, which make chunks of the maximum.
    let mut bytes = noise(21_000_001, 2);
    bytes.extend(vec![7; 13_000_000]);
    fs::write(&file, &bytes).unwrap();
    let expected: Vec<_> =
        FastCDC::new(&bytes, CHUNK_BYTES_MIN, 1 << 20, CHUNK_BYTES_MAX).map(|c| c.length as i64).collect();
    let pieces = pieces_of(&file, Cut::ByContent);
    assert_eq!(lengths(&pieces), expected);
    assert!(joined(&pieces) == bytes);
}

#[test]
fn holes_are_told_and_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let data = noise(4096, 3);
    // Ten terabytes: reading them would take an hour.
    sparse_file(&file, 10 << 40, &[(1 << 40, &data), (5 << 40, &data)]);
    let expected = [-(1 << 40), 4096, -((4 << 40) - 4096), 4096, -((5 << 40) - 4096)];
    assert_eq!(lengths(&pieces_of(&file, Cut::ByContent)), expected);
    sparse_file(&file, 3 << 20, &[]);
    assert_eq!(pieces_of(&file, Cut::ByContent), [Piece::Hole(3 << 20)]);
    sparse_file(&file, 12288, &[(4096, &data)]);
    assert_eq!(lengths(&pieces_of(&file, Cut::ByContent)), [-4096, 4096, -4096]);
}

#[test]
fn fixed_blocks_lie_at_multiples_and_zero_ones_are_holes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let block = IMAGE_BLOCK_BYTES as u64;
    let (data, zeros) = (noise(4096, 4), vec![0; IMAGE_BLOCK_BYTES]);
    // Hole, a block that is partly hole, one written with zeros, a hole, a short last block.
    sparse_file(&file, 6 * block + 100, &[(block + 8192, &data), (2 * block, &zeros), (6 * block, &data[..100])]);
    let block = i64::try_from(block).unwrap();
    assert_eq!(lengths(&pieces_of(&file, Cut::Fixed(IMAGE_BLOCK_BYTES))), [-block, block, -4 * block, 100]);
}

#[test]
fn a_file_that_grew_is_cut_off_and_one_that_shrank_ends_early() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let total = |said: u64, cut| {
        let pieces = Pieces::new(File::open(&file).unwrap(), said, cut);
        pieces.map(|piece| piece.unwrap().len()).sum::<u64>()
    };
    fs::write(&file, noise(1_000_000, 5)).unwrap();
    for cut in [Cut::ByContent, Cut::Fixed(4096)] {
        for (said, expected) in [(10, 10), (300_000, 300_000), (1_000_000, 1_000_000), (2_000_000, 1_000_000)] {
            assert_eq!(total(said, cut), expected);
        }
    }
    // The end that went away was a hole.
    sparse_file(&file, 8 << 20, &[(0, &[1; 4096])]);
    assert_eq!(total(64 << 20, Cut::ByContent), 8 << 20);
    assert_eq!(total(64 << 20, Cut::Fixed(IMAGE_BLOCK_BYTES)), 8 << 20);
}

#[test]
fn an_error_ends_the_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let mut pieces = Pieces::new(File::open(dir.path()).unwrap(), 100, Cut::ByContent);
    let error = pieces.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::IsADirectory, "{error}");
    assert!(pieces.next().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_join_to_the_file_whatever_its_holes(
        size in 0_u64..6_000_000,
        runs in prop::collection::vec((0_u64..6_000_000, 1_usize..400_000, any::<bool>()), 0..8),
        block in prop::sample::select(vec![512_usize, 4096, 100_000, 131_072]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = File::create(&path).unwrap();
        for (seed, (offset, len, zero)) in runs.iter().enumerate() {
            let bytes = if *zero { vec![0; *len] } else { noise(*len, seed as u64) };
            file.write_all_at(&bytes, *offset).unwrap();
        }
        file.set_len(size).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in [Cut::ByContent, Cut::Fixed(block)] {
            let pieces = pieces_of(&path, cut);
            prop_assert!(joined(&pieces) == whole);
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
            let holes = |pair: &[Piece]| pair.iter().all(|piece| matches!(piece, Piece::Hole(_)));
            prop_assert!(!pieces.windows(2).any(holes));
            if let Cut::Fixed(block) = cut {
                let mut offset = 0;
                for piece in &pieces {
                    prop_assert_eq!(offset % block as u64, 0);
                    if let Piece::Data(bytes) = piece {
                        prop_assert!(bytes.len() <= block && bytes.iter().any(|b| *b != 0));
                    }
                    offset += piece.len();
                }
            }
        }
    }
}
