//! Tencent Cloud's front door: who calls, which product, how often; then the product's own handler.

use std::sync::Arc;

use wire::cbs::CbsError;
use wire::http::{RawRequest, Reply};
use wire::tencent::regions::{self, DescribeRegions, DescribeRegionsReply};
use wire::tencent::{Claim, CommonCode, Product, TencentError, identify, success};

use super::authorize::Caller;
use super::{Call, Refusal, Trace};
use crate::authorization::Principal;
use crate::config::{Account, Cloud};
use crate::serve::{Server, Unserved};

/// Whether a request speaks this dialect: it names its action in a header or a parameter, or is signed or written as
/// none other is.
pub(super) fn is_addressed(request: &RawRequest<'_>) -> bool {
    let has = |name| request.header_values(name).next().is_some();
    let starts = |name, with| request.header(name).is_some_and(|value| value.trim_start().starts_with(with));
    let named = |parameters: &str| parameters.split('&').any(|parameter| parameter.starts_with("Action="));
    if starts("authorization", "TC3-") || has("x-tc-action") {
        return true;
    }
    !has("x-amz-target") && (starts("content-type", "application/x-www-form-urlencoded") || named(request.query))
}

/// Answers one request.
pub(super) async fn answer(server: &Arc<Server>, request: &RawRequest<'_>, id: &str, trace: &mut Trace) -> Reply {
    trace.service = "cbs";
    match try_answer(server, request, id, trace).await {
        Ok(reply) => {
            "Success".clone_into(&mut trace.code);
            reply
        }
        Err(error) => {
            error.code.as_str().clone_into(&mut trace.code);
            error.reply(id)
        }
    }
}

/// Refuses a request whose body was not read.
pub(super) fn refuse(refusal: Refusal, id: &str, trace: &mut Trace) -> Reply {
    let code = match refusal {
        Refusal::TooLarge => CommonCode::RequestSizeLimitExceeded,
        Refusal::Busy => CommonCode::ServiceUnavailable,
    };
    trace.service = "cbs";
    code.as_str().clone_into(&mut trace.code);
    TencentError::from(code).reply(id)
}

async fn try_answer(
    server: &Arc<Server>,
    request: &RawRequest<'_>,
    id: &str,
    trace: &mut Trace,
) -> Result<Reply, CbsError> {
    let claim = identify(request, server.clock.now())?;
    let account = authenticate(server, &claim)?;
    account.id.as_str().clone_into(&mut trace.account);
    let target = claim.target()?;
    if target.product != Product::Cbs {
        regions::check_action(target.action)?;
        target.action.clone_into(&mut trace.operation);
        return describe_regions(server, target.product, &claim, id);
    }
    let action = wire::cbs::Action::named(target.action)?;
    // Only now: there are as many counters as actions, and not as many as anyone can make up.
    target.action.clone_into(&mut trace.operation);
    let region = claim.region()?;
    region.clone_into(&mut trace.region);
    if !server.regions.serves(Cloud::Tencent, region) {
        return Err(CommonCode::UnsupportedRegion.into());
    }
    let ctx = server.regions.get(region).map_err(|why| match why {
        Unserved::Unknown => CbsError::from(CommonCode::UnsupportedRegion),
        Unserved::Away => CommonCode::ServiceUnavailable.into(),
    })?;
    let per_second = account.limits.cbs_requests_per_second.unwrap_or(server.requests_per_second.cbs);
    if !server.rates.allow(format!("{} {region} {}", account.id, target.action), Some(per_second)) {
        return Err(CommonCode::RequestLimitExceeded.into());
    }
    let request = wire::cbs::parse(action, &claim.parameters()?, server.clock.now())?;
    let (key, cloud) = (claim.secret_id.clone(), Cloud::Tencent);
    let caller = Caller { principal: Principal { account: account.id.clone(), key, cloud }, source: trace.source };
    let call = Call {
        server: Arc::clone(server),
        account,
        caller,
        ctx,
        opened: server.regions.opened(),
        request_id: id.to_owned(),
    };
    super::cbs::answer(&call, request).await
}

/// The account whose key signed the request.
fn authenticate(server: &Server, claim: &Claim<'_>) -> Result<Account, TencentError> {
    let identities = server.identities.get();
    let found = identities.keys().find(|(_, key)| key.cloud == Cloud::Tencent && key.id == claim.secret_id);
    let (account, key) = found.ok_or(CommonCode::AuthFailureSecretIdNotFound)?;
    if key.disabled {
        return Err(CommonCode::AuthFailureInvalidSecretId.into());
    }
    // Keys here are lasting ones, to which no token belongs.
    if claim.token.is_some() {
        return Err(CommonCode::AuthFailureTokenFailure.into());
    }
    claim.verify(&key.secret)?;
    Ok(account.clone())
}

/// Where snapshots can be copied to.
fn describe_regions(server: &Server, product: Product, claim: &Claim<'_>, id: &str) -> Result<Reply, CbsError> {
    let asked = regions::parse(product, &claim.parameters()?)?;
    let offered = match &asked {
        DescribeRegions::OfCvm => true,
        DescribeRegions::OfRegion { product } => product == Product::Cbs.as_str(),
    };
    let listed = server.regions.of(Cloud::Tencent).filter(|_| offered);
    let reply = DescribeRegionsReply::of(&asked, listed.map(|(region, _)| (region.as_str(), region.as_str())));
    Ok(success(&reply, id))
}
