//! Reading the packs of a copy's source: each once for all that lack it, several at once where that makes it faster.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::Stream;
use futures::stream::{self, FuturesUnordered, StreamExt};
use store::{PackDownload, PackRef, Record, RegionStore, Rest, StoreError, StoreErrorKind};
use tokio::time::Instant;

use super::lane::{Lane, Parcel, Passage, ReadFailure};
use super::turns::{Turn, Turns};
use super::width::Width;
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::pace::Pace;
use crate::verify::files_needing;

/// Packs that are read at once from a directory: the first bytes of one are on their way while the last ones of another
/// are handed out.
const READS_FROM_DIRECTORY: usize = 2;

/// Packs that are read at once over a network: as many as fill most lines to begin with, and no more than a service
/// takes for one client.
pub(super) const READS_OVER_NETWORK: (usize, usize) = (4, 16);

/// A read that fails for a passing reason is tried this often, a little later each time.
const READ_TRIES: u32 = 5;
const READ_BACKOFF: Duration = Duration::from_millis(200);

/// With so little left of a pack the next one is asked for, so that it comes when this one ends: some more than is on its way to
/// one connection while a question and its answer cross a long line.
const NEXT_AT_BYTES: u64 = 2 << 20;

/// So many of the last packs are split, when those that still come do not fill the line any more: each costs a request.
const SPLITS_MAX: usize = 2;

/// How often it is looked whether one of the targets, all of which are behind, is back.
const POLL: Duration = Duration::from_millis(100);

/// Carries every pack once to all that lack it, then to each target what it missed. A target's lane ends as soon as it has
/// all, or when a pack that it needs cannot be read.
pub(super) async fn carry_to_all(reader: &Reader, lanes: &[Lane]) {
    carry(reader, lanes, reader.lacked_by(lanes)).await;
    let missed = lanes.iter().map(|lane| {
        lane.take_back_missed();
        let lanes = std::slice::from_ref(lane);
        carry(reader, lanes, reader.lacked_by(lanes))
    });
    futures::future::join_all(missed).await;
}

/// Carries `packs` to all that lack them and keep up, several at once.
pub(super) async fn carry(reader: &Reader, lanes: &[Lane], mut packs: impl Stream<Item = PackRef> + Unpin) {
    // Turns of its own: who is slow keeps only those of the same lanes.
    let turns = Turns::new(reads(&reader.source.store), 0);
    let (mut next, mut are_all, mut order) = (None, false, 0);
    let (rests, mut splits_left) = (Rests::default(), SPLITS_MAX);
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(()) = under_way.next() => {
                if are_all && next.is_none() && splits_left > 0 && under_way.len() < turns.width() / 2 {
                    rests.split_longest();
                    splits_left -= 1;
                }
            }
            turn = turns.take(order, 0), if next.is_some() => {
                under_way.extend(next.take().map(|pack| reader.carry_pack(pack, order, lanes, turn, &rests)));
                order += 1;
            }
            pack = packs.next(), if next.is_none() && !are_all => {
                are_all = pack.is_none();
                next = pack;
            }
            else => break,
        }
    }
}

/// What has not come yet of each pack that is being read and was not split, by its order.
#[derive(Debug, Default)]
struct Rests(Mutex<BTreeMap<u64, Rest>>);

