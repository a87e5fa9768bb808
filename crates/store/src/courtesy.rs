//! How a bucket's service is asked: a bounded number of requests at a time, and none before a busy service wants to be
//! asked again.
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

/// Requests that wait for an answer at the same time, for each store. With those of 40 MiB that write packs, many fewer
/// come together: who sends these has a bound of its own on memory.
const REQUESTS_MAX: usize = 64;

/// For how long a service that says that it is busy is left alone at most, whatever it asks for: a pause that makes others
/// wait should not be longer than work that is tried again would be.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Connects as `object_store` would. What is cloned counts with the original.
#[derive(Clone, Debug, Default)]
pub(crate) struct Courteous {
    busy_answers: Arc<AtomicU64>,
}

impl Courteous {
    /// How many answers have said that the service is busy.
    pub(crate) fn busy_answers(&self) -> u64 {
        self.busy_answers.load(Ordering::Relaxed)
    }
}

impl HttpConnector for Courteous {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        let busy_answers = Arc::clone(&self.busy_answers);
        let (turns, resume_at) = (Semaphore::new(REQUESTS_MAX), Mutex::default());
        Ok(HttpClient::new(Service { inner, turns, resume_at, busy_answers }))
    }
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    turns: Semaphore,
    /// When it wants to be asked again.
    resume_at: Mutex<Option<Instant>>,
    busy_answers: Arc<AtomicU64>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let turn = request.extensions().get::<Turn>().cloned().unwrap_or_default();
        turn.set(Progress::Waits);
        let _turn = self.turns.acquire().await;
        let resume_at = *self.resume_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resume_at) = resume_at {
            tokio::time::sleep_until(resume_at).await;
        }
        turn.set(Progress::Sent(Instant::now()));
        let response = silence::send(&self.inner, request, SILENCE_MAX).await?;
        if is_busy(&response) {
            self.busy_answers.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(pause) = pause_of(&response) {
            let mut resume_at = self.resume_at.lock().unwrap_or_else(PoisonError::into_inner);
            *resume_at = (*resume_at).max(Some(Instant::now() + pause));
        }
        Ok(response)
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
