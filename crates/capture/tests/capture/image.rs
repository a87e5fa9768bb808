//! Disk images.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use capture::{Existing, IMAGE_BLOCK_BYTES, ImageSource, ImageTarget, Piece, compare_images};
use model::SystemClock;

use crate::support::noise;

const BLOCK: u64 = IMAGE_BLOCK_BYTES as u64;

fn restore(source: &Path, target: &Path, existing: Existing) -> std::io::Result<()> {
    let source = ImageSource::open(source, Arc::new(SystemClock))?;
    let target = ImageTarget::open(target, source.entry()?.size(), existing)?;
    let mut offset = 0;
    for piece in source.pieces()? {
        let piece = piece?;
        match &piece {
            Piece::Data(bytes) => target.write_at(offset, bytes)?,
            Piece::Hole(len) => target.write_hole(offset, *len)?,
        }
        offset += piece.len();
    }
    target.sync()?;
    target.sync_name()
}

#[test]
fn an_image_comes_back_with_its_holes() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let file = File::create(&a).unwrap();
    file.set_len(100 * BLOCK + 77).unwrap();
    file.write_all_at(&noise(300_000, 1), 7 * BLOCK + 1).unwrap();
    file.write_all_at(&vec![0; 1 << 20], 50 * BLOCK).unwrap();
    file.write_all_at(b"end", 100 * BLOCK + 74).unwrap();
    restore(&a, &b, Existing::Refuse).unwrap();
    assert_eq!(compare_images(&a, &b).unwrap(), None);
    assert!(fs::metadata(&b).unwrap().blocks() * 512 <= 5 * BLOCK);
    assert_eq!(restore(&a, &b, Existing::Refuse).unwrap_err().kind(), ErrorKind::AlreadyExists);
    // Nothing of what was there before shows through the holes.
    fs::write(&b, noise(20 << 20, 2)).unwrap();
    restore(&a, &b, Existing::Replace).unwrap();
    assert_eq!(compare_images(&a, &b).unwrap(), None);
}

#[test]
fn images_that_differ_are_told_by_the_first_byte() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::write(&a, noise(3_000_000, 1)).unwrap();
    fs::copy(&a, &b).unwrap();
    File::options().append(true).open(&b).unwrap().set_len(3_000_001).unwrap();
    assert_eq!(compare_images(&a, &b).unwrap(), Some(3_000_000));
    let byte = !noise(3_000_000, 1)[2_999_999];
    File::options().write(true).open(&b).unwrap().write_all_at(&[byte], 2_999_999).unwrap();
    assert_eq!(compare_images(&a, &b).unwrap(), Some(2_999_999));
    // A hole and written zeros are the same bytes.
    fs::write(&a, vec![0; 1 << 20]).unwrap();
    File::create(&b).unwrap().set_len(1 << 20).unwrap();
    assert_eq!(compare_images(&a, &b).unwrap(), None);
}

#[test]
fn writes_past_the_end_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let target = ImageTarget::open(&dir.path().join("image"), 100, Existing::Refuse).unwrap();
    for (offset, len) in [(0, 101), (100, 1), (u64::MAX, 1), (90, 11)] {
        let written = target.write_at(offset, &vec![1; len]).unwrap_err();
        assert_eq!(written.kind(), ErrorKind::InvalidInput);
        assert!(target.write_hole(offset, len as u64).is_err());
    }
    target.write_at(90, &[1; 10]).unwrap();
    target.sync_name().unwrap();
}

#[test]
fn an_image_is_one_entry_at_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    fs::write(&image, b"bytes").unwrap();
    fs::hard_link(&image, dir.path().join("another-name")).unwrap();
    let entry = ImageSource::open(&image, Arc::new(SystemClock)).unwrap().entry().unwrap();
    assert!(entry.path.is_root() && !entry.is_hard_linked() && !entry.settled);
    assert_eq!(entry.size(), 5);
}

/// Needs a loop device, which not every machine lets its root have.
#[test]
fn a_block_device_is_read_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let (backing, a, b) = (dir.path().join("backing"), dir.path().join("a"), dir.path().join("b"));
    fs::write(&backing, noise(4 << 20, 1)).unwrap();
    let attached = std::process::Command::new("losetup").args(["--find", "--show"]).arg(&backing).output();
    let Some(attached) = attached.ok().filter(|output| output.status.success()) else {
        eprintln!("skipped: no loop device");
        return;
    };
    let device = std::path::PathBuf::from(String::from_utf8(attached.stdout).unwrap().trim());
    let detach = || std::process::Command::new("losetup").arg("-d").arg(&device).status();
    let outcome = std::panic::catch_unwind(|| {
        let file = File::create(&a).unwrap();
        file.set_len(3 << 20).unwrap();
        file.write_all_at(&noise(200_000, 2), 1 << 20).unwrap();
        assert_eq!(restore(&a, &device, Existing::Refuse).unwrap_err().kind(), ErrorKind::AlreadyExists);
        restore(&a, &device, Existing::Replace).unwrap();
        assert_eq!(compare_images(&a, &device).unwrap(), Some(3 << 20));
        // As a file system does that is mounted from the device: what was read of it stays in memory as long as someone has it
        // open, and it is written to past that.
        let _mounted = File::open(&device).unwrap();
        restore(&device, &b, Existing::Refuse).unwrap();
        assert_eq!(fs::metadata(&b).unwrap().len(), 4 << 20);
        File::options().write(true).open(&backing).unwrap().write_all_at(&noise(300_000, 3), 2 << 20).unwrap();
        restore(&device, &b, Existing::Replace).unwrap();
        assert_eq!(fs::read(&b).unwrap(), fs::read(&backing).unwrap());
        file.set_len(5 << 20).unwrap();
        let error = restore(&a, &device, Existing::Replace).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("has 4194304 bytes and the image needs 5242880"), "{error}");
    });
    detach().unwrap();
    outcome.unwrap();
}
