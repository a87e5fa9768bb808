//! A lane: the way from the one reader of a copy's source to one of its targets.
//!
//! Packs travel in pieces through a short queue. A target whose queue stays full for too long is left behind: the
//! reader goes on without it, even in the middle of a pack, and reads again for it alone what it missed. So a
//! target that is slow, or hangs, neither slows nor fails the others.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use model::PackId;
use store::PackRef;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::{EngineError, ErrorKind};

/// Parcels that wait for one target. Pieces that wait are to stay in the processor's cache until they are written.
const WAITING: usize = 8;

/// How long, in all, the others wait for one target in the course of a pack.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is sent to a target.
#[derive(Clone, Debug)]
pub(super) enum Parcel {
    /// The pieces of this pack follow, from its first. A pack that was begun and has not been verified when
    /// another begins, or when no more comes, is to be discarded.
    Begin(PackRef),
    /// The next bytes of the pack. Nothing vouches for them yet.
    Piece(Bytes),
    /// That was all of the pack, and its hash is its name.
    Verified,
}

/// A failure to read the source, which several targets are told of.
#[derive(Clone, Debug)]
pub(super) struct ReadFailure {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl ReadFailure {
    pub(super) fn to_error(&self) -> EngineError {
        EngineError::Refused { kind: self.kind, message: self.message.clone(), hint: self.hint.clone() }
    }
}

/// Makes a lane to a target that lacks `packs`.
pub(super) fn lane(packs: HashSet<PackId>) -> (Lane, Parcels) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let failure = Arc::<OnceLock<ReadFailure>>::default();
    let parcels = Parcels { receiver, failure: Arc::clone(&failure) };
    let lane = Lane {
        sender,
        failure,
        lacking: packs,
        missed: VecDeque::new(),
        taking: false,
        left_behind: false,
        patience: Some(PATIENCE),
        waited: Duration::ZERO,
    };
    (lane, parcels)
}

/// The target's end of a lane.
#[derive(Debug)]
pub(super) struct Parcels {
    receiver: mpsc::Receiver<Parcel>,
    failure: Arc<OnceLock<ReadFailure>>,
}

impl Parcels {
    /// The next parcel; `None` when no more comes: see [`Parcels::end`] for the reason.
    pub(super) async fn next(&mut self) -> Option<Parcel> {
        self.receiver.recv().await
    }

    /// Whether all was sent, or the source could not be read.
    pub(super) fn end(&self) -> Result<(), EngineError> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.to_error()))
    }
}

/// The reader's end of a lane. Dropping it ends the lane.
#[derive(Debug)]
pub(super) struct Lane {
    sender: mpsc::Sender<Parcel>,
    failure: Arc<OnceLock<ReadFailure>>,
    /// Packs that it needs and that were not read yet.
    lacking: HashSet<PackId>,
    /// Packs that were read without it.
    missed: VecDeque<PackRef>,
    /// Whether it takes the pack that is being read.
    taking: bool,
    left_behind: bool,
    /// How long the reader waits for it in the course of a pack; without end where there is nobody else to serve.
    patience: Option<Duration>,
    waited: Duration,
}

impl Lane {
    /// Takes the pack that is to be read next, if the target needs it and is not behind.
    pub(super) fn join(&mut self, pack: &PackRef) {
        self.waited = Duration::ZERO;
        // A target is back once it has dealt with all that it was sent.
        self.left_behind &= self.sender.capacity() < self.sender.max_capacity();
        let needed = self.lacking.remove(&pack.id);
        self.taking = needed && !self.left_behind;
        if needed && self.left_behind {
            self.missed.push_back(*pack);
        }
    }

    /// Sends a parcel of `pack`, or leaves the target behind. Nothing is sent to one that does not take the pack.
    pub(super) async fn send(&mut self, pack: &PackRef, parcel: Parcel) {
        if !self.taking {
            return;
        }
        let began = Instant::now();
        let left = self.patience.map_or(Duration::MAX, |patience| patience.saturating_sub(self.waited));
        let sent = self.sender.send_timeout(parcel, left).await;
        self.waited += began.elapsed();
        // A lane that is closed belongs to a target that has failed by itself.
        self.taking = sent.is_ok();
        if let Err(mpsc::error::SendTimeoutError::Timeout(_)) = sent {
            self.left_behind = true;
            self.missed.push_back(*pack);
        }
    }

    /// Keeps to itself: all that the target lacks, of `packs`, is to be read for it alone.
    pub(super) fn part(&mut self, packs: &[PackRef]) {
        self.missed.extend(packs.iter().filter(|pack| self.lacking.remove(&pack.id)));
    }

    pub(super) fn lacks(&self, pack: &PackRef) -> bool {
        self.lacking.contains(&pack.id)
    }

    /// Whether it takes the pack that is being read.
    pub(super) fn is_taking(&self) -> bool {
        self.taking
    }

    /// Whether the target needs no more, or takes no more.
    pub(super) fn is_done(&self) -> bool {
        self.sender.is_closed() || (self.lacking.is_empty() && self.missed.is_empty())
    }

    /// From now on the target is waited for: there is nobody whom it keeps.
    pub(super) fn wait_always(&mut self) {
        self.patience = None;
        self.left_behind = false;
    }

    /// Takes a pack that was read without this target, to be read for it alone.
    pub(super) fn take_missed(&mut self) -> Option<PackRef> {
        self.taking = !self.sender.is_closed();
        self.missed.pop_front().filter(|_| self.taking)
    }

    /// Ends the lane: the source cannot be read.
    pub(super) fn fail(self, failure: &ReadFailure) {
        self.failure.set(failure.clone()).expect("a lane ends once");
    }
}
