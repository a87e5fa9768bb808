//! The operations of FSx: which are served, and what is said about the others.

use super::error::FsxError;
use super::request::Request;
use super::tags;
use crate::aws::error::CommonCode;
use crate::aws::shape::{self, Refusal, Shape};
use crate::fsx::FsxCode;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// An operation that is served.
    Served(Request),
    /// An operation that the real service has and this one has not.
    NotServed(NotServed),
}

/// An operation that the real service has and this one has not: volumes, file caches, data repositories and
/// all else that is outside the life of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotServed {
    /// The operation.
    pub operation: &'static str,
    is_unsupported_operation: bool,
}

impl NotServed {
    /// The answer: `UnsupportedOperation`, or `BadRequest` for operations that do not have that error.
    pub fn error(&self) -> FsxError {
        let code = if self.is_unsupported_operation { FsxCode::UnsupportedOperation } else { FsxCode::BadRequest };
        FsxError::new(code, format!("{} is not supported here.", self.operation))
    }
}

/// Operations for which the model does not have the error `UnsupportedOperation`.
const BAD_REQUEST: &[&str] = &[
    "AssociateFileSystemAliases",
    "CopySnapshotAndUpdateVolume",
    "CreateFileCache",
    "CreateSnapshot",
    "CreateVolumeFromBackup",
    "DeleteDataRepositoryAssociation",
    "DeleteFileCache",
    "DeleteSnapshot",
    "DeleteStorageVirtualMachine",
    "DeleteVolume",
    "DescribeDataRepositoryAssociations",
    "DescribeDataRepositoryTasks",
    "DescribeFileCaches",
    "DescribeFileSystemAliases",
    "DescribeSharedVpcConfiguration",
    "DescribeSnapshots",
    "DisassociateFileSystemAliases",
    "ReleaseFileSystemNfsV3Locks",
    "RestoreVolumeFromSnapshot",
    "StartMisconfiguredStateRecovery",
    "UpdateDataRepositoryAssociation",
    "UpdateSharedVpcConfiguration",
    "UpdateSnapshot",
    "UpdateVolume",
];

const UNSUPPORTED_OPERATION: &[&str] = &[
    "CancelDataRepositoryTask",
    "CreateAndAttachS3AccessPoint",
    "CreateDataRepositoryAssociation",
    "CreateDataRepositoryTask",
    "CreateStorageVirtualMachine",
    "CreateVolume",
    "DescribeS3AccessPointAttachments",
    "DetachAndDeleteS3AccessPoint",
    "UpdateFileCache",
    "UpdateStorageVirtualMachine",
];

macro_rules! served {
    ($($operation:ident => $make:expr,)*) => {
        /// Whether there is an operation of that name, served or not.
        ///
        /// To be asked before the signature is checked, as [`parse`] is to be called after.
        pub fn is_known(operation: &str) -> bool {
            matches!(operation, $(stringify!($operation))|*) || find_not_served(operation).is_some()
        }

        /// Reads the body of a request to `operation`.
        ///
        /// # Errors
        /// `UnknownOperationException` when no version of the service has that operation;
        /// `SerializationException` when the body is no JSON object or a member is of another type than modelled;
        /// `BadRequest` when members fail constraints of the model, with a message that names them all, and when
        /// tags are given twice or are reserved.
        pub fn parse(operation: &str, body: &[u8]) -> Result<Parsed, FsxError> {
            match operation {
                $(stringify!($operation) => served(read(body).map($make).map(Request::$operation)),)*
                _ => find_not_served(operation).map(Parsed::NotServed).ok_or(CommonCode::UnknownOperation.into()),
            }
        }

        impl Request {
            /// The operation.
            pub fn operation(&self) -> &'static str {
                match self {
                    $(Self::$operation(_) => stringify!($operation),)*
                }
            }
        }
    };
}

