//! What policies decide, of any question: the owner's rule without them, and what must hold whatever they say.

use std::path::Path;

use model::AccountId;
use proptest::prelude::*;

use super::policies::PolicyFile;
use super::{Circumstances, Copying, Permission, Policies, Principal, Resource, ResourceType, actions, types_of};
use crate::config::Cloud;

const OWN: &str = "123456789012";
const OTHER: &str = "210987654321";

fn account(id: &str) -> AccountId {
    id.parse().unwrap()
}

fn principal() -> Principal {
    Principal { account: account(OWN), key: "AKIAEXAMPLE".to_owned(), cloud: Cloud::Aws }
}

fn read(text: &str) -> anyhow::Result<Policies> {
    let file = PolicyFile { name: "test.cedar".to_owned(), text: text.to_owned() };
    Policies::parse(&[file], Path::new("/site/policies"))
}

fn refused(text: &str) -> String {
    format!("{:#}", read(text).unwrap_err())
}

fn kind(name: &str) -> ResourceType {
    use ResourceType as T;
    let all = [T::Backup, T::Snapshot, T::FileSystem, T::Disk, T::Cluster, T::AutoSnapshotPolicy, T::KmsKey, T::Region];
    all.into_iter().find(|kind| kind.as_str() == name).unwrap()
}

fn copying(action: &str) -> Option<Copying> {
    action.contains("::Copy").then(|| Copying {
        source_region: "us-east-1".to_owned(),
        target_region: "us-west-2".to_owned(),
        source_key: Some("key-1".to_owned()),
        target_key: None,
    })
}

fn permission(action: &str, resource: Resource) -> Permission {
    let circumstances = Circumstances { copying: copying(action), ..Circumstances::default() };
    Permission { action: action.to_owned(), resource, circumstances }
}

fn backup(tags: &[(&str, &str)]) -> Resource {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Resource::unknown(ResourceType::Backup, "backup-1", &account(OWN), "us-east-1").with_tags(tags)
}

fn allows(policies: &str, permission: &Permission) -> bool {
    read(policies).unwrap().decide(&principal(), permission).allowed
}

/// Any question that an API can ask: an action and one of the types that it is asked about.
fn any_permission() -> impl Strategy<Value = (Permission, bool)> {
    let pairs: Vec<(&str, &str)> =
        actions().flat_map(|action| types_of(action).iter().map(move |kind| (action, kind.as_str()))).collect();
    let tags = prop::collection::vec((".{0,8}", ".{0,8}"), 0..4);
    let address = prop::option::of(any::<std::net::IpAddr>());
    let parts = (prop::sample::select(pairs), ".{1,12}", any::<bool>(), tags.clone(), tags, address);
    parts.prop_map(|((action, kind_name), id, is_own, tags, request_tags, source_address)| {
        let owner = account(if is_own { OWN } else { OTHER });
        let resource = Resource::unknown(kind(kind_name), &id, &owner, "us-east-1");
        let is_tagged = !matches!(kind_name, "Region" | "KmsKey" | "AutoSnapshotPolicy");
        let resource = if is_tagged { resource.with_tags(tags) } else { resource };
        let copying = copying(action);
        let circumstances = Circumstances { source_address, request_tags, removed_tags: Vec::new(), copying };
        (Permission { action: action.to_owned(), resource, circumstances }, is_own)
    })
}

proptest! {
    #[test]
    fn without_policies_an_account_may_do_everything_to_its_own_and_nothing_else((asked, is_own) in any_permission()) {
        let decision = Policies::built_in().decide(&principal(), &asked);
        prop_assert_eq!(&decision.errors, &Vec::<String>::new());
        prop_assert_eq!(decision.allowed, is_own);
        prop_assert_eq!(decision.policies, if is_own { vec!["built-in: own".to_owned()] } else { vec![] });
    }

    #[test]
    fn what_is_forbidden_stays_so_whatever_permits_it((asked, _) in any_permission()) {
        let permit = "permit (principal, action, resource);";
        let forbid = format!("{permit} forbid (principal, action == Action::\"{}\", resource);", asked.action);
        prop_assert!(!allows(&forbid, &asked));
        prop_assert!(allows("permit (principal, action, resource);", &asked));
    }

    #[test]
    fn nothing_is_allowed_that_no_policy_permits((asked, _) in any_permission()) {
        prop_assert!(!allows("", &asked));
        prop_assert!(!allows("permit (principal == AccessKey::\"AKIAANOTHER\", action, resource);", &asked));
    }

    #[test]
    fn any_text_is_read_or_refused_with_its_file(text in "(permit|forbid|when|[(){},;=]|principal|action|resource|@id|\"x\"| |.){0,20}") {
        if let Err(error) = read(&text) {
            prop_assert!(error.to_string().starts_with("/site/policies/test.cedar"), "{}", error);
        }
    }
}

