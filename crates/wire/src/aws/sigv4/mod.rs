//! Signature Version 4: who a request claims to be from, and whether that caller signed it.
//!
//! [`identify()`] reads the claim, the caller looks up the secret that belongs to its access key, and
//! [`Claim::verify`] holds the one against the other. Nothing a claim says is true before `verify`.
//! Both the header form and the presigned form are read. Follows "Signature Version 4" in AWS's IAM User
//! Guide; the time window of five minutes is what the services' own messages show.

mod canonical;
mod identify;
#[cfg(test)]
mod sample;
mod time;
mod verify;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use identify::identify;
use model::Timestamp;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";

/// How far a client's clock may be off, either way.
pub const SKEW_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// Who a request claims to be from, and where it claims to go.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Names the secret that has to have made the signature.
    pub access_key: Cow<'a, str>,
    /// The date of the scope, `YYYYMMDD`.
    pub date: Cow<'a, str>,
    /// The region of the scope, which is the region that is called.
    pub region: Cow<'a, str>,
    /// The service of the scope.
    pub service: Cow<'a, str>,
    /// The token of a session; long-term keys have none.
    pub session_token: Option<Cow<'a, str>>,
    signed_headers: Cow<'a, str>,
    signature: Cow<'a, str>,
    time: Cow<'a, str>,
    lifetime: Lifetime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifetime {
    /// As long as the clocks may differ.
    Skew,
    /// A presigned request's own, in seconds.
    Expires(i64),
}

/// What a [`Claim`] is held against.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The secret that belongs to the claim's access key.
    pub secret: &'a str,
    /// The service that is addressed, e.g. `fsx`.
    pub service: &'a str,
    /// Whether the claim's region is served here.
    pub is_region_served: bool,
    /// The present instant.
    pub now: Timestamp,
    /// How far the client's clock may be off.
    pub skew: Duration,
}

impl Claim<'_> {
    fn scope(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }
}

/// Leaves out the signature and the token, which logs must not hold.
impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut claim = f.debug_struct("Claim");
        claim.field("access_key", &self.access_key).field("scope", &self.scope()).field("time", &self.time);
        claim.field("signed_headers", &self.signed_headers).finish_non_exhaustive()
    }
}

/// Leaves out the secret.
impl fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected").field("service", &self.service).field("now", &self.now).finish_non_exhaustive()
    }
}
