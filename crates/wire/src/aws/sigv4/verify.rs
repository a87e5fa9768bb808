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
