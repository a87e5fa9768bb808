//! Sample requests for tests: those of the documentation and those that real clients were seen to send.

use model::Timestamp;

use super::{Claim, TencentError, identify};
use crate::http::RawRequest;

pub(crate) const SECRET_ID: &str = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE";
pub(crate) const SECRET_KEY: &str = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";
pub(crate) const SECONDS: i64 = 1_551_113_065;
pub(crate) const BODY: &str = r#"{"DestinationRegions": ["ap-beijing"], "SnapshotId": "snap-ckgjwkqh"}"#;
pub(crate) const NOW: Timestamp = Timestamp(SECONDS * 1000);

/// A request that owns its parts.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) method: &'static str,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Sample {
    /// The JSON request of the test vectors, with its common headers but no `Authorization`.
    pub(crate) fn json() -> Self {
        let empty = Self { method: "POST", query: String::new(), headers: Vec::new(), body: BODY.into() };
        empty
            .with("content-type", "application/json")
            .with("host", "cbs.tencentcloudapi.com")
            .with("x-tc-action", "CopySnapshotCrossRegions")
            .with("x-tc-version", "2017-03-12")
            .with("x-tc-region", "ap-guangzhou")
            .with("x-tc-timestamp", &SECONDS.to_string())
    }

    /// A request of the first generation; `parameters` are decoded, the signature among them.
    pub(crate) fn first_generation(method: &'static str, parameters: &[(&str, &str)]) -> Self {
        let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        let text = pairs.join("&");
        let (query, body) = if method == "GET" { (text, Vec::new()) } else { (String::new(), text.into_bytes()) };
        let sample = Self { method, query, headers: Vec::new(), body };
        sample
            .with("content-type", "application/x-www-form-urlencoded")
            .with("host", "cbs.tencentcloudapi.com")
            .with("x-tc-traceid", "c76187cc-0b38-4f1b-b4f9-0db89bfa1da4")
    }

    /// Sets a header.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        let mut sample = self.without(name);
        sample.headers.push((name.to_owned(), value.into()));
        sample
    }

    /// Takes a header away.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// Adds an `Authorization` of the test vectors' key and date.
    pub(crate) fn authorized(self, signed_headers: &str, signature: &str) -> Self {
        let credential = format!("{SECRET_ID}/2019-02-25/cbs/tc3_request");
        let fields = format!("Credential={credential}, SignedHeaders={signed_headers}, Signature={signature}");
        self.with("authorization", &format!("TC3-HMAC-SHA256 {fields}"))
    }

    pub(crate) fn request(&self) -> RawRequest<'_> {
        RawRequest { method: self.method, path: "/", query: &self.query, headers: &self.headers, body: &self.body }
    }

    pub(crate) fn claim(&self) -> Result<Claim<'_>, TencentError> {
        identify(&self.request(), NOW)
    }

    /// What a server that knows the key answers to it.
    pub(crate) fn check(&self) -> Result<(), TencentError> {
        self.claim()?.verify(SECRET_KEY)
    }
}
