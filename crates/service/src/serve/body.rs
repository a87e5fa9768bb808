//! Bodies of requests, read whole, within what one of them and all of them together may hold.
//!
//! Nobody has believed a request yet when its body is read, so the memory for it has bounds that do not depend on
//! how many send how much: a small body always finds its place, larger ones share one room.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long a client may take to send its body.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What every body may hold. Calls other than hostile ones stay below this.
const SMALL_BYTES: usize = 16 << 10;

/// What all bodies together may hold beyond that.
const ROOM_BYTES: usize = 32 << 20;

/// Of a body that is refused, so much is read and forgotten: a client that still sends when the connection is
/// closed sees that it was closed, and not why.
const DISCARDED_BYTES_MAX: u64 = 64 << 20;

/// The room that bodies share.
#[derive(Debug)]
pub(crate) struct BodyRoom(Semaphore);

/// A body, and the room it takes.
pub(super) struct Held<'a> {
    pub(super) bytes: Vec<u8>,
    _room: Option<SemaphorePermit<'a>>,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// It is larger than its dialect allows.
    TooLarge,
    /// Others hold all the room there is.
    NoRoom,
    /// The client did not send all of it in time.
    TooSlow,
    /// The client ended early, or sent what is not HTTP.
    CutOff,
}

impl Default for BodyRoom {
    fn default() -> Self {
        Self(Semaphore::new(ROOM_BYTES))
    }
}

impl BodyRoom {
    /// Reads a body of at most `bytes_max`.
    pub(super) async fn read(&self, body: Incoming, bytes_max: usize) -> Result<Held<'_>, BodyFault> {
        let read = tokio::time::timeout(TIMEOUT, self.read_patiently(body, bytes_max));
        read.await.unwrap_or(Err(BodyFault::TooSlow))
    }

    /// A body that is refused is read to its end all the same.
    async fn read_patiently(&self, mut body: Incoming, bytes_max: usize) -> Result<Held<'_>, BodyFault> {
        let held = self.hold(&mut body, bytes_max).await;
        if let Err(BodyFault::TooLarge | BodyFault::NoRoom) = held {
            discard(body, DISCARDED_BYTES_MAX).await;
        }
        held
    }

    async fn hold(&self, body: &mut Incoming, bytes_max: usize) -> Result<Held<'_>, BodyFault> {
        let mut held = Held { bytes: Vec::new(), _room: None };
        if body.size_hint().lower() > bytes_max as u64 {
            return Err(BodyFault::TooLarge);
        }
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyFault::CutOff)?.into_data() else { continue };
            let len = held.bytes.len() + data.len();
            if len > bytes_max {
                return Err(BodyFault::TooLarge);
            }
            let beyond = len.saturating_sub(SMALL_BYTES.max(held.bytes.len()));
            self.take(&mut held, beyond)?;
            held.bytes.extend_from_slice(&data);
        }
        Ok(held)
    }

    /// Takes room, or says at once that there is none: to wait for others, who may wait as well, would help nobody.
    fn take<'a>(&'a self, held: &mut Held<'a>, bytes: usize) -> Result<(), BodyFault> {
        let bytes = u32::try_from(bytes).map_err(|_| BodyFault::TooLarge)?;
        let more = self.0.try_acquire_many(bytes).map_err(|_| BodyFault::NoRoom)?;
        match &mut held._room {
            Some(room) => room.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

/// Reads on to the end of a body, unless that is too far.
async fn discard(mut body: Incoming, bytes_max: u64) {
    let mut left = bytes_max;
    while body.size_hint().lower() <= left {
        let Some(Ok(frame)) = body.frame().await else { return };
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        if left == 0 {
            return;
        }
    }
}
