//! The request forms: a JSON body, a form body, or a query, each with its size limit.

use super::{CommonCode, TencentError};
use crate::http::RawRequest;

/// The longest body that is read: 10 MB.
pub const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;
/// The longest form body: 1 MB.
pub const FORM_BYTES_MAX: usize = 1024 * 1024;
/// The longest query: 32 KB.
pub const QUERY_BYTES_MAX: usize = 32 * 1024;

/// Where a request carries its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// A JSON body, the common parameters in headers.
    Json,
    /// A URL-encoded body.
    Form,
    /// The query of a GET.
    Query,
}

impl Carrier {
    /// Reads method, path, content type and sizes.
    pub(super) fn of(request: &RawRequest<'_>) -> Result<Self, TencentError> {
        let (carrier, len, len_max) = match request.method {
            "GET" => (Self::Query, request.query.len(), QUERY_BYTES_MAX),
            "POST" => match media_type(request).as_str() {
                "application/json" => (Self::Json, request.body.len(), BODY_BYTES_MAX),
                "application/x-www-form-urlencoded" => (Self::Form, request.body.len(), FORM_BYTES_MAX),
                _ => return Err(TencentError::new(CommonCode::InvalidRequest, "The Content-Type is not supported.")),
            },
            _ => return Err(CommonCode::UnsupportedProtocol.into()),
        };
        if request.path != "/" {
            return Err(TencentError::new(CommonCode::InvalidRequest, "The path of a request must be /."));
        }
        if len > len_max {
            let message = format!("The request has {len} bytes of parameters; at most {len_max} are accepted.");
            return Err(TencentError::new(CommonCode::RequestSizeLimitExceeded, message));
        }
        Ok(carrier)
    }

    /// The decoded `name=value` pairs of a form or query, sorted by name; none for JSON.
    pub(super) fn pairs(self, request: &RawRequest<'_>) -> Result<Vec<(String, String)>, TencentError> {
        let pairs = match self {
            Self::Json => Some(Vec::new()),
            Self::Form => std::str::from_utf8(request.body).ok().and_then(decode_pairs),
            Self::Query => decode_pairs(request.query),
        };
        let refusal = |message: &str| TencentError::new(CommonCode::InvalidParameter, message);
        let mut pairs = pairs.ok_or_else(|| refusal("The parameters are not URL-encoded text."))?;
        pairs.sort();
        if pairs.windows(2).any(|two| two[0].0 == two[1].0) {
            return Err(refusal("A parameter is given twice."));
        }
        Ok(pairs)
    }
}

fn media_type(request: &RawRequest<'_>) -> String {
    let content_type = request.header("content-type").unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Splits and decodes `a=b&c=d`; `None` when an escape is broken or the result is not UTF-8.
fn decode_pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_and_plus_signs_are_decoded_once() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let wanted = vec![pair("A.0", "a b"), pair("B", "+/="), pair("C", ""), pair("D", "%41"), pair("é", "未")];
        assert_eq!(decode_pairs("A.0=a+b&B=%2B%2f%3D&&C&D=%2541&%C3%A9=%E6%9C%AA"), Some(wanted));
    }

    #[test]
    fn broken_escapes_and_foreign_encodings_are_refused() {
        for text in ["A=%", "A=%4", "A=%zz", "A=%+1", "A=%ff"] {
            assert_eq!(decode_pairs(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_decodes_or_is_refused(text in ".*") {
            drop(decode_pairs(&text));
        }

        #[test]
        fn what_was_escaped_comes_back(text in ".*") {
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(decode(&escaped), Some(text));
        }
    }
}
