//! Data keys at work: unwrapping those of a record, wrapping them for another KMS key.

use std::collections::BTreeSet;

use catalog::WrappedKeyRow;
use model::{AccountId, BackupId, DataKeyId, KmsKeyId};
use store::manifest::Root;
use store::record::RecordedKey;
use store::{DataKey, KeyError, KeyErrorKind, KeyRing, Record, WrapContext, Wrapped, WrappedKey};

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
        let wrapped = Wrapped { by: &record.head.kms_key, bytes: &key.wrapped };
        ring.insert(key.data_key, ctx.keys.unwrap(&context, wrapped).await?);
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
    any_form(ctx, account, data_key, |context, row| async move { ctx.keys.unwrap(&context, wrapped(&row)).await }).await
}

/// As [`unwrap_any`], but wraps it by `by`: the data key need not leave the key service.
pub(crate) async fn rewrap_any(
    ctx: &RegionContext,
    account: &AccountId,
    data_key: DataKeyId,
    by: &KmsKeyId,
) -> Result<WrappedKey, EngineError> {
    let make = |context, row| async move { ctx.keys.rewrap(by, &context, wrapped(&row)).await };
    any_form(ctx, account, data_key, make).await
}

/// What `make` makes of the first wrapped form of a data key in the region's catalog that it can use.
async fn any_form<T, F: Future<Output = Result<T, KeyError>>>(
    ctx: &RegionContext,
    account: &AccountId,
    data_key: DataKeyId,
    make: impl Fn(WrapContext, WrappedKeyRow) -> F,
) -> Result<T, EngineError> {
    let context = WrapContext { account: account.clone(), data_key };
    let mut failure = None;
    for row in ctx.catalog.wrapped_keys(account, &[data_key], None).await? {
        match make(context.clone(), row).await {
            Ok(made) => return Ok(made),
            // One that may be there later counts for more than one that is gone for good.
            Err(error) if failure.as_ref().is_none_or(is_final) => failure = Some(error),
            Err(_) => {}
        }
    }
    Err(failure.map_or_else(
        || EngineError::refused(ErrorKind::Damaged, format!("data key {data_key} is not in {}'s catalog", ctx.region)),
        EngineError::from,
    ))
}

fn is_final(error: &KeyError) -> bool {
    error.kind != KeyErrorKind::Unavailable
}

fn wrapped(row: &WrappedKeyRow) -> Wrapped<'_> {
    Wrapped { by: &row.kms_key, bytes: &row.wrapped }
}

/// The wrapped forms that a record under `by` needs for `needed`; those that the catalog does not have are made by `wrap`
/// and kept there.
pub(crate) async fn record_keys<F: Future<Output = Result<WrappedKey, EngineError>>>(
    ctx: &RegionContext,
    account: &AccountId,
    by: &KmsKeyId,
    needed: &BTreeSet<DataKeyId>,
    wrap: impl Fn(DataKeyId) -> F,
) -> Result<Vec<RecordedKey>, EngineError> {
    let needed: Vec<DataKeyId> = needed.iter().copied().collect();
    let rows = ctx.catalog.wrapped_keys(account, &needed, Some(by)).await?;
    let mut recorded: Vec<RecordedKey> =
        rows.into_iter().map(|row| RecordedKey { data_key: row.data_key, wrapped: row.wrapped }).collect();
    let found: BTreeSet<DataKeyId> = recorded.iter().map(|key| key.data_key).collect();
    for data_key in needed.into_iter().filter(|key| !found.contains(key)) {
        let wrapped = wrap(data_key).await?;
        ctx.catalog.put_wrapped_keys(account, &[(data_key, by.clone(), wrapped.clone())]).await?;
        recorded.push(RecordedKey { data_key, wrapped });
    }
    recorded.sort_by_key(|key| key.data_key);
    Ok(recorded)
}
