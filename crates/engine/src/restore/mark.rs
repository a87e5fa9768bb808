//! The mark of a restore that has begun and not ended: an extended attribute on its target.
//!
//! Whoever runs an interrupted restore again should not have to say --overwrite, and nobody's own
//! files may be overwritten without it. Where a file system has no extended attributes there is no mark,
//! and an interrupted restore needs --overwrite to go on.

use std::path::Path;

use capture::Existing;

use super::RestoreRequest;

const MARK: &str = "user.offsite.restoring";

/// Of a restore over what was there before.
const OVER: &str = " over";

/// What a restore of the same backup that has begun in the target, and not ended, lets the next run do with what is there.
pub(super) fn begun(request: &RestoreRequest) -> Option<Existing> {
    let mut value = [0; 256];
    let len = rustix::fs::getxattr(&request.target, MARK, &mut value[..]).ok()?;
    match value[..len].strip_prefix(request.backup.as_str().as_bytes())? {
        b"" => Some(Existing::Resume),
        over if over == OVER.as_bytes() => Some(Existing::Replace),
        _ => None,
    }
}

/// What may be done with what is in the target already.
pub(super) fn existing(request: &RestoreRequest) -> Existing {
    let asked = if request.overwrite { Existing::Replace } else { Existing::Refuse };
    begun(request).unwrap_or(asked)
}

pub(super) fn set(request: &RestoreRequest, existing: Existing) {
    let over = if existing == Existing::Replace { OVER } else { "" };
    let value = format!("{}{over}", request.backup);
    let _unsupported = rustix::fs::setxattr(&request.target, MARK, value.as_bytes(), rustix::fs::XattrFlags::empty());
}

pub(super) fn remove(target: &Path) {
    let _unsupported = rustix::fs::removexattr(target, MARK);
}
