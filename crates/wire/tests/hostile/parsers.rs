//! Every parser of requests, as a function from any bytes at all; `fuzz/` runs the same ones.
//!
//! Where a signature stands before a parser, the parser also has an entry of its own: nobody who fuzzes could make the
//! signature. Nothing may panic; what reads must also hold what its type promises.

use std::collections::HashSet;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::Timestamp;
use wire::aws::arn::{Arn, Namespace};
use wire::aws::json::{self, EpochSeconds, Service};
use wire::aws::next_token::{CURSOR_BYTES_MAX, NextToken};
use wire::aws::sigv4::{self, Expected, SKEW_DEFAULT};
use wire::cbs::{Action, CbsError};
use wire::cloudhsm::certificates::{CertificateFault, Hardware, check_cluster_certificate};
use wire::cloudhsm::policy::{Caller, InvalidPolicy, ResourcePolicy};
use wire::cloudhsm::{self, Operation, RequestError};
use wire::fsx::{self, FsxError, Parsed, paging};
use wire::http::RawRequest;
use wire::tencent::{self, Parameters, Product, regions};

use super::seeds;

/// One parser, with sound bytes to start from.
pub(crate) struct Parser {
    /// Its name, and that of its fuzz target.
    pub(crate) name: &'static str,
    /// Reads any bytes.
    pub(crate) read: fn(&[u8]),
    /// What clients send.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub(crate) const ALL: [Parser; 11] = [
    Parser { name: "wire_aws", read: |bytes| drop(believe_aws(bytes)), seeds: seeds::aws },
    Parser { name: "wire_fsx", read: |bytes| drop(read_fsx(bytes)), seeds: seeds::fsx },
    Parser { name: "wire_cloudhsm", read: |bytes| drop(read_cloudhsm(bytes)), seeds: seeds::cloudhsm },
    Parser { name: "wire_policy", read: |bytes| drop(read_policy(bytes)), seeds: seeds::policies },
    Parser { name: "wire_certificates", read: |bytes| _ = check_certificates(bytes), seeds: seeds::certificates },
    Parser { name: "wire_der", read: |bytes| _ = check_certificates(&as_pem(bytes)), seeds: seeds::ders },
    Parser { name: "wire_next_token", read: next_token, seeds: seeds::next_tokens },
    Parser { name: "wire_arn", read: arn, seeds: seeds::arns },
    Parser { name: "wire_time", read: time, seeds: seeds::times },
    Parser { name: "wire_tencent", read: |bytes| drop(believe_tencent(bytes)), seeds: seeds::tencent },
    Parser { name: "wire_cbs", read: |bytes| drop(read_cbs(bytes)), seeds: seeds::cbs },
];

/// 2026-01-15T12:00:00Z, when the seeds for AWS are signed, and with what.
const NOON: Timestamp = Timestamp(1_768_478_400_000);
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// When the certificates among them are valid.
const LATER: Timestamp = Timestamp(1_800_000_000_000);
/// When those for Tencent are, and with what.
const TENCENT_TIME: Timestamp = Timestamp(1_551_113_065_000);
const TENCENT_SECRET: &str = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";

/// A request as HTTP has it, but with plain line ends.
struct Sent<'a> {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, Vec<u8>)>,
    body: &'a [u8],
}

impl<'a> Sent<'a> {
    /// What a server hands on: names in lower case, a method and a target that are text.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.windows(2).position(|two| two == b"\n\n")?;
        let (head, body) = (&bytes[..end], &bytes[end + 2..]);
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = std::str::from_utf8(lines.next()?).ok()?;
        let (method, target) = first.split_once(' ')?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let header = |line: &[u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?.to_ascii_lowercase();
            Some((name, line[colon + 1..].trim_ascii().to_vec()))
        };
        let headers = lines.filter_map(header).collect();
        Some(Self { method: method.to_owned(), path: path.to_owned(), query: query.to_owned(), headers, body })
    }

    fn request(&self) -> RawRequest<'_> {
        let Self { method, path, query, headers, body } = self;
        RawRequest { method, path, query, headers, body }
    }
}

