//! The mark of a restore that has begun and not ended: an extended attribute on its target.
//!
//! Whoever runs an interrupted restore again should not have to say --overwrite, and nobody's own
//! files may be overwritten without it. Where a file system has no extended attributes there is no mark,
//! and an interrupted restore needs --overwrite to go on.

use std::path::Path;

use capture::Existing;

use super::RestoreRequest;

const MARK: &str = "user.offsite.restoring";

/// Whether a restore of the same backup has begun in the target, and not ended.
pub(super) fn has_begun(request: &RestoreRequest) -> bool {
    let mut value = [0; 256];
    let marked = rustix::fs::getxattr(&request.target, MARK, &mut value[..]);
    marked.is_ok_and(|len| value[..len] == *request.backup.as_str().as_bytes())
}

/// What may be done with what is in the target already.
pub(super) fn existing(request: &RestoreRequest) -> Existing {
    if request.overwrite || has_begun(request) { Existing::Replace } else { Existing::Refuse }
}

pub(super) fn set(request: &RestoreRequest) {
    let value = request.backup.as_str().as_bytes();
    let _unsupported = rustix::fs::setxattr(&request.target, MARK, value, rustix::fs::XattrFlags::empty());
}

pub(super) fn remove(target: &Path) {
    let _unsupported = rustix::fs::removexattr(target, MARK);
}
