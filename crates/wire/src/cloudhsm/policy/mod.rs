//! Resource policies: whom a backup is shared with.
//!
//! The language is that of IAM ("IAM JSON policy elements reference"), without what cannot be followed here:
//! conditions, and elements that name what is excluded. A policy with one of those is refused as a whole, since
//! passing it over would share more than its author meant.

mod wildcard;

use std::str::FromStr;

use serde_json::{Map, Value};

use self::wildcard::matches;
use crate::aws::arn::Arn;
use crate::aws::json::truncated;

/// A policy that can be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourcePolicy {
    statements: Vec<Statement>,
}

/// Why a text is no policy, or none that can be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPolicy(String);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The account.
    pub account: &'a str,
    /// The user or role, where the account has several.
    pub arn: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    is_denial: bool,
    principals: Vec<Principal>,
    /// With `*` and `?`.
    actions: Vec<String>,
    /// With `*` and `?`. None means what the policy is attached to.
    resources: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Principal {
    Anyone,
    Account(String),
    Identity(String),
}

impl ResourcePolicy {
    /// Whether the policy allows `action`, e.g. `cloudhsm:DescribeBackups`, on the backup of that ARN. A denial
    /// outweighs what else is allowed.
    pub fn allows(&self, caller: Caller<'_>, action: &str, backup_arn: &str) -> bool {
        let mut applying = self.statements.iter().filter(|it| it.applies(caller, action, backup_arn)).peekable();
        applying.peek().is_some() && applying.all(|statement| !statement.is_denial)
    }
}

impl FromStr for ResourcePolicy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        let policy = serde_json::from_str(text).map_err(|_| InvalidPolicy("it is not JSON".to_owned()))?;
        let mut members = object(policy, "the policy")?;
        match members.remove("Version").as_ref().map(|version| version.as_str()) {
            None | Some(Some("2012-10-17" | "2008-10-17")) => {}
            Some(_) => return Err(InvalidPolicy("its Version must be 2012-10-17 or 2008-10-17".to_owned())),
        }
        optional_text(&mut members, "Id")?;
        let statements = match members.remove("Statement") {
            Some(Value::Array(statements)) if !statements.is_empty() => statements,
            Some(statement @ Value::Object(_)) => vec![statement],
            _ => return Err(InvalidPolicy("it must have a Statement".to_owned())),
        };
        nothing_else(&members)?;
        Ok(Self { statements: statements.into_iter().map(Statement::read).collect::<Result<_, _>>()? })
    }
}

impl Statement {
    fn read(given: Value) -> Result<Self, InvalidPolicy> {
        let mut members = object(given, "a statement")?;
        optional_text(&mut members, "Sid")?;
        let is_denial = match members.remove("Effect").as_ref().and_then(Value::as_str) {
            Some("Allow") => false,
            Some("Deny") => true,
            _ => return Err(InvalidPolicy("the Effect of a statement must be Allow or Deny".to_owned())),
        };
        let principals = read_principals(members.remove("Principal"))?;
        let actions = texts(members.remove("Action"), "Action")?;
        let resources = match members.remove("Resource") {
            None => Vec::new(),
            given => texts(given, "Resource")?,
        };
        nothing_else(&members)?;
        match actions.iter().find(|action| !is_action(action)) {
            Some(action) => Err(InvalidPolicy(format!("'{}' is not an action of cloudhsm", shown(action)))),
            None => Ok(Self { is_denial, principals, actions, resources }),
        }
    }

    fn applies(&self, caller: Caller<'_>, action: &str, backup_arn: &str) -> bool {
        // Actions are the only part of a policy in which case does not count.
        let action = action.to_ascii_lowercase();
        self.principals.iter().any(|principal| principal.is(caller))
            && self.actions.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
            && (self.resources.is_empty() || self.resources.iter().any(|pattern| matches(pattern, backup_arn)))
    }
}

impl Principal {
    fn read(text: String) -> Result<Self, InvalidPolicy> {
        if text == "*" {
            return Ok(Self::Anyone);
        }
        if is_account(&text) {
            return Ok(Self::Account(text));
        }
        match text.parse::<Arn>() {
            Ok(Arn { service, region, account, resource, .. })
                if matches!(service.as_str(), "iam" | "sts") && region.is_empty() && is_account(&account) =>
            {
                Ok(if resource == "root" { Self::Account(account) } else { Self::Identity(text) })
            }
            _ => Err(InvalidPolicy(format!("'{}' is neither an account nor the ARN of an identity", shown(&text)))),
        }
    }

    fn is(&self, caller: Caller<'_>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Account(account) => account == caller.account,
            Self::Identity(arn) => Some(arn.as_str()) == caller.arn,
        }
    }
}

/// `"*"`, or `{"AWS": …}` with one or more.
fn read_principals(given: Option<Value>) -> Result<Vec<Principal>, InvalidPolicy> {
    let refused = || InvalidPolicy("the Principal of a statement must be \"*\" or {\"AWS\": …}".to_owned());
    let names = match given {
        Some(Value::String(text)) if text == "*" => vec![text],
        Some(Value::Object(mut members)) if members.len() == 1 => texts(members.remove("AWS"), "Principal")?,
        _ => return Err(refused()),
    };
    names.into_iter().map(Principal::read).collect()
}

fn object(given: Value, what: &str) -> Result<Map<String, Value>, InvalidPolicy> {
    match given {
        Value::Object(members) => Ok(members),
        _ => Err(InvalidPolicy(format!("{what} must be a JSON object"))),
    }
}

