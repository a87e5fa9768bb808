//! Running copies: one reader of the source, one writer per target.
//!
//! Every pack that some target lacks is read once, hashed once, and handed piece by piece to each that lacks it; at
//! its end the targets are told whether its hash was right, and only then make it visible.
//!
//! What is in memory does not depend on the size or number of packs. Pieces have half a MiB; two of them per pack that is
//! read, and a passage's queue and one more per target that takes it, make some 6 MiB for each pack that is on its way to
//! one target. Two things take more, within [`MEMORY_BYTES_MAX`] for each target: stores over a network, to which packs go
//! in few large requests (`store::PackUpload`), and `--reencrypt`, which needs whole packs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use model::Region;
use store::{PackDownload, PackRef, PackUpload, Record, RegionStore, StoreError};
use tokio::time::Instant;

use super::CopyReport;
use super::lane::{Lane, Parcel, Passage, ReadFailure, lane};
use super::place::place;
use super::submit::CopyJob;
use super::target::{TargetJob, finish, write_packs};
use super::turns::{Turn, Turns};
use super::width::Width;
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::verify::files_needing;

/// Packs that are read at once from a directory: the first bytes of one are on their way while the last ones of another
/// are handed out.
const READS_FROM_DIRECTORY: usize = 2;

/// Packs that are read at once over a network: as many as fill most lines to begin with, and no more than a service
/// takes for one client.
const READS_OVER_NETWORK: (usize, usize) = (4, 16);

/// Packs that are made durable while others arrive, so that the disk is not left idle.
const FINISHES_IN_DIRECTORY: usize = 4;

/// Packs that are on their way at once to a store over a network, those that still arrive included.
const WRITES_OVER_NETWORK: (usize, usize) = (8, 32);

/// Packs that are sealed anew, those that still arrive included. Two of them occupy a small machine.
const SEALINGS: usize = 4;

/// What packs on their way to one target may take of memory, where they are kept in it.
const MEMORY_BYTES_MAX: u64 = 256 << 20;

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
    let turns = Turns::new(reads(&source.store), 0);
    let reader = Reader { source: Arc::clone(source), record, pace: Pace::new(request.bandwidth), turns };
    let (mut shared, mut parted, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (job, placed) in jobs.iter().zip(placed) {
        let missing = placed.iter().flat_map(|placed| &placed.missing).map(|pack| pack.id).collect();
        let (lane, arrivals) = lane(missing, write_turns(job), memory_of(job));
        // At a pace of its own a target would keep the others.
        if job.ctx.pace.is_limited() { &mut parted } else { &mut shared }.push(lane);
        ends.push(async move {
            let written = write_packs(job, arrivals).await;
            (job.ctx.region.clone(), finish(job, placed, written).await)
        });
    }
    let parted = futures::future::join_all(parted.iter().map(|lane| carry(&reader, std::slice::from_ref(lane))));
    let ended = futures::future::join_all(ends);
    let ((), _, ended) = tokio::join!(carry_to_all(&reader, &shared), parted, ended);
    results.extend(ended);
    results
}

/// How many packs are read at once.
fn reads(source: &RegionStore) -> Width {
    match source.is_remote() {
        true => Width::between(READS_OVER_NETWORK.0, READS_OVER_NETWORK.1, Instant::now()),
        false => Width::fixed(READS_FROM_DIRECTORY, Instant::now()),
    }
}

/// How many packs are on their way to a target.
fn write_turns(job: &TargetJob) -> Arc<Turns> {
    let now = Instant::now();
    let width = match (job.new_key.is_some(), job.ctx.store.is_remote()) {
        (true, _) => Width::fixed(SEALINGS, now),
        (false, true) => Width::between(WRITES_OVER_NETWORK.0, WRITES_OVER_NETWORK.1, now),
        (false, false) => Width::fixed(READS_OVER_NETWORK.1 + FINISHES_IN_DIRECTORY, now),
    };
    Turns::new(width, MEMORY_BYTES_MAX)
}

