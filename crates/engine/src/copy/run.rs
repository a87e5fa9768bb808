//! Running copies: one reader of the source, one writer per target.
//!
//! Every pack that some target lacks is read once and handed to each that lacks it. A target that
//! does not keep up is left behind, and what it missed is read again for it alone, so that it
//! neither slows nor fails the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use model::{ByteSize, PackId, Region};
use store::{PackRef, Record};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::CopyReport;
use super::place::{Placed, place};
use super::submit::CopyJob;
use super::target::{Parcel, TargetJob, finish, write_parcels};
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::progress::Progress;
use crate::verify::files_needing;

/// Packs read ahead: one is hashed while the next is read.
const READS_AT_ONCE: usize = 2;

/// Packs that wait for one target's writer.
const PARCELS_WAITING: usize = 1;

/// A target whose queue stays full for this long is left behind while others go on.
const PATIENCE: Duration = Duration::from_secs(5);

/// A read that fails for a passing reason is tried this often, a little later each time.
const READ_TRIES: u32 = 5;
const READ_BACKOFF: Duration = Duration::from_millis(200);

/// Runs `copies`, all of the same backup of `source`, and returns when each is done or has failed.
///
/// The backup's record is read where it is not given.
pub(super) async fn run(
    source: &Arc<RegionContext>,
    record: Option<Arc<Record>>,
    copies: Vec<CopyJob>,
    progress: &Arc<Progress>,
) -> Vec<(Region, Result<CopyReport, EngineError>)> {
    let Some(request) = copies.first().map(|copy| copy.request.clone()) else { return Vec::new() };
    let record = match record {
        Some(record) => record,
        None => match source.store.read_record(&request.account, &request.backup).await {
            Ok(record) => Arc::new(record),
            Err(error) => return fail_all(copies, &error.into()).await,
        },
    };
    let (mut jobs, mut results) = (Vec::new(), Vec::new());
    for copy in copies {
        match TargetJob::begin(copy, &record, progress).await {
            Ok(job) => jobs.push(job),
            Err((copy, error)) => {
                copy.give_up(&error).await;
                results.push((copy.target.region.clone(), Err(error)));
            }
        }
    }
    let mut placed = Vec::new();
    for job in &jobs {
        placed.push(place(job).await);
    }
    let to_move = placed.iter().flatten().flat_map(|placed| &placed.missing).map(|pack| pack.bytes).sum();
    progress.begin("copying", to_move);
    let reader = Reader { source: Arc::clone(source), record, pace: Pace::new(request.bandwidth) };
    let written = move_packs(&reader, &jobs, &placed).await;
    let ends =
        jobs.iter().zip(placed).zip(written).map(|((job, placed), written)| async move {
            (job.ctx.region.clone(), finish(job, placed, written).await)
        });
    results.extend(futures::future::join_all(ends).await);
    results
}

/// Ends every copy with the same cause.
async fn fail_all(copies: Vec<CopyJob>, error: &EngineError) -> Vec<(Region, Result<CopyReport, EngineError>)> {
    let failure = ReadFailure { kind: error.kind(), message: crate::backup::describe(error), hint: error.hint() };
    let mut results = Vec::new();
    for copy in copies {
        let error = failure.to_error();
        copy.give_up(&error).await;
        results.push((copy.target.region.clone(), Err(error)));
    }
    results
}

/// What became of each target: packs and bytes written, or why not.
async fn move_packs(
    reader: &Reader,
    jobs: &[TargetJob],
    placed: &[Result<Placed, EngineError>],
) -> Vec<Result<(u64, u64), EngineError>> {
    let mut lanes = Vec::new();
    let mut writers = Vec::new();
    for (job, placed) in jobs.iter().zip(placed) {
        let (parcels, incoming) = mpsc::channel(PARCELS_WAITING);
        let missing = placed.iter().flat_map(|placed| &placed.missing).map(|pack| pack.id).collect();
        lanes.push(Lane { parcels, missing, left_behind: false, missed: Vec::new() });
        writers.push(write_parcels(job, incoming));
    }
    let (read, written) = tokio::join!(read_for_all(reader, lanes), futures::future::join_all(writers));
    let blame = |written: Result<(u64, u64), EngineError>| match &read {
        // A source that cannot be read fails every target; each gets the cause.
        Err(failure) if written.is_ok() => Err(failure.to_error()),
        _ => written,
    };
    written.into_iter().map(blame).collect()
}

/// One target, as the reader sees it.
struct Lane {
    parcels: mpsc::Sender<Parcel>,
    missing: std::collections::HashSet<PackId>,
    left_behind: bool,
    missed: Vec<PackRef>,
}

