//! Reading an object over a network, whatever becomes of single requests.
//!
//! One request reads it. When its body breaks off, another goes on from the byte that was reached. When no byte has come
//! for much longer than is usual of the store, a second request for the rest is put beside the first (a hedge), and the one
//! that brings bytes first stays. Whoever has connections to spare can have the end of an object come by one of its own
//! meanwhile ([`Rest::split`]). All are for the object that the first answer was about: where it was replaced, the read fails.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, Result};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::habits::Habits;
use crate::courtesy::Turn;

/// How long nothing may come, whatever was asked for, before the read fails. Shorter than a request may be silent
/// ([`crate::silence`]): then it would be sent again, and the time begin anew.
const SILENCE_MAX: Duration = Duration::from_secs(50);

/// How often in a row a body may break off that has brought less than [`PROGRESS_BYTES`]. `object_store` has gone on by
/// itself some times before this counts as one.
const BREAKS_MAX: u32 = 3;

/// The bytes that are worth a request: with them, a line that breaks off again and again is still one that gets there.
const PROGRESS_BYTES: u64 = 512 << 10;

/// The wait before the first request for the rest; four times as long before each one more.
const PAUSE: Duration = Duration::from_millis(100);

/// The end of an object that is worth a connection of its own, and the most that waits in memory for what comes before it.
const AHEAD_BYTES: Range<u64> = 2 << 20..16 << 20;

/// What went wrong that was not the fault of a single request.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("no byte came for {} s", SILENCE_MAX.as_secs())]
    Silent,
    #[error("it ended before it was whole")]
    EndedEarly,
    #[error("another object took its place while it was read")]
    Replaced,
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Generic { store: "network", source: error.into() }
    }
}

/// What of a read has not come yet. Clones are of the same read.
#[derive(Clone, Debug, Default)]
pub struct Rest(Arc<RestOfRead>);

#[derive(Debug, Default)]
struct RestOfRead {
    bytes: AtomicU64,
    split: Notify,
}

impl Rest {
    /// How much that is, in bytes. None is known of a directory's.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Has its second half, or as much of it as may wait in memory, come by a connection of its own beside the first. Nothing
    /// happens where that is not worth it, or has been asked for.
    pub fn split(&self) {
        self.0.split.notify_one();
    }
}

/// Begins to read an object. Its bytes come until there are as many as the first answer said.
pub(super) async fn read(
    source: Arc<dyn ObjectStore>,
    key: Path,
    habits: Habits,
    rest: Rest,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    habits.begin_read();
    let asked = Asked { source, key };
    let first = asked.request(None, Duration::ZERO);
    let (found, beside, ahead, longest) = (None, None, None, Duration::ZERO);
    let mut reading = Reading { asked, habits, rest, found, first, beside, ahead, breaks: 0, longest };
    // The answer, which has no bytes yet.
    reading.advance().await?;
    let next = |mut reading: Reading| async move { Ok(reading.next().await?.map(|bytes| (bytes, reading))) };
    Ok(stream::try_unfold(reading, next).boxed())
}

struct Reading {
    asked: Asked,
    habits: Habits,
    rest: Rest,
    /// Known once a request was answered.
    found: Option<Found>,
    first: Request,
    beside: Option<Request>,
    /// What brings the end.
    ahead: Option<Ahead>,
    breaks: u32,
    /// The longest silence.
    longest: Duration,
}

/// An object, and the part of it that has not come.
#[derive(Clone, Debug)]
struct Found {
    len: u64,
    e_tag: Option<String>,
    at: u64,
}