/// What a pack takes of memory until it is in the target's store.
fn memory_of(job: &TargetJob) -> fn(&PackRef) -> u64 {
    match (job.new_key.is_some(), job.ctx.store.is_remote()) {
        // As it was, and sealed anew.
        (true, _) => |pack| pack.bytes.saturating_mul(2),
        (false, true) => |pack| pack.bytes.min(PackUpload::MEMORY_BYTES_MAX),
        (false, false) => |_| 0,
    }
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

/// Carries every pack once to all that lack it, then to each target what it missed. A target's lane ends as soon as it has
/// all, or when a pack that it needs cannot be read.
async fn carry_to_all(reader: &Reader, lanes: &[Lane]) {
    carry(reader, lanes).await;
    let missed = lanes.iter().map(|lane| {
        lane.take_back_missed();
        carry(reader, std::slice::from_ref(lane))
    });
    futures::future::join_all(missed).await;
}

/// Carries every pack to all that lack it and keep up.
async fn carry(reader: &Reader, lanes: &[Lane]) {
    let packs = &reader.record.packs;
    let mut wanted = packs.iter().filter(|pack| lanes.iter().any(|lane| lane.lacks(pack))).fuse();
    let (mut next, mut under_way) = (wanted.next(), FuturesUnordered::new());
    loop {
        tokio::select! {
            biased;
            Some(()) = under_way.next() => {}
            turn = reader.turns.take(0), if next.is_some() => {
                under_way.extend(next.map(|pack| reader.carry_pack(pack, lanes, turn)));
                next = wanted.next();
            }
            else => break,
        }
    }
}

/// Reads the source's packs, verified, within the bandwidth that is allowed.
struct Reader {
    source: Arc<RegionContext>,
    record: Arc<Record>,
    pace: Pace,
    turns: Arc<Turns>,
}

impl Reader {
    /// Carries a pack to those of the lanes that take it.
    async fn carry_pack(&self, pack: &PackRef, lanes: &[Lane], turn: Turn) {
        let open: Vec<&Lane> = lanes.iter().filter(|lane| !lane.is_closed()).collect();
        if let [lane] = open[..] {
            lane.wait_always();
        }
        let mut passages = Vec::new();
        for lane in open {
            passages.extend(lane.begin(pack).await);
        }
        match self.send(pack, &mut passages, &turn).await {
            Ok(()) => turn.end(pack.bytes, self.source.store.busy_answers()),
            Err(failure) => passages.iter().for_each(|passage| passage.fail(&failure)),
        }
    }

    async fn open(&self, pack: &PackRef, turn: &Turn) -> Result<PackDownload, StoreError> {
        let began = Instant::now();
        let opened = self.source.store.open_pack(&self.record.head.account, &pack.object_name).await;
        turn.note_delay(began.elapsed());
        opened
    }

    /// Sends a pack down the passages; from its beginning again when reading fails for a passing reason.
    async fn send(&self, pack: &PackRef, passages: &mut [Passage<'_>], turn: &Turn) -> Result<(), ReadFailure> {
        let mut tries = 1;
        while passages.iter().any(Passage::is_taken) {
            let sent = match self.open(pack, turn).await {
                Ok(download) => self.send_pieces(download, passages).await,
                Err(error) => Err(error),
            };
            let Err(error) = sent.map_err(EngineError::from) else { return Ok(()) };
            if error.kind() != ErrorKind::Unavailable || tries == READ_TRIES {
                return Err(self.explain(pack, &error).await);
            }
            tokio::time::sleep(READ_BACKOFF * tries).await;
            tries += 1;
            for passage in passages.iter_mut().filter(|passage| passage.is_taken()) {
                passage.begin().await;
            }
        }
        Ok(())
    }

    async fn send_pieces(&self, mut download: PackDownload, passages: &mut [Passage<'_>]) -> Result<(), StoreError> {
        while passages.iter().any(Passage::is_taken) {
            let Some(piece) = download.next().await? else {
                send_to_all(passages, &Parcel::Verified).await;
                break;
            };
            self.pace.wait_for(piece.len() as u64).await;
            send_to_all(passages, &Parcel::Piece(piece)).await;
        }
        Ok(())
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

async fn send_to_all(passages: &mut [Passage<'_>], parcel: &Parcel) {
    for passage in passages {
        passage.send(parcel.clone()).await;
    }
}
