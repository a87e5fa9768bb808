//! Authorization: whether a principal may do something to a resource, decided by Cedar policies.
//!
//! Everything here is pure but for the reading of policy files. Policies narrow what an account's keys do; they
//! cannot widen it beyond the account, because whatever is looked up is looked up among what the account can see.

mod decision;
mod policies;
mod question;
#[cfg(test)]
mod tests;
mod vocabulary;

pub(crate) use decision::Decision;
pub(crate) use policies::{DEFAULT, Policies, is_policy_file, read_policy_files};
pub(crate) use question::{Circumstances, Copying, Permission, Principal, Resource, ResourceType};
pub(crate) use vocabulary::{SCHEMA, actions, is_reading, types_of};
