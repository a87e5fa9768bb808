//! Running copies: one reader of the source, one writer per target.
//!
//! Every pack that some target lacks is read once, hashed once, and handed piece by piece to each that lacks it; at
//! its end the targets are told whether its hash was right, and only then make it visible.
//!
//! What is in memory does not depend on the size or number of packs. Pieces have half a MiB; two of them per pack that is
//! read, and a passage's queue and one more per target that takes it, make some 6 MiB for each pack that is on its way to
//! one target. Two things take more, within [`MEMORY_BYTES_MAX`] for each target and one pack beyond: stores over a network, to
//! which packs go in few large requests (`store::PackUpload`), and `--reencrypt`, which needs whole packs. The ends of two
//! packs that come early over a network wait in up to 16 MiB each.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{join, join_all};
use futures::stream::FuturesUnordered;
use model::{PackId, Region};
use store::{PackRef, PackUpload, Record};
use tokio::time::Instant;

use super::CopyReport;
use super::lane::{Arrivals, Lane, ReadFailure, lane};
use super::place::{Placed, place};
use super::read::{READS_OVER_NETWORK, Reader, carry_to_all};
use super::share;
use super::submit::CopyJob;
use super::target::{TargetJob, finish};
use super::turns::Turns;
use super::width::Width;
use super::within::copy_within;
use super::write::{Writer, write_packs};
use crate::context::RegionContext;
use crate::error::EngineError;
use crate::pace::Pace;
use crate::progress::Progress;

/// Packs that are made durable while others arrive, so that the disk is not left idle.
const FINISHES_IN_DIRECTORY: usize = 4;

/// Packs that are on their way at once to a store over a network: as many as may arrive, and in the end as many again that it
/// is still busy with.
const WRITES_OVER_NETWORK: (usize, usize) = (READS_OVER_NETWORK.1, 2 * READS_OVER_NETWORK.1);

/// Packs that are sealed anew, those that still arrive included. Two of them occupy a small machine.
const SEALINGS: usize = 4;

/// What packs on their way to one target may take of memory, where they are kept in it.
const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// How long the others wait for a target that has not said yet what it lacks.
const PATIENCE: Duration = Duration::from_secs(5);

type Ended = (Region, Result<CopyReport, EngineError>);