/// A failure to read the source, which several targets are told of.
struct ReadFailure {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

impl ReadFailure {
    fn to_error(&self) -> EngineError {
        EngineError::Refused { kind: self.kind, message: self.message.clone(), hint: self.hint.clone() }
    }
}

async fn read_for_all(reader: &Reader, mut lanes: Vec<Lane>) -> Result<(), ReadFailure> {
    let wanted = reader.record.packs.iter().filter(|pack| lanes.iter().any(|lane| lane.missing.contains(&pack.id)));
    let wanted: Vec<PackRef> = wanted.copied().collect();
    let mut reads =
        stream::iter(wanted).map(|pack| async move { (pack, reader.read(&pack).await) }).buffered(READS_AT_ONCE);
    while let Some((pack, bytes)) = reads.next().await {
        let bytes = bytes?;
        for lane in lanes.iter_mut().filter(|lane| lane.missing.contains(&pack.id)) {
            lane.offer(pack, &bytes).await;
        }
        if lanes.iter().all(|lane| lane.parcels.is_closed()) {
            return Ok(());
        }
    }
    drop(reads);
    let rests = lanes.into_iter().map(|lane| async move {
        for pack in lane.missed {
            let bytes = reader.read(&pack).await?;
            if lane.parcels.send((pack, bytes)).await.is_err() {
                break;
            }
        }
        Ok(())
    });
    futures::future::try_join_all(rests).await.map(|_| ())
}

impl Lane {
    /// Hands a pack over, or notes that this target missed it. A closed lane has failed by itself.
    async fn offer(&mut self, pack: PackRef, bytes: &Bytes) {
        let parcel = (pack, bytes.clone());
        let patience = if self.left_behind { Duration::ZERO } else { PATIENCE };
        match self.parcels.send_timeout(parcel, patience).await {
            Ok(()) => self.left_behind = false,
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                self.left_behind = true;
                self.missed.push(pack);
            }
        }
    }
}

/// Reads the source's packs, verified, within the bandwidth that is allowed.
struct Reader {
    source: Arc<RegionContext>,
    record: Arc<Record>,
    pace: Pace,
}

impl Reader {
    async fn read(&self, pack: &PackRef) -> Result<Bytes, ReadFailure> {
        self.pace.wait_for(pack.bytes).await;
        let mut tries = 1;
        loop {
            let read = self.source.store.read_pack(&self.record.head.account, &pack.object_name).await;
            let error = match read {
                Ok(bytes) => return Ok(bytes),
                Err(error) => EngineError::from(error),
            };
            if error.kind() != ErrorKind::Unavailable || tries == READ_TRIES {
                return Err(self.explain(pack, &error).await);
            }
            tokio::time::sleep(READ_BACKOFF * tries).await;
            tries += 1;
        }
    }

    /// Names the pack, the cause, and the files that need it.
    async fn explain(&self, pack: &PackRef, error: &EngineError) -> ReadFailure {
        let cause = crate::backup::describe(error);
        let head = &self.record.head;
        let files = match error.kind() {
            ErrorKind::Damaged => files_needing(&self.source, &head.account, &head.backup, &[pack.id]).await,
            _ => Ok(HashMap::new()),
        };
        let files = files.unwrap_or_default().remove(&pack.id).unwrap_or_default();
        let shown: Vec<String> = files.iter().take(20).map(ToString::to_string).collect();
        let needed = match files.len() {
            0 => String::new(),
            all if all > shown.len() => format!("; needed by {} and {} more", shown.join(", "), all - shown.len()),
            _ => format!("; needed by {}", shown.join(", ")),
        };
        let message = format!("pack {} cannot be read from {}: {cause}{needed}", pack.id, self.source.region);
        ReadFailure { kind: error.kind(), message, hint: error.hint() }
    }
}

/// Spaces reads so that no more than a given number of bytes per second are asked for.
struct Pace {
    bytes_per_second: Option<u64>,
    next: tokio::sync::Mutex<Instant>,
}

impl Pace {
    fn new(bandwidth: Option<ByteSize>) -> Self {
        Self { bytes_per_second: bandwidth.map(|size| size.0.max(1)), next: tokio::sync::Mutex::new(Instant::now()) }
    }

    async fn wait_for(&self, bytes: u64) {
        let Some(rate) = self.bytes_per_second else { return };
        let turn = {
            let mut next = self.next.lock().await;
            let turn = (*next).max(Instant::now());
            *next = turn + Duration::from_secs_f64(as_f64(bytes) / as_f64(rate));
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a pace need not be exact")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
