//! A lane: the way from the reader of a copy's source to one of its targets.
//!
//! Several packs may be on their way at once, each in pieces through a short queue of its own, a passage. A target that
//! takes no piece for too long is left behind: the reader goes on without it, even in the middle of a pack, and reads
//! again for it alone what it missed. So a target that is slow, or hangs, neither slows nor fails the others.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::PackId;
use store::PackRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::turns::{Turn, Turns};
use crate::error::{EngineError, ErrorKind};

/// Pieces of one pack that wait for a target. They are to stay in the processor's cache until they are written.
const WAITING: usize = 8;

/// How long, in all, the others wait for one target in the course of a pack.
const PATIENCE: Duration = Duration::from_secs(5);

/// A pack on its way to a target.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Which one.
    pub(super) pack: PackRef,
    /// To be ended once the pack is in the store.
    pub(super) turn: Turn,
    parcels: mpsc::Receiver<Parcel>,
}

/// What is sent of a pack.
#[derive(Clone, Debug)]
pub(super) enum Parcel {
    /// The next bytes. Nothing vouches for them yet.
    Piece(Bytes),
    /// That was all of the pack, and its hash is its name.
    Verified,
}

impl Incoming {
    /// The next parcel. `None` when no more comes: without a [`Parcel::Verified`] before, the pack is to be discarded.
    pub(super) async fn next(&mut self) -> Option<Parcel> {
        self.parcels.recv().await
    }
}

/// A failure to read the source, which several targets are told of.
#[derive(Clone, Debug)]
pub(super) struct ReadFailure {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl ReadFailure {
    pub(super) fn of(error: &EngineError) -> Self {
        Self { kind: error.kind(), message: crate::backup::describe(error), hint: error.hint() }
    }

    pub(super) fn to_error(&self) -> EngineError {
        EngineError::Refused { kind: self.kind, message: self.message.clone(), hint: self.hint.clone() }
    }
}

/// Makes a lane to a target that lacks `packs`, and that takes as many at once as there are `turns`.
pub(super) fn lane(packs: HashSet<PackId>, turns: Arc<Turns>, memory_of: fn(&PackRef) -> u64) -> (Lane, Arrivals) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let failure = Arc::<OnceLock<ReadFailure>>::default();
    let arrivals = Arrivals { receiver, failure: Arc::clone(&failure) };
    let standing = Standing {
        lacking: packs,
        missed: HashSet::new(),
        reading: 0,
        sending: 0,
        left_behind: false,
        waits_always: false,
    };
    let lane = Lane { sender: Mutex::new(Some(sender)), failure, turns, memory_of, standing: Mutex::new(standing) };
    lane.close_if_done();
    (lane, arrivals)
}

/// The target's end of a lane.
#[derive(Debug)]
pub(super) struct Arrivals {
    receiver: mpsc::UnboundedReceiver<Incoming>,
    failure: Arc<OnceLock<ReadFailure>>,
}

impl Arrivals {
    /// The next pack.
    ///
    /// `None` when no more comes: all was sent.
    ///
    /// # Errors
    /// When no more comes because the source could not be read.
    pub(super) async fn next(&mut self) -> Result<Option<Incoming>, EngineError> {
        match (self.receiver.recv().await, self.failure.get()) {
            (None, Some(failure)) => Err(failure.to_error()),
            (incoming, _) => Ok(incoming),
        }
    }
}

/// The reader's end of a lane. It ends by itself once the target has all that it lacks.
#[derive(Debug)]
pub(super) struct Lane {
    /// What is sent is bounded by the turns.
    sender: Mutex<Option<mpsc::UnboundedSender<Incoming>>>,
    failure: Arc<OnceLock<ReadFailure>>,
    turns: Arc<Turns>,
    /// How much of memory a pack takes from its first piece on, until it is in the target's store.
    memory_of: fn(&PackRef) -> u64,
    standing: Mutex<Standing>,
}

#[derive(Debug)]
struct Standing {
    /// Packs that the target needs and that were not read yet.
    lacking: HashSet<PackId>,
    /// Packs that were read without it.
    missed: HashSet<PackId>,
    /// How many are being read for it.
    reading: usize,
    /// To how many of these it has given a turn.
    sending: usize,
    left_behind: bool,
    /// Whether there is nobody whom it keeps.
    waits_always: bool,
}

