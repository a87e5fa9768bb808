//! Records: what a region's store knows of one backup, enough to rebuild the catalog from.
//!
//! Layout (`docs/format.md`, "Record"): magic and version ‖ length and bytes of the head (JSON, in
//! clear: ids, times, tags, wrapped keys) ‖ length and bytes of the pack table ‖ length and bytes
//! of the sealed root ‖ BLAKE3 of all before. Names and contents are only in the sealed root.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::{AccountId, BackupId, DataKeyId, KmsKeyId, ObjectName, Origin, PackId, Region, ResourceId, ResourceKind};
use model::{SnapshotId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::chunks::PackRef;
use crate::pack;

const MAGIC: &[u8; 8] = b"OFFSRECD";
const VERSION: u8 = 1;
const HASH_BYTES: usize = 32;
const PACK_ROW_BYTES: usize = 16 + 32 + 8 + 16;

/// Bytes that are not a record, or not the one that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// Too short, no magic, or another version.
    #[error("it is not a record of this version")]
    NotARecord,
    /// The bytes are not those that were written.
    #[error("its checksum does not match: it is damaged")]
    Damaged,
    /// Sound bytes that say something impossible.
    #[error("it makes no sense: {0}")]
    Nonsense(String),
}

/// One backup, as its region's store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What stands in clear.
    pub head: RecordHead,
    /// Every pack the backup names.
    pub packs: Vec<PackRef>,
    /// The manifest's root, sealed under the backup's data key.
    pub sealed_root: Vec<u8>,
}

/// The part of a record that is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordHead {
    /// Its id.
    pub backup: BackupId,
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// What was backed up.
    pub resource: ResourceId,
    /// What kind of thing that is.
    pub resource_kind: ResourceKind,
    /// The content: the same for a backup and all its copies.
    pub snapshot: SnapshotId,
    /// The backup or copy that this one was asked for at.
    pub created_at: Timestamp,
    /// When the last byte had landed.
    pub completed_at: Timestamp,
    /// Where it came from.
    pub lineage: Lineage,
    /// The KMS key that wraps its data keys.
    pub kms_key: KmsKeyId,
    /// The data key that the root is sealed under.
    pub root_key: DataKeyId,
    /// Every data key its packs and its root are sealed under, wrapped by `kms_key`.
    pub wrapped_keys: Vec<RecordedKey>,
    /// Tags, in the order they were given.
    pub tags: Vec<(String, String)>,
    /// Who asked for it.
    #[serde(default)]
    pub origin: Origin,
    /// What only its API knows of it: a JSON object.
    #[serde(default = "no_attributes")]
    pub attributes: String,
    /// When it is to be removed.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Counts that listings show.
    pub totals: Totals,
}

fn no_attributes() -> String {
    "{}".to_owned()
}

/// Where a backup came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// The earlier backup it was compared with, if any.
    pub parent: Option<BackupId>,
    /// For a copy: the region it was copied from.
    pub source_region: Option<Region>,
    /// For a copy: the backup it was copied from.
    pub source_backup: Option<BackupId>,
    /// For a copy: when the backup was asked for that it was first copied from.
    #[serde(default)]
    pub taken_at: Option<Timestamp>,
}

/// Counts that listings show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Logical size of all files, holes included.
    pub size_bytes: u64,
    /// Sealed bytes of the packs it names.
    pub stored_bytes: u64,
    /// Sealed bytes that were written to this store for it.
    pub moved_bytes: u64,
    /// Sealed bytes that it names and that were there already.
    pub deduplicated_bytes: u64,
    /// Entries in its manifest.
    pub entry_count: u64,
    /// Things it left out.
    pub omission_count: u64,
}

/// A data key as a record holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedKey {
    /// Its name.
    pub data_key: DataKeyId,
    /// The key itself, wrapped, in base 64.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub wrapped: Vec<u8>,
}

