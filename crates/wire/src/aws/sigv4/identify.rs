//! Reading who a request claims to be from, out of its `Authorization` header or its query.

use std::borrow::Cow;
use std::collections::HashSet;

use super::canonical::parameters;
use super::{ALGORITHM, Claim, Lifetime, TERMINATOR};
use crate::aws::error::{CommonCode, CommonError};
use crate::http::RawRequest;

const EXPIRES_SECONDS_MAX: i64 = 604_800;

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
    check_named_once(&signed_headers)?;
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
    let signed_headers = load("X-Amz-SignedHeaders")?;
    check_named_once(&signed_headers)?;
    Ok(Claim {
        access_key,
        date,
        region,
        service,
        session_token: session_token(find("X-Amz-Security-Token")),
        signed_headers,
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

/// Each name costs its header's length in the text that is signed, so none may stand there again and again.
fn check_named_once(signed_headers: &str) -> Result<(), CommonError> {
    let mut seen = HashSet::new();
    match signed_headers.split(';').find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some(_) => Err(incomplete("The signed headers name a header more than once.")),
    }
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

fn incomplete(message: impl Into<String>) -> CommonError {
    CommonError::new(CommonCode::IncompleteSignature, message)
}

fn unsupported_algorithm(place: &str) -> CommonError {
    incomplete(format!("Unsupported AWS 'algorithm' in {place}; {ALGORITHM} is required."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::{Sample, V1_SIGNATURE, V3_SIGNATURE, v1, v2, v3};
    use super::*;

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
            v1().reworded("content-type;host;", "content-type;host;host;"),
            v2().requery("content-type%3Bhost", "content-type%3Bhost%3Bhost"),
        ];
        for (at, sample) in samples.iter().enumerate() {
            assert_eq!(sample.check().unwrap_err().0, "IncompleteSignatureException", "{at}");
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
        fn hostile_headers_never_panic(
            header in signature_words(),
            bytes: Vec<u8>,
            date: String,
            query in "[%&=A-Za-z/-]*",
        ) {
            for value in [header.as_bytes(), &bytes] {
                let mut sample = v1().with("x-amz-date", &date);
                sample.query.clone_from(&query);
                sample.headers.retain(|(name, _)| name != "authorization");
                sample.headers.push(("authorization".to_owned(), value.to_vec()));
                prop_assert!(sample.check().is_err());
            }
        }

        #[test]
        fn hostile_queries_never_panic(
            name in "X-Amz-(Date|Expires|SignedHeaders|Credential)",
            value in "[%a-zA-Z0-9é;/]*",
        ) {
            let sample = v2();
            let query = sample.query.replace(&format!("{name}="), &format!("{name}={value}"));
            let sample = Sample { query, ..sample };
            prop_assert!(value.is_empty() || sample.check().is_err());
        }
    }
}
