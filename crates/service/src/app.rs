//! What every command starts from: the configuration, the account, and the way from an id to its region.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use catalog::{BackupRow, Catalog, CatalogError, ResourceRow};
use engine::backups::{latest_of, recency};
use engine::{EngineError, Progress, RegionContext, Worker};
use model::{AccountId, BackupId, Region, ResourceId};

use crate::cli::{BackupName, Global};
use crate::config::{Config, RegionSettings};
use crate::exit::hinted;
use crate::output::say;
use crate::progress;

/// One command's surroundings.
#[derive(Debug)]
pub(crate) struct App {
    /// What the configuration says.
    pub(crate) config: Config,
    /// On whose behalf the command runs.
    pub(crate) account: AccountId,
    /// Whether the command line names it.
    is_named: bool,
    quiet: bool,
}

/// What was found under an id, and where.
#[derive(Debug)]
pub(crate) struct Found<'a, T> {
    settings: &'a RegionSettings,
    catalog: Catalog,
    /// What was found.
    pub(crate) row: T,
}

impl<T> Found<'_, T> {
    /// The region it was found in.
    pub(crate) fn region(&self) -> &Region {
        &self.settings.region
    }

    /// Opens the region it was found in.
    pub(crate) async fn open(self) -> anyhow::Result<(RegionContext, T)> {
        Ok((self.settings.open_around(self.catalog).await?, self.row))
    }
}

impl App {
    /// Reads the configuration and chooses the account.
    pub(crate) fn load(global: &Global) -> anyhow::Result<Self> {
        let config = Config::load(global.config())?;
        let account = config.identities.find(global.account.as_deref())?.id.clone();
        Ok(Self { config, account, is_named: global.account.is_some(), quiet: global.quiet })
    }

    /// The same for another account.
    pub(crate) fn acting_for(self, account: AccountId) -> Self {
        Self { account, ..self }
    }

    /// Opens a region.
    pub(crate) async fn open(&self, region: &Region) -> anyhow::Result<RegionContext> {
        self.config.region(region)?.open().await
    }

    /// Whose backups a command is about that goes over a whole region: all accounts', or those of the one that was named.
    pub(crate) async fn accounts_in(&self, ctx: &RegionContext) -> anyhow::Result<Vec<AccountId>> {
        match self.is_named {
            true => Ok(vec![self.account.clone()]),
            false => Ok(ctx.catalog.list_accounts().await.map_err(EngineError::from)?),
        }
    }

    /// This process, with leases as the configuration has them.
    pub(crate) fn worker(&self) -> Worker {
        self.config.worker()
    }

    /// Runs `work` and shows its progress.
    pub(crate) async fn watch<T, F: Future<Output = T>>(&self, work: impl FnOnce(Arc<Progress>) -> F) -> T {
        let progress = Arc::new(Progress::default());
        progress::watch(&progress, self.quiet, work(Arc::clone(&progress))).await
    }

    /// Prints a sentence for the user, but not with `-q`.
    pub(crate) fn note(&self, sentence: impl Display) {
        if !self.quiet {
            say(sentence);
        }
    }

