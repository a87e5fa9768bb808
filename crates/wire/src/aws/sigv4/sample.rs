//! Signed requests for tests: three worked examples, and what can be done to them.

use aws_lc_rs::hmac;
use model::Timestamp;

use super::canonical::canonical_request;
use super::time::SignedTime;
use super::verify::sha256_hex;
use super::{ALGORITHM, Expected, SKEW_DEFAULT, identify};
use crate::http::RawRequest;

pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2026-01-15T12:00:00Z.
pub(super) const NOON: Timestamp = Timestamp(1_768_478_400_000);
pub(super) const V1_BODY: &str = concat!(
    r#"{"SourceBackupId": "backup-0abc123456789cba7", "SourceRegion": "us-east-2", "#,
    r#""ClientRequestToken": "a803813d-de49-4f5c-97a8-25f1375a8813"}"#
);
pub(super) const V1_SIGNATURE: &str = "f62c9b43c9cb85eb3f750dae1145058de574542a6c1244f52d0c57263883f2ba";
pub(super) const V2_SIGNATURE: &str = "6108e3591783e327160482368c3112b76d6829f9eed1d4a25d3d2b6ed6595862";
pub(super) const V3_SIGNATURE: &str = "a7fb28ecdddd32d2e65944df51c3adce26133522b20c04477e7a2223b6f4aed7";

/// A request that tests may change, and what it is held against.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) query: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) service: &'static str,
    pub(super) is_region_served: bool,
    pub(super) now: Timestamp,
}

impl Sample {
    pub(super) fn new(service: &'static str, body: &str) -> Self {
        let (method, path, query, headers, body) = ("POST", "/", String::new(), Vec::new(), body.into());
        Self { method, path, query, headers, body, service, is_region_served: true, now: NOON }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.and(name, value)
    }

    pub(super) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(super) fn at(mut self, seconds_from_noon: i64) -> Self {
        self.now = Timestamp(NOON.0 + seconds_from_noon * 1000);
        self
    }

    pub(super) fn authorized(self, scope: &str, signed_headers: &str, signature: &str) -> Self {
        let value = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}/aws4_request, SignedHeaders={signed_headers}, \
             Signature={signature}"
        );
        self.with("authorization", &value)
    }

    /// Changes the `Authorization` header.
    pub(super) fn reworded(self, wanted: &str, instead: &str) -> Self {
        let old = self.request().header("authorization").unwrap().to_owned();
        assert!(old.contains(wanted), "{old}");
        self.with("authorization", &old.replace(wanted, instead))
    }

    /// Signs as a client would, over what the sample now holds.
    pub(super) fn signed_again(self) -> Self {
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

    pub(super) fn requery(mut self, wanted: &str, instead: &str) -> Self {
        assert!(self.query.contains(wanted), "{}", self.query);
        self.query = self.query.replace(wanted, instead);
        self
    }

    pub(super) fn request(&self) -> RawRequest<'_> {
        RawRequest {
            method: self.method,
            path: self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let (service, is_region_served, now) = (self.service, self.is_region_served, self.now);
        let expected = Expected { secret: SECRET, service, is_region_served, now, skew: SKEW_DEFAULT };
        let request = self.request();
        let checked = identify(&request).and_then(|claim| claim.verify(&request, &expected));
        checked.map_err(|error| (error.code.as_str(), error.message))
    }
}

pub(super) fn v1() -> Sample {
    Sample::new("fsx", V1_BODY)
        .with("host", "fsx.us-west-1.amazonaws.com")
        .with("content-type", "application/x-amz-json-1.1")
        .with("x-amz-target", "AWSSimbaAPIService_v20180301.CopyBackup")
        .with("x-amz-date", "20260115T120000Z")
        .authorized("20260115/us-west-1/fsx", "content-type;host;x-amz-date;x-amz-target", V1_SIGNATURE)
}

pub(super) fn v2() -> Sample {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260115%2Fus-west-1%2Ffsx\
        %2Faws4_request&X-Amz-Date=20260115T120000Z&X-Amz-Expires=900\
        &X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-target&X-Amz-Signature=";
    let mut sample = v1().without("authorization").without("x-amz-date");
    sample.query = format!("{query}{V2_SIGNATURE}");
    sample
}

pub(super) fn v3() -> Sample {
    let signed = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target";
    Sample::new("cloudhsm", r#"{"DestinationRegion": "us-west-2", "BackupId": "backup-ro5c4er4aac"}"#)
        .with("host", "cloudhsmv2.us-east-1.amazonaws.com")
        .with("content-type", "application/x-amz-json-1.1")
        .with("x-amz-target", "BaldrApiService.CopyBackupToRegion")
        .with("x-amz-date", "20260115T120000Z")
        .with("x-amz-security-token", "SESSIONTOKENEXAMPLE")
        .authorized("20260115/us-east-1/cloudhsm", signed, V3_SIGNATURE)
}