/// A request for the end of an object, from some byte on.
struct Ahead {
    from: u64,
    request: Request,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.found.as_ref().is_some_and(|found| found.at >= found.len) {
            self.habits.end_read(self.longest);
            return Ok(None);
        }
        self.advance().await.map(Some)
    }

    /// Waits until there is progress: the first answer, or bytes.
    async fn advance(&mut self) -> Result<Bytes> {
        let waits_since = Instant::now();
        let mut may_hedge = true;
        loop {
            let silent_since = self.first.silent_since(waits_since);
            let patience = if may_hedge { self.habits.patience() } else { SILENCE_MAX };
            tokio::select! {
                biased;
                () = self.rest.0.split.notified(), if self.ahead.is_none() => self.split(),
                event = self.first.next() => match event {
                    Ok(event) => if let Some(bytes) = self.take(event)? {
                        self.beside = None;
                        self.longest = self.longest.max(silent_since.elapsed());
                        return Ok(bytes);
                    },
                    Err(error) => self.go_on_after(error)?,
                },
                event = next_of(&mut self.beside) => match event.and_then(|event| self.take(event)) {
                    Ok(Some(bytes)) => {
                        self.replace_first();
                        self.longest = self.longest.max(silent_since.elapsed());
                        return Ok(bytes);
                    }
                    Ok(None) => {}
                    Err(_) => self.beside = None,
                },
                () = tokio::time::sleep_until(silent_since + patience) => {
                    // Meanwhile its turn may have come.
                    if self.first.silent_since(waits_since).elapsed() < patience {
                        continue;
                    }
                    if !may_hedge {
                        return Err(ReadError::Silent.into());
                    }
                    may_hedge = false;
                    if self.habits.take_hedge() {
                        self.beside = Some(self.request(Duration::ZERO));
                    }
                }
            }
        }
    }

    /// Takes in what a request has brought, and tells whether it is progress.
    fn take(&mut self, event: Event) -> Result<Option<Bytes>> {
        match (event, &mut self.found) {
            (Event::Answer(found), None) => {
                self.found = Some(found);
                Ok(Some(self.take_bytes(Bytes::new())))
            }
            (Event::Answer(found), Some(known)) if found.len == known.len && found.e_tag == known.e_tag => Ok(None),
            (Event::Answer(_), Some(_)) => Err(ReadError::Replaced.into()),
            (Event::Bytes(bytes), _) => Ok(Some(self.take_bytes(bytes))),
        }
    }

    /// Takes in bytes as far as they were still to come by this request; from there on, the end comes by its own.
    fn take_bytes(&mut self, mut bytes: Bytes) -> Bytes {
        let found = self.found.as_mut().expect("an answer comes before its body");
        if let Some(ahead) = self.ahead.take_if(|ahead| ahead.from - found.at <= bytes.len() as u64) {
            bytes.truncate(usize::try_from(ahead.from - found.at).expect("no more than there are"));
            (self.first, self.beside) = (ahead.request, None);
        }
        found.at += bytes.len() as u64;
        self.rest.0.bytes.store(found.len.saturating_sub(found.at), Ordering::Relaxed);
        bytes
    }

    /// Has the end of what is left come by a request of its own.
    fn split(&mut self) {
        let Some(found) = &self.found else { return };
        let ahead_bytes = (found.len.saturating_sub(found.at) / 2).min(AHEAD_BYTES.end);
        if ahead_bytes >= AHEAD_BYTES.start {
            let from = found.len - ahead_bytes;
            let request = self.asked.request(Some((found, from..found.len)), Duration::ZERO).pumped(ahead_bytes);
            self.ahead = Some(Ahead { from, request });
        }
    }

    /// A request for what comes next.
    fn request(&self, after: Duration) -> Request {
        let end = |found: &Found| self.ahead.as_ref().map_or(found.len, |ahead| ahead.from);
        self.asked.request(self.found.as_ref().map(|found| (found, found.at..end(found))), after)
    }

    /// Goes on after the first request has failed, with the one beside it or with another, where that makes sense.
    fn go_on_after(&mut self, error: Error) -> Result<()> {
        if self.replace_first() {
            return Ok(());
        }
        if self.first.brought >= PROGRESS_BYTES {
            self.breaks = 0;
        }
        // One that was not answered has been sent again as often as that makes sense.
        if !self.first.is_answered || self.breaks == BREAKS_MAX {
            return Err(error);
        }
        self.first = self.request(PAUSE * 4_u32.pow(self.breaks));
        self.breaks += 1;
        Ok(())
    }

    /// Puts the request beside the first in its place, if there is one.
    fn replace_first(&mut self) -> bool {
        match self.beside.take() {
            Some(beside) => {
                self.first = beside;
                true
            }
            None => false,
        }
    }
}

/// What is read.
struct Asked {
    source: Arc<dyn ObjectStore>,
    key: Path,
}

impl Asked {
    /// Asks for a part of an object, or for all of one of which nothing is known.
    fn request(&self, part: Option<(&Found, Range<u64>)>, after: Duration) -> Request {
        let turn = Turn::default();
        let mut options = GetOptions::default();
        if let Some((found, part)) = part {
            options.range = Some(GetRange::Bounded(part));
            options.if_match.clone_from(&found.e_tag);
        }
        options.extensions.insert(turn.clone());
        let (source, key) = (Arc::clone(&self.source), self.key.clone());
        let sent_at = Instant::now() + after;
        let answer = async move {
            if !after.is_zero() {
                tokio::time::sleep_until(sent_at).await;
            }
            let got = source.get_opts(&key, options).await?;
            let found = Found { len: got.meta.size, e_tag: got.meta.e_tag.clone(), at: 0 };
            let body = got.into_stream().map_ok(Event::Bytes);
            Ok::<_, Error>(stream::iter([Ok(Event::Answer(found))]).chain(body))
        };
        let events = stream::once(answer).try_flatten().boxed();
        Request { events, turn, sent_at, is_answered: false, brought: 0 }
    }
}

/// A request that is under way.
struct Request {
    events: BoxStream<'static, Result<Event>>,
    turn: Turn,
    sent_at: Instant,
    is_answered: bool,
    brought: u64,
}

enum Event {
    /// The object that was found, before its body.
    Answer(Found),
    Bytes(Bytes),
}

impl Request {
    /// What it brings next. It is dropped at the end of what was asked for.
    async fn next(&mut self) -> Result<Event> {
        let event = self.events.try_next().await?.ok_or(ReadError::EndedEarly)?;
        match &event {
            Event::Answer(_) => self.is_answered = true,
            Event::Bytes(bytes) => self.brought += bytes.len() as u64,
        }
        Ok(event)
    }

    /// The same, of which so many bytes come whether or not someone waits for them, and no more. Where it fails, another goes
    /// on.
    fn pumped(self, bytes: u64) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (mut events, mut left) = (self.events, bytes);
        drop(tokio::spawn(async move {
            while left > 0
                && let Some(event) = tokio::select! { () = sender.closed() => None, event = events.next() => event }
            {
                if let Ok(Event::Bytes(bytes)) = &event {
                    left = left.saturating_sub(bytes.len() as u64);
                }
                // Whoever is not there any more needs nothing.
                drop(sender.send(event));
            }
        }));
        let events = stream::poll_fn(move |context| receiver.poll_recv(context)).boxed();
        Self { events, is_answered: true, ..self }
    }

    /// Since when the service is silent, to someone who waits since then.
    fn silent_since(&self, waits_since: Instant) -> Instant {
        self.turn.silent_since(waits_since.max(self.sent_at))
    }
}

async fn next_of(request: &mut Option<Request>) -> Result<Event> {
    match request {
        Some(request) => request.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
