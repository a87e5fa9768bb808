//! Errors that say what was being done, to which path.

use std::io;

/// Puts the failed action before the words of an error, whose kind stays.
pub(crate) trait Context<T> {
    fn context(self, action: impl FnOnce() -> String) -> io::Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, action: impl FnOnce() -> String) -> io::Result<T> {
        self.map_err(|error| {
            let cause = error.into();
            io::Error::new(cause.kind(), FailedAction { action: action(), cause })
        })
    }
}

// The cause is shown, so it is not also given as the source: whoever prints the chain of an
// `io::Error` would print it twice.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {cause}")]
struct FailedAction {
    action: String,
    cause: io::Error,
}

/// The operating system's number for `error`, also where this crate has put words around it.
pub fn os_error_code(error: &io::Error) -> Option<i32> {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<FailedAction>());
    error.raw_os_error().or_else(|| os_error_code(&inner?.cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_the_kind_and_the_number() {
        let denied: Result<(), _> = Err(rustix::io::Errno::ACCESS);
        let error = denied.context(|| "open directory a/b".to_owned()).unwrap_err();
        assert_eq!(error.to_string(), "open directory a/b: Permission denied (os error 13)");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(os_error_code(&error), Some(13));
    }
}
