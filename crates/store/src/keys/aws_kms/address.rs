//! The addresses of key services that speak AWS's protocol.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::address::{InvalidAddress, is_name};
use crate::aws::{CREDENTIALS_ELSEWHERE, ServicePlace};

/// How an address is written.
const FORM: &str = "awskms://?[endpoint=<URL>][&region=<name>][&alias=<name>]";

/// The alias of the key that is used where none is named, if the address does not say.
const ALIAS_DEFAULT: &str = "offsite";

/// Where a key service is: `awskms://?[endpoint=<URL>][&region=<name>][&alias=<name>]`.
///
/// Without an endpoint it is AWS's own, in that region. `alias/<name>` is the key that is used
/// where none is named. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsAddress {
    pub(super) place: ServicePlace,
    alias: String,
}

impl KmsAddress {
    /// The alias as the service knows it.
    pub(super) fn alias(&self) -> String {
        format!("alias/{}", self.alias)
    }
}

impl FromStr for KmsAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let bad = |why: &str| InvalidAddress::new(FORM, why);
        let url: Url = text.parse().map_err(|error: url::ParseError| bad(&error.to_string()))?;
        if url.scheme() != "awskms" {
            return Err(bad("the scheme is not awskms"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(CREDENTIALS_ELSEWHERE));
        }
        if url.host_str().is_some_and(|host| !host.is_empty()) || !matches!(url.path(), "" | "/") {
            return Err(bad("where the service is, the endpoint says"));
        }
        if url.port().is_some() || url.fragment().is_some() {
            return Err(bad("a port belongs to the endpoint, and there are no fragments"));
        }
        let (mut place, mut alias) = (ServicePlace::default(), None);
        for (name, value) in url.query_pairs() {
            match &*name {
                "alias" if !is_alias(&value) => return Err(bad("that is no alias")),
                "alias" if alias.replace(value.clone().into_owned()).is_some() => {
                    return Err(bad("an alias can be given once"));
                }
                "alias" => {}
                name if place.take(name, &value).map_err(|why| bad(&why))? => {}
                _ => return Err(bad("only endpoint, region and alias can be given")),
            }
        }
        place.check().map_err(|why| bad(&why))?;
        Ok(Self { place, alias: alias.unwrap_or_else(|| ALIAS_DEFAULT.to_owned()) })
    }
}

/// As <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html> has them, without the `alias/`.
fn is_alias(name: &str) -> bool {
    is_name(name) && !name.contains('.') && !name.starts_with("aws/")
}

impl fmt::Display for KmsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "awskms://?{}", self.place)?;
        if self.alias == ALIAS_DEFAULT { Ok(()) } else { write!(f, "&alias={}", self.alias) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_read_and_shown_the_same() {
        for text in [
            "awskms://?endpoint=http://127.0.0.1:8333&region=eu-west-1",
            "awskms://?endpoint=https://kms.example.org&alias=site/a",
            "awskms://?region=eu-west-1",
        ] {
            assert_eq!(text.parse::<KmsAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_address() {
        for (text, why) in [
            ("awskms://", "the region of AWS"),
            ("awskms:", "the region of AWS"),
            ("awskms:secret", "the endpoint says"),
            ("awskms://secret?region=r", "the endpoint says"),
            ("awskms:///secret?region=r", "the endpoint says"),
            ("kms://?region=r", "the scheme"),
            ("awskms://key:secret@?region=r", "empty host"),
            ("awskms://key:secret@host?region=r", "credentials do not belong here"),
            ("awskms://?region=", "no name of a region"),
            ("awskms://?region=a&region=b", "once"),
            ("awskms://?region=a&alias=b&alias=c", "once"),
            ("awskms://?region=a&alias=aws/secret", "no alias"),
            ("awskms://?region=a&alias=", "no alias"),
            ("awskms://?region=a&alias=a.secret", "no alias"),
            ("awskms://?region=r&secret=secret", "only endpoint, region and alias"),
            ("awskms://?endpoint=http://a:secret@localhost", "the endpoint"),
            ("awskms://?region=r#secret", "fragments"),
        ] {
            let error = text.parse::<KmsAddress>().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(
            text in "awskms:(//)?/?\\?(endpoint=https?://[a-z0-9.:%/-]{1,6}&?)?(region=[a-z1&=%-]{1,4})?(&alias=[a-z%/]{0,3})?|\\PC*"
        ) {
            if let Ok(address) = text.parse::<KmsAddress>() {
                prop_assert_eq!(address.to_string().parse::<KmsAddress>(), Ok(address));
            }
        }
    }
}
