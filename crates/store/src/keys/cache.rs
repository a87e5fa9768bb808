//! Data keys that were unwrapped a moment ago, so that a key service elsewhere is not asked for each again and again.
//!
//! Each lies in a box of its own, which is overwritten when it goes: the map leaves what it held where it was.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;
use model::{AccountId, DataKeyId, KmsKeyId};

use super::{WrapContext, Wrapped};
use crate::seal::DataKey;

/// How long a data key is used. For so long a KMS key that was disabled may seem not to be.
pub(super) const KEPT: Duration = Duration::from_secs(30);

/// How many are kept.
const KEPT_MAX: usize = 1024;

/// Data keys, each for a short time. One that is too old goes with the next question.
#[derive(Debug)]
pub(super) struct DataKeyCache(Mutex<LruCache<Form, (Box<DataKey>, Instant)>>);

/// All that unwrapping depends on: what was wrapped, by its hash.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Form {
    by: KmsKeyId,
    account: AccountId,
    data_key: DataKeyId,
    wrapped: blake3::Hash,
}

impl Form {
    fn of(context: &WrapContext, wrapped: Wrapped<'_>) -> Self {
        Self {
            by: wrapped.by.clone(),
            account: context.account.clone(),
            data_key: context.data_key,
            wrapped: blake3::hash(wrapped.bytes),
        }
    }
}

impl DataKeyCache {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(KEPT_MAX)))
    }

    /// The data key, if it was kept less than [`KEPT`] before `now`.
    pub(super) fn find(&self, context: &WrapContext, wrapped: Wrapped<'_>, now: Instant) -> Option<DataKey> {
        self.fresh(now).get(&Form::of(context, wrapped)).map(|(key, _)| DataKey::clone(key))
    }

    pub(super) fn keep(&self, context: &WrapContext, wrapped: Wrapped<'_>, key: &DataKey, now: Instant) {
        self.fresh(now).insert(Form::of(context, wrapped), (Box::new(key.clone()), now));
    }

    /// What is not too old, and nothing else from here on.
    fn fresh(&self, now: Instant) -> MutexGuard<'_, LruCache<Form, (Box<DataKey>, Instant)>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (_, since)| now.saturating_duration_since(*since) < KEPT);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(data_key: u8) -> WrapContext {
        WrapContext { account: "123456789012".parse().unwrap(), data_key: DataKeyId([data_key; 16]) }
    }

    #[test]
    fn a_data_key_is_found_for_a_while_and_only_for_what_it_was_unwrapped_from() {
        let (cache, now) = (DataKeyCache::new(), Instant::now());
        let by = KmsKeyId::random(&mut rand::rng());
        let key = DataKey::generate(&mut rand::rng());
        let wrapped = Wrapped { by: &by, bytes: b"wrapped" };
        cache.keep(&context(1), wrapped, &key, now);
        let found = |context: &WrapContext, wrapped, now| cache.find(context, wrapped, now).map(|key| *key.secret());
        assert_eq!(found(&context(1), wrapped, now + KEPT / 2), Some(*key.secret()));
        assert_eq!(found(&context(2), wrapped, now), None);
        assert_eq!(found(&context(1), Wrapped { bytes: b"other", ..wrapped }, now), None);
        let other = KmsKeyId::random(&mut rand::rng());
        assert_eq!(found(&context(1), Wrapped { by: &other, ..wrapped }, now), None);
        assert_eq!(found(&context(1), wrapped, now + KEPT), None);
        assert_eq!(cache.fresh(now).len(), 0, "it is gone");
    }

    #[test]
    fn no_more_than_a_number_are_kept_and_none_that_is_old() {
        let (cache, now) = (DataKeyCache::new(), Instant::now());
        let by = KmsKeyId::random(&mut rand::rng());
        let key = DataKey::generate(&mut rand::rng());
        for number in 0..2 * KEPT_MAX {
            cache.keep(&context(1), Wrapped { by: &by, bytes: &number.to_le_bytes() }, &key, now);
        }
        assert_eq!(cache.fresh(now).len(), KEPT_MAX);
        cache.keep(&context(1), Wrapped { by: &by, bytes: b"later" }, &key, now + KEPT);
        assert_eq!(cache.fresh(now).len(), 1);
    }
}
