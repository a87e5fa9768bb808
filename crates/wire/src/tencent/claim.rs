//! Claims: who a request says it is from and what it asks for.
//!
//! The checks come in the order callers can rely on: form and size, authentication material, clock;
//! then, by [`Claim::verify`], the signature; then product and version, region, and parameters.

use std::collections::HashSet;
use std::fmt;

use model::Timestamp;

use super::common::{COMMON_PARAMETERS, Sent, check_clock, missing, uses_headers};
use super::form::Carrier;
use super::tc3::{Authorization, SignedTime};
use super::{CommonCode, Parameters, Product, Target, TencentError, first_generation};
use crate::http::RawRequest;

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// The current one, in the `Authorization` header.
    Tc3HmacSha256,
    /// The oldest one, in the parameters.
    HmacSha1,
    /// As `HmacSha1`, with another digest.
    HmacSha256,
}

/// What a well-formed request says about itself. Nothing of it is true before [`Claim::verify`].
#[derive(Clone)]
pub struct Claim<'a> {
    /// The key it says it is signed with.
    pub secret_id: String,
    /// How it is signed.
    pub algorithm: Algorithm,
    /// When it says it was made, in whole seconds; within five minutes of the server's time.
    pub time: Timestamp,
    /// The session token that belongs to a temporary key.
    pub token: Option<String>,
    /// The operation, if one is named.
    pub action: Option<String>,
    /// The API version, if one is named.
    pub version: Option<String>,
    /// The region, if one is named; see [`Claim::region`].
    pub region: Option<String>,
    request: RawRequest<'a>,
    carrier: Carrier,
    pairs: Vec<(String, String)>,
    timestamp: String,
    authorization: Option<Authorization<'a>>,
}

/// Reads who a request claims to be from.
///
/// `request` needs its `host` header as the client sent it, port included; under HTTP/2 that is
/// the authority.
///
/// # Errors
/// The refusals that need no secret: wrong method, content type or size; absent or malformed
/// authentication material; a timestamp that is absent or more than five minutes off `now`.
pub fn identify<'a>(request: &RawRequest<'a>, now: Timestamp) -> Result<Claim<'a>, TencentError> {
    check_headers(request)?;
    let carrier = Carrier::of(request)?;
    let pairs = carrier.pairs(request)?;
    let sent = Sent { request, pairs: &pairs, headers_count: uses_headers(request, carrier) };
    let authorization = authorization(&sent, carrier)?;
    let algorithm = match &authorization {
        Some(_) => Algorithm::Tc3HmacSha256,
        None => check_first_generation(&sent)?,
    };
    let secret_id = match &authorization {
        Some(authorization) => authorization.secret_id.to_owned(),
        None => sent.load("SecretId")?,
    };
    let timestamp = sent.load("Timestamp")?;
    let time = check_clock(&timestamp, now)?;
    let (token, action) = (sent.find("Token"), sent.find("Action"));
    let (version, region) = (sent.find("Version"), sent.find("Region"));
    let request = *request;
    Ok(Claim {
        secret_id,
        algorithm,
        time,
        token,
        action,
        version,
        region,
        request,
        carrier,
        pairs,
        timestamp,
        authorization,
    })
}

impl Claim<'_> {
    /// Holds the claim against the secret key that belongs to its `secret_id`.
    ///
    /// # Errors
    /// `AuthFailure.SignatureFailure` when that key did not sign this request.
    pub fn verify(&self, secret_key: &str) -> Result<(), TencentError> {
        let is_signed = match &self.authorization {
            Some(authorization) => {
                let timestamp = SignedTime { text: &self.timestamp, seconds: self.time.0 / 1000 };
                authorization.is_signed_by(secret_key, &self.request, &timestamp)
            }
            None => first_generation::is_signed_by(secret_key, &self.request, &self.pairs, self.algorithm),
        };
        if is_signed { Ok(()) } else { Err(CommonCode::AuthFailureSignatureFailure.into()) }
    }

    /// The product and action that are called. The action need not exist.
    ///
    /// # Errors
    /// `MissingParameter`, `NoSuchProduct` or `NoSuchVersion`.
    pub fn target(&self) -> Result<Target<'_>, TencentError> {
        let action = self.action.as_deref().ok_or_else(|| missing("Action"))?;
        let version = self.version.as_deref().ok_or_else(|| missing("Version"))?;
        let host = self.request.header("host").unwrap_or_default();
        let product = match &self.authorization {
            Some(authorization) => Product::of_scope(authorization.service, host, action, version)?,
            None => Product::guess(host, action, version)?,
        };
        if version != product.version() {
            return Err(CommonCode::NoSuchVersion.into());
        }
        Ok(Target { product, action })
    }

    /// The region whose resources are meant. Whether there is such a region, the caller knows.
    ///
    /// # Errors
    /// `MissingParameter` when none is named.
    pub fn region(&self) -> Result<&str, TencentError> {
        self.region.as_deref().ok_or_else(|| missing("Region"))
    }

    /// The operation's own parameters, without the common ones.
    ///
    /// # Errors
    /// `InvalidParameter` when the body is not a JSON object, or names do not fit together.
    pub fn parameters(&self) -> Result<Parameters, TencentError> {
        if self.carrier == Carrier::Json {
            return Parameters::from_json(self.request.body);
        }
        let own = self.pairs.iter().filter(|(name, _)| !COMMON_PARAMETERS.contains(&name.as_str()));
        Parameters::from_pairs(own.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// Leaves out the signature and the parameters, which logs must not hold.
impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut claim = f.debug_struct("Claim");
        claim.field("secret_id", &self.secret_id).field("algorithm", &self.algorithm).field("time", &self.time);
        claim.field("action", &self.action).field("version", &self.version).field("region", &self.region);
        claim.finish_non_exhaustive()
    }
}

