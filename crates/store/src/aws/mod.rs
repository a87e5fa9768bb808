//! What services that speak AWS's protocols have in common: where they are, and the credentials for them.

mod credentials;
mod place;

pub(crate) use credentials::{ForSdk, REGION_DEFAULT, credentials};
pub(crate) use place::{ServicePlace, is_name};

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

/// Why an address with a name or a password is refused.
pub(crate) const CREDENTIALS_ELSEWHERE: &str =
    "credentials do not belong here, but in the environment: AWS_ACCESS_KEY_ID, for one";
