//! TC3-HMAC-SHA256: the `Authorization` header and its verification.
//!
//! Follows "Signature Method v3" in Tencent Cloud's API documentation. Clients disagree in two points,
//! so several texts are tried: header values are lower-cased by the documented rule but not by some
//! SDKs, and some sign the bare host name while they send it with its port.

use std::collections::HashSet;
use std::fmt::Write;

use aws_lc_rs::{constant_time, digest, hmac};

use super::{CommonCode, TencentError};
use crate::http::RawRequest;

const ALGORITHM: &str = "TC3-HMAC-SHA256";
const TERMINATOR: &str = "tc3_request";
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The parts of an `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authorization<'a> {
    pub(super) secret_id: &'a str,
    date: &'a str,
    pub(super) service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Takes a header value apart: `TC3-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
    pub(super) fn parse(value: &'a str) -> Result<Self, TencentError> {
        Self::find_parts(value).ok_or_else(|| CommonCode::AuthFailureInvalidAuthorization.into())
    }

    fn find_parts(value: &'a str) -> Option<Self> {
        let fields = value.trim().strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
                .filter(|v| !v.is_empty())
        };
        let scope: Vec<&str> = field("Credential")?.split('/').collect();
        let [secret_id, date, service, TERMINATOR] = scope[..] else { return None };
        let signed_headers = field("SignedHeaders")?;
        let is_signed = |wanted: &str| signed_headers.split(';').any(|name| name.eq_ignore_ascii_case(wanted));
        // Each name costs its header's length in the text that is signed, so none may stand there again and again.
        let mut seen = HashSet::new();
        let repeats = signed_headers.split(';').any(|name| !seen.insert(name.to_ascii_lowercase()));
        let named = !secret_id.is_empty() && !service.is_empty() && !repeats;
        let parts = Self { secret_id, date, service, signed_headers, signature: field("Signature")? };
        (named && is_signed("content-type") && is_signed("host")).then_some(parts)
    }

    /// Whether `secret_key` made the signature over `request`; the date of the scope is the timestamp's.
    pub(super) fn is_signed_by(&self, secret_key: &str, request: &RawRequest<'_>, timestamp: &SignedTime<'_>) -> bool {
        if timestamp.date().as_deref() != Some(self.date) {
            return false;
        }
        let key = self.signing_key(secret_key);
        let payload_hash = payload_hash(request);
        let hosts = request.header("host").map(host_variants).unwrap_or_default();
        hosts.iter().flat_map(|host| [(host, true), (host, false)]).any(|(host, lower_case)| {
            let spelling = Spelling { host, lower_case };
            let canonical = self.canonical_request(request, &spelling, &payload_hash);
            canonical.is_some_and(|canonical| {
                let signature = hmac::sign(&key, self.string_to_sign(timestamp.text, &canonical).as_bytes());
                let signature = hex::encode(signature);
                constant_time::verify_slices_are_equal(signature.as_bytes(), self.signature.as_bytes()).is_ok()
            })
        })
    }

    fn signing_key(&self, secret_key: &str) -> hmac::Key {
        let first = hmac::Key::new(hmac::HMAC_SHA256, format!("TC3{secret_key}").as_bytes());
        [self.date, self.service, TERMINATOR]
            .iter()
            .fold(first, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
    }

    /// `None` when a header that was signed is not there.
    fn canonical_request(
        &self,
        request: &RawRequest<'_>,
        spelling: &Spelling<'_>,
        payload_hash: &str,
    ) -> Option<String> {
        let names = self.signed_headers.to_ascii_lowercase();
        let query = if request.method == "GET" { request.query } else { "" };
        let mut text = format!("{}\n/\n{query}\n", request.method);
        for name in names.split(';') {
            let value = if name == "host" { spelling.host } else { request.header(name)? }.trim();
            let value = if spelling.lower_case { value.to_lowercase() } else { value.to_owned() };
            writeln!(text, "{name}:{value}").ok()?;
        }
        write!(text, "\n{names}\n{payload_hash}").ok()?;
        Some(text)
    }

    fn string_to_sign(&self, timestamp: &str, canonical: &str) -> String {
        let hash = sha256_hex(canonical.as_bytes());
        format!("{ALGORITHM}\n{timestamp}\n{}/{}/{TERMINATOR}\n{hash}", self.date, self.service)
    }
}

/// The time a request was signed at, as sent and as a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedTime<'a> {
    pub(super) text: &'a str,
    pub(super) seconds: i64,
}

