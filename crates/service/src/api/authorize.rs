//! The front doors' questions to the policies, and what is done about a denial.
//!
//! An API lists the permissions that a request needs, from the request and from what it names, before any rule of the
//! operation is looked at. So a denial tells nothing about other accounts' things: one that is another's and one that
//! does not exist are asked about in the same words.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use model::{Region, Timestamp};

use super::Call;
use crate::authorization::{Permission, Principal, ResourceType};

/// Who calls, as policies know callers.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The key that signed the request.
    pub(crate) principal: Principal,
    /// Where the connection comes from.
    pub(crate) source: IpAddr,
}

/// A permission that the policies do not give. What a reply may tell of it is what the caller has sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Denied {
    /// The action as clouds write it, e.g. `fsx:CopyBackup`.
    pub(crate) action: String,
    /// The resource and where it is.
    pub(crate) resource: String,
    /// Whether policies could not be evaluated, rather than that one of them denies it.
    pub(crate) is_undecided: bool,
}

/// How long one event stands for all denials like it.
const QUIET_MS: u64 = 60_000;

/// How many denials of one key are recorded in that time. A key that is refused a thousand things needs a look, and not
/// a thousand events.
const RECORDED_MAX: usize = 60;

/// Where and of what a key was denied something, and when that was recorded.
type Recorded = HashMap<(Region, Denied), Timestamp>;

/// The denials that were recorded lately, by key. Only keys of accounts are denied anything, so there are no more of
/// them than the identities file has had.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<HashMap<String, Recorded>>);

impl Denials {
    /// Whether a key's denial in a region is to be recorded; if so, it counts as recorded from `now` on.
    fn is_due(&self, key: &str, region: &Region, denied: &Denied, now: Timestamp) -> bool {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = keys.entry(key.to_owned()).or_default();
        recent.retain(|_, recorded_at| now.0.abs_diff(recorded_at.0) < QUIET_MS);
        let place = (region.clone(), denied.clone());
        let is_due = recent.len() < RECORDED_MAX && !recent.contains_key(&place);
        if is_due {
            recent.insert(place, now);
        }
        is_due
    }
}

impl Call {
    /// Asks for every permission that the call needs, and returns the ids of the things that they are about. The first
    /// that is denied ends it: it is logged, and an event is recorded unless there was one like it a moment ago.
    pub(super) async fn authorize(&self, permissions: Vec<Permission>) -> Result<Vec<String>, Denied> {
        let Self { server, ctx, caller, request_id, .. } = self;
        let policies = server.policies.get(server.clock.now());
        let mut asked_about = Vec::new();
        for mut permission in permissions {
            permission.circumstances.source_address = Some(caller.source);
            let decision = policies.decide(&caller.principal, &permission);
            if !decision.errors.is_empty() {
                let errors = decision.errors.join("; ");
                tracing::error!(request_id, errors, "policies could not be evaluated");
            }
            let Permission { action, resource, .. } = permission;
            if decision.allowed {
                let is_thing = !matches!(resource.kind(), ResourceType::Region | ResourceType::KmsKey);
                if is_thing && !asked_about.iter().any(|id| id == resource.id()) {
                    asked_about.push(resource.id().to_owned());
                }
                continue;
            }
            let Principal { account, key, .. } = &caller.principal;
            let is_undecided = decision.is_undecided();
            let policies = decision.policies.join(", ");
            tracing::warn!(request_id, %account, key, action, %resource, policies, "denied");
            let denied = Denied { action: action.replace("::", ":"), resource: resource.to_string(), is_undecided };
            if server.denials.is_due(key, &ctx.region, &denied, server.clock.now()) {
                let detail =
                    format!("{action} by {key} from {}, request {request_id}, policies: {policies}", caller.source);
                if let Err(error) = ctx.catalog.record_event(account, "Deny", resource.id(), &detail).await {
                    tracing::error!(request_id, %error, "a denial was not recorded");
                }
            }
            return Err(denied);
        }
        Ok(asked_about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_stands_for_a_minute_of_the_same_denials() {
        let denials = Denials::default();
        let here: Region = "us-east-1".parse().unwrap();
        let denied = |id: usize| Denied {
            action: "fsx:DeleteBackup".to_owned(),
            resource: format!("backup-{id}"),
            is_undecided: false,
        };
        let is_due = |key: &str, id, ms| denials.is_due(key, &here, &denied(id), Timestamp(ms));
        assert!(is_due("a", 0, 0));
        assert!(!is_due("a", 0, 1) && !is_due("a", 0, 59_999));
        assert!(is_due("a", 1, 1) && is_due("b", 0, 1));
        assert!(denials.is_due("a", &"us-west-2".parse().unwrap(), &denied(0), Timestamp(1)));
        assert!(is_due("a", 0, 60_000) && !is_due("a", 0, 60_001));
    }

    #[test]
    fn a_key_that_is_denied_everything_fills_nothing() {
        let denials = Denials::default();
        let here: Region = "us-east-1".parse().unwrap();
        let denied = |id: i64| Denied {
            action: "fsx:DeleteBackup".to_owned(),
            resource: format!("backup-{id}"),
            is_undecided: false,
        };
        // A thousand a second, of as many things.
        let recorded = (0..180_000).filter(|ms| denials.is_due("a", &here, &denied(*ms), Timestamp(*ms))).count();
        assert_eq!(recorded, 3 * RECORDED_MAX);
        assert!(denials.is_due("b", &here, &denied(0), Timestamp(180_000)), "another key has events of its own");
        assert!(denials.0.lock().unwrap()["a"].len() <= RECORDED_MAX);
    }
}
