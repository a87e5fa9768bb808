//! A request as it came and a reply as it goes: what signatures are computed over and envelopes wrap.

/// A request before anyone has believed it.
#[derive(Clone, Copy, Debug)]
pub struct RawRequest<'a> {
    /// The method as sent, e.g. `POST`.
    pub method: &'a str,
    /// The path as sent, still percent-encoded.
    pub path: &'a str,
    /// The query string as sent, without `?`; empty when there is none.
    pub query: &'a str,
    /// Header fields in order of arrival; names in lower case, values as sent.
    pub headers: &'a [(String, Vec<u8>)],
    /// The whole body.
    pub body: &'a [u8],
}

impl<'a> RawRequest<'a> {
    /// The first header field of that (lower-case) name, if its value is text.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.header_values(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of every header field of that (lower-case) name, in order.
    pub fn header_values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// A reply, complete but for what the server adds to every one (`Date`, `Content-Length`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}