/// A whole request to an AWS service: its target, who it says it is from, and whether that holds.
pub(crate) fn believe_aws(bytes: &[u8]) -> Result<(), String> {
    let sent = Sent::read(bytes).ok_or("no request")?;
    let request = sent.request();
    let target = json::target(&request).map_err(|error| error.to_string());
    let claim = sigv4::identify(&request).map_err(|error| error.to_string())?;
    assert!(!claim.access_key.is_empty() && !claim.region.is_empty());
    // What it shows may be anything that the sender has put there.
    drop(format!("{claim:?}"));
    let service = target.as_ref().map_or(Service::Fsx, |target| target.service).signing_name();
    let expected = Expected { secret: SECRET, service, is_region_served: true, now: NOON, skew: SKEW_DEFAULT };
    claim.verify(&request, &expected).map_err(|error| error.to_string())?;
    target.map(drop)
}

/// A whole request to Tencent, and what its parameters ask for.
pub(crate) fn believe_tencent(bytes: &[u8]) -> Result<(), String> {
    let sent = Sent::read(bytes).ok_or("no request")?;
    let request = sent.request();
    let claim = tencent::identify(&request, TENCENT_TIME).map_err(|error| error.to_string())?;
    assert!(!claim.secret_id.is_empty());
    let asked = claim.target().map(|target| target.action.to_owned());
    drop((format!("{claim:?}"), claim.region().map(str::len)));
    if let (Ok(action), Ok(parameters)) = (&asked, claim.parameters()) {
        for product in [Product::Cvm, Product::Region] {
            drop(regions::parse(product, &parameters));
        }
        if let Ok(action) = Action::named(action) {
            drop(wire::cbs::parse(action, &parameters, NOON));
        }
    }
    claim.verify(TENCENT_SECRET).map_err(|error| error.to_string())?;
    asked.map(drop).map_err(|error| error.to_string())
}

/// What is before the first line end, and what is behind it.
fn named(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes.get(end + 1..).unwrap_or_default())
}

/// An operation of FSx and its body, and what the handlers ask of the request.
pub(crate) fn read_fsx(bytes: &[u8]) -> Result<(), FsxError> {
    use fsx::request::Request as R;
    let (operation, body) = named(bytes);
    let request = match fsx::parse(&operation, body)? {
        Parsed::NotServed(other) => return Err(other.error()),
        Parsed::Served(request) => request,
    };
    assert!(fsx::is_known(&operation) && request.operation() == operation);
    drop(request.parameters("us-east-1"));
    assert!(request.client_request_token().is_none_or(|token| (1..=63).contains(&token.len())));
    match &request {
        R::DescribeBackups(listing) => {
            if let Some(token) = &listing.next_token {
                drop(paging::decode(&operation, listing, token));
            }
            drop(listing.conditions()?);
            assert!((1..=paging::PAGE_ITEMS_MAX).contains(&paging::page_items(listing.max_results)));
        }
        R::CreateBackup(wanted) => drop(wanted.subject()?),
        R::CreateFileSystem(wanted) => wanted.check_settings()?,
        R::UpdateFileSystem(wanted) => {
            if let Ok(Some(tables)) = wanted.route_tables(&["rtb-0123456789abcdef0".to_owned()]) {
                let known: HashSet<_> = tables.iter().collect();
                assert!(tables.len() <= 50 && known.len() == tables.len());
            }
        }
        R::DeleteFileSystem(wanted) => drop(wanted.final_backup_tags().count()),
        _ => {}
    }
    Ok(())
}

/// An operation of CloudHSM and its body, and what the handlers ask of the request.
pub(crate) fn read_cloudhsm(bytes: &[u8]) -> Result<(), String> {
    use cloudhsm::Request as R;
    let (operation, body) = named(bytes);
    let operation = Operation::find(&operation).ok_or("no operation")?;
    let request = cloudhsm::parse(operation, body).map_err(|error: RequestError| format!("{error:?}"))?;
    assert_eq!(request.operation(), operation);
    let shown = match &request {
        R::DescribeBackups(listing) => {
            drop(listing.page());
            listing.backup_filters().map(drop)
        }
        R::DescribeClusters(listing) => {
            drop(listing.page());
            listing.cluster_filters().map(drop)
        }
        R::ListTags(listing) => listing.page().map(drop),
        R::CreateCluster(wanted) => {
            drop((wanted.source_backup(), wanted.mode_given(), wanted.retention()));
            wanted.known_hsm_type().map(drop)
        }
        R::ModifyCluster(wanted) => wanted.known_hsm_type().and(wanted.retention().map(drop)),
        R::DeleteHsm(wanted) => wanted.selector().map(drop),
        R::PutResourcePolicy(wanted) => wanted.backup_arn().and(wanted.parsed_policy().map(drop)),
        R::GetResourcePolicy(wanted) => wanted.backup_arn().map(drop),
        R::DeleteResourcePolicy(wanted) => wanted.backup_arn().map(drop),
        _ => Ok(()),
    };
    shown.map_err(|error| format!("{error:?}"))
}

