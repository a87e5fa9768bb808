//! Signature Version 4: who a request claims to be from, and whether that caller signed it.
//!
//! [`identify`] reads the claim, the caller looks up the secret that belongs to its access key, and
//! [`Claim::verify`] holds the one against the other. Nothing a claim says is true before `verify`.
//! Both the header form and the presigned form are read. Follows "Signature Version 4" in AWS's IAM User
//! Guide; the time window of five minutes is what the services' own messages show.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use aws_lc_rs::{constant_time, digest, hmac};
use model::Timestamp;

use super::canonical::{canonical_request, parameters};
use super::error::{CommonCode, CommonError};
use crate::http::RawRequest;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";
const EXPIRES_SECONDS_MAX: i64 = 604_800;

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

/// Reads who a request claims to be from.
///
/// # Errors
/// `MissingAuthenticationTokenException` when it is not signed at all; `IncompleteSignatureException` when a part
/// is missing or malformed. The time is only read by [`Claim::verify`].
pub fn identify<'a>(request: &RawRequest<'a>) -> Result<Claim<'a>, CommonError> {
    let mut authorizations = request.header_values("authorization");
    match (authorizations.next(), authorizations.next()) {
        (Some(header), None) => identify_header(request, header),
        (Some(_), Some(_)) => Err(incomplete("There is more than one Authorization header.")),
        (None, _) => identify_query(request),
    }
}

fn identify_header<'a>(request: &RawRequest<'a>, header: &'a [u8]) -> Result<Claim<'a>, CommonError> {
    let header = std::str::from_utf8(header).map_err(|_| incomplete("The Authorization header is not text."))?;
    let fields = header.trim().strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
    let fields = fields.ok_or_else(|| unsupported_algorithm("Authorization header"))?;
    let field = |name: &str| {
        let mut values = fields.split(',').filter_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        let value = values.next().filter(|value| !value.is_empty()).map(Cow::Borrowed);
        value.ok_or_else(|| incomplete(format!("Authorization header requires '{name}' parameter.")))
    };
    let (credential, signed_headers, signature) = (field("Credential")?, field("SignedHeaders")?, field("Signature")?);
    let time = request.header("x-amz-date").or_else(|| request.header("date"));
    let time = time.ok_or_else(|| {
        incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    })?;
    let [access_key, date, region, service] = scope(&credential)?;
    Ok(Claim {
        access_key,
        date,
        region,
        service,
        session_token: session_token(request.header("x-amz-security-token").map(Cow::Borrowed)),
        signed_headers,
        signature,
        time: Cow::Borrowed(time.trim()),
        lifetime: Lifetime::Skew,
    })
}

fn identify_query<'a>(request: &RawRequest<'a>) -> Result<Claim<'a>, CommonError> {
    let find = |name: &str| find_parameter(request.query, name);
    let signature = find("X-Amz-Signature").ok_or(CommonCode::MissingAuthenticationToken)?;
    let load = |name: &str| {
        let value = find(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| incomplete(format!("AWS query-string parameters must include '{name}'.")))
    };
    if load("X-Amz-Algorithm")? != ALGORITHM {
        return Err(unsupported_algorithm("X-Amz-Algorithm"));
    }
    let [access_key, date, region, service] = scope(&load("X-Amz-Credential")?)?;
    Ok(Claim {
        access_key,
        date,
        region,
        service,
        session_token: session_token(find("X-Amz-Security-Token")),
        signed_headers: load("X-Amz-SignedHeaders")?,
        signature,
        time: load("X-Amz-Date")?,
        lifetime: Lifetime::Expires(expires(&load("X-Amz-Expires")?)?),
    })
}

fn find_parameter<'a>(query: &'a str, wanted: &str) -> Option<Cow<'a, str>> {
    let (_, value) = parameters(query).find(|(name, _)| name.as_ref() == wanted.as_bytes())?;
    match value {
        Cow::Borrowed(value) => std::str::from_utf8(value).ok().map(Cow::Borrowed),
        Cow::Owned(value) => String::from_utf8(value).ok().map(Cow::Owned),
    }
}

