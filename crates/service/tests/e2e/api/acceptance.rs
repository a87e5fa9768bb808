//! What a server has to do with wire and authentication: items 1 to 6 of the acceptance list, by their numbers.
//!
//! The published examples are of January 2026 and February 2019, so servers here have clocks that stand still.

use super::exchange::Raw;
use super::served::{Keys, Served};

/// When the AWS examples are signed: 2026-01-15T12:00:00Z.
const AWS_TIME: i64 = 1_768_478_400;
/// When Tencent's are: 2019-02-25T16:44:25Z.
const TENCENT_TIME: i64 = 1_551_113_065;

const V1_BODY: &str = concat!(
    r#"{"SourceBackupId": "backup-0abc123456789cba7", "SourceRegion": "us-east-2", "#,
    r#""ClientRequestToken": "a803813d-de49-4f5c-97a8-25f1375a8813"}"#
);
const T_BODY: &str = r#"{"DestinationRegions": ["ap-beijing"], "SnapshotId": "snap-ckgjwkqh"}"#;
const T_HOST: &str = "cbs.tencentcloudapi.com";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const COPY: &str = "CopySnapshotCrossRegions";
const NO_SNAPSHOT: &str = "InvalidSnapshotId.NotFound";

/// The keys of the examples.
fn keys() -> Keys {
    Keys {
        aws: ["AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"].map(str::to_owned),
        tencent: ["AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"].map(str::to_owned),
    }
}

fn v1() -> Raw {
    let target = "AWSSimbaAPIService_v20180301.CopyBackup";
    Raw::aws("fsx.us-west-1.amazonaws.com", "us-west-1", "fsx", target, V1_BODY)
}

/// V2: V1, presigned for a quarter of an hour.
fn v2() -> Raw {
    let mut request = v1().without("authorization").without("x-amz-date");
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260115%2Fus-west-1%2Ffsx\
                 %2Faws4_request&X-Amz-Date=20260115T120000Z&X-Amz-Expires=900\
                 &X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-target&X-Amz-Signature=";
    request.target = format!("/?{query}6108e3591783e327160482368c3112b76d6829f9eed1d4a25d3d2b6ed6595862");
    request
}

/// V3: a copy of a cluster's backup, with the token of a session.
fn v3() -> Raw {
    let body = r#"{"DestinationRegion": "us-west-2", "BackupId": "backup-ro5c4er4aac"}"#;
    let target = "BaldrApiService.CopyBackupToRegion";
    let request = Raw::aws("cloudhsmv2.us-east-1.amazonaws.com", "us-east-1", "cloudhsm", target, body);
    let signed = "x-amz-date;x-amz-security-token;x-amz-target";
    let request = request.reworded("Authorization", "x-amz-date;x-amz-target", signed);
    request.with("X-Amz-Security-Token", "SESSIONTOKENEXAMPLE")
}

fn t1() -> Raw {
    Raw::tencent(T_HOST, COPY, T_BODY)
}

fn t2() -> Raw {
    let signed = t1().with("Content-Type", "application/json; charset=utf-8");
    signed.reworded("Authorization", "content-type;host", "content-type;host;x-tc-action")
}

fn t3() -> Raw {
    let mut request = t1().with("Content-Type", FORM).without("Content-Length");
    (request.method, request.body) = ("GET".to_owned(), Vec::new());
    request.target = "/?DestinationRegions.0=ap-beijing&SnapshotId=snap-ckgjwkqh".to_owned();
    request
}

fn t4() -> Raw {
    t1().with("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD")
}

/// V1a and V1b.
fn first_generation(method: &str, algorithm: &str) -> Raw {
    let form = format!(
        "DestinationRegions.0=ap-beijing&SnapshotId=snap-ckgjwkqh&Action=CopySnapshotCrossRegions\
         &RequestClient=SDK_PYTHON_3.1.175&Nonce=11886&Timestamp={{timestamp}}&Version=2017-03-12&Region=ap-guangzhou\
         &SecretId={{secret_id}}&SignatureMethod={algorithm}&Language=en-US&Signature={{signature}}"
    );
    match method {
        "GET" => Raw::parse(&format!("GET /?{form} HTTP/1.1\nHost: {T_HOST}\n\n")),
        _ => Raw::parse(&format!(
            "POST / HTTP/1.1\nHost: {T_HOST}\nContent-Type: {FORM}\nContent-Length: {{length}}\n\n{form}"
        )),
    }
}

