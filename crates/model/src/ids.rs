//! Ids: one type per kind, displayed as callers type them.
//!
//! The alphabets are those of the cloud APIs (contract, section 1.4), so that an id made on the
//! command line is valid in every dialect.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::resource::ResourceKind;

const HEX: &[u8] = b"0123456789abcdef";
const BASE32: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
const BASE36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// An id that does not have the form of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not a valid {kind}: expected {expected}")]
pub struct InvalidId {
    /// The kind that was wanted, e.g. `"backup id"`.
    pub kind: &'static str,
    /// What was given instead.
    pub given: String,
    /// The form that is accepted.
    pub expected: &'static str,
}

fn random_text(rng: &mut impl Rng, prefix: &str, alphabet: &[u8], len: usize) -> String {
    use rand::RngExt;
    let tail = (0..len).map(|_| char::from(alphabet[rng.random_range(0..alphabet.len())]));
    prefix.chars().chain(tail).collect()
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as callers type it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(given: String) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(&given) {
                    Ok(Self(given))
                } else {
                    Err(InvalidId { kind: $kind, given, expected: $expected })
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
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn has_form(given: &str, forms: &[(&str, &[u8], std::ops::RangeInclusive<usize>)]) -> bool {
    forms.iter().any(|(prefix, alphabet, lengths)| {
        given
            .strip_prefix(prefix)
            .is_some_and(|tail| lengths.contains(&tail.len()) && tail.bytes().all(|b| alphabet.contains(&b)))
    })
}

text_id! {
    /// An account: twelve decimal digits.
    AccountId, "account id", "twelve digits",
    |s| s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit())
}

text_id! {
    /// A resource that is backed up: `fs-` (file system), `disk-` or `cluster-`.
    ResourceId, "resource id", "fs-…, disk-… or cluster-…",
    |s| has_form(s, &[("fs-", HEX, 8..=18), ("disk-", BASE36, 8..=8), ("cluster-", BASE32, 11..=16)])
}

text_id! {
    /// A backup: `backup-` (hex for file systems, base 32 for clusters) or `snap-` (disks).
    BackupId, "backup id", "backup-… or snap-…",
    |s| has_form(s, &[("backup-", HEX, 8..=121), ("backup-", BASE32, 11..=16), ("snap-", BASE36, 8..=8)])
}

text_id! {
    /// A policy by which snapshots are taken on a schedule.
    PolicyId, "policy id", "asp-…",
    |s| has_form(s, &[("asp-", BASE36, 8..=8)])
}

text_id! {
    /// An HSM of a cluster.
    HsmId, "HSM id", "hsm-…",
    |s| has_form(s, &[("hsm-", BASE32, 11..=16)])
}

text_id! {
    /// A key of a region's key service: a lower-case UUID, or `mrk-…` where AWS's service has it in several regions.
    KmsKeyId, "KMS key id", "a UUID such as 0f0e0d0c-0b0a-4908-8706-050403020100",
    |s| has_form(s, &[("mrk-", HEX, 32..=32)]) || s.len() == 36
        && s.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => HEX.contains(&b),
        })
}

impl AccountId {
    /// Mints a new account id.
    pub fn random(rng: &mut impl Rng) -> Self {
        // A leading digit from 1 keeps the id twelve digits long where a tool reads it as a number.
        use rand::RngExt;
        Self(rng.random_range(100_000_000_000_u64..1_000_000_000_000).to_string())
    }
}

impl ResourceId {
    /// Mints the id of a new resource of `kind`.
    pub fn random(rng: &mut impl Rng, kind: ResourceKind) -> Self {
        Self(match kind {
            ResourceKind::Lustre | ResourceKind::Windows | ResourceKind::OpenZfs => random_text(rng, "fs-0", HEX, 16),
            ResourceKind::Disk => random_text(rng, "disk-", BASE36, 8),
            ResourceKind::Hsm => random_text(rng, "cluster-", BASE32, 11),
        })
    }
}

