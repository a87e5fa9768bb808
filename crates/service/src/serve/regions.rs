//! The regions of a server: opened when it starts, and again and again while one cannot be.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::bail;
use engine::RegionContext;
use futures::future::join_all;
use model::{Partition, Region};

use crate::config::RegionSettings;

/// How long a start waits for regions. Those that take longer are opened while the others are served.
const OPENING_MAX: Duration = Duration::from_secs(5);

/// Every region of the configuration.
#[derive(Debug)]
pub(crate) struct Regions(Vec<Slot>);

#[derive(Debug)]
struct Slot {
    settings: RegionSettings,
    /// Whether requests for it are answered here; copies reach the others too.
    served: bool,
    opened: RwLock<Option<Arc<RegionContext>>>,
}

/// Why a region has no context here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// The configuration does not have it.
    Unknown,
    /// It could not be opened yet.
    Away,
}

impl Regions {
    /// Opens what can be opened; `served` names those whose requests are answered, all where none is named.
    pub(crate) async fn open(settings: Vec<RegionSettings>, served: &[Region]) -> anyhow::Result<Self> {
        if let Some(unknown) = served.iter().find(|name| settings.iter().all(|known| known.region != **name)) {
            bail!("there is no region {unknown} in the configuration");
        }
        let slot = |settings: RegionSettings| Slot {
            served: served.is_empty() || served.contains(&settings.region),
            settings,
            opened: RwLock::default(),
        };
        let regions = Self(settings.into_iter().map(slot).collect());
        let opening = join_all(regions.0.iter().map(Slot::open));
        if tokio::time::timeout(OPENING_MAX, opening).await.is_err() {
            let missing = regions.0.iter().filter(|slot| slot.get().is_none());
            missing.for_each(|slot| tracing::warn!(region = %slot.settings.region, "the region does not open yet"));
        }
        Ok(regions)
    }

    /// Tries to open a region that is not open yet.
    pub(crate) async fn open_missing(&self, region: &Region) {
        if let Some(slot) = self.0.iter().find(|slot| slot.settings.region == *region) {
            slot.open().await;
        }
    }

    /// Every region that is open.
    pub(crate) fn opened(&self) -> Vec<Arc<RegionContext>> {
        self.0.iter().filter_map(Slot::get).collect()
    }

    /// Every region whose requests are answered here.
    pub(crate) fn served(&self) -> impl Iterator<Item = &Region> {
        self.0.iter().filter(|slot| slot.served).map(|slot| &slot.settings.region)
    }

    /// Whether requests for a region are answered here.
    pub(crate) fn serves(&self, region: &str) -> bool {
        self.served().any(|known| known.as_str() == region)
    }

    /// Names and partitions of all regions there are.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&Region, &Partition)> {
        self.0.iter().map(|slot| (&slot.settings.region, &slot.settings.partition))
    }

    /// A region's settings.
    pub(crate) fn settings(&self, region: &Region) -> Option<&RegionSettings> {
        self.0.iter().map(|slot| &slot.settings).find(|settings| settings.region == *region)
    }

    /// A region's parts.
    pub(crate) fn get(&self, region: &str) -> Result<Arc<RegionContext>, Unserved> {
        let slot = self.0.iter().find(|slot| slot.settings.region.as_str() == region).ok_or(Unserved::Unknown)?;
        slot.get().ok_or(Unserved::Away)
    }
}

impl Slot {
    /// Opens it, if it is not open and can be.
    async fn open(&self) {
        if self.get().is_some() {
            return;
        }
        match self.settings.open().await {
            Ok(ctx) => {
                if let Ok(mut opened) = self.opened.write() {
                    *opened = Some(Arc::new(ctx));
                }
            }
            Err(error) => {
                let region = &self.settings.region;
                tracing::warn!(%region, error = format!("{error:#}"), "the region cannot be opened");
            }
        }
    }

    fn get(&self) -> Option<Arc<RegionContext>> {
        self.opened.read().ok().and_then(|opened| opened.clone())
    }
}