fn flipped(mut bytes: Vec<u8>, bit: usize) -> Vec<u8> {
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// Every request that one change of body, header or signature makes of it.
fn altered(request: &Raw, header: &str) -> Vec<Raw> {
    let mut all = Vec::new();
    // A letter in a parameter's value keeps the form what it is.
    if !request.body.is_empty() {
        let at = request.body.windows(6).position(|six| six == b"backup" || six == b"ckgjwk").expect("an id");
        all.push(Raw { body: flipped(request.body.clone(), at * 8), ..request.clone() });
    }
    let signed = request.header(header).expect("the header is signed");
    all.push(request.clone().with(header, &format!("{signed}x")));
    if let Some(authorization) = request.header("authorization") {
        let mut other = authorization.clone();
        let last = if other.pop() == Some('0') { '1' } else { '0' };
        all.push(request.clone().with("authorization", &format!("{other}{last}")));
    } else if request.target.contains("X-Amz-Signature=") {
        let mut other = request.target.clone();
        let last = if other.pop() == Some('0') { '1' } else { '0' };
        all.push(Raw { target: format!("{other}{last}"), ..request.clone() });
    }
    all
}

#[test]
fn item_1_the_published_aws_examples_verify_and_changed_ones_do_not() {
    let signed = v1().signed(&keys(), AWS_TIME);
    let published = signed.header("authorization").unwrap();
    assert!(published.ends_with("=f62c9b43c9cb85eb3f750dae1145058de574542a6c1244f52d0c57263883f2ba"), "{published}");
    let session = v3().signed(&keys(), AWS_TIME);
    let published = session.header("authorization").unwrap();
    assert!(published.ends_with("=a7fb28ecdddd32d2e65944df51c3adce26133522b20c04477e7a2223b6f4aed7"), "{published}");

    let served = Served::frozen(AWS_TIME, &keys());
    // Keys here are lasting ones, to which no token belongs. Without it, nothing else is wrong.
    assert_eq!(served.send(&session).code(), "UnrecognizedClientException");
    let lasting = v3().without("x-amz-security-token").reworded("Authorization", "x-amz-security-token;", "");
    assert_eq!(served.ask(lasting).code(), "CloudHsmResourceNotFoundException");
    for request in [signed, v2().with("Content-Length", &V1_BODY.len().to_string())] {
        assert_eq!(served.send(&request).code(), "InvalidRegion", "a genuine request is looked at: {request:?}");
        for changed in altered(&request, "host") {
            assert_eq!(served.send(&changed).code(), "InvalidSignatureException", "{changed:?}");
        }
    }
}

#[test]
fn item_1_the_published_tencent_examples_verify_and_changed_ones_do_not() {
    let served = Served::frozen(TENCENT_TIME, &keys());
    let examples = [
        (t1(), "99405fae126d7184f166716bc5b58de94a68ecc88cb2ceb3d32f038ad7b5813b", "host"),
        (t2(), "96c16065f854b18718ab745b9d3ccc93eed3ecd326adf24fdfaca81ef87251c3", "x-tc-action"),
        (t3(), "b71db7185a045bc71bc838b907399c3c3b0ac2f68c0b67ae782500b084e78e05", "host"),
        (first_generation("GET", "HmacSHA1"), "BmA%2FDzCTUN8TwIHfIK1TZiOWAxA%3D", "host"),
        (first_generation("POST", "HmacSHA256"), "7QyiZTpNDBZFaG3gl81FBDMUml8e2lWgrqfc3Bol9Tk%3D", "host"),
    ];
    for (request, signature, header) in examples {
        let request = request.signed(&keys(), TENCENT_TIME);
        let sent = String::from_utf8(request.bytes()).unwrap();
        // The documentation signs the action in small letters.
        assert!(sent.contains(signature) || header == "x-tc-action", "{sent}");
        assert_eq!(served.send(&request).code(), NO_SNAPSHOT, "a genuine request is looked at: {sent}");
        for changed in altered(&request, header) {
            assert_eq!(served.send(&changed).code(), "AuthFailure.SignatureFailure", "{changed:?}");
        }
        let documented = request.header("authorization").map(|old| old[..old.len() - 64].to_owned() + signature);
        if let Some(documented) = documented {
            let request = request.with("Authorization", &documented);
            assert_eq!(served.send(&request).code(), NO_SNAPSHOT, "as documented: {request:?}");
        }
    }
    let unhashed = t4().signed(&keys(), TENCENT_TIME);
    let published = unhashed.header("authorization").unwrap();
    assert!(published.ends_with("=066fb9bb8df6ddb3aee46883063c48bdda131781f279ec0e8199a083b06944bd"), "{published}");
    assert_eq!(served.send(&unhashed).code(), NO_SNAPSHOT);
    assert_eq!(served.send(&unhashed.without("x-tc-content-sha256")).code(), "AuthFailure.SignatureFailure");
}

#[test]
fn item_2_errors_have_what_every_clients_parser_looks_for() {
    let served = Served::new();
    let aws = [
        served.ask(served.fsx("us-east-1", "DescribeBackups", r#"{"BackupIds": ["backup-00000000000000000"]}"#)),
        served.ask(served.fsx("us-east-1", "CopyBackup", "{}")),
        served.ask(served.fsx("us-east-1", "CopyBackup", "{")),
        served.ask(served.fsx("us-east-1", "MakeCoffee", "{}")),
        served.send(&served.fsx("us-east-1", "CopyBackup", "{}").without("authorization").with("Content-Length", "2")),
        served.ask(served.fsx("mars-north-1", "CopyBackup", "{}")),
    ];
    for reply in aws {
        assert_eq!((reply.status, reply.header("content-type")), (400, Some("application/x-amz-json-1.1")));
        let (code, body) = (reply.code(), reply.json());
        assert!(code.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{code}");
        assert_eq!(reply.header("x-amzn-errortype"), Some(code.as_str()));
        assert_eq!(reply.header("x-amzn-requestid").map(str::len), Some(36));
        assert!(reply.header("date").is_some());
        let members = body.as_object().unwrap();
        assert!(members.keys().all(|name| !name.eq_ignore_ascii_case("code")), "{body}");
        let message = members.get("Message").or_else(|| members.get("message")).and_then(|text| text.as_str());
        assert!(message.is_some_and(|message| !message.is_empty() && message.chars().count() <= 256), "{body}");
    }
    let tencent = [
        served.ask(served.cbs("DescribeSnapshots", r#"{"Limit": 101}"#)),
        served.ask(served.cbs("DescribeSnapshots", "{")),
        served.ask(served.cbs("MakeCoffee", "{}")),
        served.send(&served.cbs("DescribeSnapshots", "{}").without("authorization").with("Content-Length", "2")),
        served.ask(served.cbs("DescribeSnapshots", "{}").with("X-TC-Region", "ap-nowhere")),
        served.ask(served.cbs("DescribeSnapshots", "{}").with("Content-Type", "multipart/form-data; boundary=x")),
    ];
    for reply in tencent {
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(JSON)));
        let body = reply.json();
        assert_ne!(reply.code(), "Success");
        assert!(body.pointer("/Response/Error/Message").is_some_and(|text| text.as_str() != Some("")), "{body}");
        assert_eq!(body.pointer("/Response/RequestId").and_then(|id| id.as_str()).map(str::len), Some(36));
        assert_eq!(body["Response"].as_object().unwrap().len(), 2, "no result beside the error: {body}");
    }
}

#[test]
fn item_3_a_clock_may_be_299_seconds_off_and_not_301() {
    let served = Served::frozen(TENCENT_TIME, &keys());
    let at = |request: Raw, off: i64| served.send(&request.signed(&keys(), TENCENT_TIME + off)).code();
    for off in [-299, 299] {
        assert_eq!(at(v1(), off), "InvalidRegion", "{off}");
        assert_eq!(at(t1(), off), NO_SNAPSHOT, "{off}");
        assert_eq!(at(first_generation("GET", "HmacSHA1"), off), NO_SNAPSHOT, "{off}");
    }
    for off in [-301, 301] {
        assert_eq!(at(v1(), off), "InvalidSignatureException", "{off}");
        assert_eq!(at(t1(), off), "AuthFailure.SignatureExpire", "{off}");
        assert_eq!(at(first_generation("GET", "HmacSHA1"), off), "AuthFailure.SignatureExpire", "{off}");
    }
}

#[test]
fn item_4_a_request_to_cloudhsm_is_signed_for_cloudhsm() {
    let served = Served::new();
    let call = || served.cloudhsm("us-east-1", "DescribeBackups", "{}");
    assert_eq!(served.ask(call()).code(), "Success");
    let other = call().reworded("Authorization", "/cloudhsm/", "/cloudhsmv2/");
    assert_eq!(served.ask(other).code(), "InvalidSignatureException");
}

#[test]
fn item_5_tencents_clients_may_sign_the_host_in_their_three_ways() {
    let served = Served::new();
    let bare = served.host.split(':').next().unwrap();
    let scheme = format!("http://{}", served.host);
    for (signed, sent) in [(bare, served.host.as_str()), (&served.host, &served.host), (&scheme, &scheme)] {
        let request = served.signed(Raw::tencent(signed, "DescribeSnapshots", "{}")).with("Host", sent);
        assert_eq!(served.send(&request).code(), "Success", "{signed} {sent}");
    }
    let other = served.signed(Raw::tencent("cbs.example", "DescribeSnapshots", "{}")).with("Host", &served.host);
    assert_eq!(served.send(&other).code(), "AuthFailure.SignatureFailure");
}

#[test]
fn item_6_unknown_members_are_ignored_by_aws_services_and_refused_by_cbs() {
    let served = Served::new();
    let unknown = r#"{"Colour": "red", "Nested": {"a": [1, null]}}"#;
    assert_eq!(served.ask(served.fsx("us-east-1", "DescribeBackups", unknown)).code(), "Success");
    assert_eq!(served.ask(served.cbs("DescribeSnapshots", unknown)).code(), "UnknownParameter");
}
