//! The front doors' questions to the policies, and what is done about a denial.
//!
//! An API lists the permissions that a request needs, from the request and from what it names, before any rule of the
//! operation is looked at. So a denial tells nothing about other accounts' things: one that is another's and one that
//! does not exist are asked about in the same words.

use std::net::IpAddr;

use engine::RegionContext;

use crate::authorization::{Permission, Principal};
use crate::serve::Server;

/// Who calls, as policies know callers.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The key that signed the request.
    pub(crate) principal: Principal,
    /// Where the connection comes from.
    pub(crate) source: IpAddr,
}

/// A permission that the policies do not give. What a reply may tell of it is what the caller has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    /// The action as clouds write it, e.g. `fsx:CopyBackup`.
    pub(crate) action: String,
    /// The resource and where it is.
    pub(crate) resource: String,
}

impl Server {
    /// Asks for every permission that a call in the region of `ctx` needs. The first that is denied ends it: it is
    /// logged, and an event is recorded.
    pub(super) async fn authorize(
        &self,
        ctx: &RegionContext,
        caller: &Caller,
        request_id: &str,
        permissions: Vec<Permission>,
    ) -> Result<(), Denied> {
        let policies = self.policies.get(self.clock.now());
        for mut permission in permissions {
            permission.circumstances.source_address = Some(caller.source);
            let decision = policies.decide(&caller.principal, &permission);
            if !decision.errors.is_empty() {
                let errors = decision.errors.join("; ");
                tracing::error!(request_id, errors, "policies could not be evaluated");
            }
            if decision.allowed {
                continue;
            }
            let Permission { action, resource, .. } = permission;
            let Principal { account, key, .. } = &caller.principal;
            let policies = decision.policies.join(", ");
            tracing::warn!(request_id, %account, key, action, %resource, policies, "denied");
            let detail =
                format!("{action} by {key} from {}, request {request_id}, policies: {policies}", caller.source);
            if let Err(error) = ctx.catalog.record_event(account, "Deny", resource.id(), &detail).await {
                tracing::error!(request_id, %error, "a denial was not recorded");
            }
            return Err(Denied { action: action.replace("::", ":"), resource: resource.to_string() });
        }
        Ok(())
    }
}