served! {
    CopyBackup => |request| request,
    CreateBackup => |request| request,
    DescribeBackups => |request| request,
    DeleteBackup => |request| request,
    CreateFileSystem => Box::new,
    CreateFileSystemFromBackup => Box::new,
    DescribeFileSystems => |request| request,
    UpdateFileSystem => Box::new,
    DeleteFileSystem => |request| request,
    TagResource => |request| request,
    UntagResource => |request| request,
    ListTagsForResource => |request| request,
    DescribeVolumes => |request| request,
    DescribeStorageVirtualMachines => |request| request,
}

fn served(request: Result<Request, FsxError>) -> Result<Parsed, FsxError> {
    let request = request?;
    check_tags(&request)?;
    Ok(Parsed::Served(request))
}

fn check_tags(request: &Request) -> Result<(), FsxError> {
    let given = match request {
        Request::CopyBackup(request) => &request.tags,
        Request::CreateBackup(request) => &request.tags,
        Request::CreateFileSystem(request) => &request.tags,
        Request::CreateFileSystemFromBackup(request) => &request.tags,
        Request::DeleteFileSystem(request) => {
            return request.final_backup_tags().try_for_each(tags::check);
        }
        Request::TagResource(request) => return tags::check(&request.tags),
        Request::UntagResource(request) => return tags::check_keys(request.tag_keys.iter().map(String::as_str)),
        _ => return Ok(()),
    };
    given.as_deref().map_or(Ok(()), tags::check)
}

fn find_not_served(operation: &str) -> Option<NotServed> {
    let find = |names: &[&'static str], is_unsupported_operation| {
        let operation = names.iter().copied().find(|name| *name == operation)?;
        Some(NotServed { operation, is_unsupported_operation })
    };
    find(UNSUPPORTED_OPERATION, true).or_else(|| find(BAD_REQUEST, false))
}

