//! Common parameters: those that every operation takes, as headers or among the other parameters.

use model::Timestamp;

use super::form::Carrier;
use super::{CommonCode, TencentError};
use crate::http::RawRequest;

/// How far a request's time may be from the server's: five minutes.
const CLOCK_WINDOW_MILLISECONDS: u64 = 5 * 60 * 1000;

/// The parameters that every operation takes. In TC3 requests they are headers `x-tc-<name>`.
pub(super) const COMMON_PARAMETERS: [&str; 11] = [
    "Action",
    "Language",
    "Nonce",
    "Region",
    "RequestClient",
    "SecretId",
    "Signature",
    "SignatureMethod",
    "Timestamp",
    "Token",
    "Version",
];

/// The common parameters as they were sent: as headers, as parameters, or both.
pub(super) struct Sent<'a, 'r> {
    pub(super) request: &'r RawRequest<'a>,
    pub(super) pairs: &'r [(String, String)],
    /// Whether headers are looked at.
    pub(super) headers_count: bool,
}

impl Sent<'_, '_> {
    /// The value of a common parameter. A header wins over a parameter; an empty value counts as none.
    pub(super) fn find(&self, name: &str) -> Option<String> {
        let header = || self.request.header(&format!("x-tc-{}", name.to_ascii_lowercase())).map(str::trim);
        let pair = || self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = if self.headers_count { header().or_else(pair) } else { pair() };
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    }

    pub(super) fn load(&self, name: &str) -> Result<String, TencentError> {
        self.find(name).ok_or_else(|| missing(name))
    }
}

/// Whether a request is of the newer kind, which has its common parameters in headers.
pub(super) fn uses_headers(request: &RawRequest<'_>, carrier: Carrier) -> bool {
    let has = |name| request.header_values(name).next().is_some();
    carrier == Carrier::Json || has("authorization") || has("x-tc-action")
}

/// Reads a timestamp in whole seconds and holds it against the server's time.
pub(super) fn check_clock(timestamp: &str, now: Timestamp) -> Result<Timestamp, TencentError> {
    let digits = timestamp.bytes().all(|b| b.is_ascii_digit());
    let seconds = timestamp.parse::<i64>().ok().filter(|_| digits);
    let seconds = seconds.ok_or_else(|| {
        TencentError::new(CommonCode::InvalidParameter, "The timestamp must be a whole number of seconds.")
    })?;
    let milliseconds = seconds.checked_mul(1000);
    match milliseconds {
        Some(time) if now.0.abs_diff(time) <= CLOCK_WINDOW_MILLISECONDS => Ok(Timestamp(time)),
        _ => Err(CommonCode::AuthFailureSignatureExpire.into()),
    }
}

/// `MissingParameter` for a common parameter.
pub(super) fn missing(name: &str) -> TencentError {
    TencentError::new(CommonCode::MissingParameter, format!("The parameter {name} is missing."))
}