#[test]
fn policies_speak_of_keys_accounts_actions_regions_tags_and_circumstances() {
    let delete = permission("fsx::DeleteBackup", backup(&[("env", "prod")]));
    let copy = permission("fsx::CopyBackup", backup(&[]));
    let mut from_home = delete.clone();
    from_home.circumstances.source_address = Some("10.1.2.3".parse().unwrap());
    let permit = "permit (principal, action, resource)";
    for (policy, asked, expected) in [
        ("permit (principal == AccessKey::\"AKIAEXAMPLE\", action, resource);", &delete, true),
        ("permit (principal in Account::\"123456789012\", action in Action::\"fsx\", resource);", &delete, true),
        ("permit (principal, action in Action::\"cbs\", resource);", &delete, false),
        ("permit (principal, action in Action::\"read\", resource);", &delete, false),
        ("permit (principal, action, resource in Region::\"us-east-1\");", &delete, true),
        ("permit (principal, action, resource in Region::\"us-west-2\");", &delete, false),
        ("permit (principal, action, resource is Backup);", &delete, true),
        (
            &format!("{permit} when {{ resource.hasTag(\"env\") && resource.getTag(\"env\") == \"prod\" }};"),
            &delete,
            true,
        ),
        (&format!("{permit} unless {{ resource.hasTag(\"env\") }};"), &delete, false),
        (
            &format!("{permit} when {{ context has source_ip && context.source_ip.isInRange(ip(\"10.0.0.0/8\")) }};"),
            &delete,
            false,
        ),
        (
            &format!("{permit} when {{ context has source_ip && context.source_ip.isInRange(ip(\"10.0.0.0/8\")) }};"),
            &from_home,
            true,
        ),
        (
            &format!("{permit} when {{ context has target_region && context.target_region like \"us-*\" }};"),
            &copy,
            true,
        ),
        (&format!("{permit} when {{ context has source_key && context.source_key == \"key-1\" }};"), &copy, true),
        (&format!("{permit} when {{ context has target_key }};"), &copy, false),
    ] {
        assert_eq!(allows(policy, asked), expected, "{policy}");
    }
}

/// Cedar passes over what it cannot evaluate: left to itself, a broken forbid would open what it is to close.
#[test]
fn what_forbids_and_cannot_be_evaluated_closes() {
    let asked = permission("fsx::DeleteBackup", backup(&[]));
    let overflow = "when { context.request_tag_keys.isEmpty() && 9223372036854775807 + 1 == 0 };";
    let permit = "permit (principal, action, resource);";
    let policies = read(&format!("{permit} forbid (principal, action, resource) {overflow}")).unwrap();
    let decision = policies.decide(&principal(), &asked);
    assert!(!decision.allowed && decision.is_undecided(), "{decision:?}");
    assert!(decision.errors[0].contains("test.cedar: policy 2"), "{decision:?}");
    // One that forbids has decided, whatever else cannot be evaluated.
    let forbid = "forbid (principal, action, resource)";
    let decision = read(&format!("{permit} {forbid}; {forbid} {overflow}")).unwrap().decide(&principal(), &asked);
    assert!(!decision.allowed && !decision.errors.is_empty() && !decision.is_undecided(), "{decision:?}");
    let decision = read(&format!("{forbid};")).unwrap().decide(&principal(), &asked);
    assert!(!decision.is_undecided(), "{decision:?}");
    // What permits and cannot be evaluated permits nothing, and takes nothing from others.
    assert!(allows(&format!("{permit} permit (principal, action, resource) {overflow}"), &asked));
    assert!(!allows(&format!("permit (principal, action, resource) {overflow}"), &asked));
}