fn read<T: Shape>(body: &[u8]) -> Result<T, FsxError> {
    shape::read(body).map_err(|refusal| match refusal {
        Refusal::Serialization(error) => error.into(),
        Refusal::Constraints(message) => FsxError::bad_request(message),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fsx::request::Tag;

    const SERVED: &[&str] = &[
        "CopyBackup",
        "CreateBackup",
        "DescribeBackups",
        "DeleteBackup",
        "CreateFileSystem",
        "CreateFileSystemFromBackup",
        "DescribeFileSystems",
        "UpdateFileSystem",
        "DeleteFileSystem",
        "TagResource",
        "UntagResource",
        "ListTagsForResource",
        "DescribeVolumes",
        "DescribeStorageVirtualMachines",
    ];

    fn refused(operation: &str, body: &str) -> (&'static str, String) {
        let error = parse(operation, body.as_bytes()).unwrap_err();
        (error.code.as_str(), error.message)
    }

    #[test]
    fn what_the_command_line_client_sends_is_read() {
        let body = r#"{"SourceBackupId": "backup-0abc123456789cba7", "SourceRegion": "us-east-2", "CopyTags": true,
            "Tags": [{"Key": "Name", "Value": "dr"}], "ClientRequestToken": "53d267d6-9767-4b86-921b-0e5299815c8c"}"#;
        let Ok(Parsed::Served(Request::CopyBackup(copy))) = parse("CopyBackup", body.as_bytes()) else { panic!() };
        assert_eq!(copy.source_backup_id, "backup-0abc123456789cba7");
        assert_eq!(copy.source_region.as_deref(), Some("us-east-2"));
        assert_eq!((copy.copy_tags, copy.kms_key_id), (Some(true), None));
        assert_eq!(copy.tags, Some(vec![Tag { key: "Name".to_owned(), value: "dr".to_owned() }]));
        let body = r#"{"Filters": [{"Name": "file-system-id", "Values": ["fs-0123456789abcdef0"]}], "MaxResults": 5}"#;
        assert!(parse("DescribeBackups", body.as_bytes()).is_ok());
    }

    #[test]
    fn constraint_failures_are_bad_requests_in_the_services_words() {
        let (code, message) = refused("CreateFileSystem", "{}");
        assert_eq!(code, "BadRequest");
        assert_eq!(
            message,
            "2 validation errors detected: Value null at 'fileSystemType' failed to satisfy constraint: Member must \
             not be null; Value null at 'subnetIds' failed to satisfy constraint: Member must not be null"
        );
        let (_, message) =
            refused("CopyBackup", r#"{"SourceBackupId":"backup-0abc123456789cba7","Tags":[{"Key":"a!","Value":""}]}"#);
        assert_eq!(
            message,
            concat!(
                "1 validation error detected: Value 'a!' at 'tags.1.member.key' failed to satisfy constraint: ",
                r"Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"
            )
        );
    }

    #[test]
    fn nested_settings_are_checked_too() {
        let body = r#"{"FileSystemType":"WINDOWS","SubnetIds":["subnet-0123456789abcdef0"],"WindowsConfiguration":
            {"ThroughputCapacity":7,"DailyAutomaticBackupStartTime":"0500","SelfManagedActiveDirectoryConfiguration":
            {"DomainName":"a","DnsIps":["nowhere"],"Password":"p"}}}"#;
        let (code, message) = refused("CreateFileSystem", body);
        assert_eq!(code, "BadRequest");
        assert!(message.starts_with("3 validation errors detected: "), "{message}");
        for place in [
            "'7' at 'windowsConfiguration.throughputCapacity'",
            "'0500' at 'windowsConfiguration.dailyAutomaticBackupStartTime'",
            "'nowhere' at 'windowsConfiguration.selfManagedActiveDirectoryConfiguration.dnsIps.1.member'",
        ] {
            assert!(message.contains(place), "{message}");
        }
    }

    #[test]
    fn bounds_of_each_member_hold() {
        let id = r#""SourceBackupId":"backup-0abc123456789cba7""#;
        let tag = r#"{"Key":"k","Value":"v"}"#;
        let bad = [
            ("CopyBackup", "{}".to_owned()),
            ("CopyBackup", r#"{"SourceBackupId":"backup-XYZ"}"#.to_owned()),
            ("CopyBackup", format!(r#"{{{id},"ClientRequestToken":"{}"}}"#, "a".repeat(64))),
            ("CopyBackup", format!(r#"{{{id},"ClientRequestToken":""}}"#)),
            ("CopyBackup", format!(r#"{{{id},"SourceRegion":"a-region-that-is-longer"}}"#)),
            ("CopyBackup", format!(r#"{{{id},"KmsKeyId":"{}"}}"#, "k".repeat(2049))),
            ("CopyBackup", format!(r#"{{{id},"Tags":[]}}"#)),
            ("CopyBackup", format!(r#"{{{id},"Tags":[{}]}}"#, vec![tag; 51].join(","))),
            ("CopyBackup", format!(r#"{{{id},"Tags":[{{"Key":"k"}}]}}"#)),
            ("DescribeBackups", r#"{"MaxResults":0}"#.to_owned()),
            ("DescribeBackups", r#"{"MaxResults":2147483648}"#.to_owned()),
            ("DescribeBackups", r#"{"NextToken":"abc"}"#.to_owned()),
            ("DescribeBackups", format!(r#"{{"NextToken":"{}"}}"#, "abcd".repeat(64))),
            ("DescribeBackups", r#"{"Filters":[{"Name":"state","Values":["x"]}]}"#.to_owned()),
            ("DescribeBackups", format!(r#"{{"BackupIds":[{}]}}"#, vec![r#""backup-00000000""#; 51].join(","))),
            ("DeleteBackup", "{}".to_owned()),
            ("CreateBackup", r#"{"VolumeId":"fsvol-0123456789abcdef"}"#.to_owned()),
            ("UpdateFileSystem", "{}".to_owned()),
            ("DeleteFileSystem", r#"{"FileSystemId":"fs-1"}"#.to_owned()),
            ("TagResource", r#"{"ResourceARN":"arn:aws:s3:::/bucket","Tags":[{"Key":"k","Value":"v"}]}"#.to_owned()),
            ("UntagResource", r#"{"ResourceARN":"arn:aws:fsx:us-west-1:111122223333:x","TagKeys":[]}"#.to_owned()),
            ("ListTagsForResource", r#"{"ResourceARN":"backup-0a3364eded1014b28"}"#.to_owned()),
        ];
        for (operation, body) in bad {
            assert_eq!(refused(operation, &body).0, "BadRequest", "{operation} {body}");
        }
        let tags: Vec<String> = (0..50).map(|at| format!(r#"{{"Key":"k{at}","Value":""}}"#)).collect();
        let most = format!(r#"{{{id},"ClientRequestToken":"{}","Tags":[{}]}}"#, "a".repeat(63), tags.join(","));
        assert!(parse("CopyBackup", most.as_bytes()).is_ok());
    }

    #[test]
    fn tags_are_given_once_and_are_not_reserved() {
        let delete = |tags: &str| {
            refused(
                "DeleteFileSystem",
                &format!(r#"{{"FileSystemId":"fs-00000000","LustreConfiguration":{{"FinalBackupTags":[{tags}]}}}}"#),
            )
        };
        assert_eq!(delete(r#"{"Key":"k","Value":""},{"Key":"k","Value":""}"#).0, "BadRequest");
        assert_eq!(delete(r#"{"Key":"aws:k","Value":""}"#).0, "BadRequest");
        let (code, message) =
            refused("UntagResource", r#"{"ResourceARN":"arn:aws:fsx:us-west-1:111122223333:x","TagKeys":["aws:k"]}"#);
        assert_eq!((code, message.as_str()), ("BadRequest", "Tag keys starting with 'aws:' are reserved: 'aws:k'."));
    }

    #[test]
    fn wrong_types_come_before_constraints() {
        assert_eq!(refused("CopyBackup", r#"{"SourceBackupId":"x","CopyTags":"true"}"#).0, "SerializationException");
        assert_eq!(refused("CopyBackup", "[]").0, "SerializationException");
        assert_eq!(refused("CopyBackup", r#"{"SourceBackupId":"#).0, "SerializationException");
    }

    #[test]
    fn what_is_not_served_is_an_error_of_the_service_and_what_is_not_known_is_not() {
        let answer = |operation| match parse(operation, b"not even json") {
            Ok(Parsed::NotServed(not_served)) => not_served.error().code.as_str(),
            other => panic!("{other:?}"),
        };
        assert_eq!(answer("CreateVolume"), "UnsupportedOperation");
        assert_eq!(answer("DeleteVolume"), "BadRequest");
        assert_eq!(answer("CreateFileCache"), "BadRequest");
        assert_eq!(refused("MakeCoffee", "{}").0, "UnknownOperationException");
        assert_eq!(refused("copyBackup", "{}").0, "UnknownOperationException");
        assert!(is_known("CreateVolume") && is_known("CopyBackup") && !is_known("MakeCoffee"));
    }

    #[test]
    fn every_operation_of_the_model_is_known() {
        assert_eq!(SERVED.len() + UNSUPPORTED_OPERATION.len() + BAD_REQUEST.len(), 48);
        for operation in SERVED {
            let body = br#"{"BackupId":"backup-00000000","SourceBackupId":"backup-00000000","SubnetIds":[],
                "FileSystemId":"fs-00000000","FileSystemType":"LUSTRE","TagKeys":["k"],"Tags":[{"Key":"k","Value":""}],
                "ResourceARN":"arn:aws:fsx:us-west-1:111122223333:x"}"#;
            let parsed = parse(operation, body);
            let Ok(Parsed::Served(request)) = parsed else { panic!("{operation}: {parsed:?}") };
            assert_eq!(request.operation(), *operation);
        }
    }

    proptest! {
        #[test]
        fn hostile_bodies_never_panic(
            at in 0..SERVED.len(),
            bytes: Vec<u8>,
            json in r#"\{("(Tags|Filters|BackupIds|WindowsConfiguration)":[\[\]{}:,"0-9a-zA-Z]*,?)*\}"#,
        ) {
            drop(parse(SERVED[at], &bytes));
            drop(parse(SERVED[at], json.as_bytes()));
        }
    }
}
