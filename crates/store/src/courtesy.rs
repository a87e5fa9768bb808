//! How a bucket's service is asked: a bounded number of requests at a time, and none before a busy service wants to be
//! asked again.
//!
//! What is sent again, and after which waits where the service names none, is for `object_store` to decide.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Requests that wait for an answer at the same time, for each store. With those of 40 MiB that write packs, many fewer
/// come together: who sends these has a bound of its own on memory.
const REQUESTS_MAX: usize = 64;

/// For how long a service that says that it is busy is left alone at most, whatever it asks for: a pause that makes others
/// wait should not be longer than work that is tried again would be.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Connects as `object_store` would.
#[derive(Debug)]
pub(crate) struct Courteous;

impl HttpConnector for Courteous {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Service { inner, turns: Semaphore::new(REQUESTS_MAX), resume_at: Mutex::default() }))
    }
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    turns: Semaphore,
    /// When it wants to be asked again.
    resume_at: Mutex<Option<Instant>>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let _turn = self.turns.acquire().await;
        let resume_at = *self.resume_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resume_at) = resume_at {
            tokio::time::sleep_until(resume_at).await;
        }
        let response = self.inner.execute(request).await?;
        if let Some(pause) = pause_of(&response) {
            let mut resume_at = self.resume_at.lock().unwrap_or_else(PoisonError::into_inner);
            *resume_at = (*resume_at).max(Some(Instant::now() + pause));
        }
        Ok(response)
    }
}

/// What `Retry-After` asks for in seconds (RFC 9110, 10.2.3). Of services of this kind none is known to name a date there,
/// and one that did would be asked again as if it had said nothing.
fn pause_of(response: &HttpResponse) -> Option<Duration> {
    let is_busy = matches!(response.status().as_u16(), 429 | 503);
    let seconds = response.headers().get("retry-after").filter(|_| is_busy)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(PAUSE_MAX))
}
