//! Texts that are never shown.

use serde::Serialize;
use serde_json::Value;

use super::{Reader, Shape};

/// A text that is never shown: not in messages, logs or stored parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl Shape for Secret {
    fn read(given: Value, reader: &mut Reader) -> Option<Self> {
        String::read(given, reader).map(Self)
    }
}
