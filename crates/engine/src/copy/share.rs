//! Sharing a large copy: several servers of the target's region send its packs at once, by ranges.
//!
//! Whoever has the copy's lease offers parts, takes one after the other from the front, and publishes once all are done.
//! Others take from the back, each part under a lease of its own. What a part is bound to is the copy's fence: once the copy
//! has changed hands, all that was offered before is nobody's, and the next holder offers what is still missing.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use catalog::{BackupRow, CopyPart};
use futures::future::join;
use futures::stream;
use model::PackId;
use store::{PackRef, Record};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::lane::{Arrivals, Lane, ReadFailure};
use super::place::Placed;
use super::read::{self, Reader};
use super::run::lane_for;
use super::target::TargetJob;
use super::write::{Right, Writer, write_packs};
use super::{CopyRequest, plan::plan_copy};
use crate::context::RegionContext;
use crate::error::EngineError;
use crate::lease::{Renewal, is_lost};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::worker::Worker;

/// How often the holder of a copy looks whether others have done their parts.
const POLL: Duration = Duration::from_secs(1);

/// How long the holder of a copy waits for others, with nothing left to do, before it takes their parts from them: one that
/// hangs keeps its lease.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a copy is large enough to be shared: one of which more than a part is missing. Packs that are sealed anew are all
/// sealed by one, and the pace of one copy is one reader's to keep.
pub(super) fn is_worth_it(job: &TargetJob, placed: &Placed) -> bool {
    let request = &job.copy.request;
    !request.reencrypt && request.bandwidth.is_none() && placed.missing.len() > job.copy.part_packs
}

/// Cuts a pack table into parts, and leaves out those of which nothing is missing. Pure.
fn plan_parts(packs: &[PackRef], missing: &HashSet<PackId>, part_packs: usize) -> Vec<Range<u64>> {
    let mut parts = Vec::new();
    let mut first = 0;
    for part in packs.chunks(part_packs.max(1)) {
        let end = first + part.len() as u64;
        if part.iter().any(|pack| missing.contains(&pack.id)) {
            parts.push(first..end);
        }
        first = end;
    }
    parts
}

/// The packs of a part.
fn packs_of<'r>(record: &'r Record, part: &CopyPart) -> &'r [PackRef] {
    let end = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(record.packs.len());
    &record.packs[end(part.packs.start)..end(part.packs.end)]
}

/// Sends to the target what it lacks, while others may do so, too.
pub(super) async fn send(
    reader: &Reader,
    job: &TargetJob,
    placed: &Placed,
    lane: &Lane,
    arrivals: Arrivals,
) -> Result<(), EngineError> {
    let ((), written) = join(carry(reader, job, placed, lane), write_packs(&job.writer, arrivals)).await;
    written?;
    job.writer.progress.catch_up(placed.bytes_by_service() + placed.bytes_missing());
    Ok(())
}

/// Carries one part after the other to the target, until every part is done.
async fn carry(reader: &Reader, job: &TargetJob, placed: &Placed, lane: &Lane) {
    let (sender, mut packs) = mpsc::channel(1);
    let packs = stream::poll_fn(move |context| packs.poll_recv(context));
    let fed = async {
        // Moved in, so that reading ends when there are no more.
        let sender = sender;
        feed(job, placed, lane, &sender).await
    };
    let (fed, ()) = join(fed, read::carry(reader, std::slice::from_ref(lane), packs)).await;
    match fed {
        Ok(()) => lane.end(),
        Err(error) => lane.fail(&ReadFailure::of(&error)),
    }
}

/// Hands out the packs of one part after the other.
async fn feed(job: &TargetJob, placed: &Placed, lane: &Lane, packs: &mpsc::Sender<PackRef>) -> Result<(), EngineError> {
    let (catalog, id, fence) = (&job.ctx().catalog, job.id(), job.fence());
    let done_before = done_bytes(job).await?;
    let missing = placed.missing.iter().map(|pack| pack.id).collect();
    let parts = plan_parts(&job.record.packs, &missing, job.copy.part_packs);
    catalog.offer_parts(job.account(), id, fence, &parts).await?;
    let mut idle_since = None;
    while !lane.is_closed() {
        let takes_all = idle_since.is_some_and(|since: Instant| since.elapsed() > PATIENCE);
        if let Some(part) = catalog.take_part(id, fence, takes_all).await? {
            idle_since = None;
            for pack in lacking(&job.writer, packs_of(&job.record, &part)).await? {
                if packs.send(pack).await.is_err() {
                    return Ok(());
                }
            }
        } else if catalog.parts_left(id).await? == 0 {
            break;
        } else {
            idle_since.get_or_insert_with(Instant::now);
            tokio::time::sleep(POLL).await;
        }
        // What others have sent shows nowhere else.
        let done_here = done_bytes(job).await?.saturating_sub(done_before);
        job.writer.progress.catch_up(placed.bytes_by_service() + done_here);
    }
    Ok(())
}

