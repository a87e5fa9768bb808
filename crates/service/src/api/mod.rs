//! The cloud APIs: which dialect a request speaks, and what each operation asks of the engine.
//!
//! Handlers read as: parse, authorize, look up, call the engine, present. Errors of the engine become a dialect's own
//! at the last moment, and what is internal about them stays in the log.

mod audit;
mod authorize;
mod aws;
mod cbs;
mod cloudhsm;
mod fsx;
mod rates;
mod tencent;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use engine::{EngineError, RegionContext};
use model::KmsKeyId;
use store::{KeyErrorKind, KeyState};
use uuid::Uuid;
use wire::http::{RawRequest, Reply};

use self::authorize::Caller;
use crate::config::Account;
use crate::serve::{Server, metrics};

pub(crate) use authorize::Denials;
pub(crate) use cloudhsm::{kept_by_backup, retain_cluster_backups};
pub(crate) use fsx::tend_removals;
pub(crate) use rates::Rates;

/// One authenticated call.
pub(crate) struct Call {
    server: Arc<Server>,
    account: Account,
    caller: Caller,
    /// The region that is called.
    ctx: Arc<RegionContext>,
    /// Every region that was open when the call came: what it may do and what it does are about the same ones.
    opened: Vec<Arc<RegionContext>>,
    request_id: String,
}

impl Call {
    /// A region that the call may reach.
    fn region(&self, name: &str) -> Option<&Arc<RegionContext>> {
        self.opened.iter().find(|ctx| ctx.region.as_str() == name)
    }
}

/// What is logged and counted of a request besides its reply.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Where the connection comes from.
    pub(crate) source: IpAddr,
    pub(crate) service: &'static str,
    pub(crate) operation: String,
    pub(crate) account: String,
    pub(crate) region: String,
    /// The error code, or `Success`.
    pub(crate) code: String,
}

/// Answers a request from `source` in the dialect that it speaks.
pub(crate) async fn answer(server: &Arc<Server>, request: &RawRequest<'_>, source: IpAddr) -> Reply {
    let (started, id) = (Instant::now(), Uuid::new_v4().to_string());
    let mut trace = Trace::from(source);
    let reply = match tencent::is_addressed(request) {
        true => tencent::answer(server, request, &id, &mut trace).await,
        false => aws::answer(server, request, &id, &mut trace).await,
    };
    trace.write(&id, started, &reply);
    reply
}

/// Refuses a request of which only the head was read, in the dialect that it speaks.
pub(crate) fn refuse(head: &RawRequest<'_>, source: IpAddr, refusal: Refusal) -> Reply {
    let (started, id) = (Instant::now(), Uuid::new_v4().to_string());
    let mut trace = Trace::from(source);
    let reply = match tencent::is_addressed(head) {
        true => tencent::refuse(refusal, &id, &mut trace),
        false => aws::refuse(refusal, &id, &mut trace),
    };
    trace.write(&id, started, &reply);
    reply
}

/// How large the body of a request may be, to judge by its head.
pub(crate) fn body_bytes_max(head: &RawRequest<'_>) -> usize {
    match tencent::is_addressed(head) {
        true => wire::tencent::BODY_BYTES_MAX,
        false => wire::aws::json::BODY_BYTES_MAX,
    }
}

/// Whether a region has such a key, and it is enabled.
async fn is_usable_key(ctx: &RegionContext, id: &KmsKeyId) -> Result<bool, EngineError> {
    Ok(ctx.keys.find(id).await? == Some(KeyState::Enabled))
}

/// The key that a region uses where none is named, if it has one.
async fn default_key(ctx: &RegionContext) -> Result<Option<KmsKeyId>, EngineError> {
    match ctx.keys.default_key().await {
        Err(error) if error.kind == KeyErrorKind::NotFound => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// The most characters of a reason that a reply tells.
const REASON_CHARACTERS_MAX: usize = 256;

/// Why something failed, as callers may know it: of where things are on the server, only the last name. All of it is
/// in the log, and `offsite backup show` tells it.
fn reason(failure: &str) -> String {
    let (mut told, mut rest) = (String::new(), failure);
    while let Some(start) = path_start(rest) {
        let (before, path) = rest.split_at(start);
        let ends = [": ", ", ", "; ", "\"", "'", ")"].iter().filter_map(|end| path.find(end));
        let (path, after) = path.split_at(ends.min().unwrap_or(path.len()));
        told += before;
        told += path.rsplit('/').next().unwrap_or_default();
        rest = after;
    }
    told += rest;
    wire::aws::json::truncated(&told, REASON_CHARACTERS_MAX).to_owned()
}

/// Where an absolute path begins. It may hold spaces, so it ends where the sentence around it goes on.
fn path_start(text: &str) -> Option<usize> {
    let begins = |(at, _): &(usize, &str)| {
        let (before, after) = (text[..*at].chars().next_back(), text[at + 1..].chars().next());
        before.is_none_or(|c| " \"'(:=".contains(c)) && after.is_some_and(|c| !c.is_whitespace())
    };
    text.match_indices('/').find(begins).map(|(at, _)| at)
}

impl Trace {
    fn from(source: IpAddr) -> Self {
        let [operation, account, region, code] = Default::default();
        Self { source, service: "", operation, account, region, code }
    }

    /// Logs and counts the answer to a request.
    fn write(&self, request_id: &str, started: Instant, reply: &Reply) {
        let took = started.elapsed();
        metrics::request(self.service, &self.operation, &self.code, took);
        tracing::info!(
            request_id,
            source = %self.source,
            service = self.service,
            operation = self.operation,
            account = self.account,
            region = self.region,
            code = self.code,
            status = reply.status,
            milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
    }
}

/// Why a request is refused before anyone looks at what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is larger than its dialect allows.
    TooLarge,
    /// There is no room for it now.
    Busy,
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn a_reason_tells_nothing_of_where_things_are() {
        for (failure, told) in [
            ("failed to read /srv/site/fs-0/a.txt: gone", "failed to read a.txt: gone"),
            ("cannot open /srv/my site/a.txt: Permission denied", "cannot open a.txt: Permission denied"),
            ("file:///srv/store is away, and key:/srv/keys too", "file:store is away, and key:keys too"),
            ("Object at location \"/srv/store/record\" not found", "Object at location \"record\" not found"),
            ("read and/or write 1/2", "read and/or write 1/2"),
        ] {
            assert_eq!(reason(failure), told);
        }
        assert_eq!(reason(&"é".repeat(1000)).chars().count(), 256);
    }
}
