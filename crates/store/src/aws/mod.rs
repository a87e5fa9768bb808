//! What services that speak AWS's protocols have in common: where they are, and the credentials for them.

mod credentials;
mod place;
mod profile;

pub(crate) use credentials::{ForSdk, REGION_DEFAULT, credentials};
pub(crate) use place::ServicePlace;

/// Why an address with a name or a password is refused.
pub(crate) const CREDENTIALS_ELSEWHERE: &str =
    "credentials do not belong here, but in the environment: AWS_ACCESS_KEY_ID, for one";
