//! How a bucket's service is asked: a bounded number of requests and of bytes at a time, and none before a busy service wants
//! to be asked again.
//!
//! What is sent again, and after which waits where the service names none, is for `object_store` to decide.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::silence::{self, SILENCE_MAX};

/// For how long a service that says that it is busy is left alone at most, whatever it asks for: a pause that makes others
/// wait should not be longer than work that is tried again would be.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What bytes are counted in, so that their number fits a semaphore.
const UNIT_BYTES: u64 = 1024;

/// How much may be asked of a bucket's service at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests that wait for an answer.
    pub requests: u32,
    /// Bytes that these requests send. A longer request goes alone.
    ///
    /// Bytes of answers are not counted: those of a pack wait in the network for whoever takes them, and a reader that holds
    /// some while it waits for those of an earlier pack must not keep that one from being read.
    pub sent_bytes: u64,
}

impl Limits {
    /// Unless others are given: many small requests, and a dozen of those that write packs.
    pub const DEFAULT: Self = Self { requests: 64, sent_bytes: 512 << 20 };
}

/// Connects as `object_store` would. What is cloned counts with the original.
#[derive(Clone, Debug)]
pub(crate) struct Courteous(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    turns: Semaphore,
    sent_units: Semaphore,
    busy_answers: AtomicU64,
}

impl Courteous {
    pub(crate) fn new(limits: Limits) -> Self {
        let (turns, sent_units) = (u64::from(limits.requests), limits.sent_bytes / UNIT_BYTES);
        // Whatever is given, something can be sent.
        let permits = |wanted: u64| usize::try_from(wanted).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        let [turns, sent_units] = [turns, sent_units].map(|wanted| Semaphore::new(permits(wanted)));
        Self(Arc::new(Shared { limits, turns, sent_units, busy_answers: AtomicU64::new(0) }))
    }

    /// How many answers have said that the service is busy.
    pub(crate) fn busy_answers(&self) -> u64 {
        self.0.busy_answers.load(Ordering::Relaxed)
    }

    fn over(&self, inner: HttpClient) -> Service {
        Service { inner, shared: Arc::clone(&self.0), resume_at: Mutex::default() }
    }
}

impl HttpConnector for Courteous {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.over(ReqwestConnector::default().connect(options)?)))
    }
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    shared: Arc<Shared>,
    /// When it wants to be asked again.
    resume_at: Mutex<Option<Instant>>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let turn = request.extensions().get::<Turn>().cloned().unwrap_or_default();
        turn.set(Progress::Waits);
        // Before a turn, so that requests without bytes do not wait for those that have many.
        let _sent = self.shared.sent_units.acquire_many(self.shared.units_of(&request)).await;
        let _turn = self.shared.turns.acquire().await;
        let resume_at = *self.resume_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resume_at) = resume_at {
            tokio::time::sleep_until(resume_at).await;
        }
        turn.set(Progress::Sent(Instant::now()));
        let response = silence::send(&self.inner, request, SILENCE_MAX).await?;
        if is_busy(&response) {
            self.shared.busy_answers.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(pause) = pause_of(&response) {
            let mut resume_at = self.resume_at.lock().unwrap_or_else(PoisonError::into_inner);
            *resume_at = (*resume_at).max(Some(Instant::now() + pause));
        }
        Ok(response)
    }
}

impl Shared {
    /// What a request counts, never more than there is.
    fn units_of(&self, request: &HttpRequest) -> u32 {
        let bytes = (request.body().content_length() as u64).min(self.limits.sent_bytes);
        u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX)
    }
}

/// Tells whoever puts it among a request's extensions when the request is sent: the time that it waits here for its turn is
/// none in which the service is silent. What is cloned is told the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn(Arc<Mutex<Progress>>);

#[derive(Clone, Copy, Debug, Default)]
enum Progress {
    /// As when it is asked of what has no turns.
    #[default]
    Unknown,
    Waits,
    Sent(Instant),
}

impl Turn {
    /// Since when the service is silent, to someone who waits since then.
    pub(crate) fn silent_since(&self, waits_since: Instant) -> Instant {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Progress::Unknown => waits_since,
            Progress::Waits => Instant::now(),
            Progress::Sent(at) => waits_since.max(at),
        }
    }

    fn set(&self, progress: Progress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

fn is_busy(response: &HttpResponse) -> bool {
    matches!(response.status().as_u16(), 429 | 503)
}

/// What `Retry-After` asks for in seconds (RFC 9110, 10.2.3). Of services of this kind none is known to name a date there,
/// and one that did would be asked again as if it had said nothing.
fn pause_of(response: &HttpResponse) -> Option<Duration> {
    let header = response.headers().get("retry-after").filter(|_| is_busy(response))?;
    let seconds = header.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use bytes::Bytes;

    use super::*;

    /// Answers after a second, and notes how much was under way at most.
    #[derive(Clone, Debug, Default)]
    struct Stub(Arc<Gauge>);

    #[derive(Debug, Default)]
    struct Gauge {
        requests: AtomicUsize,
        requests_max: AtomicUsize,
    }

    #[async_trait]
    impl HttpService for Stub {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            let requests = self.0.requests.fetch_add(1, Ordering::Relaxed) + 1;
            self.0.requests_max.fetch_max(requests, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.0.requests.fetch_sub(1, Ordering::Relaxed);
            Ok(HttpResponse::new(Bytes::new().into()))
        }
    }

    /// How many of twenty requests with so many bytes are under way at most.
    async fn under_way(bytes: usize) -> usize {
        let stub = Stub::default();
        let limits = Limits { requests: 4, sent_bytes: 100 << 10 };
        let service = Courteous::new(limits).over(HttpClient::new(stub.clone()));
        let calls = (0..20).map(|_| service.call(HttpRequest::new(vec![7; bytes].into())));
        futures::future::try_join_all(calls).await.unwrap();
        stub.0.requests_max.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn requests_and_bytes_under_way_have_bounds() {
        for (bytes, requests) in [(0, 4), (10 << 10, 4), (40 << 10, 2), (60 << 10, 1), (1 << 20, 1)] {
            assert_eq!(under_way(bytes).await, requests, "{bytes} bytes");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_its_turn_is_no_silence() {
        let limits = Limits { requests: 1, ..Limits::DEFAULT };
        let service = Courteous::new(limits).over(HttpClient::new(Stub::default()));
        let begun = Instant::now();
        let [first, second] = [Turn::default(), Turn::default()];
        let call = |turn: &Turn| {
            let mut request = HttpRequest::new(Bytes::new().into());
            request.extensions_mut().insert(turn.clone());
            service.call(request)
        };
        let look = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!((first.silent_since(begun), second.silent_since(begun)), (begun, Instant::now()));
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(second.silent_since(begun), begun + Duration::from_secs(1));
        };
        let (answered, ..) = tokio::join!(call(&first), call(&second), look);
        answered.unwrap();
    }
}
