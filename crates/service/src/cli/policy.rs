//! `offsite policy`: the Cedar policies that decide what access keys may do, checked and explained.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use engine::EngineError;
use model::{AccountId, BackupId, KmsKeyId, PolicyId, Region, ResourceId};
use serde::Serialize;
use serde_json::json;

use super::Format;
use super::arguments::parse_tag;
use crate::app::App;
use crate::authorization::{
    Circumstances, Copying, Decision, Permission, Policies, Principal, Resource, SCHEMA, actions, types_of,
};
use crate::config::{AccessKey, Cloud, Config, PolicyDirectory};
use crate::exit::{Outcome, after_printing, hinted};
use crate::output::{Table, print_json, print_line, say};

/// The `offsite policy` commands.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say whether an access key may do something, and which policies decide it. Exit status 1 if it may not.
    Check(CheckArgs),
    /// Check that every policy of a directory can be taken over by a server.
    Validate {
        /// The directory [default: the one of the configuration].
        dir: Option<PathBuf>,
    },
    /// Print the schema that policies are validated with, for Cedar's own tools.
    Schema,
}

/// Arguments of `offsite policy check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// An access key; or an account, by id or name: then each of its keys that could ask is checked.
    #[arg(long, value_name = "KEY|ACCOUNT")]
    principal: String,
    /// What for, e.g. fsx::CopyBackup; `offsite policy schema` lists all actions.
    #[arg(long, value_name = "SERVICE::ACTION")]
    action: String,
    /// Of which thing: a backup, resource, snapshot policy or KMS key by its id, or a region by its name.
    #[arg(long, value_name = "ID|REGION")]
    resource: String,
    /// The region of the resource [default: the one that has it].
    #[arg(long)]
    region: Option<Region>,
    /// A circumstance: `source_ip`, `source_region`, `target_region`, `source_key` or `target_key`; may be given
    /// several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_tag)]
    context: Vec<(String, String)>,
    /// A tag that the request gives; may be given several times.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    tags: Vec<(String, String)>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(load: impl FnOnce() -> anyhow::Result<App>, command: PolicyCommand) -> anyhow::Result<Outcome> {
    match command {
        PolicyCommand::Check(args) => check(load()?, args).await,
        PolicyCommand::Validate { dir } => {
            let directory = match dir {
                Some(path) => PolicyDirectory { path, is_named: true },
                None => load()?.config.policies,
            };
            let policies = directory.load()?;
            policies.warnings().iter().for_each(|warning| say(format_args!("warning: {warning}")));
            match policies.is_built_in() {
                true => say("no policies are configured: an account's keys do everything to the account's own"),
                false => say(format_args!("{} policies in {} are valid", policies.len(), directory.path.display())),
            }
            Ok(Outcome::Done)
        }
        PolicyCommand::Schema => {
            print_line(SCHEMA.trim_end())?;
            Ok(Outcome::Done)
        }
    }
}

/// One decision, as it is reported.
#[derive(Debug, Serialize)]
struct Checked {
    principal: String,
    account: AccountId,
    #[serde(flatten)]
    decision: Decision,
}

async fn check(app: App, args: CheckArgs) -> anyhow::Result<Outcome> {
    let types = types_of(&args.action);
    if types.is_empty() {
        let operation = args.action.rsplit("::").next().unwrap_or_default().to_lowercase();
        let near: Vec<&str> = actions().filter(|known| known.to_lowercase().ends_with(&operation)).collect();
        let hint =
            if near.is_empty() { "`offsite policy schema` lists all actions".to_owned() } else { near.join(", ") };
        return Err(hinted(anyhow!("there is no action {}", args.action), hint));
    }
    let policies = app.config.policies.load()?;
    let principals = find_principals(&app.config, &args)?;
    let account = principals.first().map(|principal| principal.account.clone()).context("the account has no key")?;
    let app = app.acting_for(account);
    let found = find_resource(&app, &args).await?;
    if !types.iter().any(|kind| kind == found.resource.kind().as_str()) {
        let (action, kind) = (&args.action, found.resource.kind().as_str());
        bail!("{action} is asked about {}, and {} is a {kind}", types.join(" and "), args.resource);
    }
    let circumstances = circumstances(&args, &found)?;
    let permission = Permission { action: args.action, resource: found.resource, circumstances };
    let decide = |principal: Principal| Checked {
        decision: policies.decide(&principal, &permission),
        principal: principal.key,
        account: principal.account,
    };
    let checked: Vec<Checked> = principals.into_iter().map(decide).collect();
    let all = checked.iter().all(|checked| checked.decision.allowed);
    let outcome = if all { Outcome::Done } else { Outcome::Failed };
    after_printing(report(&permission, &policies, &checked, args.format), Ok(outcome))
}

fn report(permission: &Permission, policies: &Policies, checked: &[Checked], format: Format) -> anyhow::Result<()> {
    if format.json {
        let resource = json!({"type": permission.resource.kind().as_str(), "id": permission.resource.id()});
        return print_json(&json!({"action": permission.action, "resource": resource, "decisions": checked}));
    }
    let mut table = Table::new(&["PRINCIPAL", "DECISION", "POLICIES"]);
    for Checked { principal, decision, .. } in checked {
        let word = if decision.allowed { "allowed" } else { "denied" };
        let why = match decision.policies.as_slice() {
            [] if decision.errors.is_empty() => format!("none of {} permits it", policies.len()),
            [] => "they cannot be evaluated".to_owned(),
            names => names.join(", "),
        };
        table.push([principal.clone(), word.to_owned(), why]);
    }
    table.print()?;
    let errors = checked.iter().flat_map(|checked| &checked.decision.errors);
    errors.for_each(|error| say(format_args!("error: {error}")));
    Ok(())
}

