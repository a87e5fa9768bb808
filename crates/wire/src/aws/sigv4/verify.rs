//! Holding a claim against the secret that belongs to it.

use aws_lc_rs::{constant_time, digest, hmac};

use super::canonical::canonical_request;
use super::time::{SignedTime, shown_time, shown_window};
use super::{ALGORITHM, Claim, Expected, Lifetime, TERMINATOR};
use crate::aws::error::{CommonCode, CommonError};
use crate::http::RawRequest;

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
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != \
                 '{}'.",
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

    pub(super) fn signing_key(&self, secret: &str) -> hmac::Key {
        let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
        [&self.date, &self.region, &self.service, TERMINATOR]
            .iter()
            .fold(first, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
    }
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn invalid(message: impl Into<String>) -> CommonError {
    CommonError::new(CommonCode::InvalidSignature, message)
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::super::sample::{Sample, V1_BODY, v1, v2, v3};
    use super::*;

    const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your \
    AWS Secret Access Key and signing method. Consult the service documentation for details.";

    #[test]
    fn the_published_vectors_verify() {
        for (name, sample) in [("V1", v1()), ("V2", v2()), ("V3", v3())] {
            assert_eq!(sample.check(), Ok(()), "{name}");
        }
    }

    /// The test suite that AWS publishes for Signature Version 4, without lines that are folded, which HTTP has no more, paths
    /// that clients normalize, and a token that is not signed, which is refused.
    #[test]
    fn the_vendors_test_suite_verifies() {
        const DATED: &str = "host;x-amz-date";
        const WITH_ONE: &str = "host;my-header1;x-amz-date";
        const FORM: &str = "content-length;content-type;host;x-amz-content-sha256;x-amz-date";
        type Case = (
            &'static str,
            &'static str,
            &'static str,
            &'static [(&'static str, &'static str)],
            &'static str,
            &'static str,
            &'static str,
        );
        let cases: &[Case] = &[
            (
                "get-header-key-duplicate",
                "GET",
                "/",
                &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
                WITH_ONE,
                "",
                "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
            ),
            (
                "get-header-value-order",
                "GET",
                "/",
                &[
                    ("my-header1", "value4"),
                    ("my-header1", "value1"),
                    ("my-header1", "value3"),
                    ("my-header1", "value2"),
                ],
                WITH_ONE,
                "",
                "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
            ),
            (
                "get-header-value-trim",
                "GET",
                "/",
                &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
                "host;my-header1;my-header2;x-amz-date",
                "",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                "get-unreserved",
                "GET",
                "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                &[],
                DATED,
                "",
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
            (
                "get-utf8",
                "GET",
                "/ሴ",
                &[],
                DATED,
                "",
                "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            ),
            (
                "get-vanilla",
                "GET",
                "/",
                &[],
                DATED,
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-vanilla-empty-query-key",
                "GET",
                "/?Param1=value1",
                &[],
                DATED,
                "",
                "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
            ),
            (
                "get-vanilla-query-order-encoded",
                "GET",
                "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
                &[],
                DATED,
                "",
                "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
            ),
            (
                "get-vanilla-query-order-key-case",
                "GET",
                "/?Param2=value2&Param1=value1",
                &[],
                DATED,
                "",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "get-vanilla-query-unreserved",
                "GET",
                "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                &[],
                DATED,
                "",
                "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            ),
            (
                "get-vanilla-utf8-query",
                "GET",
                "/?ሴ=bar",
                &[],
                DATED,
                "",
                "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            ),
            (
                "get-vanilla-with-session-token",
                "GET",
                "/",
                &[("x-amz-security-token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267")],
                "host;x-amz-date;x-amz-security-token",
                "",
                "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
            (
                "post-header-key-sort",
                "POST",
                "/",
                &[("my-header1", "value1")],
                WITH_ONE,
                "",
                "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            ),
            (
                "post-header-value-case",
                "POST",
                "/",
                &[("my-header1", "VALUE1")],
                WITH_ONE,
                "",
                "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
            ),
            (
                "post-vanilla",
                "POST",
                "/",
                &[],
                DATED,
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-vanilla-query",
                "POST",
                "/?Param1=value1",
                &[],
                DATED,
                "",
                "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
            ),
            (
                "post-x-www-form-urlencoded",
                "POST",
                "/",
                &[
                    ("content-type", "application/x-www-form-urlencoded"),
                    ("content-length", "13"),
                    ("x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
                ],
                FORM,
                "Param1=value1",
                "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
            ),
            (
                "post-x-www-form-urlencoded-parameters",
                "POST",
                "/",
                &[
                    ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
                    ("content-length", "13"),
                    ("x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
                ],
                FORM,
                "Param1=value1",
                "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
            ),
        ];
        for (name, method, target, headers, signed, body, signature) in cases {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let sample = Sample::new("service", body).with("host", "example.amazonaws.com");
            let now = Timestamp(1_440_938_160_000);
            let sample = Sample { method, path, query: query.to_owned(), now, ..sample };
            let sample = headers.iter().fold(sample, |sample, (name, value)| sample.and(name, value));
            let sample = sample.and("x-amz-date", "20150830T123600Z");
            let sample = sample.authorized("20150830/us-east-1/service", signed, signature);
            assert_eq!(sample.check(), Ok(()), "{name}");
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
        let early = "Signature not yet current: 20260115T120000Z is still later than 20260115T115959Z \
            (20260115T115459Z + 5 min.)";
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
            sample.authorized("20260115/us-west-1/fsx", signed, "unsigned").signed_again()
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
            let sample = sample.authorized("20260115/us-west-1/fsx", signed, "unsigned").signed_again();
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
            "amz-sdk-invocation-id;amz-sdk-request;content-length;content-type;host;x-amz-date;x-amz-target;\
             x-amz-user-agent",
            "content-length;content-type;host;x-amz-date;x-amz-target;x-amz-user-agent",
        ];
        for signed in lists {
            let sample = v1()
                .with("amz-sdk-invocation-id", "91b20ffe-6050-4350-ae30-3c3952c7f593")
                .with("amz-sdk-request", "attempt=1; max=3")
                .with("content-length", "137")
                .with("x-amz-user-agent", "aws-sdk-js/3.1097");
            let sample = sample.authorized("20260115/us-west-1/fsx", signed, "unsigned").signed_again();
            assert_eq!(sample.check(), Ok(()), "{signed}");
            assert_eq!(sample.with("content-length", "138").check().unwrap_err().1, MISMATCH);
        }
    }
}
