//! What the kernel tells of a file, as the fields of an [`Entry`].

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::time::Duration;

use model::{Clock, DeviceNumber, Entry, EntryKind, FileTime, Inode, RelPath, Timestamp};
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, statx};
use rustix::io::Errno;

/// How old a ctime must be before it tells every later write.
///
/// File systems stamp ctime with a clock that moves in ticks (1 to 10 ms, by the kernel's
/// configuration): a write in the same tick as our look leaves ctime as we saw it, so that the next
/// backup would take the file for unchanged. Five ticks of the slowest clock leave room for a file
/// server's clock.
const RACY_WINDOW_MILLIS: u32 = 50;

/// The same where times have no fractions: file systems that keep whole seconds (ext4 with small inodes), or every other one
/// (vfat).
const RACY_WINDOW_OF_SECONDS_MILLIS: u32 = 2_100;

/// A device that holds a file system, by number.
pub(crate) type Device = (u32, u32);

/// One look at a file.
#[derive(Clone, Debug)]
pub(crate) struct Stat {
    raw: Statx,
    settled: bool,
}

/// Looks at `name` in `dir`; at a symbolic link itself, not at its target.
pub(crate) fn stat_at(dir: impl AsFd, name: &CStr, clock: &dyn Clock) -> Result<Stat, Errno> {
    look(dir, name, AtFlags::SYMLINK_NOFOLLOW, clock)
}

/// Looks at an open file.
pub(crate) fn stat_open(file: impl AsFd, clock: &dyn Clock) -> Result<Stat, Errno> {
    look(file, c"", AtFlags::EMPTY_PATH, clock)
}

fn look(dir: impl AsFd, name: &CStr, flags: AtFlags, clock: &dyn Clock) -> Result<Stat, Errno> {
    // The clock is read first: a look that takes long must not make a ctime seem older than it was.
    let now = clock.now();
    let raw = statx(dir, name, flags | AtFlags::NO_AUTOMOUNT, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
    Ok(Stat { settled: is_settled(file_time(raw.stx_ctime), now), raw })
}

/// Whether any write from `now` on must give the file another ctime.
fn is_settled(ctime: FileTime, now: Timestamp) -> bool {
    age_millis(ctime, now) > i64::from(racy_window_millis(ctime))
}

/// Whether a ctime that is not settled will be soon: it is not one of a clock that has been set back.
pub(crate) fn is_recent(ctime: FileTime, now: Timestamp) -> bool {
    age_millis(ctime, now).unsigned_abs() <= u64::from(racy_window_millis(ctime))
}

/// How long a ctime takes to settle.
pub(crate) fn racy_window(ctime: FileTime) -> Duration {
    Duration::from_millis(racy_window_millis(ctime).into())
}

fn racy_window_millis(ctime: FileTime) -> u32 {
    if ctime.nanos == 0 { RACY_WINDOW_OF_SECONDS_MILLIS } else { RACY_WINDOW_MILLIS }
}

fn age_millis(ctime: FileTime, now: Timestamp) -> i64 {
    let ctime_millis = ctime.seconds.saturating_mul(1000).saturating_add(i64::from(ctime.nanos / 1_000_000));
    now.0.saturating_sub(ctime_millis)
}

fn file_time(time: StatxTimestamp) -> FileTime {
    FileTime { seconds: time.tv_sec, nanos: time.tv_nsec }
}

impl Stat {
    pub(crate) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(u32::from(self.raw.stx_mode))
    }

    pub(crate) fn device(&self) -> Device {
        (self.raw.stx_dev_major, self.raw.stx_dev_minor)
    }

    pub(crate) fn inode(&self) -> u64 {
        self.raw.stx_ino
    }

    pub(crate) fn owner(&self) -> (u32, u32) {
        (self.raw.stx_uid, self.raw.stx_gid)
    }

    /// Permission bits with setuid, setgid and sticky.
    pub(crate) fn mode(&self) -> u32 {
        u32::from(self.raw.stx_mode) & 0o7777
    }

    pub(crate) fn size(&self) -> u64 {
        self.raw.stx_size
    }

    /// How much room the file takes on its file system.
    pub(crate) fn allocated_bytes(&self) -> u64 {
        self.raw.stx_blocks.saturating_mul(512)
    }

    /// Whether both were looked at on the same mount; by device where the kernel does not number mounts.
    pub(crate) fn is_on_mount_of(&self, other: &Self) -> bool {
        let known = |stat: &Self| stat.raw.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        if known(self) && known(other) {
            self.raw.stx_mnt_id == other.raw.stx_mnt_id
        } else {
            self.device() == other.device()
        }
    }

    pub(crate) fn is_same_inode(&self, other: &Self) -> bool {
        self.device() == other.device() && self.raw.stx_ino == other.raw.stx_ino
    }

    /// What the file is; `read_link` is called for a symbolic link.
    pub(crate) fn kind(&self, read_link: impl FnOnce() -> Result<Vec<u8>, Errno>) -> Result<EntryKind, Errno> {
        let device = DeviceNumber { major: self.raw.stx_rdev_major, minor: self.raw.stx_rdev_minor };
        Ok(match self.file_type() {
            FileType::RegularFile => EntryKind::File { size: self.size() },
            FileType::Directory => EntryKind::Directory,
            FileType::Symlink => EntryKind::Symlink { target: read_link()? },
            FileType::Fifo => EntryKind::Fifo,
            FileType::Socket => EntryKind::Socket,
            FileType::CharacterDevice => EntryKind::CharDevice(device),
            FileType::BlockDevice => EntryKind::BlockDevice(device),
            FileType::Unknown => return Err(Errno::OPNOTSUPP),
        })
    }

    /// All that is known of the file, without extended attributes.
    pub(crate) fn entry(&self, path: RelPath, kind: EntryKind, file_system: u32) -> Entry {
        Entry {
            path,
            kind,
            mode: self.mode(),
            uid: self.raw.stx_uid,
            gid: self.raw.stx_gid,
            mtime: file_time(self.raw.stx_mtime),
            ctime: file_time(self.raw.stx_ctime),
            inode: Inode { file_system, number: self.raw.stx_ino },
            links: self.raw.stx_nlink,
            settled: self.settled,
            xattrs: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recent_or_future_ctime_is_not_settled() {
        let now = Timestamp(1_000_000);
        let at = |millis: i64| FileTime { seconds: millis / 1000, nanos: (millis % 1000) as u32 * 1_000_000 };
        assert!(is_settled(at(999_949), now));
        assert!(!is_settled(at(999_950), now));
        assert!(!is_settled(at(1_000_001), now));
        assert!(!is_settled(FileTime { seconds: i64::MAX, nanos: 999_999_999 }, now));
        assert!(is_settled(FileTime { seconds: i64::MIN, nanos: 0 }, now));
        // Where whole seconds are kept, a write a second later may look the same; of FAT, two seconds.
        assert!(!is_settled(at(998_000), now) && is_recent(at(998_000), now));
        assert!(is_settled(at(997_000), now) && !is_recent(at(997_000), now));
    }
}
