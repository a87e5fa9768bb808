//! Regions and partitions: where a backup is, and which borders a copy may not cross.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::InvalidId;

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as callers type it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(given: String) -> Result<Self, InvalidId> {
                let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                let starts_well = given.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
                if starts_well && given.len() <= 63 && given.bytes().all(plain) {
                    Ok(Self(given))
                } else {
                    Err(InvalidId {
                        kind: $kind,
                        given,
                        expected: "a letter, then lower-case letters, digits and dashes, at most 63 in all",
                    })
                }
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(given: &str) -> Result<Self, InvalidId> {
                Self::try_from(given.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name_type! {
    /// A place with a catalog, a store and a key service of its own, e.g. `us-east-1`.
    Region, "region name"
}
name_type! {
    /// A set of regions that copies may not leave, e.g. `aws` or `aws-cn`.
    Partition, "partition name"
}
