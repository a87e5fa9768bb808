//! What clients send that cannot be installed here: each request as the client writes it, and its reply in the light
//! of what the client's parser needs.
//!
//! The files in `recorded/` were written by hand after the clients' sources and recordings of others. What stands in
//! braces there is filled in when they are signed; everything else is sent as it is.

use std::fs;

use serde_json::Value;

use super::exchange::{Raw, Reply};
use super::served::{Served, until};

macro_rules! recorded {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("recorded/", $name, ".http")))),*]
    };
}

const AWS_COPIES: [(&str, &str); 6] =
    recorded!["aws-sdk-net", "aws-sdk-go-v2", "aws-sdk-java-v2", "aws_client-dart", "awso-ocaml", "aws-sdk-cpp"];
const TENCENT_COPIES: [(&str, &str); 4] = recorded![
    "tencentcloud-sdk-go",
    "tencentcloud-sdk-go-get",
    "tencentcloud-sdk-go-hmacsha256",
    "tencentcloud-sdk-java",
];
const CLOUDHSM_COPIES: [(&str, &str); 5] = recorded![
    "aws-sdk-net-cloudhsm",
    "aws-sdk-go-v2-cloudhsm",
    "aws-sdk-java-v2-cloudhsm",
    "aws_client-dart-cloudhsm",
    "awso-ocaml-cloudhsm",
];
const TERRAFORM_AWS: &str = include_str!("recorded/terraform-aws.http");
const TERRAFORM_TENCENT: &str = include_str!("recorded/terraform-tencentcloud.http");

fn read(served: &Served, text: &str, values: &[(&str, &str)]) -> Raw {
    let text = text.replace("{host}", &served.host);
    Raw::parse(&values.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value)))
}

