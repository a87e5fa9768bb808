//! Running copies: one reader of the source, one writer per target.
//!
//! Every pack that some target lacks is read once, hashed once, and handed piece by piece to each that lacks it; at
//! its end the targets are told whether its hash was right, and only then make it visible.
//!
//! What is in memory does not depend on the size or number of packs. Pieces have half a MiB; three of them per pack
//! that is open, and a lane's queue and two more per target, make 8 MiB for one target and 5 MiB for each other one.
//! Two things take more: stores over a network, to which packs go in few large requests (`store::PackUpload`), and
//! `--reencrypt`, which needs whole packs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use model::Region;
use store::{PackDownload, PackRef, Record, StoreError};

use super::CopyReport;
use super::lane::{Lane, Parcel, ReadFailure, lane};
use super::place::place;
use super::submit::CopyJob;
use super::target::{TargetJob, finish, write_packs};
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::verify::files_needing;

/// Packs that are open: the first bytes of one are on their way while the last ones of another are handed out.
const OPEN_AT_ONCE: usize = 2;

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
    let (mut shared, mut parted, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (job, placed) in jobs.iter().zip(placed) {
        let missing = placed.iter().flat_map(|placed| &placed.missing).map(|pack| pack.id).collect();
        let (mut lane, parcels) = lane(missing);
        // At a pace of its own a target would keep the others.
        if job.ctx.pace.is_limited() {
            lane.part(&reader.record.packs);
            parted.push(lane);
        } else {
            shared.push(lane);
        }
        ends.push(async move {
            let written = write_packs(job, parcels).await;
            (job.ctx.region.clone(), finish(job, placed, written).await)
        });
    }
    let parted = futures::future::join_all(parted.into_iter().map(|lane| read_missed(&reader, lane)));
    let ended = futures::future::join_all(ends);
    let ((), _, ended) = tokio::join!(read_for_all(&reader, shared), parted, ended);
    results.extend(ended);
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

/// Reads every pack once for all that lack it, then for each target what it missed. A target's lane ends as soon as it
/// has all, or when a pack that it needs cannot be read.
async fn read_for_all(reader: &Reader, mut lanes: Vec<Lane>) {
    let wanted = reader.record.packs.iter().filter(|pack| lanes.iter().any(|lane| lane.lacks(pack)));
    let wanted: Vec<PackRef> = wanted.copied().collect();
    let mut opened =
        stream::iter(wanted).map(|pack| async move { (pack, reader.open(&pack).await) }).buffered(OPEN_AT_ONCE);
    lanes.retain(|lane| !lane.is_done());
    while !lanes.is_empty() {
        let Some((pack, opened)) = opened.next().await else { break };
        if let [lane] = &mut lanes[..] {
            lane.wait_always();
        }
        lanes.iter_mut().for_each(|lane| lane.join(&pack));
        if let Err(failure) = reader.send(&pack, opened, &mut lanes).await {
            lanes.extract_if(.., |lane| lane.is_taking()).for_each(|lane| lane.fail(&failure));
        }
        lanes.retain(|lane| !lane.is_done());
    }
    drop(opened);
    futures::future::join_all(lanes.into_iter().map(|lane| read_missed(reader, lane))).await;
}

async fn read_missed(reader: &Reader, mut lane: Lane) {
    lane.wait_always();
    while let Some(pack) = lane.take_missed() {
        let opened = reader.open(&pack).await;
        if let Err(failure) = reader.send(&pack, opened, std::slice::from_mut(&mut lane)).await {
            return lane.fail(&failure);
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
    async fn open(&self, pack: &PackRef) -> Result<PackDownload, StoreError> {
        self.source.store.open_pack(&self.record.head.account, &pack.object_name).await
    }

    /// Sends a pack to the lanes that take it; from its beginning again when reading fails for a passing reason.
    async fn send(
        &self,
        pack: &PackRef,
        mut opened: Result<PackDownload, StoreError>,
        lanes: &mut [Lane],
    ) -> Result<(), ReadFailure> {
        let mut tries = 1;
        while lanes.iter().any(Lane::is_taking) {
            let sent = match opened {
                Ok(download) => self.send_pieces(pack, download, lanes).await,
                Err(error) => Err(error),
            };
            let Err(error) = sent.map_err(EngineError::from) else { return Ok(()) };
            if error.kind() != ErrorKind::Unavailable || tries == READ_TRIES {
                return Err(self.explain(pack, &error).await);
            }
            tokio::time::sleep(READ_BACKOFF * tries).await;
            tries += 1;
            opened = self.open(pack).await;
        }
        Ok(())
    }

    async fn send_pieces(
        &self,
        pack: &PackRef,
        mut download: PackDownload,
        lanes: &mut [Lane],
    ) -> Result<(), StoreError> {
        send_to_all(lanes, pack, &Parcel::Begin(*pack)).await;
        while lanes.iter().any(Lane::is_taking) {
            let Some(piece) = download.next().await? else {
                send_to_all(lanes, pack, &Parcel::Verified).await;
                break;
            };
            self.pace.wait_for(piece.len() as u64).await;
            send_to_all(lanes, pack, &Parcel::Piece(piece)).await;
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

async fn send_to_all(lanes: &mut [Lane], pack: &PackRef, parcel: &Parcel) {
    for lane in lanes {
        lane.send(pack, parcel.clone()).await;
    }
}