impl BackupId {
    /// Mints the id of a new backup of a resource of `kind`.
    pub fn random(rng: &mut impl Rng, kind: ResourceKind) -> Self {
        Self(match kind {
            ResourceKind::Lustre | ResourceKind::Windows | ResourceKind::OpenZfs => {
                random_text(rng, "backup-0", HEX, 16)
            }
            ResourceKind::Disk => random_text(rng, "snap-", BASE36, 8),
            ResourceKind::Hsm => random_text(rng, "backup-", BASE32, 11),
        })
    }
}

impl PolicyId {
    /// Mints the id of a new policy.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self(random_text(rng, "asp-", BASE36, 8))
    }
}

impl HsmId {
    /// Mints the id of a new HSM.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self(random_text(rng, "hsm-", BASE32, 11))
    }
}

impl KmsKeyId {
    /// Mints the id of a new key: a random (version 4) UUID.
    pub fn random(rng: &mut impl Rng) -> Self {
        let mut bytes = [0_u8; 16];
        rng.fill_bytes(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex = hex::encode(bytes);
        Self([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
    }
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $kind:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(given: &str) -> Result<Self, InvalidId> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(given, &mut bytes).map_err(|_| InvalidId {
                    kind: $kind,
                    given: given.to_owned(),
                    expected: $expected,
                })?;
                Ok(Self(bytes))
            }
        }

        /// Hex in text formats, plain bytes in binary ones.
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; $len]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

byte_id! {
    /// A pack's lasting name: minted when it is made, the same in every region.
    PackId, 16, "pack id", "32 hex digits"
}
byte_id! {
    /// A data key's name; the key itself is only ever stored wrapped.
    DataKeyId, 16, "data key id", "32 hex digits"
}
byte_id! {
    /// The name of one captured content: the same for a backup and all its copies.
    SnapshotId, 16, "snapshot id", "32 hex digits"
}
byte_id! {
    /// BLAKE3 of a pack's sealed bytes: where it lies in a store, and what every transfer checks.
    ObjectName, 32, "object name", "64 hex digits"
}
byte_id! {
    /// BLAKE3 of a chunk's plaintext. Appears only inside sealed bytes.
    ChunkHash, 32, "chunk hash", "64 hex digits"
}

macro_rules! random_byte_id {
    ($($name:ident),*) => {$(
        impl $name {
            /// Mints a new id: 128 random bits.
            pub fn random(rng: &mut impl Rng) -> Self {
                let mut bytes = [0; 16];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }
        }
    )*};
}
random_byte_id!(PackId, DataKeyId, SnapshotId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_ids_have_the_form_their_kind_asks_for() {
        let mut rng = rand::rng();
        for kind in ResourceKind::ALL {
            let resource = ResourceId::random(&mut rng, kind);
            assert_eq!(resource.as_str().parse::<ResourceId>(), Ok(resource));
            let backup = BackupId::random(&mut rng, kind);
            assert_eq!(backup.as_str().parse::<BackupId>(), Ok(backup));
        }
        let key = KmsKeyId::random(&mut rng);
        assert_eq!(key.as_str().parse::<KmsKeyId>(), Ok(key));
        let policy = PolicyId::random(&mut rng);
        assert_eq!(policy.as_str().parse::<PolicyId>(), Ok(policy));
        let hsm = HsmId::random(&mut rng);
        assert_eq!(hsm.as_str().parse::<HsmId>(), Ok(hsm));
        let account = AccountId::random(&mut rng);
        assert_eq!(account.as_str().parse::<AccountId>(), Ok(account));
    }

    #[test]
    fn ids_of_another_alphabet_are_refused() {
        for bad in ["backup-", "backup-XYZ01234567", "snap-short", "fs-0123", "../../etc", "backup-0abc\n"] {
            assert!(bad.parse::<BackupId>().is_err(), "{bad:?}");
        }
    }
}
