//! Decisions: what the policies say to a question, and which of them decided.

use std::sync::PoisonError;

use cedar_policy::{AuthorizationError, Authorizer, Effect};
use serde::Serialize;

use super::policies::Policies;
use super::question::{Permission, Principal};

/// The longest tags of a question whose decision is remembered: callers say what tags there are.
const REMEMBERED_TAG_BYTES_MAX: usize = 4 << 10;

/// What was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Decision {
    /// Whether it is allowed.
    pub(crate) allowed: bool,
    /// The policies that decided; none where nothing permits it.
    pub(crate) policies: Vec<String>,
    /// Policies that could not be evaluated, each with the reason.
    pub(crate) errors: Vec<String>,
}

impl Decision {
    /// Whether nothing has decided, while there are policies that could not be evaluated and might have.
    pub(crate) fn is_undecided(&self) -> bool {
        self.policies.is_empty() && !self.errors.is_empty()
    }
}

impl Policies {
    /// Decides. Nothing is allowed that no policy permits; one that forbids wins over all that permit.
    ///
    /// Cedar passes over a policy that cannot be evaluated. One that would have forbidden must not be passed over, so
    /// then nothing is allowed.
    pub(crate) fn decide(&self, principal: &Principal, permission: &Permission) -> Decision {
        if permission.tag_bytes() > REMEMBERED_TAG_BYTES_MAX {
            return self.evaluate(principal, permission);
        }
        let asked = (principal.clone(), permission.clone());
        let decided = || self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(decision) = decided().get(&asked) {
            return decision.clone();
        }
        let decision = self.evaluate(principal, permission);
        decided().insert(asked, decision.clone());
        decision
    }

    fn evaluate(&self, principal: &Principal, permission: &Permission) -> Decision {
        let (request, entities) = match permission.question(principal) {
            Ok(question) => question,
            Err(error) => {
                let errors = vec![format!("{} cannot be asked: {error}", permission.action)];
                return Decision { allowed: false, policies: Vec::new(), errors };
            }
        };
        let answer = Authorizer::new().is_authorized(&request, &self.set, &entities);
        let diagnostics = answer.diagnostics();
        let failed: Vec<_> = diagnostics.errors().collect();
        let fails_closed = failed.iter().any(|error| {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            self.set.policy(error.policy_id()).is_none_or(|policy| policy.effect() == Effect::Forbid)
        });
        let mut policies: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
        if fails_closed && answer.decision() == cedar_policy::Decision::Allow {
            policies.clear();
        }
        policies.sort();
        let mut errors: Vec<String> = failed.iter().map(ToString::to_string).collect();
        errors.sort();
        let allowed = answer.decision() == cedar_policy::Decision::Allow && !fails_closed;
        Decision { allowed, policies, errors }
    }
}
