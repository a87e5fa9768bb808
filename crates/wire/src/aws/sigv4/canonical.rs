//! The canonical request of Signature Version 4: the bytes that client and server hash alike.
//!
//! Follows "Create a signed AWS API request" in AWS's IAM User Guide.

use std::borrow::Cow;

use crate::http::RawRequest;

/// The query parameter that holds the signature and is therefore not signed.
const SIGNATURE_PARAMETER: &str = "X-Amz-Signature";

/// The canonical request, or `None` when a header that was signed is not there.
///
/// `signed_headers` is the list as sent, joined by `;`; `payload_hash` is in lower-case hex.
pub(super) fn canonical_request(request: &RawRequest<'_>, signed_headers: &str, payload_hash: &str) -> Option<Vec<u8>> {
    let (path, query) = (canonical_path(request.path), canonical_query(request.query));
    let mut bytes = format!("{}\n{path}\n{query}\n", request.method).into_bytes();
    for name in signed_headers.split(';') {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b':');
        bytes.extend_from_slice(&canonical_header(request, name)?);
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(format!("\n{signed_headers}\n{payload_hash}").as_bytes());
    Some(bytes)
}

/// The parameters of a query string, decoded, in order of arrival.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// Services other than S3 encode the path as sent once more.
fn canonical_path(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { encoded(path.as_bytes(), b"/") }
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = parameters(query)
        .filter(|(name, _)| name.as_ref() != SIGNATURE_PARAMETER.as_bytes())
        .map(|(name, value)| (encoded(&name, b""), encoded(&value, b"")))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// All values of a header, joined by commas. `:authority` is how HTTP/2 calls the host.
fn canonical_header(request: &RawRequest<'_>, name: &str) -> Option<Vec<u8>> {
    let name = if name == ":authority" { "host" } else { name };
    let values: Vec<Vec<u8>> = request.header_values(name).map(canonical_value).collect();
    if values.is_empty() { None } else { Some(values.join(&b',')) }
}

/// White space at the ends goes; runs of spaces become one.
fn canonical_value(value: &[u8]) -> Vec<u8> {
    let mut canonical = value.trim_ascii().to_vec();
    canonical.dedup_by(|next, previous| *next == b' ' && *previous == b' ');
    canonical
}

/// Undoes percent-encoding. A `%` without two hex digits stands for itself, and so does `+`.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.contains(&b'%') {
        return Cow::Borrowed(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let byte = if first == b'%' { tail.first_chunk().and_then(hex_byte) } else { None };
        decoded.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    Cow::Owned(decoded)
}

fn hex_byte(digits: &[u8; 2]) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice(digits, &mut byte).ok()?;
    Some(byte[0])
}

/// Percent-encodes all but the unreserved characters of RFC 3986 and those in `kept`.
fn encoded(bytes: &[u8], kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_is_sorted_by_encoded_name_and_value() {
        let cases = [
            ("", ""),
            ("Param2=value2&Param1=value1", "Param1=value1&Param2=value2"),
            ("Param1=value2&Param1=Value1", "Param1=Value1&Param1=value2"),
            ("b&a=&&c=x=y", "a=&b=&c=x%3Dy"),
            ("a=%7e%41%2f%zz%2&X-Amz-Signature=no", "a=~A%2F%25zz%252"),
            ("a=1+2 3", "a=1%2B2%203"),
            ("%E1%88%B4=bar", "%E1%88%B4=bar"),
        ];
        for (query, canonical) in cases {
            assert_eq!(canonical_query(query), canonical, "{query}");
        }
    }

    #[test]
    fn header_values_are_trimmed_squeezed_and_joined() {
        let header = |value: &str| ("my-header1".to_owned(), value.as_bytes().to_vec());
        let headers = [header(" value2 "), header("\"a   b   c\""), header("")];
        let request = RawRequest { method: "GET", path: "/", query: "", headers: &headers, body: b"" };
        assert_eq!(canonical_header(&request, "my-header1").unwrap(), b"value2,\"a b c\",");
        assert_eq!(canonical_header(&request, "my-header2"), None);
    }

    #[test]
    fn a_path_is_encoded_once_more() {
        assert_eq!(canonical_path(""), "/");
        assert_eq!(canonical_path("/a%20b/c"), "/a%2520b/c");
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(bytes: Vec<u8>) {
            let encoded = encoded(&bytes, b"");
            prop_assert_eq!(decoded(&encoded).into_owned(), bytes);
        }

        #[test]
        fn no_request_makes_a_panic(path: String, query in "[%&=+a-f0-9é]*", name: String, value: Vec<u8>) {
            let headers = [("host".to_owned(), value)];
            let request = RawRequest { method: "POST", path: &path, query: &query, headers: &headers, body: b"" };
            prop_assert!(canonical_request(&request, "host", "").is_some());
            drop(canonical_request(&request, &name, ""));
        }
    }
}