/// How much of the copy has landed, whoever has sent it.
async fn done_bytes(job: &TargetJob) -> Result<u64, EngineError> {
    let row = job.ctx().catalog.find_backup(job.account(), job.id()).await?;
    Ok(row.map_or(0, |row| row.done_bytes))
}

/// Those of `packs` that have not landed.
async fn lacking(writer: &Writer, packs: &[PackRef]) -> Result<Vec<PackRef>, EngineError> {
    let ids: Vec<PackId> = packs.iter().map(|pack| pack.id).collect();
    let held = writer.ctx.catalog.held_packs(&writer.account, &ids).await?;
    let held: HashSet<PackId> = held.into_iter().map(|pack| pack.pack_id).collect();
    Ok(plan_copy(packs, |pack| held.contains(pack)).0.into_iter().copied().collect())
}

/// Helps with a copy that another worker makes into `target`: sends one part after the other until there is none that
/// nobody is at work on. Returns how many bytes were sent.
///
/// # Errors
/// When the source cannot be read, or the target takes no more: the part is given back, and the copy's holder will see for
/// itself. `Conflict` when the copy has ended or changed hands meanwhile.
pub async fn help_copy(
    source: &Arc<RegionContext>,
    target: &Arc<RegionContext>,
    worker: &Worker,
    row: &BackupRow,
    progress: &Arc<Progress>,
) -> Result<u64, EngineError> {
    let mut sent_bytes = 0;
    let Some((_, request)) = CopyRequest::of_row(row) else { return Ok(sent_bytes) };
    let record = Arc::new(source.store.read_record(&request.account, &request.backup).await?);
    let reader = Reader { source: Arc::clone(source), record, pace: Pace::new(request.bandwidth) };
    while let Some(part) = target.catalog.claim_part(&row.id, &worker.lease_request()).await? {
        let writer = Writer {
            ctx: Arc::clone(target),
            account: request.account.clone(),
            backup: row.id.clone(),
            right: Right::Part(part.clone()),
            anew: None,
            progress: Arc::clone(progress),
        };
        match send_part(&reader, &writer, &part, worker).await {
            Ok(bytes) => sent_bytes += bytes,
            Err(error) => {
                // What could not be given back now is free once its lease has run out.
                drop(target.catalog.release_part(&part).await);
                return Err(error);
            }
        }
    }
    Ok(sent_bytes)
}

async fn send_part(reader: &Reader, writer: &Writer, part: &CopyPart, worker: &Worker) -> Result<u64, EngineError> {
    let _renewal = {
        let (catalog, part, ttl) = (writer.ctx.catalog.clone(), part.clone(), worker.lease);
        Renewal::of(ttl, move || {
            let (catalog, part) = (catalog.clone(), part.clone());
            // A lost lease shows in the next write; a renewal that failed is tried again.
            async move { !matches!(catalog.renew_part(&part, ttl).await, Err(e) if is_lost(&e)) }
        })
    };
    let packs = lacking(writer, packs_of(&reader.record, part)).await?;
    let bytes = packs.iter().map(|pack| pack.bytes).sum();
    writer.progress.expect_more(bytes);
    let (lane, arrivals) = lane_for(writer, packs.iter().map(|pack| pack.id).collect());
    let lanes = std::slice::from_ref(&lane);
    let ((), written) = join(read::carry(reader, lanes, stream::iter(packs)), write_packs(writer, arrivals)).await;
    written?;
    writer.ctx.catalog.finish_part(part).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use model::{DataKeyId, ObjectName};

    use super::*;

    #[test]
    fn parts_cover_all_that_is_missing_and_no_pack_twice() {
        let pack = |n| PackRef {
            id: PackId([n; 16]),
            object_name: ObjectName([n; 32]),
            bytes: 1,
            data_key: DataKeyId([0; 16]),
        };
        let packs: Vec<PackRef> = (0..10).map(pack).collect();
        let missing = |of: &[u8]| of.iter().map(|n| PackId([*n; 16])).collect();
        assert_eq!(plan_parts(&packs, &missing(&[0, 9]), 4), [0..4, 8..10]);
        assert_eq!(plan_parts(&packs, &missing(&[4, 5, 6, 7]), 4), vec![4..8; 1]);
        assert_eq!(plan_parts(&packs, &missing(&[3]), 100), vec![0..10; 1]);
        assert_eq!(plan_parts(&packs, &missing(&[]), 4), []);
        assert_eq!(plan_parts(&packs, &missing(&[1]), 0).len(), 1, "a part has a pack");
    }
}
