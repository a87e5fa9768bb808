//! `offsite init`: makes the configuration, the identities, and each region's directory.
//!
//! The configuration file is written last and in one piece: as long as it is not there, running the
//! command again keeps what has been made and makes the rest.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use catalog::{Catalog, Missing};
use clap::Args;
use engine::EngineError;
use model::effect::effect;
use model::{Clock, PackId, Partition, Region, SystemClock};
use serde::Serialize;
use store::{RegionStore, StoreErrorKind};

use crate::authorization::{DEFAULT, read_policy_files};
use crate::config::{
    CONFIG_FILE, CatalogPlace, Identities, META_REGION, META_STORE_ID, POLICIES, RegionEntry, RegionSettings,
    StorePlace, id_of,
};
use crate::exit::{Outcome, hinted};
use crate::output::say;

const IDENTITIES_FILE: &str = "identities.toml";
const POLICY_FILE: &str = "default.cedar";

/// What a client of the APIs needs in its environment.
pub(crate) const CLIENT_FILE: &str = "client.env";

/// The regions that are made, each with its partition.
const REGIONS: [(&str, &str); 7] = [
    ("us-east-1", "aws"),
    ("us-west-2", "aws"),
    ("eu-west-1", "aws"),
    ("cn-north-1", "aws-cn"),
    ("us-gov-west-1", "aws-us-gov"),
    ("ap-guangzhou", "tencent"),
    ("ap-beijing", "tencent"),
];

/// Arguments of `offsite init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The directory to make everything in.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

#[derive(Debug, Serialize)]
struct NewConfig {
    identities: &'static str,
    policies: &'static str,
    gc_grace: &'static str,
    lease_seconds: u64,
    region: Vec<RegionEntry>,
}

pub(super) async fn run(args: &InitArgs, quiet: bool) -> anyhow::Result<Outcome> {
    let file = init(&args.dir).await?;
    if !quiet {
        let names: Vec<&str> = REGIONS.iter().map(|(region, _)| *region).collect();
        say(format_args!("made {} with the regions {}", file.display(), names.join(", ")));
        say("next: `offsite resource add PATH --region us-east-1`, then `offsite backup create ID`");
    }
    Ok(Outcome::Done)
}

/// Makes everything below `dir` and returns the path of the configuration.
pub(crate) async fn init(dir: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
    let dir = dir.canonicalize().with_context(|| format!("failed to find {}", dir.display()))?;
    let file = dir.join(CONFIG_FILE);
    if file.exists() {
        return Err(there_already(&file));
    }
    let mut entries = Vec::new();
    for (region, partition) in REGIONS {
        let (region, partition): (Region, Partition) = (region.parse()?, partition.parse()?);
        let own = region.to_string();
        let entry = entry(region, partition, &own);
        make_region(&entry.check(&file)?).await?;
        entries.push(entry);
    }
    let identities = dir.join(IDENTITIES_FILE);
    if !identities.exists() {
        write_new(&identities, &toml::to_string(&Identities::generate(SystemClock.now()))?)?;
    }
    let client = dir.join(CLIENT_FILE);
    if !client.exists() {
        let keys = Identities::load(&identities)?;
        write_new(&client, &keys.keys().map(|(_, key)| key.environment()).collect::<String>())?;
    }
    make_policies(&dir.join(POLICIES))?;
    effect("init.config.before");
    write_new(&file, &config_text(entries)?)?;
    effect("init.config.after");
    Ok(file)
}

fn there_already(file: &Path) -> anyhow::Error {
    let error = anyhow::anyhow!("{} is there already", file.display());
    hinted(error, "use it as it is, or name another directory with --dir")
}

/// A store that is a directory, in its region's directory.
const STORE_DIRECTORY: &str = "store";

/// A catalog that is a file, in its region's directory.
const CATALOG_FILE: &str = "catalog.db";

/// The settings of a region whose parts [`make_region`] has made in `dir`.
pub(super) fn entry(region: Region, partition: Partition, dir: &str) -> RegionEntry {
    RegionEntry {
        partition,
        store: format!("file:{dir}/{STORE_DIRECTORY}"),
        catalog: format!("sqlite:{dir}/{CATALOG_FILE}"),
        kms: format!("file:{dir}/kms.json"),
        scratch: None,
        resources: None,
        bandwidth: None,
        store_requests: None,
        store_sent_bytes: None,
        opt_in: false,
        no_windows_multi_az: false,
        server_side_copies: false,
        name: region,
    }
}

