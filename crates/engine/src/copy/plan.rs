//! Deciding what a copy must move. Pure, but for looking up what the target holds.

use std::collections::HashSet;

use model::{AccountId, PackId, Region};
use store::PackRef;

use super::CopyRequest;
use crate::context::RegionContext;
use crate::error::EngineError;

/// What a copy into one target would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPlanSummary {
    /// The target.
    pub target: Region,
    /// Packs it lacks.
    pub packs_to_move: u64,
    /// Their bytes.
    pub bytes_to_move: u64,
    /// Packs it holds already.
    pub packs_held: u64,
    /// Their bytes.
    pub bytes_held: u64,
}

/// Splits a source's pack table into what the target lacks and what it holds. Pure.
pub fn plan_copy(source: &[PackRef], is_held: impl Fn(&PackId) -> bool) -> (Vec<&PackRef>, Vec<&PackRef>) {
    source.iter().partition(|pack| !is_held(&pack.id))
}

/// Says what a copy would move, exactly, without moving it.
///
/// # Errors
/// As [`super::copy_backup`].
pub async fn plan(
    source: &RegionContext,
    targets: &[&RegionContext],
    request: &CopyRequest,
) -> Result<Vec<CopyPlanSummary>, EngineError> {
    let row = crate::backups::load_available(source, &request.account, &request.backup).await?;
    let record = source.store.read_record(&request.account, &request.backup).await?;
    let mut plans = Vec::new();
    for target in targets {
        super::submit::check_pair(source, target, &row)?;
        plans.push(plan_packs(target, &request.account, &record.packs, &mut HashSet::new()).await?);
    }
    Ok(plans)
}

/// As [`plan`], where the target will have the packs in `coming` by then, to which those are added that are to be moved.
///
/// # Errors
/// As [`super::copy_backup`].
pub async fn plan_next(
    source: &RegionContext,
    target: &RegionContext,
    request: &CopyRequest,
    coming: &mut HashSet<PackId>,
) -> Result<CopyPlanSummary, EngineError> {
    let row = crate::backups::load_available(source, &request.account, &request.backup).await?;
    super::submit::check_pair(source, target, &row)?;
    let record = source.store.read_record(&request.account, &request.backup).await?;
    plan_packs(target, &request.account, &record.packs, coming).await
}

async fn plan_packs(
    target: &RegionContext,
    account: &AccountId,
    packs: &[PackRef],
    coming: &mut HashSet<PackId>,
) -> Result<CopyPlanSummary, EngineError> {
    let ids: Vec<PackId> = packs.iter().map(|pack| pack.id).collect();
    let held = target.catalog.held_packs(account, &ids).await?;
    let held = held.into_iter().map(|pack| pack.pack_id);
    let held: HashSet<PackId> = held.chain(ids.iter().copied().filter(|id| coming.contains(id))).collect();
    let (missing, held) = plan_copy(packs, |pack| held.contains(pack));
    coming.extend(missing.iter().map(|pack| pack.id));
    let bytes = |packs: &[&PackRef]| packs.iter().map(|pack| pack.bytes).sum();
    Ok(CopyPlanSummary {
        target: target.region.clone(),
        packs_to_move: missing.len() as u64,
        bytes_to_move: bytes(&missing),
        packs_held: held.len() as u64,
        bytes_held: bytes(&held),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{DataKeyId, ObjectName};

    #[test]
    fn only_what_the_target_lacks_is_moved() {
        let pack = |n| PackRef {
            id: PackId([n; 16]),
            object_name: ObjectName([n; 32]),
            bytes: 1,
            data_key: DataKeyId([0; 16]),
        };
        let source = [pack(1), pack(2), pack(3)];
        let held = HashSet::from([PackId([2; 16]), PackId([9; 16])]);
        let (missing, held) = plan_copy(&source, |pack| held.contains(pack));
        assert_eq!(missing, [&source[0], &source[2]]);
        assert_eq!(held, [&source[1]]);
    }
}