fn to_base64<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn from_base64<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    BASE64.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl Record {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let head = serde_json::to_vec(&self.head).expect("serializing to memory");
        let mut out = Vec::with_capacity(head.len() + self.packs.len() * PACK_ROW_BYTES + self.sealed_root.len() + 96);
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        let mut section = |bytes: &[u8]| {
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        section(&head);
        section(&self.encode_packs());
        section(&self.sealed_root);
        let hash = blake3::hash(&out);
        out.extend_from_slice(hash.as_bytes());
        out
    }

    fn encode_packs(&self) -> Vec<u8> {
        let mut table = Vec::with_capacity(self.packs.len() * PACK_ROW_BYTES);
        for pack in &self.packs {
            table.extend_from_slice(&pack.id.0);
            table.extend_from_slice(&pack.object_name.0);
            table.extend_from_slice(&pack.bytes.to_le_bytes());
            table.extend_from_slice(&pack.data_key.0);
        }
        table
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`BadRecord`] when the bytes are no record, were altered, or contradict themselves.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadRecord> {
        let body = check(bytes)?;
        let (head, body) = take_section(body)?;
        let (table, body) = take_section(body)?;
        let (sealed_root, body) = take_section(body)?;
        if !body.is_empty() || !table.len().is_multiple_of(PACK_ROW_BYTES) {
            return Err(BadRecord::Nonsense("its sections do not add up".to_owned()));
        }
        let head = serde_json::from_slice(head).map_err(|e| BadRecord::Nonsense(e.to_string()))?;
        let packs: Vec<PackRef> = table.chunks_exact(PACK_ROW_BYTES).map(decode_pack).collect();
        if let Some(pack) = packs.iter().find(|pack| !pack::LENGTHS.contains(&pack.bytes)) {
            return Err(BadRecord::Nonsense(format!("it names a pack of {} bytes", pack.bytes)));
        }
        let record = Self { head, packs, sealed_root: sealed_root.to_vec() };
        record.check_keys()?;
        Ok(record)
    }

    fn check_keys(&self) -> Result<(), BadRecord> {
        let named: std::collections::HashSet<DataKeyId> =
            self.head.wrapped_keys.iter().map(|key| key.data_key).collect();
        let mut needed = self.packs.iter().map(|pack| pack.data_key).chain([self.head.root_key]);
        match needed.find(|key| !named.contains(key)) {
            Some(key) => Err(BadRecord::Nonsense(format!("it lacks data key {key}"))),
            None => Ok(()),
        }
    }
}

fn check(bytes: &[u8]) -> Result<&[u8], BadRecord> {
    if bytes.len() < MAGIC.len() + 1 + HASH_BYTES || !bytes.starts_with(MAGIC) || bytes[MAGIC.len()] != VERSION {
        return Err(BadRecord::NotARecord);
    }
    let (body, hash) = bytes.split_at(bytes.len() - HASH_BYTES);
    if blake3::hash(body).as_bytes() != hash {
        return Err(BadRecord::Damaged);
    }
    Ok(&body[MAGIC.len() + 1..])
}

fn take_section(bytes: &[u8]) -> Result<(&[u8], &[u8]), BadRecord> {
    let short = || BadRecord::Nonsense("a section is cut short".to_owned());
    let (len, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| short())?;
    rest.split_at_checked(len).ok_or_else(short)
}

fn decode_pack(row: &[u8]) -> PackRef {
    PackRef {
        id: PackId(row[..16].try_into().expect("16 bytes")),
        object_name: ObjectName(row[16..48].try_into().expect("32 bytes")),
        bytes: u64::from_le_bytes(row[48..56].try_into().expect("8 bytes")),
        data_key: DataKeyId(row[56..72].try_into().expect("16 bytes")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record() -> Record {
        let mut rng = rand::rng();
        let data_key = DataKeyId::random(&mut rng);
        Record {
            head: RecordHead {
                backup: BackupId::random(&mut rng, ResourceKind::Disk),
                account: AccountId::random(&mut rng),
                region: "us-east-1".parse().unwrap(),
                resource: ResourceId::random(&mut rng, ResourceKind::Disk),
                resource_kind: ResourceKind::Disk,
                snapshot: SnapshotId::random(&mut rng),
                created_at: Timestamp(1),
                completed_at: Timestamp(2),
                lineage: Lineage::default(),
                kms_key: KmsKeyId::random(&mut rng),
                root_key: data_key,
                wrapped_keys: vec![RecordedKey { data_key, wrapped: vec![1, 2, 3] }],
                tags: vec![("a".into(), "b".into())],
                origin: Origin::Automatic,
                attributes: no_attributes(),
                expires_at: Some(Timestamp(3)),
                totals: Totals::default(),
            },
            packs: vec![PackRef { id: PackId([1; 16]), object_name: ObjectName([2; 32]), bytes: 900, data_key }],
            sealed_root: vec![5; 100],
        }
    }

    #[test]
    fn a_record_reads_back_equal() {
        let record = record();
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = record().encode();
        for at in 0..bytes.len() {
            assert!(Record::decode(&bytes[..at]).is_err(), "cut to {at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(Record::decode(&flipped).is_err(), "flipped at {at}");
        }
    }

    /// What adds up the lengths, or sets memory aside, relies on it.
    #[test]
    fn a_record_names_no_pack_of_a_length_that_none_has() {
        for (bytes, is_sound) in [(0, false), (1, false), (32 << 20, true), (1 << 33, false), (u64::MAX, false)] {
            let mut record = record();
            record.packs[0].bytes = bytes;
            assert_eq!(Record::decode(&record.encode()).is_ok(), is_sound, "{bytes}");
        }
    }

    #[test]
    fn a_record_without_a_key_it_needs_makes_no_sense() {
        let mut record = record();
        record.head.wrapped_keys.clear();
        assert!(matches!(Record::decode(&record.encode()), Err(BadRecord::Nonsense(_))));
    }
}