/// Refuses a second value of any header that is looked at: what stands in front of a server may have gone by it.
fn check_headers(request: &RawRequest<'_>) -> Result<(), TencentError> {
    let counts = |name: &str| name.starts_with("x-tc-") || ["authorization", "content-type", "host"].contains(&name);
    let mut seen = HashSet::new();
    let mut names = request.headers.iter().map(|(name, _)| name.as_str()).filter(|name| counts(name));
    match names.find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some("authorization") => Err(CommonCode::AuthFailureInvalidAuthorization.into()),
        Some(name) => {
            Err(TencentError::new(CommonCode::InvalidParameter, format!("The header {name} is given twice.")))
        }
    }
}

fn authorization<'a>(sent: &Sent<'a, '_>, carrier: Carrier) -> Result<Option<Authorization<'a>>, TencentError> {
    if !sent.headers_count {
        return Ok(None);
    }
    if carrier == Carrier::Form {
        let message = "A form cannot be signed with TC3-HMAC-SHA256; send application/json.";
        return Err(TencentError::new(CommonCode::InvalidRequest, message));
    }
    let header = sent.request.header("authorization").ok_or(CommonCode::AuthFailureInvalidAuthorization)?;
    Authorization::parse(header).map(Some)
}

fn check_first_generation(sent: &Sent<'_, '_>) -> Result<Algorithm, TencentError> {
    sent.load("SecretId")?;
    sent.load("Signature")?;
    first_generation::check_nonce(&sent.load("Nonce")?)?;
    first_generation::algorithm(sent.find("SignatureMethod").as_deref())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{NOW, SECRET_ID, Sample};
    use super::*;

    const T1: &str = "99405fae126d7184f166716bc5b58de94a68ecc88cb2ceb3d32f038ad7b5813b";

    fn t1() -> Sample {
        Sample::json().authorized("content-type;host", T1)
    }

    fn refused(sample: &Sample) -> CommonCode {
        sample.check().unwrap_err().code
    }

    fn with_method(mut sample: Sample, method: &'static str) -> Sample {
        sample.method = method;
        sample
    }

    #[test]
    fn a_claim_says_who_calls_what_and_where() {
        let sample = t1().with("x-tc-token", "session");
        let claim = sample.claim().unwrap();
        assert_eq!(claim.secret_id, SECRET_ID);
        assert_eq!(claim.algorithm, Algorithm::Tc3HmacSha256);
        assert_eq!(claim.time, NOW);
        assert_eq!(claim.token.as_deref(), Some("session"));
        assert_eq!(claim.target(), Ok(Target { product: Product::Cbs, action: "CopySnapshotCrossRegions" }));
        assert_eq!(claim.region(), Ok("ap-guangzhou"));
        assert!(claim.parameters().is_ok());
    }

    #[test]
    fn the_clock_may_be_five_minutes_off_and_no_more() {
        let sample = t1();
        let at = |seconds: i64| identify(&sample.request(), Timestamp(NOW.0 + seconds * 1000)).map_err(|e| e.code);
        for seconds in [-299, 299, -300, 300] {
            assert!(at(seconds).is_ok(), "{seconds}");
        }
        for seconds in [-301, 301] {
            assert_eq!(at(seconds).unwrap_err(), CommonCode::AuthFailureSignatureExpire, "{seconds}");
        }
        for text in [i64::MAX.to_string(), "9223372036854775".to_owned()] {
            assert_eq!(refused(&t1().with("x-tc-timestamp", &text)), CommonCode::AuthFailureSignatureExpire);
        }
        for text in ["-1", "+1551113065", "x", "1551113065.0", "99999999999999999999"] {
            assert_eq!(refused(&t1().with("x-tc-timestamp", text)), CommonCode::InvalidParameter, "{text}");
        }
    }

    #[test]
    fn method_type_and_size_come_before_authentication() {
        let unsigned = || Sample::json().without("authorization");
        let mut large = unsigned();
        large.body = vec![b' '; super::super::BODY_BYTES_MAX + 1];
        let mut large_form = unsigned().with("content-type", "application/x-www-form-urlencoded");
        large_form.body = vec![b'&'; super::super::FORM_BYTES_MAX + 1];
        let mut large_query = with_method(unsigned(), "GET");
        large_query.query = "&".repeat(super::super::QUERY_BYTES_MAX + 1);
        let refusals = [
            (with_method(unsigned(), "PUT"), CommonCode::UnsupportedProtocol),
            (unsigned().with("content-type", "multipart/form-data; boundary=x"), CommonCode::InvalidRequest),
            (unsigned().without("content-type"), CommonCode::InvalidRequest),
            (t1().with("content-type", "application/x-www-form-urlencoded"), CommonCode::InvalidRequest),
            (large, CommonCode::RequestSizeLimitExceeded),
            (large_form, CommonCode::RequestSizeLimitExceeded),
            (large_query, CommonCode::RequestSizeLimitExceeded),
        ];
        for (sample, code) in refusals {
            assert_eq!(refused(&sample), code, "{:?}", sample.headers);
        }
    }

    #[test]
    fn absent_authentication_material_is_named_by_generation() {
        let plain = Sample::first_generation("GET", &[("Action", "DescribeSnapshots")]);
        let almost = [("SecretId", SECRET_ID), ("Signature", "x"), ("Nonce", "1")];
        assert_eq!(refused(&Sample::json()), CommonCode::AuthFailureInvalidAuthorization);
        assert_eq!(refused(&with_method(Sample::json(), "GET")), CommonCode::AuthFailureInvalidAuthorization);
        assert_eq!(refused(&plain), CommonCode::MissingParameter);
        assert_eq!(refused(&Sample::first_generation("POST", &almost)), CommonCode::MissingParameter);
        assert_eq!(refused(&t1().without("x-tc-timestamp")), CommonCode::MissingParameter);
    }

    #[test]
    fn a_header_that_is_looked_at_is_given_once() {
        for (name, code) in [
            ("authorization", CommonCode::AuthFailureInvalidAuthorization),
            ("host", CommonCode::InvalidParameter),
            ("content-type", CommonCode::InvalidParameter),
            ("x-tc-action", CommonCode::InvalidParameter),
        ] {
            let mut twice = t1();
            let first = twice.headers.iter().find(|(known, _)| known == name).cloned().unwrap();
            twice.headers.push(first);
            assert_eq!(refused(&twice), code, "{name}");
        }
        let mut other = t1();
        other.headers.extend([("accept".to_owned(), b"a".to_vec()), ("accept".to_owned(), b"b".to_vec())]);
        assert_eq!(other.check(), Ok(()));
    }

    #[test]
    fn product_version_and_region_are_asked_for_in_this_order() {
        let target = |sample: Sample| sample.claim().unwrap().target().map(|t| t.product).map_err(|e| e.code);
        let scoped = |service: &str| {
            let header = t1().request().header("authorization").unwrap().replace("/cbs/", &format!("/{service}/"));
            t1().with("authorization", &header)
        };
        assert_eq!(target(t1().without("x-tc-action").without("x-tc-version")), Err(CommonCode::MissingParameter));
        assert_eq!(target(scoped("cls").without("x-tc-version")), Err(CommonCode::MissingParameter));
        assert_eq!(target(scoped("cls").with("x-tc-version", "1")), Err(CommonCode::NoSuchProduct));
        assert_eq!(target(t1().with("x-tc-version", "2017-03-13")), Err(CommonCode::NoSuchVersion));
        assert_eq!(target(scoped("cvm")), Ok(Product::Cvm));
        assert_eq!(target(scoped("region").with("x-tc-version", "2022-06-27")), Ok(Product::Region));
        let nowhere = t1().without("x-tc-region");
        assert_eq!(nowhere.claim().unwrap().region().unwrap_err().code, CommonCode::MissingParameter);
    }

    #[test]
    fn in_a_signed_query_a_header_wins_over_a_parameter() {
        let mut sample = with_method(t1(), "GET").without("x-tc-version");
        sample.query = "Action=DescribeDisks&Version=2017-03-12&Limit=5".to_owned();
        let claim = sample.claim().unwrap();
        assert_eq!(claim.target().unwrap().action, "CopySnapshotCrossRegions");
        assert_eq!(claim.parameters(), Parameters::from_pairs([("Limit", "5")]));
    }

    #[test]
    fn a_body_that_is_not_json_is_refused_only_when_its_parameters_are_read() {
        let mut sample = t1();
        sample.body = b"not json".to_vec();
        assert_eq!(refused(&sample), CommonCode::AuthFailureSignatureFailure);
        assert_eq!(sample.claim().unwrap().parameters().unwrap_err().code, CommonCode::InvalidParameter);
    }

    #[test]
    fn a_claim_in_a_log_shows_no_signature() {
        let shown = format!("{:?}", t1().claim().unwrap());
        assert!(shown.contains(SECRET_ID) && !shown.contains(T1) && !shown.contains("snap-"), "{shown}");
    }
}