impl Rests {
    /// Has what takes longest come by one more connection, once.
    fn split_longest(&self) {
        let mut all = self.all();
        let longest = all.iter().max_by_key(|(_, rest)| rest.bytes()).map(|(order, _)| *order);
        longest.and_then(|order| all.remove(&order)).iter().for_each(Rest::split);
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Rest>> {
        // What it guards is whole at every instant.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many packs are read at once.
fn reads(source: &RegionStore) -> Width {
    match source.is_remote() {
        true => Width::between(READS_OVER_NETWORK, Instant::now()).after(source.busy_answers()),
        false => Width::fixed(READS_FROM_DIRECTORY, Instant::now()),
    }
}

/// Reads the source's packs, verified, within the bandwidth that is allowed.
pub(super) struct Reader {
    pub(super) source: Arc<RegionContext>,
    pub(super) record: Arc<Record>,
    pub(super) pace: Pace,
}

impl Reader {
    /// The packs that some of the lanes lack.
    fn lacked_by(&self, lanes: &[Lane]) -> impl Stream<Item = PackRef> + Unpin + use<> {
        let is_lacked = |pack: &&PackRef| lanes.iter().any(|lane| lane.lacks(pack));
        stream::iter(self.record.packs.iter().filter(is_lacked).copied().collect::<Vec<_>>())
    }

    /// Carries a pack to those of the lanes that take it.
    async fn carry_pack(&self, pack: PackRef, order: u64, lanes: &[Lane], turn: Turn, rests: &Rests) {
        let mut passages = Vec::new();
        for lane in open_lanes(lanes).await {
            passages.extend(lane.begin(&pack, order).await);
        }
        let note_rest = |rest: &Rest| drop(rests.all().insert(order, rest.clone()));
        if let Err(failure) = self.send(&pack, &mut passages, turn, note_rest).await {
            passages.iter().for_each(|passage| passage.fail(&failure));
        }
        rests.all().remove(&order);
    }

    async fn open(&self, pack: &PackRef, turn: Option<&Turn>) -> Result<PackDownload, StoreError> {
        let began = Instant::now();
        let opened = self.source.store.open_pack(&self.record.head.account, &pack.object_name).await?;
        if let Some(turn) = turn {
            turn.note_delay(began.elapsed());
        }
        Ok(opened)
    }

    /// Sends a pack down the passages; from its beginning again when reading fails for a passing reason.
    async fn send(
        &self,
        pack: &PackRef,
        passages: &mut [Passage<'_>],
        turn: Turn,
        note_rest: impl Fn(&Rest),
    ) -> Result<(), ReadFailure> {
        let (mut tries, mut turn) = (1, Some(turn));
        while passages.iter().any(Passage::is_taken) {
            let sent = match self.open(pack, turn.as_ref()).await {
                Ok(download) => {
                    note_rest(download.rest());
                    self.send_pieces(pack, download, passages, &mut turn).await
                }
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

    /// Sends what is read. The turn ends shortly before the pack does.
    async fn send_pieces(
        &self,
        pack: &PackRef,
        mut download: PackDownload,
        passages: &mut [Passage<'_>],
        turn: &mut Option<Turn>,
    ) -> Result<(), StoreError> {
        let mut left = pack.bytes;
        while passages.iter().any(Passage::is_taken) {
            let Some(piece) = download.next().await? else {
                if left > 0 {
                    return Err(self.other_than_recorded(pack));
                }
                send_to_all(passages, &Parcel::Verified).await;
                break;
            };
            left = left.checked_sub(piece.len() as u64).ok_or_else(|| self.other_than_recorded(pack))?;
            self.pace.wait_for(piece.len() as u64).await;
            send_to_all(passages, &Parcel::Piece(piece)).await;
            if left <= NEXT_AT_BYTES {
                turn.take().into_iter().for_each(|turn| turn.end(pack.bytes, self.source.store.busy_answers()));
            }
        }
        Ok(())
    }

    /// A pack that is longer or shorter than the record says. Memory was set aside for that much.
    fn other_than_recorded(&self, pack: &PackRef) -> StoreError {
        StoreError {
            kind: StoreErrorKind::Corrupt,
            action: "read pack",
            key: pack.object_name.to_string(),
            region: self.source.region.clone(),
            source: Some(format!("it has not the {} bytes that the backup's record says", pack.bytes).into()),
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

/// The lanes that need something. Where all are behind there is none to go on with, so one is waited for.
async fn open_lanes(lanes: &[Lane]) -> Vec<&Lane> {
    loop {
        let open: Vec<&Lane> = lanes.iter().filter(|lane| !lane.is_closed()).collect();
        if let [lane] = open[..] {
            lane.wait_always();
        }
        if open.is_empty() || open.iter().any(|lane| !lane.is_behind()) {
            return open;
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn send_to_all(passages: &mut [Passage<'_>], parcel: &Parcel) {
    for passage in passages {
        passage.send(parcel.clone()).await;
    }
}
