//! Signatures as clients make them, independent of the server's own code and held against the published values.

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::exchange::Raw;

/// Whether a request is signed as Tencent's are.
pub(crate) fn is_tencents(request: &Raw) -> bool {
    request.header("authorization").is_none_or(|value| value.starts_with("TC3"))
}

/// The signature that belongs where `{signature}` stands, by the algorithm and the scope that stand beside it.
pub(crate) fn signature(request: &Raw, secret: &str) -> String {
    match request.header("authorization") {
        Some(authorization) if authorization.starts_with("TC3") => tc3(request, &authorization, secret),
        Some(authorization) if authorization.starts_with("AWS4") => sigv4(request, &authorization, secret),
        Some(_) => String::new(),
        None => first_generation(request, secret),
    }
}

/// Signature Version 4, in the header form.
fn sigv4(request: &Raw, authorization: &str, secret: &str) -> String {
    let (scope, names) = (field(authorization, "Credential"), field(authorization, "SignedHeaders"));
    let (_, scope) = scope.split_once('/').expect("a scope");
    let mut canonical = format!("{}\n/\n\n", request.method);
    for name in names.split(';') {
        canonical += &format!("{name}:{}\n", request.header(name).unwrap_or_default().trim());
    }
    canonical += &format!("\n{names}\n{}", sha256_hex(&request.body));
    let date = request.header("x-amz-date").unwrap_or_default();
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
    hex::encode(chain(&format!("AWS4{secret}"), scope.split('/').chain([text.as_str()])))
}

/// TC3-HMAC-SHA256.
fn tc3(request: &Raw, authorization: &str, secret: &str) -> String {
    let (scope, names) = (field(authorization, "Credential"), field(authorization, "SignedHeaders"));
    let (_, scope) = scope.split_once('/').expect("a scope");
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let mut canonical = format!("{}\n/\n{query}\n", request.method);
    for name in names.split(';') {
        canonical += &format!("{name}:{}\n", request.header(name).unwrap_or_default().trim());
    }
    let hash = match request.header("x-tc-content-sha256") {
        Some(text) => sha256_hex(text.as_bytes()),
        None => sha256_hex(&request.body),
    };
    canonical += &format!("\n{names}\n{hash}");
    let time = request.header("x-tc-timestamp").unwrap_or_default();
    let text = format!("TC3-HMAC-SHA256\n{time}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
    hex::encode(chain(&format!("TC3{secret}"), scope.split('/').chain([text.as_str()])))
}

/// HmacSHA1 or HmacSHA256 over all parameters, escaped as a form needs it.
fn first_generation(request: &Raw, secret: &str) -> String {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let sent = request.target.split_once('?').map_or(body, |(_, query)| query.to_owned());
    let mut pairs: Vec<(&str, &str)> = sent.split('&').filter_map(|pair| pair.split_once('=')).collect();
    pairs.retain(|(name, _)| *name != "Signature");
    pairs.sort_unstable();
    let joined = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let text = format!("{}{}/?{joined}", request.method, request.header("host").unwrap_or_default());
    let method = pairs.iter().find(|(name, _)| *name == "SignatureMethod").map_or("HmacSHA1", |(_, value)| value);
    let digest = if method == "HmacSHA256" { hmac::HMAC_SHA256 } else { hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY };
    let key = hmac::Key::new(digest, secret.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// The HMAC of each part under that of the part before it.
fn chain<'a>(first: &str, parts: impl Iterator<Item = &'a str>) -> Vec<u8> {
    parts.fold(first.as_bytes().to_vec(), |key, part| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec()
    })
}

fn field<'a>(authorization: &'a str, name: &str) -> &'a str {
    let fields = authorization.split([' ', ',']);
    fields.filter_map(|field| field.strip_prefix(name)?.strip_prefix('=')).next().expect("the field is there")
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
