//! Client request tokens: what makes two requests with one token the same request.

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::{FsxCode, FsxError};
use super::request::Request;

const TOKEN: &str = "ClientRequestToken";

impl Request {
    /// The token by which a repeated request is recognised.
    pub fn client_request_token(&self) -> Option<&str> {
        match self {
            Self::CopyBackup(request) => request.client_request_token.as_deref(),
            Self::CreateBackup(request) => request.client_request_token.as_deref(),
            Self::DeleteBackup(request) => request.client_request_token.as_deref(),
            Self::CreateFileSystem(request) => request.client_request_token.as_deref(),
            Self::CreateFileSystemFromBackup(request) => request.client_request_token.as_deref(),
            Self::UpdateFileSystem(request) => request.client_request_token.as_deref(),
            Self::DeleteFileSystem(request) => request.client_request_token.as_deref(),
            _ => None,
        }
    }

    /// All that is asked for, in one spelling: a JSON object without the token, without absent members, with tags
    /// ordered by key, and with what absent members of `CopyBackup` stand for. Secrets are not in it, so that it
    /// can be kept.
    pub fn parameters(&self, region_called: &str) -> Value {
        match self {
            Self::CopyBackup(request) => {
                let mut members = members(request);
                members.entry("CopyTags").or_insert(Value::Bool(false));
                members.entry("SourceRegion").or_insert_with(|| region_called.into());
                Value::Object(members)
            }
            Self::CreateBackup(request) => members(request).into(),
            Self::DescribeBackups(request) => members(request).into(),
            Self::DeleteBackup(request) => members(request).into(),
            Self::CreateFileSystem(request) => members(request).into(),
            Self::CreateFileSystemFromBackup(request) => members(request).into(),
            Self::DescribeFileSystems(request) => members(request).into(),
            Self::UpdateFileSystem(request) => members(request).into(),
            Self::DeleteFileSystem(request) => members(request).into(),
            Self::TagResource(request) => members(request).into(),
            Self::UntagResource(request) => members(request).into(),
            Self::ListTagsForResource(request) => members(request).into(),
            Self::DescribeVolumes(request) => members(request).into(),
            Self::DescribeStorageVirtualMachines(request) => members(request).into(),
        }
    }
}

/// Holds a request's parameters against those that its token was first used with.
///
/// # Errors
/// `IncompatibleParameterError` that names the first member, in order of the alphabet, that differs.
pub fn check_same(first: &Value, now: &Value) -> Result<(), FsxError> {
    match find_difference(first, now) {
        None => Ok(()),
        Some(parameter) => {
            let message = format!("The client request token was already used with another value of {parameter}.");
            Err(FsxError::new(FsxCode::IncompatibleParameterError { parameter }, message))
        }
    }
}

/// The first member, in order of the alphabet, in which two parameter objects differ.
pub fn find_difference(first: &Value, second: &Value) -> Option<String> {
    let mut names: Vec<&String> =
        [first, second].iter().filter_map(|value| value.as_object()).flat_map(Map::keys).collect();
    names.sort_unstable();
    names.into_iter().find(|name| first.get(*name) != second.get(*name)).cloned()
}

fn members(request: &impl Serialize) -> Map<String, Value> {
    let Ok(Value::Object(mut members)) = serde_json::to_value(request) else { return Map::new() };
    members.remove(TOKEN);
    members.values_mut().for_each(sort_tags);
    members
}

/// Orders lists of tags, wherever they are.
fn sort_tags(value: &mut Value) {
    match value {
        Value::Array(elements) if elements.iter().all(|element| element.get("Key").is_some()) => {
            elements.sort_by_key(|tag| tag["Key"].to_string());
        }
        Value::Array(elements) => elements.iter_mut().for_each(sort_tags),
        Value::Object(members) => members.values_mut().for_each(sort_tags),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fsx::{Parsed, parse};

    fn parameters(operation: &str, body: &Value) -> Value {
        match parse(operation, body.to_string().as_bytes()) {
            Ok(Parsed::Served(request)) => request.parameters("us-west-1"),
            other => panic!("{other:?}"),
        }
    }

    fn copy(mut body: Value) -> Value {
        body["SourceBackupId"] = "backup-0abc123456789cba7".into();
        parameters("CopyBackup", &body)
    }

    #[test]
    fn what_absent_members_stand_for_is_the_same_as_saying_it() {
        let short = copy(json!({"ClientRequestToken": "a"}));
        let long =
            copy(json!({"ClientRequestToken": "b", "CopyTags": false, "SourceRegion": "us-west-1", "KmsKeyId": null}));
        assert_eq!(short, long);
        assert_eq!(check_same(&short, &long), Ok(()));
    }

    #[test]
    fn the_order_of_tags_does_not_matter_wherever_they_are() {
        let (a, b) = (json!({"Key": "a", "Value": "1"}), json!({"Key": "b", "Value": "2"}));
        assert_eq!(copy(json!({"Tags": [a, b]})), copy(json!({"Tags": [b, a]})));
        let delete = |tags: Value| {
            let settings = json!({"FinalBackupTags": tags});
            parameters(
                "DeleteFileSystem",
                &json!({"FileSystemId": "fs-0123456789abcdef0", "WindowsConfiguration": settings}),
            )
        };
        assert_eq!(delete(json!([a, b])), delete(json!([b, a])));
        assert_ne!(delete(json!([a, b])), delete(json!([a])));
    }

    #[test]
    fn the_first_difference_is_named_as_the_api_spells_it() {
        let base = copy(json!({}));
        let cases = [
            (json!({"CopyTags": true}), "CopyTags"),
            (json!({"SourceRegion": "us-east-2"}), "SourceRegion"),
            (json!({"KmsKeyId": "alias/a", "SourceRegion": "us-east-2"}), "KmsKeyId"),
            (json!({"Tags": [{"Key": "a", "Value": ""}]}), "Tags"),
        ];
        for (body, parameter) in cases {
            let code = check_same(&base, &copy(body)).unwrap_err().code;
            assert_eq!(code, FsxCode::IncompatibleParameterError { parameter: parameter.to_owned() });
        }
        let delete = |id: &str| parameters("DeleteBackup", &json!({"BackupId": id, "ClientRequestToken": "t"}));
        let difference = find_difference(&delete("backup-00000000"), &delete("backup-00000001"));
        assert_eq!(difference.as_deref(), Some("BackupId"));
    }

    #[test]
    fn passwords_are_not_kept() {
        let settings = json!({"FsxAdminPassword": "correct horse"});
        let body = json!({"FileSystemId": "fs-0123456789abcdef0", "OntapConfiguration": settings});
        assert!(!parameters("UpdateFileSystem", &body).to_string().contains("horse"));
    }
}
