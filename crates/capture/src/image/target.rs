//! Writing a disk image back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use model::effect::effect;
use rustix::fs::{
    CWD, FallocateFlags, FileType, Mode, OFlags, SeekFrom, fallocate, fstat, fsync, ftruncate, openat, seek, stat,
};
use rustix::io::Errno;

use crate::Existing;
use crate::context::Context;

/// What file systems allocate: a smaller run of zeros saves nothing.
const PAGE_BYTES: usize = 4096;

const ZEROS_TOGETHER_BYTES: usize = 1024 * 1024;

/// An image file or block device that is being written.
#[derive(Debug)]
pub struct ImageTarget {
    file: File,
    path: PathBuf,
    size: u64,
    is_device: bool,
}

impl ImageTarget {
    /// Makes a file of `size` bytes, all hole; or opens a block device of at least that size.
    ///
    /// # Errors
    /// Of kind `AlreadyExists` when there is a file or device and it may not be replaced,
    /// `InvalidInput` when the device is too small or something else is there. A device in use by
    /// the machine, such as a mounted one, is `ResourceBusy`.
    pub fn open(path: &Path, size: u64, existing: Existing) -> io::Result<Self> {
        let action = || format!("restore image to {}", path.display());
        let there = match stat(path) {
            Ok(stat) => Some(FileType::from_raw_mode(stat.st_mode)),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error).context(action),
        };
        let is_device = there == Some(FileType::BlockDevice);
        let file = match there {
            Some(FileType::BlockDevice | FileType::RegularFile) if existing == Existing::Refuse => {
                let why = "it exists already: choose another name or --overwrite";
                Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
            }
            Some(FileType::BlockDevice) => open_device(path, size),
            Some(FileType::RegularFile) => open_file(path, size, OFlags::NONBLOCK),
            None => open_file(path, size, OFlags::CREATE | OFlags::EXCL),
            Some(_) => Err(invalid("it is neither a regular file nor a block device".to_owned())),
        };
        Ok(Self { file: file.context(action)?, path: path.to_owned(), size, is_device })
    }

    /// Writes `bytes` at `offset`. In a file, pages of zeros are left as the holes they are.
    ///
    /// # Errors
    /// Of kind `InvalidInput` when that goes past the image's size.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_range(offset, bytes.len() as u64)?;
        if self.is_device {
            return self.write_all(offset, bytes);
        }
        let is_hole = |page: &&[u8]| page.iter().all(|byte| *byte == 0);
        let pages: Vec<&[u8]> = bytes.chunks(PAGE_BYTES).collect();
        let mut at = 0;
        for run in pages.chunk_by(|a, b| is_hole(a) == is_hole(b)) {
            let len: usize = run.iter().map(|page| page.len()).sum();
            if !is_hole(&run[0]) {
                self.write_all(offset + at as u64, &bytes[at..at + len])?;
            }
            at += len;
        }
        Ok(())
    }

    fn write_all(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        effect("restore.write_image");
        let written = self.file.write_all_at(bytes, offset);
        effect("restore.write_image");
        written.context(|| self.action("write", offset))
    }

    /// Makes `len` bytes at `offset` zero, taking no room where that is possible.
    ///
    /// In a file they are zero already. On a device they are discarded if it promises zeros then,
    /// or else written.
    ///
    /// # Errors
    /// As for [`Self::write_at`].
    pub fn write_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_range(offset, len)?;
        if !self.is_device || len == 0 {
            return Ok(());
        }
        effect("restore.punch_image");
        let punched = fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len);
        effect("restore.punch_image");
        match punched {
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NODEV | Errno::NOSYS) => self.write_zeros(offset, len),
            other => other.context(|| self.action("punch a hole", offset)),
        }
    }

    /// Makes durable what was written so far.
    ///
    /// # Errors
    /// When the disk fails: none of it may be relied on then.
    pub fn sync(&self) -> io::Result<()> {
        fsync(&self.file).context(|| format!("make {} durable", self.path.display()))
    }

    /// Makes a new file's name durable, once all that was written is ([`Self::sync`]).
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync_name(&self) -> io::Result<()> {
        effect("restore.finish_image");
        if !self.is_device {
            sync_directory_of(&self.path)?;
        }
        effect("restore.finish_image");
        Ok(())
    }

    fn write_zeros(&self, mut offset: u64, mut len: u64) -> io::Result<()> {
        let zeros = vec![0; ZEROS_TOGETHER_BYTES];
        while len > 0 {
            let now = usize::try_from(len).unwrap_or(usize::MAX).min(zeros.len());
            self.write_all(offset, &zeros[..now])?;
            offset += now as u64;
            len -= now as u64;
        }
        Ok(())
    }

    /// A device goes on behind the image, and what is there is not ours.
    fn check_range(&self, offset: u64, len: u64) -> io::Result<()> {
        if offset.checked_add(len).is_some_and(|end| end <= self.size) {
            return Ok(());
        }
        let why = format!("{len} bytes more go past the image's {} bytes", self.size);
        Err(invalid(why)).context(|| self.action("write", offset))
    }

    fn action(&self, what: &str, offset: u64) -> String {
        format!("{what} at byte {offset} of {}", self.path.display())
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn open_file(path: &Path, size: u64, how: OFlags) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY | how;
    effect("restore.create_image");
    let file = File::from(openat(CWD, path, flags, Mode::RUSR | Mode::WUSR)?);
    if !file.metadata()?.is_file() {
        return Err(invalid("it is not a regular file any more".to_owned()));
    }
    // First to nothing, so that what the file held before shows through no hole.
    ftruncate(&file, 0)?;
    ftruncate(&file, size)?;
    effect("restore.create_image");
    Ok(file)
}

fn open_device(path: &Path, size: u64) -> io::Result<File> {
    // On a block device, exclusive means: fail if the machine uses it, e.g. has it mounted.
    let flags = OFlags::WRONLY | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(openat(CWD, path, flags, Mode::empty())?);
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::BlockDevice {
        return Err(invalid("it is not a block device any more".to_owned()));
    }
    let room = seek(&file, SeekFrom::End(0))?;
    if room < size {
        return Err(invalid(format!("the device has {room} bytes and the image needs {size}")));
    }
    Ok(file)
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.context(|| format!("make the name of {} durable", path.display()))
}