impl SignedTime<'_> {
    /// The UTC date, `YYYY-MM-DD`.
    fn date(&self) -> Option<String> {
        let time = jiff::Timestamp::from_second(self.seconds).ok()?;
        Some(time.strftime("%Y-%m-%d").to_string())
    }
}

struct Spelling<'a> {
    host: &'a str,
    lower_case: bool,
}

/// The host as sent, then without its port.
pub(super) fn host_variants(host: &str) -> Vec<&str> {
    let bare = host.rsplit_once(':').filter(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    std::iter::once(host).chain(bare.map(|(name, _)| name)).collect()
}

fn payload_hash(request: &RawRequest<'_>) -> String {
    let is_unsigned = request.header("x-tc-content-sha256") == Some(UNSIGNED_PAYLOAD);
    match request.method {
        _ if is_unsigned => sha256_hex(UNSIGNED_PAYLOAD.as_bytes()),
        "GET" => sha256_hex(b""),
        _ => sha256_hex(request.body),
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::{SECONDS, SECRET_KEY, Sample};
    use super::*;

    const T1: &str = "99405fae126d7184f166716bc5b58de94a68ecc88cb2ceb3d32f038ad7b5813b";
    const T2: &str = "96c16065f854b18718ab745b9d3ccc93eed3ecd326adf24fdfaca81ef87251c3";
    const T3: &str = "b71db7185a045bc71bc838b907399c3c3b0ac2f68c0b67ae782500b084e78e05";
    const T4: &str = "066fb9bb8df6ddb3aee46883063c48bdda131781f279ec0e8199a083b06944bd";

    fn t1() -> Sample {
        Sample::json().authorized("content-type;host", T1)
    }

    fn t3() -> Sample {
        let mut sample = Sample::json().with("content-type", "application/x-www-form-urlencoded");
        sample.method = "GET";
        sample.query = "DestinationRegions.0=ap-beijing&SnapshotId=snap-ckgjwkqh".to_owned();
        sample.body.clear();
        sample.authorized("content-type;host", T3)
    }

    /// Signs as a client that puts `signed_host` into the text, whatever it sends as its host.
    fn signed_for(sample: Sample, signed_host: &str) -> Sample {
        let unsigned = sample.authorized("content-type;host", "0");
        let signature = {
            let request = unsigned.request();
            let authorization = Authorization::parse(request.header("authorization").unwrap()).unwrap();
            let spelling = Spelling { host: signed_host, lower_case: false };
            let canonical = authorization.canonical_request(&request, &spelling, &payload_hash(&request)).unwrap();
            let text = authorization.string_to_sign(&SECONDS.to_string(), &canonical);
            hex::encode(hmac::sign(&authorization.signing_key(SECRET_KEY), text.as_bytes()))
        };
        unsigned.authorized("content-type;host", &signature)
    }

    fn refused(sample: &Sample) -> CommonCode {
        sample.check().unwrap_err().code
    }

    #[test]
    fn the_canonical_request_and_string_to_sign_are_the_documented_ones() {
        let sample = t1();
        let request = sample.request();
        let authorization = Authorization::parse(request.header("authorization").unwrap()).unwrap();
        let spelling = Spelling { host: "cbs.tencentcloudapi.com", lower_case: true };
        let canonical = authorization.canonical_request(&request, &spelling, &payload_hash(&request)).unwrap();
        let wanted = "POST\n/\n\ncontent-type:application/json\nhost:cbs.tencentcloudapi.com\n\ncontent-type;host\n\
                      290ba25754a400307ffb1155bdc8f7e59da305f6cea9b26bb32177a64972d707";
        assert_eq!(canonical, wanted);
        let wanted = "TC3-HMAC-SHA256\n1551113065\n2019-02-25/cbs/tc3_request\n\
                      a2137f5c8f1204a9c133866434d1a0385b08e7d32c83b2c39fb8cdb97a9f68c3";
        assert_eq!(authorization.string_to_sign("1551113065", &canonical), wanted);
    }

    #[test]
    fn the_documented_signatures_verify() {
        let t2 = Sample::json().with("content-type", "application/json; charset=utf-8");
        let t2 = t2.authorized("content-type;host;x-tc-action", T2);
        let t4 = Sample::json().with("x-tc-content-sha256", UNSIGNED_PAYLOAD).authorized("content-type;host", T4);
        for sample in [t1(), t2, t3(), t4] {
            assert_eq!(sample.check(), Ok(()), "{sample:?}");
        }
    }

    #[test]
    fn a_changed_bit_of_body_query_or_signature_is_refused() {
        let changed = |change: &dyn Fn(&mut Sample)| {
            let mut sample = t1();
            change(&mut sample);
            refused(&sample)
        };
        let failure = CommonCode::AuthFailureSignatureFailure;
        for bit in 0..super::super::sample::BODY.len() * 8 {
            assert_eq!(changed(&|sample| sample.body[bit / 8] ^= 1 << (bit % 8)), failure);
        }
        let mut query = t3();
        query.query = query.query.replace("beijing", "beijinf");
        assert_eq!(refused(&query), failure);
        assert_eq!(refused(&Sample::json().authorized("content-type;host", &T1.replace('b', "c"))), failure);
        assert_eq!(refused(&Sample::json().authorized("content-type;host", &T1.to_uppercase())), failure);
        assert_eq!(refused(&Sample::json().authorized("content-type;host", &T1[..63])), failure);
        assert_eq!(refused(&t1().with("host", "cbt.tencentcloudapi.com")), failure);
        assert_eq!(refused(&t1().with("x-tc-timestamp", "1551113064")), failure);
        assert_eq!(t1().claim().unwrap().verify("Gu5t9xGARNpq86cd98joQYCN3EXAMPLF").unwrap_err().code, failure);
    }

    #[test]
    fn hosts_are_accepted_as_sent_or_without_their_port() {
        let sent_and_signed = [
            ("127.0.0.1:18191", "127.0.0.1:18191"),
            ("127.0.0.1:18191", "127.0.0.1"),
            ("http://127.0.0.1:18191", "http://127.0.0.1:18191"),
            ("[::1]:80", "[::1]"),
            ("CBS.example", "cbs.example"),
            ("CBS.example", "CBS.example"),
        ];
        for (sent, signed) in sent_and_signed {
            assert_eq!(signed_for(Sample::json().with("host", sent), signed).check(), Ok(()), "{sent} {signed}");
        }
        let other = signed_for(Sample::json().with("host", "127.0.0.1:18191"), "127.0.0.1:18192");
        assert_eq!(refused(&other), CommonCode::AuthFailureSignatureFailure);
    }

    #[test]
    fn a_scope_of_another_day_is_refused() {
        let header = t1().request().header("authorization").unwrap().replace("2019-02-25", "2019-02-26");
        assert_eq!(refused(&t1().with("authorization", &header)), CommonCode::AuthFailureSignatureFailure);
    }

    #[test]
    fn a_signed_header_that_is_not_sent_is_refused() {
        let sample = Sample::json().authorized("content-type;host;x-tc-nonce", T1);
        assert_eq!(refused(&sample), CommonCode::AuthFailureSignatureFailure);
    }

    #[test]
    fn headers_that_are_not_in_the_standard_form_are_refused() {
        let scope = "AKID/2019-02-25/cbs/tc3_request";
        let malformed = [
            "SKIP".to_owned(),
            "TC3-HMAC-SHA256".to_owned(),
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=content-type;host, Signature=00"),
            format!("TC3-HMAC-SHA256 Credential={scope}, SignedHeaders=content-type;host"),
            format!("TC3-HMAC-SHA256 Credential={scope}, SignedHeaders=content-type;host, Signature="),
            format!("TC3-HMAC-SHA256 Credential={scope}, SignedHeaders=content-type;host;Host, Signature=00"),
            format!("TC3-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"),
            format!("TC3-HMAC-SHA256 Credential={scope}, SignedHeaders=content-type, Signature=00"),
            "TC3-HMAC-SHA256 Credential=AKID/2019-02-25/tc3_request, SignedHeaders=content-type;host, Signature=00"
                .into(),
            "TC3-HMAC-SHA256 Credential=A/1/cbs/tc4_request, SignedHeaders=content-type;host, Signature=00".into(),
        ];
        for header in malformed {
            let sample = Sample::json().with("authorization", &header);
            assert_eq!(refused(&sample), CommonCode::AuthFailureInvalidAuthorization, "{header}");
        }
    }

    #[test]
    fn spaces_between_the_fields_are_optional() {
        let header = t1().request().header("authorization").unwrap().replace(", ", ",");
        assert_eq!(t1().with("authorization", &header).check(), Ok(()));
    }

    proptest! {
        #[test]
        fn any_header_is_parsed_or_refused(
            header in "(TC3-HMAC-SHA256 )?[A-Za-z0-9=,;/ é-]{0,80}",
            names in "[a-z;é-]{0,40}",
        ) {
            drop(Sample::json().with("authorization", &header).check());
            drop(Sample::json().authorized(&format!("content-type;host;{names}"), &header).check());
        }
    }
}