/// The keys that could ask for the action.
fn find_principals(config: &Config, args: &CheckArgs) -> anyhow::Result<Vec<Principal>> {
    let identities = &config.identities;
    let principal = |account: &AccountId, key: &AccessKey| Principal {
        account: account.clone(),
        key: key.id.clone(),
        cloud: key.cloud,
    };
    if let Some((account, key)) = identities.keys().find(|(_, key)| key.id == args.principal) {
        if key.disabled {
            say("note: the key is disabled, so its requests are refused whatever policies say");
        }
        return Ok(vec![principal(&account.id, key)]);
    }
    let account = identities.find(Some(&args.principal)).map_err(|_| {
        let error = anyhow!("there is no access key or account {}", args.principal);
        hinted(error, "`offsite key ls` and `offsite account ls` show those there are")
    })?;
    let speaks = |cloud: Cloud| match args.action.split("::").next() {
        Some("cbs") => cloud == Cloud::Tencent,
        Some("kms") => true,
        _ => cloud == Cloud::Aws,
    };
    let keys: Vec<Principal> = account
        .keys
        .iter()
        .filter(|key| !key.disabled && speaks(key.cloud))
        .map(|key| principal(&account.id, key))
        .collect();
    match keys.is_empty() {
        true => bail!("{} has no key that could ask for {}", account.name, args.action),
        false => Ok(keys),
    }
}

/// What the question is about, and where it is.
struct Found {
    resource: Resource,
    region: Region,
    is_region: bool,
    kms_key: Option<KmsKeyId>,
}

async fn find_resource(app: &App, args: &CheckArgs) -> anyhow::Result<Found> {
    let (named, caller) = (args.resource.as_str(), &app.account);
    if let Some(settings) = app.config.regions.iter().find(|settings| settings.region.as_str() == named) {
        let (resource, region) = (Resource::region(named, caller), settings.region.clone());
        return Ok(Found { resource, region, is_region: true, kms_key: None });
    }
    let (backup, resource): (Option<BackupId>, Option<ResourceId>) = (named.parse().ok(), named.parse().ok());
    let (policy, key): (Option<PolicyId>, Option<KmsKeyId>) = (named.parse().ok(), named.parse().ok());
    let (catalogs, skipped) = app.catalogs(args.region.as_ref()).await?;
    for (settings, catalog) in catalogs {
        let region = settings.region.clone();
        let found = |resource, kms_key| Found { resource, region: region.clone(), is_region: false, kms_key };
        if let Some(id) = &backup {
            let own = catalog.find_backup(caller, id).await.map_err(EngineError::from)?;
            let row = match own {
                Some(own) => Some(own),
                None => catalog.find_shared_backup(caller, id).await.map_err(EngineError::from)?,
            };
            if let Some(row) = row {
                return Ok(found(Resource::backup(&row, caller, &region), Some(row.kms_key)));
            }
        }
        if let Some(id) = &resource
            && let Some(row) = catalog.find_resource(caller, id).await.map_err(EngineError::from)?
        {
            return Ok(found(Resource::of_row(&row, &region), None));
        }
        if let Some(id) = &policy {
            let rows = catalog.list_policies(caller).await.map_err(EngineError::from)?;
            if let Some(row) = rows.iter().find(|row| row.id == *id) {
                return Ok(found(Resource::snapshot_policy(row, &region), None));
            }
        }
        if let Some(id) = &key {
            let ctx = settings.open_around(catalog).await?;
            if ctx.keys.find(id).await.map_err(EngineError::from)?.is_some() {
                return Ok(found(Resource::kms_key(id, caller, &region), None));
            }
        }
    }
    let place = args.region.as_ref().map_or("any region".to_owned(), ToString::to_string);
    let error = anyhow!("the account {caller} can see no {named} in {place}");
    let hint = match skipped {
        0 => "name a backup, resource, snapshot policy or KMS key by its id, or a region",
        _ => "some regions could not be opened",
    };
    Err(hinted(error, hint))
}

/// The circumstances that were given. Of a copy, the region and key of the resource need not be given again.
fn circumstances(args: &CheckArgs, found: &Found) -> anyhow::Result<Circumstances> {
    const KNOWN: [&str; 5] = ["source_ip", "source_region", "target_region", "source_key", "target_key"];
    if let Some((unknown, _)) = args.context.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
        let error = anyhow!("there is no circumstance {unknown}");
        return Err(hinted(error, format!("those there are: {}; tags are given with --tag", KNOWN.join(", "))));
    }
    let given = |name: &str| args.context.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let source_address: Option<IpAddr> = match given("source_ip") {
        Some(text) => Some(text.parse().with_context(|| format!("source_ip: {text:?} is not an address"))?),
        None => None,
    };
    let is_copy = args.action.contains("::Copy");
    let here = |fits: bool| (is_copy && fits).then(|| found.region.to_string());
    let source_region = given("source_region").or(here(!found.is_region));
    let target_region = given("target_region").or(here(found.is_region));
    let source_key = given("source_key").or(found.kms_key.as_ref().filter(|_| is_copy).map(ToString::to_string));
    let copying = match (source_region, target_region) {
        (Some(source_region), Some(target_region)) => {
            Some(Copying { source_region, target_region, source_key, target_key: given("target_key") })
        }
        (None, None) if !is_copy => None,
        _ => {
            let error = anyhow!("a copy is from a region to a region, and one of them is not given");
            return Err(hinted(error, "give --context source_region=… or --context target_region=…"));
        }
    };
    let request_tags = args.tags.clone();
    Ok(Circumstances { source_address, request_tags, removed_tags: Vec::new(), copying })
}