/// An empty token is no token.
fn session_token(token: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    token.filter(|token| !token.is_empty())
}

fn expires(text: &str) -> Result<i64, CommonError> {
    let seconds = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let seconds = seconds.filter(|seconds| (1..=EXPIRES_SECONDS_MAX).contains(seconds));
    seconds.ok_or_else(|| incomplete(format!("X-Amz-Expires must be between 1 and {EXPIRES_SECONDS_MAX} seconds.")))
}

/// Access key, date, region and service of `<access key>/<date>/<region>/<service>/aws4_request`.
fn scope<'a>(credential: &Cow<'a, str>) -> Result<[Cow<'a, str>; 4], CommonError> {
    let parts: Vec<Cow<'a, str>> = match credential {
        Cow::Borrowed(text) => text.split('/').map(Cow::Borrowed).collect(),
        Cow::Owned(text) => text.split('/').map(|part| Cow::Owned(part.to_owned())).collect(),
    };
    let has_empty = parts.iter().any(|part| part.is_empty());
    match <[Cow<'a, str>; 5]>::try_from(parts) {
        Ok([access_key, date, region, service, terminator]) if terminator == TERMINATOR && !has_empty => {
            Ok([access_key, date, region, service])
        }
        _ => Err(incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/{TERMINATOR}."
        ))),
    }
}