fn config_text(region: Vec<RegionEntry>) -> anyhow::Result<String> {
    let config =
        NewConfig { identities: IDENTITIES_FILE, policies: POLICIES, gc_grace: "24h", lease_seconds: 60, region };
    let text = toml::to_string(&config)?;
    Ok(format!("# offsite's configuration. Relative paths start at this file's directory.\n\n{text}"))
}

/// Writes out what would be decided without policies, so that it can be read and changed.
fn make_policies(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
    // Beside policies that are there already it might permit more than they do.
    match read_policy_files(dir)?.is_empty() {
        true => write_new(&dir.join(POLICY_FILE), DEFAULT),
        false => Ok(()),
    }
}

/// Makes the parts of a region, and leaves those alone that are there.
pub(super) async fn make_region(settings: &RegionSettings) -> anyhow::Result<()> {
    let region = &settings.region;
    let mut directories = vec![&settings.scratch];
    if let StorePlace::Directory(directory) = &settings.store {
        directories.push(directory);
    }
    for made in directories {
        std::fs::create_dir_all(made).with_context(|| format!("failed to make {}", made.display()))?;
    }
    let keys = settings.kms.make(region, Arc::new(SystemClock)).await.map_err(EngineError::from);
    keys.with_context(|| format!("failed to make the keys of {region}"))?;
    let store = make_store(region, settings).await;
    let store = store.with_context(|| format!("failed to make the store of {region}"))?;
    let catalog = make_catalog(region, store, &settings.catalog).await;
    catalog.with_context(|| format!("failed to make the catalog of {region}"))
}

async fn make_store(region: &Region, settings: &RegionSettings) -> anyhow::Result<RegionStore> {
    let inner = settings.store.open(settings.store_limits)?;
    match RegionStore::open(region, Arc::clone(&inner)).await {
        // There is no format file yet.
        Err(error) if error.kind == StoreErrorKind::Unavailable => {
            let store_id = PackId::random(&mut rand::rng()).to_string();
            Ok(RegionStore::create(region, inner, &store_id).await.map_err(EngineError::from)?)
        }
        opened => Ok(opened.map_err(EngineError::from)?),
    }
}

async fn make_catalog(region: &Region, store: RegionStore, place: &CatalogPlace) -> anyhow::Result<()> {
    let catalog = Catalog::open(&place.url(), Missing::Create).await.map_err(EngineError::from)?;
    let is_new = catalog.meta(META_STORE_ID).await.map_err(EngineError::from)?.is_none();
    // To a catalog that knows of no backup, all packs are ones that nothing names, and gc would remove them.
    if is_new && !store.list_accounts().await.map_err(EngineError::from)?.is_empty() {
        let error = anyhow::anyhow!("there are backups of {region} in the store already");
        let hint = format!(
            "take another place for a new region; for these backups, write the region into the configuration and run \
             `offsite rebuild --region {region}`"
        );
        return Err(hinted(error, hint));
    }
    let store = store.of_catalog(&id_of(&catalog).await.map_err(EngineError::from)?);
    store.check_owner().await.map_err(EngineError::from)?;
    for (fact, wanted) in [(META_STORE_ID, store.store_id()), (META_REGION, region.as_str())] {
        match catalog.meta(fact).await.map_err(EngineError::from)? {
            None => catalog.set_meta(fact, wanted).await.map_err(EngineError::from)?,
            Some(found) if found == wanted => {}
            Some(found) => bail!("{place} is the catalog of another region: its {fact} is {found}, not {wanted}"),
        }
    }
    catalog.close().await;
    Ok(())
}

/// Writes a file that was not there, whole, durable, readable by its owner only.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("failed to write {}", path.display());
    let Some(dir) = path.parent() else { bail!("{} has no directory", path.display()) };
    let mut file = tempfile::NamedTempFile::new_in(dir).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => return Err(there_already(path)),
        Err(error) => return Err(anyhow::Error::new(error.error).context(failed())),
    }
    File::open(dir).and_then(|dir| dir.sync_all()).with_context(failed)
}
