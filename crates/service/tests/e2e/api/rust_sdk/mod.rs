//! The AWS SDK for Rust: the whole life of a backup, and refusals as the SDK's own errors.

mod cloudhsm;
mod fsx;

use std::io;
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;

use super::exchange::Raw;

/// Carries what the SDK has made and signed over a connection as the other tests here have them: the SDK's own HTTP
/// client takes as long to compile as all else of it.
#[derive(Debug)]
struct Connector;

fn http_client() -> SharedHttpClient {
    http_client_fn(|_, _| SharedHttpConnector::new(Connector))
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(async move {
            let carried = tokio::task::spawn_blocking(move || carry(&request)).await;
            carried.expect("carrying does not panic").map_err(|error| ConnectorError::io(error.into()))
        })
    }
}

fn carry(request: &HttpRequest) -> io::Result<HttpResponse> {
    let host = request.uri().trim_start_matches("http://").trim_end_matches('/');
    let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.into()));
    let body = request.body().bytes().expect("bodies are in memory").to_vec();
    let raw = Raw { method: request.method().to_owned(), target: "/".to_owned(), headers: headers.collect(), body };
    let reply = raw.with("host", host).send(host)?;
    let status = StatusCode::try_from(reply.status).map_err(io::Error::other)?;
    let mut response = HttpResponse::new(status, reply.body.into());
    for (name, value) in reply.headers {
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// Looks until there is something, and returns it.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "nothing came of it in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