impl Claim<'_> {
    /// Holds the claim against the secret of its access key, and against where and when it arrived.
    ///
    /// The session token is not looked at: whether the access key needs one is the caller's to know.
    ///
    /// # Errors
    /// `InvalidSignatureException`, with a message for the first of: service, region, date, clock, signed headers,
    /// and last the signature itself.
    pub fn verify(&self, request: &RawRequest<'_>, expected: &Expected<'_>) -> Result<(), CommonError> {
        if self.service != expected.service {
            return Err(invalid(format!("Credential should be scoped to correct service: '{}'.", expected.service)));
        }
        if !expected.is_region_served {
            return Err(invalid("Credential should be scoped to a valid region."));
        }
        let time = SignedTime::read(&self.time).ok_or_else(|| invalid("The date of the request could not be read."))?;
        if self.date != time.text[..8] {
            return Err(invalid(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}'.",
                self.date,
                &time.text[..8]
            )));
        }
        self.check_clock(&time, expected)?;
        self.check_signed_headers(request)?;
        if self.is_signed(request, &time, expected.secret) { Ok(()) } else { Err(CommonCode::InvalidSignature.into()) }
    }

    fn check_clock(&self, time: &SignedTime, expected: &Expected<'_>) -> Result<(), CommonError> {
        let skew = i64::try_from(expected.skew.as_secs()).unwrap_or(i64::MAX);
        let lifetime = match self.lifetime {
            Lifetime::Skew => skew,
            Lifetime::Expires(seconds) => seconds,
        };
        let now = expected.now.0.div_euclid(1000);
        let (earliest, latest) = (now.saturating_sub(lifetime), now.saturating_add(skew));
        let (sent, server) = (&time.text, shown_time(now));
        if time.seconds < earliest {
            let (limit, window) = (shown_time(earliest), shown_window(lifetime));
            return Err(invalid(format!(
                "Signature expired: {sent} is now earlier than {limit} ({server} - {window}.)"
            )));
        }
        if time.seconds > latest {
            let (limit, window) = (shown_time(latest), shown_window(skew));
            let text = format!("Signature not yet current: {sent} is still later than {limit} ({server} + {window}.)");
            return Err(invalid(text));
        }
        Ok(())
    }

    /// The host has to be signed, and so has every header that could change what the request means.
    fn check_signed_headers(&self, request: &RawRequest<'_>) -> Result<(), CommonError> {
        let is_signed = |name: &str| self.signed_headers.split(';').any(|signed| signed == name);
        if !is_signed("host") && !is_signed(":authority") {
            return Err(invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."));
        }
        let unsigned = request.headers.iter().find(|(name, _)| name.starts_with("x-amz-") && !is_signed(name));
        if let Some((name, _)) = unsigned {
            return Err(invalid(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")));
        }
        Ok(())
    }

    fn is_signed(&self, request: &RawRequest<'_>, time: &SignedTime, secret: &str) -> bool {
        let payload_hash = sha256_hex(request.body);
        // The hash that a client names is what it has signed. `UNSIGNED-PAYLOAD` is no hash of any body.
        if request.header_values("x-amz-content-sha256").any(|named| named != payload_hash.as_bytes()) {
            return false;
        }
        let Some(canonical) = canonical_request(request, &self.signed_headers, &payload_hash) else { return false };
        let (scope, hash) = (self.scope(), sha256_hex(&canonical));
        let string_to_sign = format!("{ALGORITHM}\n{}\n{scope}\n{hash}", time.text);
        let signature = hex::encode(hmac::sign(&self.signing_key(secret), string_to_sign.as_bytes()));
        constant_time::verify_slices_are_equal(signature.as_bytes(), self.signature.as_bytes()).is_ok()
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }

    fn signing_key(&self, secret: &str) -> hmac::Key {
        let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
        [&self.date, &self.region, &self.service, TERMINATOR]
            .iter()
            .fold(first, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
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

/// The time a request was signed at: as it stands in the string to sign, and in seconds since 1970.
struct SignedTime {
    text: String,
    seconds: i64,
}

impl SignedTime {
    /// Reads `YYYYMMDDThhmmssZ`, and what a `Date` header may hold besides: `Thu, 15 Jan 2026 12:00:00 GMT`.
    fn read(text: &str) -> Option<Self> {
        let time = read_basic(text).or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp()))?;
        Some(Self { text: time.strftime(TIME_FORMAT).to_string(), seconds: time.as_second() })
    }
}

fn read_basic(text: &str) -> Option<jiff::Timestamp> {
    let fits = text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    let time = jiff::civil::DateTime::strptime(TIME_FORMAT, text).ok().filter(|_| fits)?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

fn shown_time(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.strftime(TIME_FORMAT).to_string(),
        Err(_) => seconds.to_string(),
    }
}

fn shown_window(seconds: i64) -> String {
    if seconds % 60 == 0 { format!("{} min", seconds / 60) } else { format!("{seconds} sec") }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn incomplete(message: impl Into<String>) -> CommonError {
    CommonError::new(CommonCode::IncompleteSignature, message)
}

fn unsupported_algorithm(place: &str) -> CommonError {
    incomplete(format!("Unsupported AWS 'algorithm' in {place}; {ALGORITHM} is required."))
}

fn invalid(message: impl Into<String>) -> CommonError {
    CommonError::new(CommonCode::InvalidSignature, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// 2026-01-15T12:00:00Z.
    const NOON: Timestamp = Timestamp(1_768_478_400_000);
    const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your \
        AWS Secret Access Key and signing method. Consult the service documentation for details.";
    const V1_BODY: &str = r#"{"SourceBackupId": "backup-0abc123456789cba7", "SourceRegion": "us-east-2", "ClientRequestToken": "a803813d-de49-4f5c-97a8-25f1375a8813"}"#;
    const V1_SIGNATURE: &str = "f62c9b43c9cb85eb3f750dae1145058de574542a6c1244f52d0c57263883f2ba";
    const V2_SIGNATURE: &str = "6108e3591783e327160482368c3112b76d6829f9eed1d4a25d3d2b6ed6595862";
    const V3_SIGNATURE: &str = "a7fb28ecdddd32d2e65944df51c3adce26133522b20c04477e7a2223b6f4aed7";

    /// A request that tests may change, and what it is held against.
    #[derive(Clone)]
    struct Sample {
        method: &'static str,
        query: String,
        headers: Vec<(String, Vec<u8>)>,
        body: Vec<u8>,
        service: &'static str,
        is_region_served: bool,
        now: Timestamp,
    }

    impl Sample {
        fn new(service: &'static str, body: &str) -> Self {
            let (method, query, headers, body) = ("POST", String::new(), Vec::new(), body.into());
            Self { method, query, headers, body, service, is_region_served: true, now: NOON }
        }

        fn with(mut self, name: &str, value: &str) -> Self {
            self = self.without(name);
            self.and(name, value)
        }

        fn and(mut self, name: &str, value: &str) -> Self {
            self.headers.push((name.to_owned(), value.into()));
            self
        }

        fn without(mut self, name: &str) -> Self {
            self.headers.retain(|(known, _)| known != name);
            self
        }

        fn at(mut self, seconds_from_noon: i64) -> Self {
            self.now = Timestamp(NOON.0 + seconds_from_noon * 1000);
            self
        }

        fn authorized(self, scope: &str, signed_headers: &str, signature: &str) -> Self {
            let value = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}/aws4_request, SignedHeaders={signed_headers}, \
                 Signature={signature}"
            );
            self.with("authorization", &value)
        }

        /// Changes the `Authorization` header.
        fn reworded(self, wanted: &str, instead: &str) -> Self {
            let old = self.request().header("authorization").unwrap().to_owned();
            assert!(old.contains(wanted), "{old}");
            self.with("authorization", &old.replace(wanted, instead))
        }

        /// Signs as a client would, over what the sample now holds.
        fn signed_again(self) -> Self {
            let claim = identify(&self.request()).unwrap();
            let hash = self.request().header("x-amz-content-sha256").map(str::to_owned);
            let hash = hash.unwrap_or_else(|| sha256_hex(&self.body));
            let canonical = canonical_request(&self.request(), &claim.signed_headers, &hash).unwrap();
            let time = SignedTime::read(&claim.time).map_or(claim.time.to_string(), |time| time.text);
            let text = format!("{ALGORITHM}\n{time}\n{}\n{}", claim.scope(), sha256_hex(&canonical));
            let signature = hex::encode(hmac::sign(&claim.signing_key(SECRET), text.as_bytes()));
            let old = claim.signature.to_string();
            if self.query.is_empty() { self.reworded(&old, &signature) } else { self.requery(&old, &signature) }
        }

        fn requery(mut self, wanted: &str, instead: &str) -> Self {
            assert!(self.query.contains(wanted), "{}", self.query);
            self.query = self.query.replace(wanted, instead);
            self
        }

        fn request(&self) -> RawRequest<'_> {
            RawRequest { method: self.method, path: "/", query: &self.query, headers: &self.headers, body: &self.body }
        }

        fn check(&self) -> Result<(), (&'static str, String)> {
            let (service, is_region_served, now) = (self.service, self.is_region_served, self.now);
            let expected = Expected { secret: SECRET, service, is_region_served, now, skew: SKEW_DEFAULT };
            let request = self.request();
            let checked = identify(&request).and_then(|claim| claim.verify(&request, &expected));
            checked.map_err(|error| (error.code.as_str(), error.message))
        }
    }

    fn v1() -> Sample {
        Sample::new("fsx", V1_BODY)
            .with("host", "fsx.us-west-1.amazonaws.com")
            .with("content-type", "application/x-amz-json-1.1")
            .with("x-amz-target", "AWSSimbaAPIService_v20180301.CopyBackup")
            .with("x-amz-date", "20260115T120000Z")
            .authorized("20260115/us-west-1/fsx", "content-type;host;x-amz-date;x-amz-target", V1_SIGNATURE)
    }

    fn v2() -> Sample {
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260115%2Fus-west-1%2Ffsx\
            %2Faws4_request&X-Amz-Date=20260115T120000Z&X-Amz-Expires=900\
            &X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-target&X-Amz-Signature=";
        let mut sample = v1().without("authorization").without("x-amz-date");
        sample.query = format!("{query}{V2_SIGNATURE}");
        sample
    }

    fn v3() -> Sample {
        let signed = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target";
        Sample::new("cloudhsm", r#"{"DestinationRegion": "us-west-2", "BackupId": "backup-ro5c4er4aac"}"#)
            .with("host", "cloudhsmv2.us-east-1.amazonaws.com")
            .with("content-type", "application/x-amz-json-1.1")
            .with("x-amz-target", "BaldrApiService.CopyBackupToRegion")
            .with("x-amz-date", "20260115T120000Z")
            .with("x-amz-security-token", "SESSIONTOKENEXAMPLE")
            .authorized("20260115/us-east-1/cloudhsm", signed, V3_SIGNATURE)
    }

    /// `get-vanilla` of the test suite that AWS publishes for Signature Version 4.
    fn get_vanilla(query: &str, headers: &[(&str, &str)], signed: &str, signature: &str) -> Sample {
        let mut sample = Sample::new("service", "").with("host", "example.amazonaws.com");
        (sample.method, sample.query, sample.now) = ("GET", query.to_owned(), Timestamp(1_440_938_160_000));
        for (name, value) in headers {
            sample = sample.and(name, value);
        }
        sample.and("x-amz-date", "20150830T123600Z").authorized("20150830/us-east-1/service", signed, signature)
    }

    #[test]
    fn the_published_vectors_verify() {
        for (name, sample) in [("V1", v1()), ("V2", v2()), ("V3", v3())] {
            assert_eq!(sample.check(), Ok(()), "{name}");
        }
    }

    #[test]
    fn the_vendors_test_suite_verifies() {
        let dated = "host;x-amz-date";
        let vanilla = get_vanilla("", &[], dated, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
        let ordered = get_vanilla(
            "Param2=value2&Param1=value1",
            &[],
            dated,
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        );
        let trimmed = get_vanilla(
            "",
            &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        );
        let doubled = get_vanilla(
            "",
            &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
            "host;my-header1;x-amz-date",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        );
        for (name, sample) in [("vanilla", vanilla), ("query", ordered), ("trim", trimmed), ("duplicate", doubled)] {
            assert_eq!(sample.check(), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_claim_says_who_calls_where() {
        let sample = v3();
        let claim = identify(&sample.request()).unwrap();
        assert_eq!((&*claim.access_key, &*claim.date), ("AKIDEXAMPLE", "20260115"));
        assert_eq!((&*claim.region, &*claim.service), ("us-east-1", "cloudhsm"));
        assert_eq!(claim.session_token.as_deref(), Some("SESSIONTOKENEXAMPLE"));
        assert_eq!(identify(&v1().request()).unwrap().session_token, None);
        let shown = format!("{claim:?}");
        assert!(!shown.contains("SESSIONTOKEN") && !shown.contains(V3_SIGNATURE), "{shown}");
    }

    #[test]
    fn each_missing_or_malformed_part_is_incomplete() {
        let missing = ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned());
        assert_eq!(v1().without("authorization").check(), Err(missing));
        let scoped = |scope: &str| v1().reworded("20260115/us-west-1/fsx/aws4_request", scope);
        let samples = [
            v1().reworded("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            v1().with("authorization", "Bearer x"),
            v1().with("authorization", ""),
            v1().and("authorization", "AWS4-HMAC-SHA256"),
            v1().reworded("Credential=", "Credentials="),
            v1().reworded("SignedHeaders=", "Signed="),
            v1().reworded("Signature=", "Sig="),
            v1().reworded(V1_SIGNATURE, ""),
            v1().without("x-amz-date"),
            scoped("20260115/us-west-1/fsx"),
            scoped("20260115/us-west-1/fsx/aws4_request/x"),
            scoped("20260115/us-west-1/fsx/aws5_request"),
            scoped("20260115//fsx/aws4_request"),
            v2().requery("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""),
            v2().requery("AWS4-HMAC-SHA256", "AWS4"),
            v2().requery("X-Amz-Credential", "x"),
            v2().requery("X-Amz-Date", "x"),
            v2().requery("X-Amz-SignedHeaders", "x"),
            v2().requery("Expires=900", "Expires=0"),
            v2().requery("Expires=900", "Expires=604801"),
            v2().requery("Expires=900", "Expires=+900"),
            v2().requery("&X-Amz-Expires=900", ""),
        ];
        for (at, sample) in samples.iter().enumerate() {
            assert_eq!(sample.check().unwrap_err().0, "IncompleteSignatureException", "{at}");
        }
    }

    #[test]
    fn each_wrong_claim_has_its_message() {
        let elsewhere = Sample { is_region_served: false, ..v1() };
        let hsm = Sample { service: "cloudhsm", ..v1() };
        let fsx = Sample { service: "fsx", ..v3() };
        let unsigned_host = v1().reworded("content-type;host;", "content-type;");
        let unsigned_token = v1().with("x-amz-security-token", "x");
        let cases = [
            (hsm, "Credential should be scoped to correct service: 'cloudhsm'."),
            (fsx, "Credential should be scoped to correct service: 'fsx'."),
            (
                v3().reworded("/cloudhsm/", "/cloudhsmv2/"),
                "Credential should be scoped to correct service: 'cloudhsm'.",
            ),
            (elsewhere, "Credential should be scoped to a valid region."),
            (v1().with("x-amz-date", "20260115 120000"), "The date of the request could not be read."),
            (v1().with("x-amz-date", "20261315T120000Z"), "The date of the request could not be read."),
            (
                v1().reworded("/20260115/", "/20260114/"),
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260114' \
                 != '20260115'.",
            ),
            (unsigned_host, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
            (unsigned_token, "'x-amz-security-token' must be a 'SignedHeader' in the AWS Authorization."),
            (v1().without("content-type"), MISMATCH),
            (v1().with("content-type", "application/x-amz-json-1.0"), MISMATCH),
            (v1().with("host", "fsx.us-west-2.amazonaws.com"), MISMATCH),
            (v1().with("x-amz-target", "AWSSimbaAPIService_v20180301.DeleteBackup"), MISMATCH),
            (v1().reworded("/us-west-1/", "/us-west-2/"), MISMATCH),
            (v1().reworded("AKIDEXAMPLE/20260115", "AKIDEXAMPLE/20260115").reworded("f62c", "F62C"), MISMATCH),
            (v1().reworded("f62c", "f62d"), MISMATCH),
            (v1().reworded("f62c", "62c"), MISMATCH),
            (Sample { query: "x=1".to_owned(), ..v1() }, MISMATCH),
            (Sample { method: "PUT", ..v1() }, MISMATCH),
            (v3().with("x-amz-security-token", "OTHER"), MISMATCH),
            (v2().requery("Expires=900", "Expires=901"), MISMATCH),
            (v2().requery("Signature=6108", "Signature=6109"), MISMATCH),
        ];
        for (sample, message) in cases {
            assert_eq!(sample.check(), Err(("InvalidSignatureException", message.to_owned())), "{:?}", sample.headers);
        }
    }

    #[test]
    fn every_bit_of_the_body_counts() {
        for at in 0..V1_BODY.len() {
            for mut sample in [v1(), v2()] {
                sample.body[at] ^= 1;
                assert_eq!(sample.check().unwrap_err().1, MISMATCH, "{at}");
            }
        }
    }

    #[test]
    fn the_clock_may_be_five_minutes_off_and_no_more() {
        for seconds in [-300, -299, 299, 300] {
            assert_eq!(v1().at(seconds).check(), Ok(()), "{seconds}");
        }
        let expired =
            "Signature expired: 20260115T120000Z is now earlier than 20260115T120001Z (20260115T120501Z - 5 min.)";
        let early = "Signature not yet current: 20260115T120000Z is still later than 20260115T115959Z (20260115T115459Z + 5 min.)";
        assert_eq!(v1().at(301).check(), Err(("InvalidSignatureException", expired.to_owned())));
        assert_eq!(v1().at(-301).check(), Err(("InvalidSignatureException", early.to_owned())));
    }

    #[test]
    fn a_presigned_request_lives_as_long_as_it_says() {
        for seconds in [-300, 0, 301, 900] {
            assert_eq!(v2().at(seconds).check(), Ok(()), "{seconds}");
        }
        let expired =
            "Signature expired: 20260115T120000Z is now earlier than 20260115T120001Z (20260115T121501Z - 15 min.)";
        assert_eq!(v2().at(901).check(), Err(("InvalidSignatureException", expired.to_owned())));
        assert!(v2().at(-301).check().unwrap_err().1.starts_with("Signature not yet current"));
    }

    #[test]
    fn the_hash_a_client_names_must_be_that_of_the_body() {
        let named = |hash: &str| {
            let signed = "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target";
            let sample = v1().with("x-amz-content-sha256", hash);
            sample.authorized("20260115/us-west-1/fsx", signed, "0").signed_again()
        };
        assert_eq!(named(&sha256_hex(V1_BODY.as_bytes())).check(), Ok(()));
        for hash in ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", &sha256_hex(b""), ""] {
            assert_eq!(named(hash).check().unwrap_err().1, MISMATCH, "{hash}");
        }
    }

    #[test]
    fn a_date_header_stands_in_for_the_other() {
        let signed = "content-type;date;host;x-amz-target";
        for date in ["Thu, 15 Jan 2026 12:00:00 GMT", "20260115T120000Z"] {
            let sample = v1().without("x-amz-date").with("date", date);
            let sample = sample.authorized("20260115/us-west-1/fsx", signed, "0").signed_again();
            assert_eq!(sample.check(), Ok(()), "{date}");
        }
    }

    #[test]
    fn the_parts_of_the_header_may_stand_close_together() {
        assert_eq!(v1().reworded(", ", ",").check(), Ok(()));
    }

    #[test]
    fn what_javascript_and_rust_clients_sign_verifies() {
        let lists = [
            "amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;host;x-amz-date;x-amz-target;x-amz-user-agent",
            "content-length;content-type;host;x-amz-date;x-amz-target;x-amz-user-agent",
        ];
        for signed in lists {
            let sample = v1()
                .with("amz-sdk-invocation-id", "91b20ffe-6050-4350-ae30-3c3952c7f593")
                .with("amz-sdk-request", "attempt=1; max=3")
                .with("content-length", "137")
                .with("x-amz-user-agent", "aws-sdk-js/3.1097");
            let sample = sample.authorized("20260115/us-west-1/fsx", signed, "0").signed_again();
            assert_eq!(sample.check(), Ok(()), "{signed}");
            assert_eq!(sample.with("content-length", "138").check().unwrap_err().1, MISMATCH);
        }
    }

    fn signature_words() -> impl Strategy<Value = String> {
        let words = [
            "AWS4-HMAC-SHA256 ",
            "Credential=",
            "SignedHeaders=",
            "Signature=",
            ", ",
            "/",
            "aws4_request",
            "é",
            "host;",
        ];
        prop::collection::vec(prop::sample::select(words.to_vec()), 0..20).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn hostile_headers_never_panic(header in signature_words(), bytes: Vec<u8>, date: String, query in "[%&=A-Za-z/-]*") {
            for value in [header.as_bytes(), &bytes] {
                let mut sample = v1().with("x-amz-date", &date);
                sample.query.clone_from(&query);
                sample.headers.retain(|(name, _)| name != "authorization");
                sample.headers.push(("authorization".to_owned(), value.to_vec()));
                prop_assert!(sample.check().is_err());
            }
        }

        #[test]
        fn hostile_queries_never_panic(name in "X-Amz-(Date|Expires|SignedHeaders|Credential)", value in "[%a-zA-Z0-9é;/]*") {
            let sample = v2();
            let query = sample.query.replace(&format!("{name}="), &format!("{name}={value}"));
            let sample = Sample { query, ..sample };
            prop_assert!(value.is_empty() || sample.check().is_err());
        }
    }
}
