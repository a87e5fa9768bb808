//! The first generation of signatures, HmacSHA1 and HmacSHA256: all parameters, sorted, in one line.
//!
//! Follows "Signature Method v1" in Tencent Cloud's API documentation.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::tc3::host_variants;
use super::{Algorithm, CommonCode, TencentError};
use crate::http::RawRequest;

/// The digest that `SignatureMethod` names; HmacSHA1 when it is absent.
pub(super) fn algorithm(method: Option<&str>) -> Result<Algorithm, TencentError> {
    match method {
        None | Some("HmacSHA1") => Ok(Algorithm::HmacSha1),
        Some("HmacSHA256") => Ok(Algorithm::HmacSha256),
        Some(_) => {
            let message = "SignatureMethod must be HmacSHA1 or HmacSHA256.";
            Err(TencentError::new(CommonCode::InvalidParameterValue, message))
        }
    }
}

/// Checks that `Nonce` is a positive whole number of at most 64 bits, as the SDKs send.
pub(super) fn check_nonce(nonce: &str) -> Result<(), TencentError> {
    let digits = nonce.bytes().all(|b| b.is_ascii_digit());
    match nonce.parse::<u64>() {
        Ok(1..) if digits => Ok(()),
        _ => Err(TencentError::new(CommonCode::InvalidParameter, "Nonce must be a positive whole number.")),
    }
}

/// Whether `secret_key` made the `Signature` among `pairs`, which are decoded and sorted by name.
pub(super) fn is_signed_by(
    secret_key: &str,
    request: &RawRequest<'_>,
    pairs: &[(String, String)],
    algorithm: Algorithm,
) -> bool {
    let digest = match algorithm {
        Algorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::HmacSha256 | Algorithm::Tc3HmacSha256 => hmac::HMAC_SHA256,
    };
    let key = hmac::Key::new(digest, secret_key.as_bytes());
    // A plus sign that was sent without an escape was decoded as a space; base64 has no spaces.
    let given = pairs.iter().find(|(name, _)| name == "Signature").map(|(_, value)| value.replace(' ', "+"));
    let given = given.unwrap_or_default();
    let signed = pairs.iter().filter(|(name, _)| name != "Signature");
    let joined = signed.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    request.header("host").map(host_variants).unwrap_or_default().iter().any(|host| {
        let text = format!("{}{host}{}?{joined}", request.method, request.path);
        let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        constant_time::verify_slices_are_equal(signature.as_bytes(), given.as_bytes()).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::{SECRET_ID, Sample};
    use super::*;

    const V1A: &str = "BmA/DzCTUN8TwIHfIK1TZiOWAxA=";
    const V1B: &str = "7QyiZTpNDBZFaG3gl81FBDMUml8e2lWgrqfc3Bol9Tk=";

    /// The parameters of the test vectors, in the order an SDK sends them.
    fn vector(method: &'static str, signature_method: &str, signature: &str) -> Sample {
        let parameters = [
            ("DestinationRegions.0", "ap-beijing"),
            ("SnapshotId", "snap-ckgjwkqh"),
            ("Action", "CopySnapshotCrossRegions"),
            ("RequestClient", "SDK_PYTHON_3.1.175"),
            ("Nonce", "11886"),
            ("Timestamp", "1551113065"),
            ("Version", "2017-03-12"),
            ("Region", "ap-guangzhou"),
            ("SecretId", SECRET_ID),
            ("SignatureMethod", signature_method),
            ("Language", "en-US"),
            ("Signature", signature),
        ];
        let given: Vec<(&str, &str)> = parameters.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Sample::first_generation(method, &given)
    }

    fn refused(sample: &Sample) -> CommonCode {
        sample.check().unwrap_err().code
    }

    #[test]
    fn the_documented_signatures_verify() {
        assert_eq!(vector("GET", "HmacSHA1", V1A).check(), Ok(()));
        assert_eq!(vector("POST", "HmacSHA256", V1B).check(), Ok(()));
    }

    #[test]
    fn without_a_signature_method_the_oldest_is_meant() {
        assert_eq!(vector("GET", "", "/IT+A0b7O74oqpizWgMXuoGgEF0=").check(), Ok(()));
        assert_eq!(vector("GET", "", "/IT A0b7O74oqpizWgMXuoGgEF0=").check(), Ok(()), "the plus sign became a space");
    }

    #[test]
    fn a_port_in_the_host_is_ignored_if_the_client_did() {
        assert_eq!(vector("GET", "HmacSHA1", V1A).with("host", "cbs.tencentcloudapi.com:443").check(), Ok(()));
    }

    #[test]
    fn any_change_is_refused() {
        let failure = CommonCode::AuthFailureSignatureFailure;
        assert_eq!(refused(&vector("POST", "HmacSHA1", V1A)), failure);
        assert_eq!(refused(&vector("POST", "HmacSHA1", V1B)), failure);
        assert_eq!(refused(&vector("GET", "HmacSHA1", &V1A.replace('D', "E"))), failure);
        assert_eq!(refused(&vector("GET", "HmacSHA1", V1A).with("host", "cbt.tencentcloudapi.com")), failure);
        let mut changed = vector("GET", "HmacSHA1", V1A);
        changed.query.push_str("&SnapshotName=x");
        assert_eq!(refused(&changed), failure);
    }

    #[test]
    fn the_signature_method_is_one_of_two() {
        assert_eq!(refused(&vector("GET", "HmacMD5", V1A)), CommonCode::InvalidParameterValue);
        assert_eq!(algorithm(None), Ok(Algorithm::HmacSha1));
    }

    #[test]
    fn a_nonce_may_need_64_bits_but_is_a_positive_number() {
        assert_eq!(check_nonce("2484652456173137616"), Ok(()));
        for nonce in ["0", "-1", "+1", "x", "1.5", "99999999999999999999"] {
            assert_eq!(check_nonce(nonce).unwrap_err().code, CommonCode::InvalidParameter, "{nonce}");
        }
    }

    proptest! {
        #[test]
        fn any_form_is_verified_or_refused(body: Vec<u8>, signature in ".*") {
            let mut sample = vector("POST", "HmacSHA256", &signature);
            drop(sample.check());
            sample.body = body;
            drop(sample.check());
        }
    }
}
