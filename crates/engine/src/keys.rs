//! Data keys at work: unwrapping those of a record, wrapping them for another KMS key.

use std::collections::BTreeSet;

use model::{AccountId, BackupId, DataKeyId, KmsKeyId};
use store::manifest::Root;
use store::record::RecordedKey;
use store::{DataKey, KeyRing, Record, WrapContext};

use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};

/// A backup's record with its keys unwrapped and its root opened.
#[derive(Clone, Debug)]
pub(crate) struct OpenedRecord {
    pub(crate) record: Record,
    pub(crate) keys: KeyRing,
    pub(crate) root: Root,
}

/// Reads a backup's record from the store and opens it.
pub(crate) async fn open_record(
    ctx: &RegionContext,
    account: &AccountId,
    backup: &BackupId,
) -> Result<OpenedRecord, EngineError> {
    let record = ctx.store.read_record(account, backup).await?;
    let keys = unwrap_all(ctx, &record).await?;
    let root = open_root(&record, &keys)?;
    Ok(OpenedRecord { record, keys, root })
}

/// Unwraps every data key of a record.
pub(crate) async fn unwrap_all(ctx: &RegionContext, record: &Record) -> Result<KeyRing, EngineError> {
    let mut ring = KeyRing::new();
    for key in &record.head.wrapped_keys {
        let context = WrapContext { account: record.head.account.clone(), data_key: key.data_key };
        ring.insert(key.data_key, ctx.keys.unwrap(&record.head.kms_key, &context, &key.wrapped).await?);
    }
    Ok(ring)
}

/// Opens the root of a record.
pub(crate) fn open_root(record: &Record, keys: &KeyRing) -> Result<Root, EngineError> {
    let opened =
        keys.get(&record.head.root_key).and_then(|key| Root::open(key, record.head.snapshot, &record.sealed_root).ok());
    opened.ok_or_else(|| {
        let id = &record.head.backup;
        EngineError::refused(ErrorKind::Damaged, format!("the record of {id} in {} is damaged", record.head.region))
    })
}

/// Unwraps a data key of which the region's catalog has a wrapped form under any usable KMS key.
pub(crate) async fn unwrap_any(
    ctx: &RegionContext,
    account: &AccountId,
    data_key: DataKeyId,
) -> Result<DataKey, EngineError> {
    let context = WrapContext { account: account.clone(), data_key };
    let mut failure = None;
    for row in ctx.catalog.wrapped_keys(account, &[data_key], None).await? {
        match ctx.keys.unwrap(&row.kms_key, &context, &row.wrapped).await {
            Ok(key) => return Ok(key),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.map_or_else(
        || EngineError::refused(ErrorKind::Damaged, format!("data key {data_key} is not in {}'s catalog", ctx.region)),
        EngineError::from,
    ))
}

/// Wraps `key` by `by` and keeps the wrapped form in the catalog.
pub(crate) async fn wrap_and_keep(
    ctx: &RegionContext,
    account: &AccountId,
    by: &KmsKeyId,
    key: &DataKey,
) -> Result<RecordedKey, EngineError> {
    let context = WrapContext { account: account.clone(), data_key: key.id() };
    let wrapped = ctx.keys.wrap(by, &context, key).await?;
    ctx.catalog.put_wrapped_keys(account, &[(key.id(), by.clone(), wrapped.clone())]).await?;
    Ok(RecordedKey { data_key: key.id(), wrapped })
}

/// The wrapped forms that a record under `by` needs for `needed`; those that are missing are
/// made by unwrapping with `unwrap` and wrapping anew.
pub(crate) async fn record_keys<F: Future<Output = Result<DataKey, EngineError>>>(
    ctx: &RegionContext,
    account: &AccountId,
    by: &KmsKeyId,
    needed: &BTreeSet<DataKeyId>,
    unwrap: impl Fn(DataKeyId) -> F,
) -> Result<Vec<RecordedKey>, EngineError> {
    let needed: Vec<DataKeyId> = needed.iter().copied().collect();
    let rows = ctx.catalog.wrapped_keys(account, &needed, Some(by)).await?;
    let mut recorded: Vec<RecordedKey> =
        rows.into_iter().map(|row| RecordedKey { data_key: row.data_key, wrapped: row.wrapped }).collect();
    let found: BTreeSet<DataKeyId> = recorded.iter().map(|key| key.data_key).collect();
    for missing in needed.into_iter().filter(|key| !found.contains(key)) {
        recorded.push(wrap_and_keep(ctx, account, by, &unwrap(missing).await?).await?);
    }
    recorded.sort_by_key(|key| key.data_key);
    Ok(recorded)
}
