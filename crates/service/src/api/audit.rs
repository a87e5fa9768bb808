//! The audit: an event for every call that succeeded in changing something, with the key that signed it and its request's id.
//!
//! What the engine does on a call's behalf has events of its own, and so has what is done without a call.

use model::{BackupId, HsmId, PolicyId, ResourceId};
use serde_json::Value;
use wire::http::Reply;

use super::Call;
use crate::authorization::is_reading;

impl Call {
    /// Records a call of `action` that was answered by `reply`, if it is one that changes something. `asked_about` are
    /// the ids that the permissions for it were about.
    ///
    /// What was called for is done: that this fails is no reason to say otherwise.
    pub(super) async fn record(&self, action: &str, asked_about: Vec<String>, reply: &Reply) {
        if is_reading(action) {
            return;
        }
        let mut subjects = asked_about;
        let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        collect_ids(&told, &mut subjects);
        if subjects.is_empty() {
            subjects.push(self.ctx.region.to_string());
        }
        let (action, subject) = (action.replace("::", ":"), subjects.join(" "));
        let detail =
            format!("by {} from {}, request {}", self.caller.principal.key, self.caller.source, self.request_id);
        if let Err(error) = self.ctx.catalog.record_event(&self.account.id, &action, &subject, &detail).await {
            tracing::error!(request_id = self.request_id, action, subject, %error, "a call was not recorded");
        }
    }
}

/// Adds the ids that the members of a reply hold and that are not there yet. What callers wrote themselves, as tags, is
/// in members of other names.
fn collect_ids(told: &Value, ids: &mut Vec<String>) {
    let mut add = |value: &Value| {
        if let Some(id) = value.as_str().filter(|id| is_id(id) && !ids.iter().any(|known| known == id)) {
            ids.push(id.to_owned());
        }
    };
    match told {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::Array(values) if name.ends_with("IdSet") => values.iter().for_each(&mut add),
                    value if name.ends_with("Id") => add(value),
                    _ => {}
                }
            }
            members.values().for_each(|value| collect_ids(value, ids));
        }
        Value::Array(values) => values.iter().for_each(|value| collect_ids(value, ids)),
        _ => {}
    }
}

fn is_id(text: &str) -> bool {
    text.parse::<BackupId>().is_ok()
        || text.parse::<ResourceId>().is_ok()
        || text.parse::<HsmId>().is_ok()
        || text.parse::<PolicyId>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reply_names_what_was_made() {
        let mut ids = vec!["fs-0123456789abcdef0".to_owned()];
        let told = json!({"Backup": {
            "BackupId": "backup-0123456789abcdef0",
            "FileSystem": {"FileSystemId": "fs-0123456789abcdef0", "OwnerId": "123456789012"},
            "Tags": [{"Key": "BackupId", "Value": "backup-1123456789abcdef0"}],
        }});
        collect_ids(&told, &mut ids);
        assert_eq!(ids, ["fs-0123456789abcdef0", "backup-0123456789abcdef0"]);
        ids.clear();
        collect_ids(
            &json!({"Response": {"DiskIdSet": ["disk-aaaaaaaa", "disk-bbbbbbbb"], "RequestId": "x"}}),
            &mut ids,
        );
        assert_eq!(ids, ["disk-aaaaaaaa", "disk-bbbbbbbb"]);
    }
}
