//! HTTP requests as the dialects take them, and their replies as HTTP has them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use wire::http::{RawRequest, Reply};

use super::Server;
use crate::api;

/// The largest body that is read; the operations' own limits are far below.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers one request.
pub(super) async fn answer(
    server: Arc<Server>,
    metrics: PrometheusHandle,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let reply = match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthz") => plain(200, "ok\n"),
        (&Method::GET, "/readyz") => ready(&server),
        (&Method::GET, "/metrics") => plain(200, metrics.render()),
        _ => answer_api(&server, request).await,
    };
    Ok(into_response(reply))
}

/// Requests are served once a region is open.
fn ready(server: &Server) -> Reply {
    match server.regions.opened().is_empty() {
        false => plain(200, "ready\n"),
        true => plain(503, "no region is open\n"),
    }
}

async fn answer_api(server: &Arc<Server>, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let headers: Vec<(String, Vec<u8>)> =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => return api::too_large(),
        Ok(Err(_)) => return plain(400, "the body was cut off\n"),
        Err(_) => return plain(408, "the body took too long\n"),
    };
    let raw = RawRequest {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
    };
    api::answer(server, &raw).await
}

fn plain(status: u16, text: impl Into<String>) -> Reply {
    let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
    Reply { status, headers, body: text.into().into_bytes() }
}

fn into_response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    debug_assert!(response.headers().contains_key(CONTENT_TYPE), "every reply says what it is");
    debug_assert!(!response.headers().contains_key(CONTENT_LENGTH), "the length is the server's to say");
    response
}