/// A file system of one file, and a backup of it.
fn file_system(served: &Served) -> String {
    let tree = served.world.path("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), "precious").unwrap();
    served.world.backup(&served.world.add(&tree))
}

/// A disk, and a snapshot of it.
fn disk(served: &Served) -> String {
    let image = served.world.path("disk.img");
    fs::write(&image, vec![7; 1 << 20]).unwrap();
    let image = image.to_str().unwrap();
    let disk = served.world.run(["resource", "add", image, "--region", "ap-guangzhou"]).id();
    served.world.backup(&disk)
}

fn available(served: &Served, backup: &str) {
    until(|| (served.world.show(backup)["state"] == "AVAILABLE").then_some(()));
}

#[test]
fn every_aws_client_copies_a_backup() {
    let served = Served::new();
    let backup = file_system(&served);
    for (client, text) in AWS_COPIES {
        let token = format!("token-of-{client}");
        let request = read(&served, text, &[("backup", &backup), ("token", &token)]);
        let reply = served.ask(request.clone());
        assert_eq!(reply.code(), "Success", "{client}: {}", reply.text());
        check_aws(client, &reply);
        let body = reply.json();
        let copy = body.pointer("/Backup/BackupId").and_then(Value::as_str).expect("the reply names it").to_owned();
        assert_eq!(body.pointer("/Backup/SourceBackupId"), Some(&Value::from(backup.as_str())), "{client}");
        assert_eq!(body.pointer("/Backup/Lifecycle"), Some(&Value::from("COPYING")), "{client}");
        available(&served, &copy);
        // Clients that try again sign anew and keep the token.
        let again = served.ask(request).json();
        assert_eq!(again.pointer("/Backup/BackupId"), Some(&Value::from(copy.as_str())), "{client}");
        assert_eq!(served.world.run(["backup", "cat", &copy, "file"]).exits(0).stdout, "precious", "{client}");
    }
}

#[test]
fn every_aws_client_is_told_an_error_that_it_can_read() {
    let served = Served::new();
    for (client, text) in AWS_COPIES {
        let unknown = [("backup", "backup-00000000000000000"), ("token", "t")];
        let reply = served.ask(read(&served, text, &unknown));
        check_aws(client, &reply);
        assert_eq!((reply.status, code_to(client, &reply).as_str()), (400, "BackupNotFound"), "{client}");
        let unsigned = read(&served, text, &unknown).without("authorization");
        let unsigned = served.signed(unsigned);
        assert_eq!(code_to(client, &served.send(&unsigned)), "MissingAuthenticationTokenException", "{client}");
    }
}

#[test]
fn every_aws_client_copies_a_backup_of_a_cluster() {
    let served = Served::new();
    let tokens = served.world.path("tokens");
    fs::create_dir(&tokens).unwrap();
    fs::write(tokens.join("token"), "a key").unwrap();
    let add = ["resource", "add", tokens.to_str().unwrap(), "--region", "us-east-1", "--type", "hsm"];
    let backup = served.world.backup(&served.world.run(add).id());
    for (number, (client, text)) in CLOUDHSM_COPIES.into_iter().enumerate() {
        let reply = served.ask(read(&served, text, &[("backup", &backup)]));
        assert_eq!(reply.code(), "Success", "{client}: {}", reply.text());
        check_aws(client, &reply);
        let body = reply.json();
        let made = body["DestinationBackup"].as_object().expect("the reply describes the source");
        assert_eq!(made.get("SourceBackup"), Some(&backup.as_str().into()), "{client}");
        assert!(!made.contains_key("BackupId") && made["CreateTimestamp"].is_number(), "{client}: {body}");
        let filter = format!(r#"{{"Filters": {{"sourceBackupIds": ["{backup}"]}}}}"#);
        let found = served.ask(served.cloudhsm("us-west-2", "DescribeBackups", &filter));
        check_aws(client, &found);
        assert_eq!(found.json()["Backups"].as_array().map(Vec::len), Some(number + 1), "{client}");

        let unknown = served.ask(read(&served, text, &[("backup", "backup-aaaaaaaaaaa")]));
        check_aws(client, &unknown);
        assert_eq!(code_to(client, &unknown), "CloudHsmResourceNotFoundException", "{client}");
    }
}

/// The provider waits for `AVAILABLE` after it has created a backup, and for the error after it has deleted it.
#[test]
fn terraform_sees_what_it_waits_for_at_aws() {
    let served = Served::new();
    let backup = file_system(&served);
    let copies = read(&served, AWS_COPIES[1].1, &[("backup", &backup), ("token", "t")]);
    let copy = served.ask(copies).json().pointer("/Backup/BackupId").unwrap().as_str().unwrap().to_owned();
    let describe = || served.ask(read(&served, TERRAFORM_AWS, &[("backup", &copy)]));
    until(|| {
        let reply = describe();
        check_aws("terraform-aws", &reply);
        let state = reply.json().pointer("/Backups/0/Lifecycle").unwrap().as_str().unwrap().to_owned();
        assert!(["COPYING", "TRANSFERRING", "AVAILABLE"].contains(&state.as_str()), "{state}");
        (state == "AVAILABLE").then_some(())
    });
    let delete = served.fsx("us-west-2", "DeleteBackup", &format!(r#"{{"BackupId": "{copy}"}}"#));
    assert_eq!(served.ask(delete).code(), "Success");
    assert_eq!(code_to("aws-sdk-go-v2", &describe()), "BackupNotFound");
}

#[test]
fn every_tencent_client_copies_a_snapshot() {
    let served = Served::new();
    let snapshot = disk(&served);
    for (client, text) in TENCENT_COPIES {
        let reply = served.ask(read(&served, text, &[("snapshot", &snapshot)]));
        check_tencent(client, &reply);
        assert_eq!(reply.code(), "Success", "{client}: {}", reply.text());
        let body = reply.json();
        // What the Terraform provider asks of an entry.
        let entry = body.pointer("/Response/SnapshotCopyResultSet/0").expect("one entry for each region");
        assert_eq!((&entry["Code"], &entry["Message"]), (&"Success".into(), &"".into()), "{client}");
        available(&served, entry["SnapshotId"].as_str().expect("an id"));

        let unknown = served.ask(read(&served, text, &[("snapshot", "snap-00000000")]));
        check_tencent(client, &unknown);
        assert_eq!(unknown.code(), "InvalidSnapshotId.NotFound", "{client}");
    }
    let found = served.ask(read(&served, TERRAFORM_TENCENT, &[("snapshot", &snapshot)]));
    check_tencent("terraform-tencentcloud", &found);
    assert_eq!(found.json().pointer("/Response/SnapshotSet/0/SnapshotState"), Some(&"NORMAL".into()));
    let gone = served.ask(read(&served, TERRAFORM_TENCENT, &[("snapshot", "snap-00000000")]));
    assert_eq!(gone.json().pointer("/Response/SnapshotSet"), Some(&Value::Array(Vec::new())), "empty means gone");
}

/// What the parsers of AWS's clients rely on, in successes and errors alike.
#[track_caller]
fn check_aws(client: &str, reply: &Reply) {
    assert_eq!(reply.header("content-type"), Some("application/x-amz-json-1.1"), "{client}");
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()), "{client}");
    assert_eq!(reply.header("x-amzn-requestid").map(str::len), Some(36), "{client}");
    assert!(reply.header("date").is_some(), "{client}");
    let body = reply.json();
    let members = body.as_object().expect("replies are objects");
    // The Dart client puts headers and members into one map.
    assert!(members.keys().all(|name| reply.header(name).is_none()), "{client}: {body}");
    assert!(members.keys().all(|name| !name.eq_ignore_ascii_case("code")), "{client}: {body}");
    check_values(client, "", &body);
}

/// No member is null, times are numbers, and sizes are whole.
#[track_caller]
fn check_values(client: &str, name: &str, value: &Value) {
    match value {
        Value::Null => panic!("{client}: {name} is null"),
        Value::Object(members) => members.iter().for_each(|(name, value)| check_values(client, name, value)),
        Value::Array(items) => items.iter().for_each(|item| check_values(client, name, item)),
        _ if name.ends_with("Time") && name != "DailyAutomaticBackupStartTime" => {
            assert!(value.is_number(), "{client}: {name} is {value}");
        }
        _ if name == "SizeInBytes" || name == "ProgressPercent" => {
            assert!(value.is_i64(), "{client}: {name} is {value}")
        }
        _ => {}
    }
}

/// The error code as each client's parser finds it.
fn code_to(client: &str, reply: &Reply) -> String {
    let body = reply.json();
    let member = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let header = || reply.header("x-amzn-errortype").map(str::to_owned);
    let message = member("message").or_else(|| member("Message"));
    assert!(message.is_some_and(|message| !message.is_empty()), "{client}: {body}");
    let found = match client {
        "aws-sdk-go-v2" | "aws-sdk-go-v2-cloudhsm" | "terraform-aws" => {
            header().or_else(|| member("code")).or_else(|| member("__type"))
        }
        "aws-sdk-net" | "aws-sdk-net-cloudhsm" => member("__type").or_else(header).or_else(|| member("code")),
        _ => member("__type").or_else(|| member("code")).or_else(header),
    };
    let found = found.expect("every client finds a code");
    let bare = found.rsplit('#').next().unwrap_or_default();
    // Not every client cuts off what stands behind a colon.
    if client.starts_with("aws_client-dart") {
        bare.to_owned()
    } else {
        bare.split(':').next().unwrap_or_default().to_owned()
    }
}

/// What the parsers of Tencent's clients rely on.
#[track_caller]
fn check_tencent(client: &str, reply: &Reply) {
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{client}");
    let body = reply.json();
    // The Go client takes a top-level number of this name for an error of the older API.
    assert!(body.as_object().is_some_and(|top| top.keys().eq(["Response"])), "{client}: {body}");
    let id = body.pointer("/Response/RequestId").and_then(Value::as_str);
    assert_eq!(id.map(str::len), Some(36), "{client}");
    if let Some(error) = body.pointer("/Response/Error") {
        assert!(error["Code"].as_str().is_some_and(|code| !code.is_empty()), "{client}: {error}");
        assert!(error["Message"].is_string(), "{client}: {error}");
    }
}

#[test]
fn every_recorded_request_is_sent_by_a_test() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/api/recorded");
    let files = fs::read_dir(folder).unwrap().count();
    assert_eq!(files, AWS_COPIES.len() + CLOUDHSM_COPIES.len() + TENCENT_COPIES.len() + 2);
}