#[test]
fn a_decision_that_is_remembered_is_that_of_the_same_question() {
    let policies = read(
        r#"permit (principal == AccessKey::"AKIAEXAMPLE", action == Action::"fsx::DeleteBackup", resource)
           when { resource.hasTag("team") && context has source_ip && context.source_ip.isLoopback() };"#,
    )
    .unwrap();
    let asked = |key: &str, action: &str, tags: &[(&str, &str)], address: [u8; 4]| {
        let principal = Principal { key: key.to_owned(), ..principal() };
        let mut permission = permission(action, backup(tags));
        permission.circumstances.source_address = Some(address.into());
        (principal, permission)
    };
    let (local, team) = ([127, 0, 0, 1], [("team", "dr")]);
    let questions = [
        (asked("AKIAEXAMPLE", "fsx::DeleteBackup", &team, local), true),
        (asked("AKIAOTHER", "fsx::DeleteBackup", &team, local), false),
        (asked("AKIAEXAMPLE", "fsx::DescribeBackups", &team, local), false),
        (asked("AKIAEXAMPLE", "fsx::DeleteBackup", &[], local), false),
        (asked("AKIAEXAMPLE", "fsx::DeleteBackup", &team, [10, 0, 0, 1]), false),
    ];
    for ((principal, permission), allowed) in questions.iter().chain(&questions) {
        let decision = policies.decide(principal, permission);
        assert_eq!(decision.allowed, *allowed, "{principal:?} {permission:?} {decision:?}");
    }
}

/// How long the tags of a request are, its caller says.
#[test]
fn decisions_about_long_tags_are_not_remembered() {
    let policies = Policies::built_in();
    let remembered = |tags: Vec<(String, String)>| {
        let mut asked = permission("fsx::DeleteBackup", backup(&[]));
        asked.circumstances.request_tags = tags;
        assert!(policies.decide(&principal(), &asked).allowed);
        policies.decided.lock().unwrap().len()
    };
    assert_eq!(remembered(vec![("key".to_owned(), "x".repeat(10_000))]), 0);
    assert_eq!(remembered((0..1000).map(|n| (n.to_string(), String::new())).collect()), 0);
    assert_eq!(remembered(vec![("key".to_owned(), "value".to_owned())]), 1);
}

#[test]
fn what_cannot_be_asked_is_denied() {
    let everything = read("permit (principal, action, resource);").unwrap();
    for action in ["fsx::Nothing", "fsx", "fsx::DeleteFileSystem", ""] {
        let decision = everything.decide(&principal(), &permission(action, backup(&[])));
        assert!(!decision.allowed && !decision.errors.is_empty(), "{action}");
    }
}

#[test]
fn a_policy_that_decides_is_named_after_its_file_and_annotation() {
    let text = "permit (principal, action, resource);\n@id(\"freeze\") forbid (principal, action, resource);";
    let decision = read(text).unwrap().decide(&principal(), &permission("fsx::DeleteBackup", backup(&[])));
    assert_eq!(decision.policies, ["test.cedar: freeze"]);
    let decision = read("permit (principal, action, resource);").unwrap();
    let decision = decision.decide(&principal(), &permission("fsx::DeleteBackup", backup(&[])));
    assert_eq!(decision.policies, ["test.cedar: policy 1"]);
}

#[test]
fn what_is_wrong_is_named_with_file_and_line() {
    let ok = "permit (principal, action, resource);\n";
    for (text, expected) in [
        (format!("{ok}permit (principal, action resource);"), "test.cedar, line 2: "),
        (format!("{ok}\nforbid (principal, action == Action::\"fsx::CopyBakcup\", resource);"), "line 3: "),
        (format!("{ok}forbid (principal, action, resource) when {{ resource.colour == 1 }};"), "line 2: "),
        (format!("{ok}forbid (principal == User::\"x\", action, resource);"), "line 2: "),
        (format!("{ok}permit (principal == ?principal, action, resource);"), "a template decides nothing"),
        ("@id(\"a\") permit (principal, action, resource);".repeat(2), "two policies are named a"),
    ] {
        let error = refused(&text);
        assert!(error.starts_with("/site/policies/test.cedar") && error.contains(expected), "{error}");
    }
    assert!(
        refused("permit (principal, action, resource) when { context.target_region == \"x\" };").contains("line 1")
    );
}

#[test]
fn policies_that_permit_nothing_are_pointed_out() {
    for text in ["", "forbid (principal, action, resource);"] {
        let policies = read(text).unwrap();
        assert!(policies.warnings()[0].contains("no policy permits anything"), "{:?}", policies.warnings());
    }
    assert!(Policies::built_in().warnings().is_empty());
}

#[test]
fn the_policies_of_the_documents_are_valid() {
    let document =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/authorization.md")).unwrap();
    let blocks: Vec<&str> =
        document.split("```cedar\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 4, "only {} were found", blocks.len());
    for block in blocks {
        let policies = read(block).unwrap_or_else(|error| panic!("{error:#}\n{block}"));
        assert!(policies.warnings().iter().all(|warning| warning.contains("permits anything")), "{block}");
    }
}
