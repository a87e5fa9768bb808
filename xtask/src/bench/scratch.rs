//! Room on the disk: where the runs put things, whether they will fit, and how room is made again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A new folder that is removed when it is dropped.
pub(super) struct WorkDir(PathBuf);

impl WorkDir {
    pub(super) fn create(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(parent)
            .and_then(|()| fs::create_dir(&path))
            .with_context(|| format!("failed to make {}", path.display()))?;
        Ok(Self(path.canonicalize()?))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("failed to remove {}: {error}", self.0.display());
        }
    }
}

/// Fails when the disk would fill up half-way: a run keeps up to `stores` stores of a source, itself as one file, and
/// one restore at a time.
pub(super) fn check_space(folder: &Path, source_bytes: u64, stores: u64) -> Result<()> {
    // Most of what is stored is compressed.
    let wanted = source_bytes * (stores * 3 / 4 + 2);
    let disk = rustix::fs::statvfs(folder).context("failed to ask for free space")?;
    let free = disk.f_bavail * disk.f_frsize;
    ensure!(
        free > wanted,
        "{} has {free} bytes free, up to {wanted} are needed: use --dir, --corpus or --only",
        folder.display()
    );
    Ok(())
}

/// Takes the bytes of all files below `path`, and leaves the files: creating some gets slower for minutes on ext4 after
/// many were deleted, and what is measured next creates many.
pub(super) fn empty(path: &Path) -> Result<()> {
    let failed = || format!("failed to empty {}", path.display());
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if metadata.is_dir() {
        for entry in fs::read_dir(path).with_context(failed)? {
            empty(&entry.with_context(failed)?.path())?;
        }
    } else if metadata.is_file() && metadata.len() > 0 {
        File::create(path).with_context(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emptied_files_stay_and_links_are_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let inside = scratch.path().join("inside");
        fs::create_dir_all(inside.join("deep")).unwrap();
        fs::write(inside.join("deep/file"), "bytes").unwrap();
        fs::write(scratch.path().join("outside"), "bytes").unwrap();
        std::os::unix::fs::symlink("../outside", inside.join("link")).unwrap();
        empty(&inside).unwrap();
        assert_eq!(fs::read(inside.join("deep/file")).unwrap(), b"");
        assert_eq!(fs::read(scratch.path().join("outside")).unwrap(), b"bytes");
        empty(&scratch.path().join("nothing")).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_made() {
        let scratch = tempfile::tempdir().unwrap();
        check_space(scratch.path(), 1, 14).unwrap();
        let refused = check_space(scratch.path(), 1 << 50, 14).unwrap_err().to_string();
        assert!(refused.contains("use --dir"), "{refused}");
    }
}
