//! Requests as clients send them, and as they should not.

use proptest::prelude::*;

use super::*;
use crate::aws::error::CommonCode;
use crate::cloudhsm::ErrorCode;
use crate::cloudhsm::words::BackupState;

fn read(operation: Operation, body: &str) -> Result<Request, RequestError> {
    parse(operation, body.as_bytes())
}

/// The message of a refusal by the service's own code.
fn refused(operation: Operation, body: &str) -> String {
    match read(operation, body) {
        Err(RequestError::CloudHsm(error)) if error.code == ErrorCode::InvalidRequest => error.message,
        other => panic!("{operation} {body}: {other:?}"),
    }
}

#[test]
fn what_the_command_line_client_sends_is_read() {
    let body = r#"{"DestinationRegion": "us-west-2", "BackupId": "backup-ro5c4er4aac", "TagList": [{"Key": "Name", "Value": "dr"}]}"#;
    let Ok(Request::CopyBackupToRegion(copy)) = read(Operation::CopyBackupToRegion, body) else { panic!() };
    assert_eq!((copy.destination_region.as_str(), copy.backup_id.as_str()), ("us-west-2", "backup-ro5c4er4aac"));
    assert_eq!(copy.tag_list, Some(vec![Tag { key: "Name".to_owned(), value: "dr".to_owned() }]));

    let body = r#"{"Filters": {"sourceBackupIds": ["backup-ro5c4er4aac"], "states": ["READY", "CREATE_IN_PROGRESS"]}, "SortAscending": true}"#;
    let Ok(Request::DescribeBackups(listing)) = read(Operation::DescribeBackups, body) else { panic!() };
    let filters = listing.backup_filters().unwrap();
    assert_eq!(filters.source_backup_ids, Some(vec!["backup-ro5c4er4aac".to_owned()]));
    assert_eq!(filters.states, Some(vec![BackupState::Ready, BackupState::CreateInProgress]));
    assert!(listing.is_ascending() && !listing.is_of_others());
    assert_eq!(listing.page().unwrap().items_max, 50);

    for (operation, body) in [
        (Operation::DescribeBackups, r#"{"Filters": {"neverExpires": ["true"]}}"#),
        (Operation::DescribeBackups, r#"{"Shared": false}"#),
        (Operation::DescribeBackups, ""),
        (Operation::ModifyBackupAttributes, r#"{"BackupId": "backup-ro5c4er4aac", "NeverExpires": true}"#),
        (
            Operation::CreateCluster,
            r#"{"BackupRetentionPolicy": {"Type": "DAYS", "Value": "90"}, "HsmType": "hsm2m.medium", "SubnetIds": ["subnet-0e358c43"], "Mode": "FIPS"}"#,
        ),
    ] {
        assert!(read(operation, body).is_ok(), "{operation} {body}");
    }
}

#[test]
fn failed_constraints_are_named_together() {
    assert_eq!(
        refused(Operation::CopyBackupToRegion, r#"{"DestinationRegion":"mars-1","TagList":[{"Key":"a!","Value":""}]}"#),
        concat!(
            "3 validation errors detected: ",
            r"Value 'mars-1' at 'destinationRegion' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-\d; ",
            "Value null at 'backupId' failed to satisfy constraint: Member must not be null; ",
            r"Value 'a!' at 'tagList.1.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$",
        )
    );
}

#[test]
fn every_bound_holds() {
    let copy = r#""DestinationRegion":"us-west-2","BackupId":"backup-ro5c4er4aac""#;
    let create = r#""HsmType":"hsm1.medium","SubnetIds":["subnet-0e358c43"]"#;
    let cluster = r#""ClusterId":"cluster-dygnwhmscg5""#;
    let tag = |at: usize| format!(r#"{{"Key":"k{at}","Value":"v"}}"#);
    let tags = |count: usize| (0..count).map(tag).collect::<Vec<_>>().join(",");
    let many_filters = (0..31).map(|at| format!(r#""f{at}":[]"#)).collect::<Vec<_>>().join(",");
    let bad = [
        (Operation::CopyBackupToRegion, format!(r#"{{{copy},"TagList":[]}}"#)),
        (Operation::CopyBackupToRegion, format!(r#"{{{copy},"TagList":[{}]}}"#, tags(51))),
        (Operation::CopyBackupToRegion, format!(r#"{{{copy},"TagList":[{},{}]}}"#, tag(1), tag(1))),
        (Operation::CopyBackupToRegion, format!(r#"{{{copy},"TagList":[{{"Key":"aws:x","Value":""}}]}}"#)),
        (Operation::CopyBackupToRegion, format!(r#"{{{copy},"TagList":[{{"Key":"","Value":""}}]}}"#)),
        (Operation::DeleteBackup, r#"{"BackupId":"xbackup-ro5c4er4aac"}"#.to_owned()),
        (Operation::RestoreBackup, "{}".to_owned()),
        (Operation::ModifyBackupAttributes, r#"{"BackupId":"backup-ro5c4er4aac"}"#.to_owned()),
        (Operation::DescribeBackups, r#"{"MaxResults":0}"#.to_owned()),
        (Operation::DescribeBackups, r#"{"MaxResults":51}"#.to_owned()),
        (Operation::DescribeBackups, r#"{"NextToken":"abcd"}"#.to_owned()),
        (Operation::DescribeBackups, format!(r#"{{"NextToken":"{}"}}"#, "a".repeat(257))),
        (Operation::DescribeBackups, format!(r#"{{"Filters":{{{many_filters}}}}}"#)),
        (Operation::DescribeBackups, r#"{"Filters":{"a b":[]}}"#.to_owned()),
        (Operation::DescribeBackups, r#"{"Filters":{"states":["PENDING_DELETE"]}}"#.to_owned()),
        (Operation::DescribeBackups, r#"{"Filters":{"states":[null]}}"#.to_owned()),
        (Operation::DescribeClusters, r#"{"MaxResults":26}"#.to_owned()),
        (Operation::DescribeClusters, r#"{"Filters":{"backupIds":[]}}"#.to_owned()),
        (Operation::ListTags, r#"{"ResourceId":"backup-ro5c4er4aac","MaxResults":101}"#.to_owned()),
        (Operation::ListTags, r#"{"ResourceId":"hsm-lgouyitvq5l"}"#.to_owned()),
        (Operation::UntagResource, r#"{"ResourceId":"backup-ro5c4er4aac","TagKeyList":["aws:x"]}"#.to_owned()),
        (Operation::CreateCluster, "{}".to_owned()),
        (Operation::CreateCluster, format!(r#"{{{create},"Mode":"NON_FIPS"}}"#)),
        (Operation::CreateCluster, format!(r#"{{{create},"NetworkType":"IPV6"}}"#)),
        (Operation::CreateCluster, format!(r#"{{{create},"SourceBackupId":"cluster-dygnwhmscg5"}}"#)),
        (Operation::CreateCluster, format!(r#"{{{create},"BackupRetentionPolicy":{{"Type":"DAYS","Value":"6"}}}}"#)),
        (Operation::CreateCluster, format!(r#"{{{create},"BackupRetentionPolicy":{{"Type":"WEEKS","Value":"9"}}}}"#)),
        (Operation::CreateCluster, format!(r#"{{{create},"BackupRetentionPolicy":{{}}}}"#)),
        (Operation::CreateCluster, r#"{"HsmType":"hsm2m.medium","SubnetIds":["subnet-0e358c43"]}"#.to_owned()),
        (Operation::CreateCluster, r#"{"HsmType":"hsm9.large","SubnetIds":["subnet-0e358c43"]}"#.to_owned()),
        (Operation::CreateCluster, r#"{"HsmType":"hsm1.medium","SubnetIds":[]}"#.to_owned()),
        (
            Operation::CreateCluster,
            r#"{"HsmType":"hsm1.medium","SubnetIds":["subnet-0e358c43","subnet-0e358c43"]}"#.to_owned(),
        ),
        (Operation::ModifyCluster, format!("{{{cluster}}}")),
        (Operation::CreateHsm, format!(r#"{{{cluster},"AvailabilityZone":"us-west-2"}}"#)),
        (Operation::CreateHsm, format!(r#"{{{cluster},"AvailabilityZone":"us-west-2a","IpAddress":"10.0.0.256"}}"#)),
        (Operation::DeleteHsm, format!("{{{cluster}}}")),
        (Operation::DeleteHsm, format!(r#"{{{cluster},"HsmId":"hsm-lgouyitvq5l","EniIp":"10.0.0.1"}}"#)),
        (Operation::InitializeCluster, format!(r#"{{{cluster},"SignedCert":"x","TrustAnchor":"<>"}}"#)),
        (
            Operation::InitializeCluster,
            format!(r#"{{{cluster},"SignedCert":"{}","TrustAnchor":""}}"#, "a".repeat(20_001)),
        ),
        (Operation::GetResourcePolicy, "{}".to_owned()),
        (
            Operation::DeleteResourcePolicy,
            r#"{"ResourceArn":"arn:aws:cloudhsm:us-east-1:111122223333:cluster/cluster-dygnwhmscg5"}"#.to_owned(),
        ),
        (
            Operation::PutResourcePolicy,
            r#"{"ResourceArn":"arn:aws:cloudhsm:us-east-1:111122223333:backup/backup-ro5c4er4aac","Policy":"{"}"#
                .to_owned(),
        ),
    ];
    for (operation, body) in bad {
        assert!(!refused(operation, &body).is_empty());
    }
}

#[test]
fn a_wrong_type_comes_before_any_constraint() {
    let bad = [
        (Operation::CopyBackupToRegion, "[]"),
        (Operation::CopyBackupToRegion, r#"{"BackupId":1}"#),
        (Operation::CopyBackupToRegion, r#"{"TagList":[["Name","dr"]]}"#),
        (Operation::DescribeBackups, r#"{"Filters":[{"Name":"states","Values":[]}]}"#),
        (Operation::DescribeBackups, r#"{"Filters":{"states":"READY"}}"#),
        (Operation::DescribeBackups, r#"{"Shared":"true"}"#),
        (Operation::CreateCluster, r#"{"BackupRetentionPolicy":{"Type":"DAYS","Value":90}}"#),
    ];
    for (operation, body) in bad {
        let Err(RequestError::Common(error)) = read(operation, body) else { panic!("{operation} {body}") };
        assert_eq!(error.code, CommonCode::Serialization, "{operation} {body}");
    }
}

#[test]
fn null_means_absent_and_unknown_members_are_ignored() {
    let body = r#"{"DestinationRegion":"us-west-2","BackupId":"backup-ro5c4er4aac","TagList":null,"Extra":{"x":[1]}}"#;
    let Ok(Request::CopyBackupToRegion(copy)) = read(Operation::CopyBackupToRegion, body) else { panic!() };
    assert_eq!(copy.tag_list, None);
    assert!(read(Operation::DescribeBackups, r#"{"Filters":{"states":null},"NextToken":""}"#).is_ok());
}

#[test]
fn a_token_leads_to_the_next_page_of_the_same_listing() {
    let listing = |body: &str| match read(Operation::DescribeBackups, body) {
        Ok(Request::DescribeBackups(listing)) => listing,
        other => panic!("{other:?}"),
    };
    let first = listing(r#"{"Filters":{"states":["READY"]},"MaxResults":5}"#).page().unwrap();
    assert_eq!((first.items_max, &first.after), (5, &None));
    let token = first.next_token("1768400000000/backup-ro5c4er4aac");
    let next = listing(&format!(r#"{{"Filters":{{"states":["READY"]}},"Shared":false,"NextToken":"{token}"}}"#));
    assert_eq!(next.page().unwrap().after.as_deref(), Some("1768400000000/backup-ro5c4er4aac"));
    for other in [
        format!(r#"{{"NextToken":"{token}"}}"#),
        format!(r#"{{"Filters":{{"states":["READY"]}},"SortAscending":true,"NextToken":"{token}"}}"#),
    ] {
        assert_eq!(refused(Operation::DescribeBackups, &other), "The NextToken is not one of this request.");
    }
}

#[test]
fn an_hsm_is_known_by_one_of_three() {
    let body = r#"{"ClusterId":"cluster-dygnwhmscg5","EniId":"eni-40b10b1a"}"#;
    let Ok(Request::DeleteHsm(delete)) = read(Operation::DeleteHsm, body) else { panic!() };
    assert_eq!(delete.selector(), Ok(HsmSelector::EniId("eni-40b10b1a")));
}

#[test]
fn a_long_filter_name_makes_no_long_message() {
    let name = "x".repeat(100_000);
    let nulls = vec!["null"; 200].join(",");
    assert!(refused(Operation::DescribeBackups, &format!(r#"{{"Filters":{{"{name}":[{nulls}]}}}}"#)).len() < 20_000);
    assert!(refused(Operation::DescribeBackups, &format!(r#"{{"Filters":{{"{name}":[]}}}}"#)).len() < 200);
}

#[test]
fn the_request_knows_its_operation() {
    let request = read(Operation::DescribeClusters, "{}").unwrap();
    assert_eq!(request.operation(), Operation::DescribeClusters);
}

proptest! {
    #[test]
    fn hostile_bodies_never_panic(
        at in 0..Operation::ALL.len(),
        bytes: Vec<u8>,
        json in r#"\{("(TagList|Filters|BackupRetentionPolicy|Policy|NextToken)":[\[\]{}:,"0-9a-zA-Z]*,?)*\}"#,
    ) {
        drop(parse(Operation::ALL[at], &bytes));
        drop(parse(Operation::ALL[at], json.as_bytes()));
    }
}
