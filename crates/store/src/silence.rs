//! When a service that is silent is given up. What makes progress is not, however long it takes.
//!
//! While a request is sent, the kernel watches: a connection on which nothing is acknowledged for 30 seconds is closed
//! (`TCP_USER_TIMEOUT`, which `reqwest` sets), be it that the service is gone or that it takes no bytes. What this module
//! adds is the time from then on: for the answer, and for each part of it.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use object_store::PutPayload;
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// How long a service may be silent.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Sends a request. From when the last byte was taken, the answer may take as long as the bytes took, for some of them are
/// still in the kernel's buffers, and `silence_max` more.
///
/// # Errors
/// Those of `inner`; [`HttpErrorKind::Timeout`], also in the answer's body, when the service is silent.
pub(crate) async fn send(
    inner: &HttpClient,
    request: HttpRequest,
    silence_max: Duration,
) -> Result<HttpResponse, HttpError> {
    let (request, untaken) = with_watch(request).await?;
    let begun = Instant::now();
    let mut answer = pin!(inner.execute(request));
    let taken = async {
        if let Some(untaken) = untaken {
            // It ends when the other side is dropped.
            drop(untaken.await);
        }
    };
    let response = tokio::select! {
        biased;
        answer = &mut answer => answer,
        () = taken => timeout(silence_max + begun.elapsed(), answer).await.unwrap_or_else(|_| Err(silent())),
    };
    response.map(|response| response.map(|body| watched(body, silence_max)))
}

/// The last piece of a body, which is dropped when the connection has taken it.
struct LastPiece {
    bytes: Bytes,
    _untaken: oneshot::Sender<Infallible>,
}

impl AsRef<[u8]> for LastPiece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A request, and what ends once all its bytes were taken. One whose body is no payload is short, and so is the time.
async fn with_watch(request: HttpRequest) -> Result<(HttpRequest, Option<oneshot::Receiver<Infallible>>), HttpError> {
    if request.body().as_bytes().is_some() {
        return Ok((request, None));
    }
    let (head, body) = request.into_parts();
    let mut pieces: Vec<Bytes> = body.into_data_stream().try_collect().await?;
    let (sender, untaken) = oneshot::channel();
    let last = LastPiece { bytes: pieces.pop().unwrap_or_default(), _untaken: sender };
    pieces.push(Bytes::from_owner(last));
    let payload: PutPayload = pieces.into_iter().collect();
    Ok((HttpRequest::from_parts(head, payload.into()), Some(untaken)))
}

/// A body that fails when none of it comes for so long while someone waits for it.
fn watched(body: HttpResponseBody, silence_max: Duration) -> HttpResponseBody {
    let frames = stream::try_unfold(body, move |mut body| async move {
        let frame = timeout(silence_max, body.frame()).await.map_err(|_| silent())?;
        Ok(frame.transpose()?.map(|frame| (frame, body)))
    });
    HttpResponseBody::new(StreamBody::new(frames))
}

fn silent() -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, Silent)
}

/// Nothing came.
#[derive(Debug, thiserror::Error)]
#[error("the service is silent")]
struct Silent;

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::net::TcpListener;

    use async_trait::async_trait;
    use futures::StreamExt;
    use object_store::ClientOptions;
    use object_store::client::{HttpConnector, HttpService, ReqwestConnector};

    use super::*;

    /// Takes a piece of a request in this time, and answers after that time.
    #[derive(Debug)]
    struct Slow {
        piece: Duration,
        answer: Duration,
        body: Duration,
    }

    #[async_trait]
    impl HttpService for Slow {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            let mut body = request.into_body();
            while let Some(piece) = body.frame().await {
                tokio::time::sleep(self.piece).await;
                drop(piece);
            }
            drop(body);
            tokio::time::sleep(self.answer).await;
            let late = self.body;
            let answer = HttpResponseBody::from("answer".to_owned());
            let parts = stream::once(async move {
                tokio::time::sleep(late).await;
                answer
            });
            let frames = parts
                .flat_map(|body| stream::unfold(body, |mut body| async move { Some((body.frame().await?, body)) }));
            Ok(HttpResponse::new(HttpResponseBody::new(StreamBody::new(frames))))
        }
    }

    fn request(pieces: usize) -> HttpRequest {
        let payload: PutPayload = vec![Bytes::from(vec![7; 1 << 20]); pieces].into_iter().collect();
        HttpRequest::new(payload.into())
    }

    async fn sent(piece: u64, answer: u64, body: u64) -> Result<Bytes, HttpErrorKind> {
        let [piece, answer, body] = [piece, answer, body].map(Duration::from_secs);
        let slow = HttpClient::new(Slow { piece, answer, body });
        let response = send(&slow, request(40), SILENCE_MAX).await.map_err(|error| error.kind())?;
        response.into_body().bytes().await.map_err(|error| error.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn what_makes_progress_may_take_as_long_as_it_takes() {
        assert_eq!(sent(20, 0, 0).await.unwrap(), "answer");
        // What the kernel has got is still on its way.
        assert_eq!(sent(20, 800, 0).await.unwrap(), "answer");
        assert_eq!(sent(0, 59, 59).await.unwrap(), "answer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_silent_is_given_up() {
        for (answer, body) in [(61, 0), (0, 61)] {
            assert_eq!(sent(0, answer, body).await, Err(HttpErrorKind::Timeout));
        }
        assert_eq!(sent(1, 101, 0).await, Err(HttpErrorKind::Timeout));
    }

    /// Also when the client is the real one, the end of what is sent shows.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_that_takes_all_and_never_answers_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let mut from_client = BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            while from_client.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let mut body = Vec::new();
            from_client.read_to_end(&mut body).unwrap();
            body.len()
        });
        let client = ReqwestConnector::default()
            .connect(&ClientOptions::new().with_allow_http(true).with_timeout_disabled())
            .unwrap();
        let mut request = request(40);
        *request.method_mut() = "PUT".parse().unwrap();
        *request.uri_mut() = format!("http://{address}/").parse().unwrap();
        request.headers_mut().insert("content-length", (40 << 20).into());
        let answer = send(&client, request, Duration::from_millis(100)).await;
        assert_eq!(answer.unwrap_err().kind(), HttpErrorKind::Timeout);
        assert_eq!(server.join().unwrap(), 40 << 20);
    }
}