impl Lane {
    /// Begins to send a pack, the one with this number in the order in which they are read, if the target needs it and is
    /// not behind.
    pub(super) async fn begin(&self, pack: &PackRef, order: u64) -> Option<Passage<'_>> {
        if self.is_closed() {
            return None;
        }
        {
            let mut standing = self.standing();
            if !standing.lacking.remove(&pack.id) {
                return None;
            }
            // A target is back once it has dealt with all that it was sent.
            standing.left_behind &= !standing.waits_always && !self.turns.is_idle();
            if standing.left_behind {
                standing.missed.insert(pack.id);
                return None;
            }
            standing.reading += 1;
        }
        let mut passage = Passage { lane: self, pack: *pack, order, sending: None, waited: Duration::ZERO };
        passage.begin().await;
        Some(passage).filter(Passage::is_taken)
    }

    /// Whether the target still needs a pack that was not read for it.
    pub(super) fn lacks(&self, pack: &PackRef) -> bool {
        !self.is_closed() && self.standing().lacking.contains(&pack.id)
    }

    /// Whether the target needs no more, or takes no more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender().as_ref().is_none_or(mpsc::UnboundedSender::is_closed)
    }

    /// Whether the reader goes on without the target, which still deals with what it was sent.
    pub(super) fn is_behind(&self) -> bool {
        let standing = self.standing();
        standing.left_behind && !standing.waits_always && !self.turns.is_idle()
    }

    /// From now on the target is waited for: there is nobody whom it keeps.
    pub(super) fn wait_always(&self) {
        self.standing().waits_always = true;
    }

    /// What was read without the target is to be read again, for it alone.
    pub(super) fn take_back_missed(&self) {
        let mut standing = self.standing();
        let missed = std::mem::take(&mut standing.missed);
        standing.lacking.extend(missed);
        standing.waits_always = true;
    }

    /// Ends the lane: the source cannot be read.
    pub(super) fn fail(&self, failure: &ReadFailure) {
        // The first cause is the one to tell.
        drop(self.failure.set(failure.clone()));
        self.end();
    }

    /// Ends the lane: what the target still lacks comes from elsewhere.
    pub(super) fn end(&self) {
        *self.sender() = None;
    }

    fn close_if_done(&self) {
        let standing = self.standing();
        if standing.lacking.is_empty() && standing.missed.is_empty() && standing.reading == 0 {
            self.end();
        }
    }

    fn leave_behind(&self, pack: PackId) {
        let mut standing = self.standing();
        standing.left_behind = true;
        standing.missed.insert(pack);
    }

    /// Whether the target takes pieces of some pack, at the pace of the source.
    fn is_receiving(&self) -> bool {
        let standing = self.standing();
        standing.sending > 0 && !standing.left_behind
    }

    fn patience(&self) -> Duration {
        if self.standing().waits_always { Duration::MAX } else { PATIENCE }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // What it guards is whole at every instant; and so with the sender.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sender(&self) -> MutexGuard<'_, Option<mpsc::UnboundedSender<Incoming>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way of one pack to one target. One that is dropped before all was sent makes the target discard the pack.
#[derive(Debug)]
pub(super) struct Passage<'l> {
    lane: &'l Lane,
    pack: PackRef,
    order: u64,
    /// While the target takes the pack.
    sending: Option<Sending<'l>>,
    waited: Duration,
}

/// A pack that a target takes.
#[derive(Debug)]
struct Sending<'l> {
    lane: &'l Lane,
    parcels: mpsc::Sender<Parcel>,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.lane.standing().sending -= 1;
    }
}

impl Passage<'_> {
    /// Begins the pack, again from its first piece if it was begun before.
    pub(super) async fn begin(&mut self) {
        self.sending = None;
        let Some(turn) = self.wait_for_turn().await else { return self.lane.leave_behind(self.pack.id) };
        let (sender, parcels) = mpsc::channel(WAITING);
        let incoming = Incoming { pack: self.pack, turn, parcels };
        // A lane that is closed belongs to a target that has failed by itself.
        if self.lane.sender().as_ref().is_some_and(|lane| lane.send(incoming).is_ok()) {
            self.lane.standing().sending += 1;
            self.sending = Some(Sending { lane: self.lane, parcels: sender });
        }
    }

    /// Waits until the target takes one more pack.
    async fn wait_for_turn(&mut self) -> Option<Turn> {
        let memory_bytes = (self.lane.memory_of)(&self.pack);
        loop {
            match self.within_patience(self.lane.turns.take(self.order, memory_bytes)).await {
                // The turns are with packs that still come from the source. If it is the target that takes long with
                // them, their passages notice.
                None if self.lane.is_receiving() => self.waited = Duration::ZERO,
                turn => return turn,
            }
        }
    }

    /// Sends a parcel, or leaves the target behind. Nothing is sent to one that does not take the pack any more.
    pub(super) async fn send(&mut self, parcel: Parcel) {
        let Some(sending) = self.sending.take() else { return };
        loop {
            match self.within_patience(sending.parcels.reserve()).await {
                Some(Ok(place)) => {
                    place.send(parcel);
                    break;
                }
                // The target has failed by itself.
                Some(Err(_)) => return,
                // It takes others first, which still come from the source.
                None if self.lane.turns.is_full_of_arriving() => self.waited = Duration::ZERO,
                None => return self.lane.leave_behind(self.pack.id),
            }
        }
        self.sending = Some(sending);
    }

    /// Whether the target takes the pack.
    pub(super) fn is_taken(&self) -> bool {
        self.sending.is_some()
    }

    /// Ends the lane of a target that takes the pack: the source cannot be read.
    pub(super) fn fail(&self, failure: &ReadFailure) {
        if self.is_taken() {
            self.lane.fail(failure);
        }
    }

    async fn within_patience<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let began = Instant::now();
        let left = self.lane.patience().saturating_sub(self.waited);
        let done = tokio::time::timeout(left, work).await.ok();
        self.waited += began.elapsed();
        done
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.lane.standing().reading -= 1;
        self.lane.close_if_done();
    }
}
