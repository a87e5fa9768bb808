//! Reading a disk image.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Clock, Entry, EntryKind, RelPath};
use rustix::fs::{Advice, CWD, FileType, OFlags, SeekFrom, fadvise, seek, stat};

use crate::context::Context;
use crate::open::open_to_read;
use crate::piece::{Cut, IMAGE_BLOCK_BYTES, Pieces};
use crate::stat::stat_open;

/// A disk image, open to be read.
#[derive(Debug)]
pub struct ImageSource {
    file: File,
    path: PathBuf,
    clock: Arc<dyn Clock>,
}

impl ImageSource {
    /// Opens a regular file or block device; a symbolic link to one will do.
    ///
    /// # Errors
    /// Of kind `InvalidInput` when it is neither.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let action = || format!("open image {}", path.display());
        // Looked at before it is opened, as opening alone makes some devices act.
        let before = stat(path).context(action)?;
        check_type(FileType::from_raw_mode(before.st_mode)).context(action)?;
        let file = File::from(open_to_read(CWD, path, OFlags::empty()).context(action)?);
        let now = stat_open(&file, &*clock).context(action)?;
        check_type(now.file_type()).context(action)?;
        Ok(Self { file, path: path.to_owned(), clock })
    }

    /// Looks at the image: its path is the root, its kind a file as long as the image.
    ///
    /// A block device is never settled, as nothing in its times tells of writes.
    pub fn entry(&self) -> io::Result<Entry> {
        let action = || format!("look at image {}", self.path.display());
        let stat = stat_open(&self.file, &*self.clock).context(action)?;
        let is_file = stat.file_type() == FileType::RegularFile;
        let size = if is_file { stat.size() } else { seek(&self.file, SeekFrom::End(0)).context(action)? };
        let mut entry = stat.entry(RelPath::root(), EntryKind::File { size }, 0);
        entry.settled &= is_file;
        // Other names of the image are no part of the backup.
        entry.links = 1;
        Ok(entry)
    }

    /// The image, cut into blocks of [`IMAGE_BLOCK_BYTES`]; blocks of zeros come as holes.
    pub fn pieces(&self) -> io::Result<Pieces> {
        let action = || format!("read image {}", self.path.display());
        let size = self.entry()?.size();
        let file = self.file.try_clone().context(action)?;
        if stat_open(&file, &*self.clock).context(action)?.file_type() == FileType::BlockDevice {
            // What was read of a device before is still in memory, but a file system that is mounted from it writes past that.
            fadvise(&file, 0, None, Advice::DontNeed).context(action)?;
        }
        Ok(Pieces::new(file, size, Cut::Fixed(IMAGE_BLOCK_BYTES)))
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

fn check_type(file_type: FileType) -> io::Result<()> {
    match file_type {
        FileType::RegularFile | FileType::BlockDevice => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a regular file nor a block device")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SystemClock;

    #[test]
    fn what_is_no_image_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path(), Path::new("/dev/null")] {
            let error = ImageSource::open(path, Arc::new(SystemClock)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        }
    }
}
