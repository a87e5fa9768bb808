//! The cloud APIs: which dialect a request speaks, and what each operation asks of the engine.
//!
//! Handlers read as: parse, look up, call the engine, present. Errors of the engine become a dialect's own
//! at the last moment, and what is internal about them stays in the log.

mod aws;
mod cbs;
mod cloudhsm;
mod fsx;
mod tencent;

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;
use wire::http::{RawRequest, Reply};

use crate::serve::{Server, metrics};

pub(crate) use cloudhsm::{kept_by_backup, retain_cluster_backups};
pub(crate) use tencent::Rates;

/// What is logged and counted of a request besides its reply.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) service: &'static str,
    pub(crate) operation: String,
    pub(crate) account: String,
    pub(crate) region: String,
    /// The error code, or `Success`.
    pub(crate) code: String,
}

/// Answers a request in the dialect that it speaks.
pub(crate) async fn answer(server: &Arc<Server>, request: &RawRequest<'_>) -> Reply {
    let (started, id) = (Instant::now(), Uuid::new_v4().to_string());
    let mut trace = Trace::default();
    let reply = match tencent::is_addressed(request) {
        true => tencent::answer(server, request, &id, &mut trace).await,
        false => aws::answer(server, request, &id, &mut trace).await,
    };
    let took = started.elapsed();
    metrics::request(trace.service, &trace.operation, &trace.code, took);
    tracing::info!(
        request_id = id,
        service = trace.service,
        operation = trace.operation,
        account = trace.account,
        region = trace.region,
        code = trace.code,
        status = reply.status,
        milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    reply
}

/// The reply to a body that is larger than any operation takes.
pub(crate) fn too_large() -> Reply {
    let headers = vec![("content-type", "application/x-amz-json-1.1".to_owned())];
    let body = br#"{"__type":"RequestEntityTooLargeException","message":"The request is too large."}"#.to_vec();
    Reply { status: 413, headers, body }
}