    /// The backup of this name, in whichever region has it.
    pub(crate) async fn find_backup(&self, name: &BackupName) -> anyhow::Result<Found<'_, BackupRow>> {
        match name {
            BackupName::Id(id) => {
                self.find("backup", id, async |catalog| catalog.find_backup(&self.account, id).await).await
            }
            BackupName::LatestOf(resource) => self.find_latest(resource).await,
        }
    }

    /// The available backup whose contents were taken last of a resource; of it and its copies, rather itself.
    async fn find_latest(&self, resource: &ResourceId) -> anyhow::Result<Found<'_, BackupRow>> {
        let (mut latest, mut skipped) = (None::<Found<'_, BackupRow>>, Vec::new());
        for settings in &self.config.regions {
            let catalog = match settings.open_catalog().await {
                Ok(catalog) => catalog,
                // With -q, too: a later one may be there.
                Err(error) => {
                    say(skipping(settings, &error));
                    skipped.push(settings.region.as_str());
                    continue;
                }
            };
            let Some(row) = latest_of(&catalog, &self.account, resource).await? else { continue };
            if latest.as_ref().is_none_or(|latest| recency(&latest.row) < recency(&row)) {
                latest = Some(Found { settings, catalog, row });
            }
        }
        latest.ok_or_else(|| unknown("backup", &format!("of {resource}"), &skipped))
    }

    /// The backups of these ids, each once, by the region that has them. All of them are there, or it is an error that names the rest.
    pub(crate) async fn find_backups(&self, ids: &[BackupId]) -> anyhow::Result<Vec<Found<'_, Vec<BackupRow>>>> {
        let mut missing: BTreeSet<&BackupId> = ids.iter().collect();
        let (mut found, mut skipped) = (Vec::new(), Vec::new());
        for settings in &self.config.regions {
            if missing.is_empty() {
                break;
            }
            let Some(catalog) = self.open_or_skip(settings).await else {
                skipped.push(settings.region.as_str());
                continue;
            };
            let mut rows = Vec::new();
            for id in std::mem::take(&mut missing) {
                match catalog.find_backup(&self.account, id).await.map_err(EngineError::from)? {
                    Some(row) => rows.push(row),
                    None => _ = missing.insert(id),
                }
            }
            if !rows.is_empty() {
                found.push(Found { settings, catalog, row: rows });
            }
        }
        match missing.is_empty() {
            true => Ok(found),
            false => Err(unknown(
                "backup",
                &missing.into_iter().map(BackupId::as_str).collect::<Vec<_>>().join(", "),
                &skipped,
            )),
        }
    }

    /// The resource of this id, in whichever region has it.
    pub(crate) async fn find_resource(&self, id: &ResourceId) -> anyhow::Result<Found<'_, ResourceRow>> {
        self.find("resource", id, async |catalog| catalog.find_resource(&self.account, id).await).await
    }

    /// The catalogs of `region`, or of every region; those that cannot be opened are named and skipped.
    ///
    /// The second value is how many were skipped. A region that was asked for by name is never skipped.
    pub(crate) async fn catalogs(
        &self,
        region: Option<&Region>,
    ) -> anyhow::Result<(Vec<(&RegionSettings, Catalog)>, usize)> {
        if let Some(region) = region {
            let settings = self.config.region(region)?;
            return Ok((vec![(settings, settings.open_catalog().await?)], 0));
        }
        let mut opened = Vec::new();
        for settings in &self.config.regions {
            match settings.open_catalog().await {
                Ok(catalog) => opened.push((settings, catalog)),
                // With -q, too: the listing is not whole.
                Err(error) => say(skipping(settings, &error)),
            }
        }
        let skipped = self.config.regions.len() - opened.len();
        Ok((opened, skipped))
    }

    /// Opens a catalog in which something is looked for that may be in another.
    async fn open_or_skip(&self, settings: &RegionSettings) -> Option<Catalog> {
        settings.open_catalog().await.inspect_err(|error| self.note(skipping(settings, error))).ok()
    }

    async fn find<T>(
        &self,
        kind: &str,
        id: &impl Display,
        ask: impl AsyncFn(&Catalog) -> Result<Option<T>, CatalogError>,
    ) -> anyhow::Result<Found<'_, T>> {
        let mut skipped = Vec::new();
        for settings in &self.config.regions {
            let Some(catalog) = self.open_or_skip(settings).await else {
                skipped.push(settings.region.as_str());
                continue;
            };
            if let Some(row) = ask(&catalog).await.map_err(EngineError::from)? {
                return Ok(Found { settings, catalog, row });
            }
        }
        Err(unknown(kind, id, &skipped))
    }
}

fn skipping(settings: &RegionSettings, error: &impl Display) -> String {
    format!("{} is skipped: {error}", settings.region)
}

fn unknown(kind: &str, id: &impl Display, skipped: &[&str]) -> anyhow::Error {
    let list = format!("`offsite {kind} ls` shows those there are");
    if skipped.is_empty() {
        return hinted(anyhow::anyhow!("there is no {kind} {id} in any region"), list);
    }
    let skipped = skipped.join(", ");
    let error = anyhow::anyhow!("there is no {kind} {id} in the regions that could be asked");
    hinted(error, format!("it may be in {skipped}, which could not be opened; {list}"))
}
