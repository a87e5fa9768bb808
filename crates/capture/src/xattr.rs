//! Reading extended attributes.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{fgetxattr, flistxattr, lgetxattr, llistxattr};
use rustix::io::Errno;

/// The largest list of names and the largest value that Linux hands out (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const XATTR_BYTES_MAX: usize = 64 * 1024;

/// Enough for nearly every list and value, so that one call does.
const XATTR_BYTES_USUAL: usize = 1024;

/// Belongs to the machine's policy, not to the file: a restore elsewhere labels by its own policy.
const SKIPPED: &[u8] = b"security.selinux";

/// Extended attributes: names and values.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// The name under which the kernel shows what `file` has open. Following it needs no path.
pub(crate) fn magic_path(file: impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

/// Reads the extended attributes of `name` in `dir`, sorted by name; of a symbolic link its own.
///
/// A file system that has none gives none, and one that is removed meanwhile is left out.
pub(crate) fn read_xattrs(dir: impl AsFd, name: &CStr) -> Result<Xattrs, Errno> {
    let mut path = magic_path(dir).into_bytes();
    path.push(b'/');
    path.extend_from_slice(name.to_bytes());
    let names = names_from(|buffer| llistxattr(&path, buffer))?;
    with_values(names, |name, buffer| lgetxattr(&path, name, buffer))
}

/// Reads the extended attributes of an open file, as [`read_xattrs`] does.
pub(crate) fn read_open_xattrs(file: impl AsFd) -> Result<Xattrs, Errno> {
    let names = names_from(|buffer| flistxattr(&file, buffer))?;
    with_values(names, |name, buffer| fgetxattr(&file, name, buffer))
}

fn with_values(names: Vec<CString>, get: impl Fn(&CStr, &mut [u8]) -> Result<usize, Errno>) -> Result<Xattrs, Errno> {
    let mut xattrs = Vec::with_capacity(names.len());
    for name in names {
        match read_grown(|buffer| get(&name, buffer)) {
            Ok(value) => xattrs.push((name.into_bytes(), value)),
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error),
        }
    }
    xattrs.sort_unstable();
    Ok(xattrs)
}

/// The names that `list` lists, but for those that belong to the machine.
pub(crate) fn names_from(list: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<CString>, Errno> {
    let listed = match read_grown(list) {
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        listed => listed?,
    };
    let names = listed.split(|b| *b == 0).filter(|name| !name.is_empty() && *name != SKIPPED);
    Ok(names.map(|name| CString::new(name).expect("names were split at NUL bytes")).collect())
}

/// Calls `read` with a small buffer, then with one that is never too small.
fn read_grown(mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut usual = [0; XATTR_BYTES_USUAL];
    match read(&mut usual) {
        Ok(len) => Ok(usual[..len].to_vec()),
        Err(Errno::RANGE) => {
            let mut largest = vec![0; XATTR_BYTES_MAX];
            let len = read(&mut largest)?;
            largest.truncate(len);
            Ok(largest)
        }
        Err(error) => Err(error),
    }
}