/// A resource policy, and whom it lets do what.
pub(crate) fn read_policy(bytes: &[u8]) -> Result<(), InvalidPolicy> {
    let policy: ResourcePolicy = String::from_utf8_lossy(bytes).parse()?;
    let arn = format!("arn:aws:cloudhsm:us-east-1:111122223333:backup/backup-{}", "a".repeat(40));
    for account in ["111122223333", "*", ""] {
        for identity in [None, Some("arn:aws:iam::111122223333:role/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")] {
            _ = policy.allows(Caller { account, arn: identity }, "cloudhsm:CopyBackupToRegion", &arn);
        }
    }
    Ok(())
}

/// A signed certificate, its anchor and the cluster's request, with a line of `=` between them; `None` when there are
/// not three.
pub(crate) fn check_certificates(bytes: &[u8]) -> Option<Result<(), CertificateFault>> {
    static HARDWARE: LazyLock<Hardware> = LazyLock::new(|| Hardware::new(LATER).expect("keys are made"));
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split("\n=\n");
    let (signed, anchor, csr) = (parts.next()?, parts.next()?, parts.next()?);
    if let Ok(certified) = HARDWARE.certify(csr, LATER) {
        // A public key can be well formed and still be none; what was certified is readable all the same.
        _ = check_cluster_certificate(&certified, anchor, csr, LATER);
    }
    Some(check_cluster_certificate(signed, anchor, csr, LATER))
}

/// The same of what PEM holds: three parts, each behind its length as two bytes.
pub(crate) fn as_pem(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let parts = ["CERTIFICATE", "CERTIFICATE", "CERTIFICATE REQUEST"].map(|label| {
        let (len, behind) = rest.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
        let (der, behind) = behind.split_at(behind.len().min(u16::from_le_bytes(*len).into()));
        rest = behind;
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    });
    parts.join("\n=\n").into_bytes()
}

/// A token, as it is and as one that was issued; also as a cursor.
fn next_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let tokens = NextToken::binding("DescribeBackups", &["READY"]);
    drop(tokens.open(&text));
    let cursor = json::truncated(&text, CURSOR_BYTES_MAX / 4);
    assert_eq!(tokens.open(&tokens.seal(cursor)).as_deref(), Some(cursor));
}

fn arn(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let here = Namespace { partition: "aws", region: "us-east-1", account: "111122223333" };
    if let Ok(arn) = text.parse::<Arn>() {
        assert_eq!(arn.to_string(), text);
        assert!(arn.kind_and_id().is_none_or(|(kind, id)| !kind.is_empty() && !id.is_empty()));
        _ = here.contains(&arn);
    }
}

/// A time as AWS's replies have it.
fn time(bytes: &[u8]) {
    if let Ok(time) = serde_json::from_slice::<EpochSeconds>(bytes) {
        let written = serde_json::to_vec(&time).expect("a number");
        assert_eq!(serde_json::from_slice::<EpochSeconds>(&written).ok(), Some(time));
    }
}

/// An action of CBS and its parameters, in JSON or as a form.
pub(crate) fn read_cbs(bytes: &[u8]) -> Result<(), CbsError> {
    let (action, given) = named(bytes);
    let action = Action::named(&action)?;
    let form = String::from_utf8_lossy(given);
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let parameters = match given.first() {
        Some(b'{') => Parameters::from_json(given)?,
        _ => Parameters::from_pairs(pairs)?,
    };
    wire::cbs::parse(action, &parameters, NOON).map(drop)
}
