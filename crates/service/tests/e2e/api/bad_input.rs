//! Requests that are wrong: each is refused by its name, or its connection is closed, and the next one is served.

use std::io::{Read, Write};

use super::exchange::{Raw, connect, exchange};
use super::served::Served;

/// Deeper than any stack would like.
const DEPTH: usize = 100_000;

#[test]
fn bodies_that_are_no_sound_json_are_refused_by_both_dialects() {
    let served = Served::new();
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(DEPTH), close.repeat(DEPTH));
    let bodies = [
        "{".to_owned(),
        r#"{"BackupIds": ["#.to_owned(),
        r#"{"BackupIds": []} x"#.to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "\"text\"".to_owned(),
        "\u{feff}{}".to_owned(),
        nested("[", "]"),
        nested(r#"{"a":"#, "}"),
        format!(r#"{{"Filters": {}}}"#, nested("[", "]")),
        "[".repeat(DEPTH),
        r#"{"MaxResults": 1e999}"#.to_owned(),
        r#"{"MaxResults": 01}"#.to_owned(),
        "{\"NextToken\": \"\u{0}\"}".to_owned(),
        r#"{"NextToken": "\ud800"}"#.to_owned(),
    ];
    for body in &bodies {
        let shown = body.chars().take(40).collect::<String>();
        let aws = served.ask(served.fsx("us-east-1", "DescribeBackups", body));
        assert_eq!((aws.status, aws.code().as_str()), (400, "SerializationException"), "{shown}");
        let tencent = served.ask(served.cbs("DescribeSnapshots", body));
        assert_eq!((tencent.status, tencent.code().as_str()), (200, "InvalidParameter"), "{shown}");
    }
    let mut foreign = served.fsx("us-east-1", "DescribeBackups", "");
    foreign.body = b"{\"NextToken\": \"\xff\xfe\"}".to_vec();
    assert_eq!(served.ask(foreign).code(), "SerializationException");
    let mut foreign = served.cbs("DescribeSnapshots", "");
    foreign.body = b"{\"Order\": \"\xff\xfe\"}".to_vec();
    assert_eq!(served.ask(foreign).code(), "InvalidParameter");
    assert_eq!(served.ask(served.fsx("us-east-1", "DescribeBackups", "")).code(), "Success", "no body is an empty one");
}

#[test]
fn members_of_another_type_are_told_before_anything_about_their_values() {
    let served = Served::new();
    let aws = [
        ("DescribeBackups", r#"{"MaxResults": "5"}"#),
        ("DescribeBackups", r#"{"MaxResults": 1.5}"#),
        ("DescribeBackups", r#"{"MaxResults": 99999999999999999999}"#),
        ("DescribeBackups", r#"{"BackupIds": "backup-00000000"}"#),
        ("DescribeBackups", r#"{"BackupIds": {"0": "backup-00000000"}}"#),
        ("DescribeBackups", r#"{"BackupIds": [["backup-00000000"]]}"#),
        ("CopyBackup", r#"{"SourceBackupId": 7}"#),
        ("CopyBackup", r#"{"SourceBackupId": "x", "CopyTags": "true"}"#),
        ("CopyBackup", r#"{"SourceBackupId": "x", "Tags": {"Key": "a", "Value": "b"}}"#),
        ("CreateFileSystem", r#"{"LustreConfiguration": []}"#),
    ];
    for (operation, body) in aws {
        let reply = served.ask(served.fsx("us-east-1", operation, body));
        assert_eq!((reply.status, reply.code().as_str()), (400, "SerializationException"), "{operation} {body}");
    }
    let tencent = [
        ("DescribeSnapshots", r#"{"Limit": "5"}"#),
        ("DescribeSnapshots", r#"{"Limit": 5.5}"#),
        ("DescribeSnapshots", r#"{"Limit": 99999999999999999999}"#),
        ("DescribeSnapshots", r#"{"SnapshotIds": "snap-00000000"}"#),
        ("DescribeSnapshots", r#"{"Filters": {"Name": "disk-id", "Values": []}}"#),
        ("CopySnapshotCrossRegions", r#"{"SnapshotId": true, "DestinationRegions": ["ap-beijing"]}"#),
        ("ModifySnapshotAttribute", r#"{"SnapshotId": "snap-00000000", "IsPermanent": "True"}"#),
    ];
    for (action, body) in tencent {
        let reply = served.ask(served.cbs(action, body));
        assert_eq!((reply.status, reply.code().as_str()), (200, "InvalidParameter"), "{action} {body}");
    }
}

#[test]
fn what_addresses_no_operation_is_unknown() {
    let served = Served::new();
    let call = || served.fsx("us-east-1", "DescribeBackups", "{}");
    let on = |method: &str, target: &str| Raw { method: method.into(), target: target.into(), ..call() };
    let cases = [
        (on("GET", "/"), 404),
        (on("PUT", "/"), 404),
        (on("OPTIONS", "*"), 404),
        (on("POST", "/fsx"), 404),
        (on("POST", "//"), 404),
        (on("POST", "/%2e%2e/%00/%ff"), 404),
        (call().without("x-amz-target"), 400),
        (call().with("x-amz-target", ""), 400),
        (call().with("x-amz-target", "DescribeBackups"), 400),
        (call().with("x-amz-target", "AWSSimbaAPIService_v20180301."), 400),
        (call().with("x-amz-target", "AWSSimbaAPIService_v20180301.describebackups"), 400),
        (call().with("x-amz-target", "awssimbaapiservice_v20180301.DescribeBackups"), 400),
        (call().with("x-amz-target", &format!("AWSSimbaAPIService_v20180301.{}", "x".repeat(30_000))), 400),
        (call().without("x-amz-target").and("x-amz-target", b"AWSSimbaAPIService_v20180301.\xff\xfe"), 400),
        (call().and("x-amz-target", b"AWSSimbaAPIService_v20180301.DescribeBackups"), 400),
    ];
    for (request, status) in cases {
        let reply = served.ask(request.clone());
        assert_eq!((reply.status, reply.code().as_str()), (status, "UnknownOperationException"), "{request:?}");
    }
    let tencent = [
        (served.cbs("MakeCoffee", "{}"), "InvalidAction"),
        (served.cbs("describesnapshots", "{}"), "InvalidAction"),
        (served.cbs("", "{}"), "MissingParameter"),
        (served.cbs("DescribeSnapshots", "{}").without("x-tc-version"), "MissingParameter"),
        (served.cbs("DescribeSnapshots", "{}").with("x-tc-version", "2017-03-13"), "NoSuchVersion"),
        (served.cbs("DescribeSnapshots", "{}").reworded("authorization", "/cbs/", "/cls/"), "NoSuchProduct"),
        (served.cbs("DescribeSnapshots", "{}").without("x-tc-region"), "MissingParameter"),
        (served.cbs("DescribeSnapshots", "{}").with("x-tc-region", "us-east-1\u{e9}"), "UnsupportedRegion"),
        (served.cbs("DescribeSnapshots", "{}").without("x-tc-action").and("x-tc-action", b"\xff"), "MissingParameter"),
    ];
    for (request, code) in tencent {
        let reply = served.ask(request.clone());
        assert_eq!((reply.status, reply.code().as_str()), (200, code), "{request:?}");
    }
    // What anyone can make up does not become a counter.
    let metrics = exchange(&served.host, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap().text();
    assert!(metrics.contains("offsite_requests_total") && !metrics.contains("xxxx"), "{metrics}");
}

#[test]
fn a_content_type_decides_only_where_the_dialect_has_several() {
    let served = Served::new();
    for content_type in ["application/x-amz-json-1.0", "text/plain", "application/x-amz-json-1.1; charset=utf-8"] {
        let request = served.fsx("us-east-1", "DescribeBackups", "{}").with("Content-Type", content_type);
        assert_eq!(served.ask(request).code(), "Success", "{content_type}");
    }
    for content_type in ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""] {
        let request = served.cbs("DescribeSnapshots", "{}").with("Content-Type", content_type);
        assert_eq!(served.ask(request).code(), "InvalidRequest", "{content_type}");
    }
    let charset = served.cbs("DescribeSnapshots", "{}").with("Content-Type", "application/json; charset=utf-8");
    assert_eq!(served.ask(charset).code(), "Success");
}

#[test]
fn a_header_that_decides_something_is_given_once() {
    let served = Served::new();
    let again = |request: Raw, name: &str| {
        let value = request.header(name).expect("it is there");
        request.and(name, value.as_bytes())
    };
    for (name, code) in [
        ("authorization", "IncompleteSignatureException"),
        ("x-amz-date", "InvalidSignatureException"),
        ("host", "InvalidSignatureException"),
    ] {
        let request = served.signed(served.fsx("us-east-1", "DescribeBackups", "{}"));
        assert_eq!(served.send(&again(request, name)).code(), code, "{name}");
    }
    for (name, code) in [
        ("authorization", "AuthFailure.InvalidAuthorization"),
        ("x-tc-action", "InvalidParameter"),
        ("x-tc-timestamp", "InvalidParameter"),
        ("content-type", "InvalidParameter"),
        ("host", "InvalidParameter"),
    ] {
        let request = served.signed(served.cbs("DescribeSnapshots", "{}"));
        assert_eq!(served.send(&again(request, name)).code(), code, "{name}");
    }
    let twice = r#"{"MaxResults": 1, "MaxResults": 2}"#;
    assert_eq!(served.ask(served.fsx("us-east-1", "DescribeBackups", twice)).status, 200, "the last one counts");
}

/// A list of signed headers that names a long header again and again once made a text of its length times theirs.
#[test]
fn a_list_of_signed_headers_makes_no_more_of_a_request_than_it_is() {
    let served = Served::new();
    let (names, long) = (";x-long".repeat(3_000), "x".repeat(30_000));
    let aws = served.fsx("us-east-1", "DescribeBackups", "{}").and("x-long", long.as_bytes());
    let aws = served.signed(aws).reworded("authorization", "x-amz-target", &format!("x-amz-target{names}"));
    assert_eq!(served.send(&aws).code(), "IncompleteSignatureException");
    let tencent = served.cbs("DescribeSnapshots", "{}").and("x-long", long.as_bytes());
    let tencent = served.signed(tencent).reworded("authorization", ";host", &format!(";host{names}"));
    assert_eq!(served.send(&tencent).code(), "AuthFailure.InvalidAuthorization");
    assert!(served.memory_bytes_max() < 128 << 20, "{}", served.memory_bytes_max());
}

/// What is no HTTP at all, or none that can be understood one way only.
#[test]
fn bytes_that_are_no_request_close_their_connection() {
    let served = Served::new();
    let head = |lines: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n").into_bytes();
    let many: String = (0..1000).map(|number| format!("a{number}: b\r\n")).collect();
    let hostile: Vec<Vec<u8>> = vec![
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"POST / HTTP/9.9\r\n\r\n".to_vec(),
        b"P\xffST / HTTP/1.1\r\n\r\n".to_vec(),
        b"POST /\xff HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        head("no colon\r\n"),
        head("a : b\r\n"),
        head("a\0: b\r\n"),
        head("a: b\0\r\n"),
        head("Content-Length: -1\r\n"),
        head("Content-Length: 1, 2\r\n"),
        head("Content-Length: 99999999999999999999\r\n"),
        head("Content-Length: 1\r\nContent-Length: 2\r\n"),
        head("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"),
        [head("Transfer-Encoding: chunked\r\n"), b"zz\r\n".to_vec()].concat(),
        [head("Transfer-Encoding: chunked\r\n"), b"ffffffffffffffffff\r\n".to_vec()].concat(),
        head(&many),
        head(&format!("a: {}\r\n", "b".repeat(1 << 20))),
        format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20)).into_bytes(),
        vec![b'a'; 1 << 20],
    ];
    for bytes in hostile {
        let shown = bytes[..bytes.len().min(60)].escape_ascii().to_string();
        let mut stream = connect(&served.host).unwrap();
        // The server may close it before it has all of this.
        drop(stream.write_all(&bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut reply = Vec::new();
        drop(stream.read_to_end(&mut reply));
        let status = String::from_utf8_lossy(&reply).split(' ').nth(1).map(str::to_owned);
        let refusals = ["400", "404", "414", "431"];
        assert!(status.as_deref().is_none_or(|status| refusals.contains(&status)), "{shown}: {status:?}");
    }
    served.assert_serves();
    assert!(served.memory_bytes_max() < 128 << 20, "{}", served.memory_bytes_max());
}

#[test]
fn requests_that_follow_each_other_on_one_connection_are_each_answered() {
    let served = Served::new();
    let good = served.signed(served.fsx("us-east-1", "DescribeBackups", "{}"));
    let bad = served.signed(served.fsx("us-east-1", "DescribeBackups", "{"));
    let mut stream = connect(&served.host).unwrap();
    stream.write_all(&[good.bytes(), bad.bytes(), good.bytes()].concat()).unwrap();
    let mut replies = std::io::BufReader::new(stream);
    let codes = [(); 3].map(|()| super::exchange::Reply::read(&mut replies).unwrap().code());
    assert_eq!(codes, ["Success", "SerializationException", "Success"]);
}
