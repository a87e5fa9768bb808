//! What the errors of AWS's key service mean to the caller.

use std::fmt::Debug;

use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::super::KeyErrorKind;

/// What a failed call means, and why it failed in words.
pub(super) fn explain<E, R>(error: &SdkError<E, R>) -> (KeyErrorKind, String)
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: Debug,
{
    match error.code() {
        Some(code) => (kind(code), format!("{code}: {}", error.message().unwrap_or("it does not say why"))),
        None => (KeyErrorKind::Unavailable, DisplayErrorContext(error).to_string()),
    }
}

/// What an error of the service's means, by its code. The codes are those that <https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html> and
/// <https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html> list.
fn kind(code: &str) -> KeyErrorKind {
    match code {
        "NotFoundException" | "InvalidKeyUsageException" | "InvalidArnException" => KeyErrorKind::NotFound,
        // The second: its deletion is pending, or its material is not there.
        "DisabledException" | "KMSInvalidStateException" => KeyErrorKind::Disabled,
        "InvalidCiphertextException" | "IncorrectKeyException" => KeyErrorKind::Damaged,
        "AccessDeniedException"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "RequestExpired"
        | "UnrecognizedClientException" => KeyErrorKind::Denied,
        "ConflictException" | "UnsupportedOperationException" | "ValidationException" => KeyErrorKind::Unsupported,
        // Throttling, timeouts and its own faults, after as many tries as are made.
        _ => KeyErrorKind::Unavailable,
    }
}
