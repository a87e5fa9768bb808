//! HTTP requests as the dialects take them, and their replies as HTTP has them.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use wire::http::{RawRequest, Reply};

use super::Server;
use super::body::BodyFault;
use crate::api::{self, Refusal};

/// Answers one request, which came from `source`.
pub(super) async fn answer(
    server: Arc<Server>,
    metrics: PrometheusHandle,
    source: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let reply = match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthz") => plain(200, "ok\n"),
        (&Method::GET, "/readyz") => ready(&server),
        (&Method::GET, "/metrics") => plain(200, metrics.render()),
        // Apart from the connection: what was begun is finished, and told of, though the client may have gone.
        _ => tokio::spawn(async move { answer_api(&server, source, request).await })
            .await
            .unwrap_or_else(|_| plain(500, "the request could not be answered\n")),
    };
    Ok(into_response(reply))
}

/// Requests are served once a region is open. A region that a person has to look at is named in any case.
fn ready(server: &Server) -> Reply {
    let (status, mut text) = match server.regions.is_ready() {
        true => (200, "ready\n".to_owned()),
        false => (503, "no region is open\n".to_owned()),
    };
    text.extend(server.regions.disowned().map(|region| format!("{region}: its store belongs to another catalog\n")));
    plain(status, text)
}

async fn answer_api(server: &Arc<Server>, source: IpAddr, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let headers: Vec<(String, Vec<u8>)> =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    let mut raw = RawRequest {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &headers,
        body: &[],
    };
    match server.bodies.read(body, api::body_bytes_max(&raw)).await {
        Ok(held) => {
            raw.body = &held.bytes;
            api::answer(server, &raw, source).await
        }
        Err(BodyFault::CutOff) => plain(400, "the body was cut off\n"),
        Err(BodyFault::TooSlow) => plain(408, "the body took too long\n"),
        Err(BodyFault::TooLarge) => api::refuse(&raw, source, Refusal::TooLarge),
        Err(BodyFault::NoRoom) => api::refuse(&raw, source, Refusal::Busy),
    }
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
