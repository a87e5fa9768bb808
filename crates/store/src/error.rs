//! What can go wrong with one object of a region's store, sorted by what the caller can do about it.

use model::Region;

/// A failed call on one region's object store.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {key} in {region}: {kind}")]
pub struct StoreError {
    /// What the caller can do about it.
    pub kind: StoreErrorKind,
    /// What was being done, as a verb phrase: `"write pack"`.
    pub action: &'static str,
    /// The object.
    pub key: String,
    /// Whose store.
    pub region: Region,
    /// The cause, where there is one below this layer.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What the caller can do about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreErrorKind {
    /// Nothing is stored under the key.
    #[error("it is missing")]
    NotFound,
    /// The store refused these credentials or lacks a permission; retrying cannot help.
    #[error("access was denied; check the store's permissions")]
    Denied,
    /// The store has no room left, or takes no writes.
    #[error("the store takes no more data; free space or make it writable, then run the same command again")]
    Full,
    /// The store did not answer in time, or lacks its format file; the same call may succeed later.
    #[error("the store is not available; check that it is mounted or reachable, then run the same command again")]
    Unavailable,
    /// The store belongs to another catalog: publish and remove nothing, and let a person look.
    #[error("the store belongs to another catalog of the region")]
    Disowned,
    /// The service lacks something that a store relies on; another one is needed.
    #[error("the service is not fit for a store; choose another")]
    Unfit,
    /// The bytes do not match their name; a person needs to look.
    #[error("its bytes are damaged")]
    Corrupt,
}

/// What the library says of lists and deletions that were refused, for which it has no kind of error.
const DENIED: [&str; 4] = ["403 Forbidden", "401 Unauthorized", "AccessDenied", "(code: 403)"];

/// What services say of a signature that was right when the request was made, and has waited too long since to be sent, or
/// to be sent again. It will be signed anew.
const TOO_LATE: [&str; 3] = ["RequestTimeTooSkewed", "RequestExpired", "Request date header too old"];

impl StoreErrorKind {
    /// Sorts an error of the library below.
    pub(crate) fn of(error: &object_store::Error) -> Self {
        use object_store::Error as E;
        let says = |words: &[&str]| {
            let text = error.to_string();
            words.iter().any(|said| text.contains(said))
        };
        match error {
            E::NotFound { .. } => Self::NotFound,
            E::PermissionDenied { .. } | E::Unauthenticated { .. } | E::Generic { .. } if says(&TOO_LATE) => {
                Self::Unavailable
            }
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => Self::Denied,
            E::Generic { .. } if says(&DENIED) => Self::Denied,
            other => Self::of_chain(other),
        }
    }

    fn of_chain(error: &(dyn std::error::Error + 'static)) -> Self {
        use std::io::ErrorKind as K;
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                return match io.kind() {
                    K::StorageFull | K::QuotaExceeded | K::ReadOnlyFilesystem => Self::Full,
                    K::PermissionDenied => Self::Denied,
                    K::NotFound => Self::NotFound,
                    _ => Self::Unavailable,
                };
            }
            cause = error.source();
        }
        Self::Unavailable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_that_has_waited_too_long_is_no_refusal() {
        let refused = |said: &str| {
            let source =
                format!("Server returned non-2xx status code: 403 Forbidden: <Error><Code>{said}</Code></Error>");
            object_store::Error::PermissionDenied { path: "a".to_owned(), source: source.into() }
        };
        assert_eq!(StoreErrorKind::of(&refused("RequestTimeTooSkewed")), StoreErrorKind::Unavailable);
        assert_eq!(StoreErrorKind::of(&refused("InvalidAccessKeyId")), StoreErrorKind::Denied);
    }
}
