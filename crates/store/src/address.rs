//! What the addresses of services have in common: the names in them, endpoints, and what is said of those that are wrong.

use url::Url;

/// An address that is none. The message does not repeat the address, which may hold a password by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form {form}: {why}")]
pub struct InvalidAddress {
    form: &'static str,
    why: String,
}

impl InvalidAddress {
    pub(crate) fn new(form: &'static str, why: impl Into<String>) -> Self {
        Self { form, why: why.into() }
    }
}

/// Whether a text is made of what names have, so that it can stand in a query as it is.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c))
}

/// Reads `http[s]://<host>[:<port>]`.
///
/// # Errors
/// When it is anything else.
pub(crate) fn parse_endpoint(text: &str) -> Result<Url, String> {
    let url = parse_bare(text).filter(|url| url.path() == "/");
    url.ok_or_else(|| "the endpoint is not of the form http[s]://<host>[:<port>]".to_owned())
}

/// Reads `http[s]://<host>[:<port>][/<name>]`: where a host has several accounts, the path tells whose endpoint it is.
///
/// # Errors
/// When it is anything else.
pub(crate) fn parse_endpoint_of_account(text: &str) -> Result<Url, String> {
    let is_account = |path: &str| path == "/" || path[1..].split('/').count() == 1 && is_name(&path[1..]);
    let url = parse_bare(text).filter(|url| is_account(url.path()));
    url.ok_or_else(|| "the endpoint is not of the form http[s]://<host>[:<port>][/<account>]".to_owned())
}

/// An endpoint as it is written, without the `/` that its path is.
pub(crate) fn shown(endpoint: &Url) -> &str {
    endpoint.as_str().trim_end_matches('/')
}

/// The address of something that is served, with nothing in it but where that is.
fn parse_bare(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let is_served = matches!(url.scheme(), "http" | "https") && url.fragment().is_none();
    (is_bare && is_served).then_some(url)
}
