//! Copying within one S3 service, which moves the packs itself: their bytes never come here.

use std::collections::HashSet;

use futures::stream::{self, StreamExt};
use model::PackId;
use store::PackRef;

use super::place::Placed;
use super::target::TargetJob;
use crate::backup::describe;
use crate::error::EngineError;

/// Packs that the service is asked to copy at once.
const AT_ONCE: usize = 16;

/// Has the service of both stores copy what the target lacks. What nothing vouches for, and all that comes after a refusal,
/// stays missing and goes the usual way.
pub(super) async fn copy_within(job: &TargetJob, placed: &mut Placed) -> Result<(), EngineError> {
    let (source, target) = (&job.copy.source.store, &job.ctx().store);
    let copy = |pack: PackRef| async move {
        (pack, target.copy_pack_from(source, job.account(), &pack.object_name, pack.bytes).await)
    };
    let packs: Vec<PackRef> = placed.missing.clone();
    let mut copying = stream::iter(packs).map(copy).buffer_unordered(AT_ONCE).ready_chunks(AT_ONCE);
    let mut there = HashSet::new();
    let mut refusal = None;
    while let Some(group) = copying.next().await {
        let mut landed: Vec<PackRef> = Vec::new();
        for (pack, copied) in group {
            match copied {
                Ok(true) => landed.push(pack),
                Ok(false) => {}
                Err(error) => refusal = Some(error),
            }
        }
        let ids: Vec<PackId> = landed.iter().map(|pack| pack.id).collect();
        let bytes = landed.iter().map(|pack| pack.bytes).sum();
        job.writer.land(&ids, bytes).await?;
        job.writer.progress.advance(bytes);
        landed.iter().for_each(|_| job.writer.progress.count_entry());
        there.extend(ids);
        if refusal.is_some() {
            break;
        }
    }
    if let Some(error) = refusal {
        let (here, why) = (&job.ctx().region, describe(&EngineError::from(error)));
        job.writer
            .progress
            .note(format!("packs go to {here} through this machine, as its service does not copy them: {why}"));
    }
    placed.moved_by_service(&there);
    Ok(())
}