/// Runs `copies`, all of the same backup of `source`, and returns when each is done or has failed.
///
/// The backup's record is read where it is not given.
pub(super) async fn run(
    source: &Arc<RegionContext>,
    record: Option<Arc<Record>>,
    copies: Vec<CopyJob>,
    progress: &Arc<Progress>,
) -> Vec<Ended> {
    let Some(request) = copies.first().map(|copy| copy.request.clone()) else { return Vec::new() };
    let record = match record {
        Some(record) => record,
        None => match source.store.read_record(&request.account, &request.backup).await {
            Ok(record) => Arc::new(record),
            Err(error) => return fail_all(copies, &error.into()).await,
        },
    };
    progress.begin("copying", 0);
    let is_alone = copies.len() == 1;
    let mut starting: FuturesUnordered<_> =
        copies.into_iter().map(|copy| Box::pin(start(copy, &record, progress))).collect();
    let reader = Reader { source: Arc::clone(source), record: Arc::clone(&record), pace: Pace::new(request.bandwidth) };
    if is_alone {
        // Nobody waits for it.
        return join_all(starting.into_iter().map(|start| run_alone(&reader, start))).await;
    }
    let deadline = Instant::now() + PATIENCE;
    let (mut shared, mut alone, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    while let Ok(Some(started)) = tokio::time::timeout_at(deadline, starting.next()).await {
        match started {
            Err(end) => ended.push(end),
            // At a pace of its own a target would keep the others; and what a service copies is not read at all.
            Ok(started) if started.0.ctx().pace.is_limited() || started.0.is_in_one_service() => {
                alone.push(run_started(&reader, started));
            }
            Ok(started) => shared.push(started),
        }
    }
    let late = join_all(starting.into_iter().map(|start| run_alone(&reader, start)));
    let (shared, alone, late) = tokio::join!(run_together(&reader, shared), join_all(alone), late);
    ended.extend(shared.into_iter().chain(alone).chain(late));
    ended
}

/// Finds out what a target lacks.
async fn start(copy: CopyJob, record: &Arc<Record>, progress: &Arc<Progress>) -> Result<Started, Ended> {
    match TargetJob::begin(copy, record, progress).await {
        Ok(job) => {
            let placed = place(&job).await;
            progress.expect_more(placed.as_ref().map_or(0, Placed::bytes_missing));
            Ok((job, placed))
        }
        Err((copy, error)) => {
            copy.give_up(&error).await;
            Err((copy.target.region.clone(), Err(error)))
        }
    }
}

/// A copy, and what the target lacks.
type Started = (TargetJob, Result<Placed, EngineError>);

/// Reads the source once for all.
async fn run_together(reader: &Reader, started: Vec<Started>) -> Vec<Ended> {
    let (lanes, arrivals): (Vec<Lane>, Vec<Arrivals>) = started.iter().map(lane_of).unzip();
    let ends = started.into_iter().zip(arrivals).map(|(started, arrivals)| end(started, arrivals));
    let ((), ended) = join(carry_to_all(reader, &lanes), join_all(ends)).await;
    ended
}

/// Reads the source for this target alone.
async fn run_alone(reader: &Reader, start: impl Future<Output = Result<Started, Ended>>) -> Ended {
    match start.await {
        Ok(started) => run_started(reader, started).await,
        Err(ended) => ended,
    }
}

async fn run_started(reader: &Reader, (job, mut placed): Started) -> Ended {
    if let Ok(lacking) = &mut placed
        && job.is_in_one_service()
        && let Err(error) = copy_within(&job, lacking).await
    {
        placed = Err(error);
    }
    let started = (job, placed);
    let (lane, arrivals) = lane_of(&started);
    let (job, placed) = started;
    let written = match &placed {
        Ok(placed) if share::is_worth_it(&job, placed) => share::send(reader, &job, placed, &lane, arrivals).await,
        _ => {
            let carried = carry_to_all(reader, std::slice::from_ref(&lane));
            join(carried, write_packs(&job.writer, arrivals)).await.1
        }
    };
    (job.ctx().region.clone(), finish(&job, placed, written).await)
}

async fn end((job, placed): Started, arrivals: Arrivals) -> Ended {
    let written = write_packs(&job.writer, arrivals).await;
    (job.ctx().region.clone(), finish(&job, placed, written).await)
}

fn lane_of((job, placed): &Started) -> (Lane, Arrivals) {
    lane_for(&job.writer, placed.iter().flat_map(|placed| &placed.missing).map(|pack| pack.id).collect())
}

/// A lane for what lacks `packs`.
pub(super) fn lane_for(writer: &Writer, packs: HashSet<PackId>) -> (Lane, Arrivals) {
    lane(packs, write_turns(writer), memory_of(writer))
}

/// How many packs are on their way to a target.
fn write_turns(writer: &Writer) -> Arc<Turns> {
    let now = Instant::now();
    let width = match (writer.anew.is_some(), writer.ctx.store.is_remote()) {
        (true, _) => Width::fixed(SEALINGS, now),
        (false, true) => Width::between(WRITES_OVER_NETWORK, now).after(writer.ctx.store.busy_answers()),
        (false, false) => Width::fixed(READS_OVER_NETWORK.1 + FINISHES_IN_DIRECTORY, now),
    };
    Turns::new(width, MEMORY_BYTES_MAX)
}

/// What a pack takes of memory from its first piece on. One that goes to its store in one request takes more as it comes.
fn memory_of(writer: &Writer) -> fn(&PackRef) -> u64 {
    match (writer.anew.is_some(), writer.ctx.store.is_remote()) {
        // As it was, and sealed anew.
        (true, _) => |pack| pack.bytes.saturating_mul(2),
        (false, true) => |pack| match pack.bytes {
            ..=PackUpload::PART_BYTES => 0,
            bytes => bytes.min(PackUpload::MEMORY_BYTES_MAX),
        },
        (false, false) => |_| 0,
    }
}

/// Ends every copy with the same cause.
async fn fail_all(copies: Vec<CopyJob>, error: &EngineError) -> Vec<Ended> {
    let failure = ReadFailure::of(error);
    let mut results = Vec::new();
    for copy in copies {
        let error = failure.to_error();
        copy.give_up(&error).await;
        results.push((copy.target.region.clone(), Err(error)));
    }
    results
}
