//! The front door of the AWS services: who calls, which operation, in which region; then the service's own handler.

use std::sync::Arc;

use model::AccountId;
use wire::aws::arn::Namespace;
use wire::aws::error::{CommonCode, CommonError};
use wire::aws::json::{self, Service, Target};
use wire::aws::sigv4::{self, Claim, Expected};
use wire::http::{RawRequest, Reply};

use super::authorize::Caller;
use super::{Call, Refusal, Trace};
use crate::authorization::Principal;
use crate::config::{Account, Cloud};
use crate::serve::Server;

impl Call {
    /// The caller's names in the region that is called.
    pub(super) fn names(&self) -> Namespace<'_> {
        names_of(&self.ctx, &self.account.id)
    }
}

/// An account's names in a region.
pub(super) fn names_of<'a>(ctx: &'a engine::RegionContext, account: &'a AccountId) -> Namespace<'a> {
    Namespace { partition: ctx.partition.as_str(), region: ctx.region.as_str(), account: account.as_str() }
}

/// Answers one request.
pub(super) async fn answer(server: &Arc<Server>, request: &RawRequest<'_>, id: &str, trace: &mut Trace) -> Reply {
    match open(server, request, id, trace) {
        Ok((target, call)) => match target.service {
            Service::Fsx => super::fsx::answer(&call, target.operation, request.body, trace).await,
            Service::CloudHsm => super::cloudhsm::answer(&call, target.operation, request.body, trace).await,
        },
        Err(error) => refused(error, id, trace),
    }
}

/// Refuses a request whose body was not read.
pub(super) fn refuse(refusal: Refusal, id: &str, trace: &mut Trace) -> Reply {
    let code = match refusal {
        Refusal::TooLarge => CommonCode::RequestEntityTooLarge,
        Refusal::Busy => CommonCode::ServiceUnavailable,
    };
    refused(code.into(), id, trace)
}

/// The reply of a refusal that is in no service's model.
pub(super) fn refused(error: CommonError, id: &str, trace: &mut Trace) -> Reply {
    error.code.as_str().clone_into(&mut trace.code);
    error.reply(id)
}

fn open<'a>(
    server: &Arc<Server>,
    request: &RawRequest<'a>,
    id: &str,
    trace: &mut Trace,
) -> Result<(Target<'a>, Call), CommonError> {
    let target = json::target(request)?;
    trace.service = target.service.signing_name();
    let is_known = match target.service {
        Service::Fsx => wire::fsx::is_known(target.operation),
        Service::CloudHsm => wire::cloudhsm::Operation::find(target.operation).is_some(),
    };
    if !is_known {
        return Err(CommonCode::UnknownOperation.into());
    }
    // Only now: there are as many counters as operations, and not as many as anyone can make up.
    target.operation.clone_into(&mut trace.operation);
    let claim = sigv4::identify(request)?;
    let account = authenticate(server, request, &claim, target.service)?;
    account.id.as_str().clone_into(&mut trace.account);
    claim.region.as_ref().clone_into(&mut trace.region);
    let per_second = match target.service {
        Service::Fsx => account.limits.fsx_requests_per_second.or(server.requests_per_second.fsx),
        Service::CloudHsm => account.limits.cloudhsm_requests_per_second.or(server.requests_per_second.cloudhsm),
    };
    if !server.rates.allow(format!("{} {} {}", account.id, claim.region, trace.service), per_second) {
        return Err(CommonCode::Throttling.into());
    }
    let ctx = server.regions.get(&claim.region).map_err(|_| CommonCode::ServiceUnavailable)?;
    let (key, cloud) = (claim.access_key.to_string(), Cloud::Aws);
    let caller = Caller { principal: Principal { account: account.id.clone(), key, cloud }, source: trace.source };
    Ok((
        target,
        Call {
            server: Arc::clone(server),
            account,
            caller,
            ctx,
            opened: server.regions.opened(),
            request_id: id.to_owned(),
        },
    ))
}

/// The account whose key signed the request.
fn authenticate(
    server: &Server,
    request: &RawRequest<'_>,
    claim: &Claim<'_>,
    service: Service,
) -> Result<Account, CommonError> {
    let identities = server.identities.get();
    let found = identities.keys().find(|(_, key)| key.cloud == Cloud::Aws && key.id == claim.access_key);
    let (account, key) = found.filter(|(_, key)| !key.disabled).ok_or(CommonCode::UnrecognizedClient)?;
    // Keys here are lasting ones, to which no token belongs.
    if claim.session_token.is_some() {
        return Err(CommonCode::UnrecognizedClient.into());
    }
    let expected = Expected {
        secret: &key.secret,
        service: service.signing_name(),
        is_region_served: server.regions.serves(Cloud::Aws, &claim.region),
        now: server.clock.now(),
        skew: server.aws_clock_skew,
    };
    claim.verify(request, &expected)?;
    Ok(account.clone())
}