fn optional_text(members: &mut Map<String, Value>, name: &str) -> Result<(), InvalidPolicy> {
    match members.remove(name) {
        None | Some(Value::String(_)) => Ok(()),
        Some(_) => Err(InvalidPolicy(format!("the {name} must be a string"))),
    }
}

/// A string, or a list of them with at least one.
fn texts(given: Option<Value>, name: &str) -> Result<Vec<String>, InvalidPolicy> {
    let refused = || InvalidPolicy(format!("the {name} of a statement must be a string or a list of strings"));
    let texts: Option<Vec<String>> = match given {
        Some(Value::String(text)) => Some(vec![text]),
        Some(Value::Array(list)) if !list.is_empty() => {
            list.into_iter().map(|text| text.as_str().map(str::to_owned)).collect()
        }
        _ => None,
    };
    texts.ok_or_else(refused)
}

fn nothing_else(members: &Map<String, Value>) -> Result<(), InvalidPolicy> {
    match members.keys().next() {
        None => Ok(()),
        Some(name) => Err(InvalidPolicy(format!("the element '{}' is not supported", shown(name)))),
    }
}

fn is_action(text: &str) -> bool {
    let name = match text.split_once(':') {
        Some((service, name)) if service.eq_ignore_ascii_case("cloudhsm") => name,
        _ => return text == "*",
    };
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'?'))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn shown(text: &str) -> &str {
    truncated(text, 64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARN: &str = "arn:aws:cloudhsm:us-east-1:111122223333:backup/backup-ro5c4er4aac";
    const FRIEND: Caller<'_> = Caller { account: "444455556666", arn: Some("arn:aws:iam::444455556666:role/dr") };
    const STRANGER: Caller<'_> = Caller { account: "777788889999", arn: None };

    fn policy(statements: &str) -> Result<ResourcePolicy, InvalidPolicy> {
        format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#).parse()
    }

    fn allows(statements: &str, caller: Caller<'_>, action: &str) -> bool {
        policy(statements).unwrap().allows(caller, action, ARN)
    }

    #[test]
    fn a_policy_names_accounts_and_actions() {
        let shared = r#"{"Sid":"1","Effect":"Allow","Principal":{"AWS":["444455556666","arn:aws:iam::222233334444:root"]},
            "Action":["cloudhsm:DescribeBackups","cloudhsm:CreateCluster"],"Resource":"*"}"#;
        assert!(allows(shared, FRIEND, "cloudhsm:DescribeBackups"));
        assert!(allows(shared, Caller { account: "222233334444", arn: None }, "cloudhsm:CreateCluster"));
        assert!(!allows(shared, STRANGER, "cloudhsm:DescribeBackups"));
        assert!(!allows(shared, FRIEND, "cloudhsm:DeleteBackup"));
    }

    #[test]
    fn identities_are_told_apart() {
        let role =
            r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:role/dr"},"Action":"cloudhsm:*"}"#;
        assert!(allows(role, FRIEND, "cloudhsm:DescribeBackups"));
        assert!(!allows(role, Caller { arn: None, ..FRIEND }, "cloudhsm:DescribeBackups"));
    }

    #[test]
    fn a_denial_outweighs() {
        let mixed = r#"[{"Effect":"Allow","Principal":"*","Action":"*"},
            {"Effect":"Deny","Principal":{"AWS":"777788889999"},"Action":"CloudHSM:describe*","Resource":"arn:*:backup/*"}]"#;
        assert!(allows(mixed, FRIEND, "cloudhsm:DescribeBackups"));
        assert!(!allows(mixed, STRANGER, "cloudhsm:DescribeBackups"));
        assert!(allows(mixed, STRANGER, "cloudhsm:CreateCluster"));
    }

    #[test]
    fn another_resource_is_not_meant() {
        let other = r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:cloudhsm:us-east-1:111122223333:backup/backup-aaaaaaaaaaa"}"#;
        assert!(!allows(other, FRIEND, "cloudhsm:DescribeBackups"));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let bad = [
            "[]",
            "1",
            r#"[["Allow"]]"#,
            r#"{"Effect":"allow","Principal":"*","Action":"*"}"#,
            r#"{"Effect":"Allow","Action":"*"}"#,
            r#"{"Effect":"Allow","Principal":"*"}"#,
            r#"{"Effect":"Allow","Principal":"*","Action":[]}"#,
            r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}"#,
            r#"{"Effect":"Allow","Principal":"111122223333","Action":"*"}"#,
            r#"{"Effect":"Allow","Principal":{"AWS":"me"},"Action":"*"}"#,
            r#"{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"*"}"#,
            r#"{"Effect":"Allow","Principal":{"AWS":"*","Service":"x"},"Action":"*"}"#,
            r#"{"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"*"}"#,
            r#"{"Effect":"Allow","Principal":"*","NotAction":"*"}"#,
            r#"{"Effect":"Allow","Principal":"*","Action":"*","Condition":{}}"#,
        ];
        for statements in bad {
            assert!(policy(statements).is_err(), "{statements}");
        }
        for text in ["", "{", "[]", "{}", r#"{"Version":"2020-01-01","Statement":{}}"#, r#"{"Statement":{},"X":1}"#] {
            assert!(text.parse::<ResourcePolicy>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn hostile_policies_never_panic(text: String, json in r#"\{"Statement":[\[\]{}:,"*A-Za-z0-9]*\}"#) {
            drop(text.parse::<ResourcePolicy>());
            drop(json.parse::<ResourcePolicy>());
        }
    }
}
