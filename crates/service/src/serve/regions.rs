//! The regions of a server: opened when it starts, and again and again while one cannot be; closed when the store has
//! become another catalog's.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::bail;
use engine::{EngineError, RegionContext, describe};
use futures::future::join_all;
use model::{Partition, Region};

use crate::config::{Cloud, RegionSettings};
use crate::exit::hint_of;

/// How long a start waits for regions. Those that take longer are opened while the others are served.
const OPENING_MAX: Duration = Duration::from_secs(5);

/// What takes longer to tell the time is away.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Every region of the configuration.
#[derive(Debug)]
pub(crate) struct Regions(Vec<Slot>);

#[derive(Debug)]
struct Slot {
    settings: RegionSettings,
    /// Whether requests for it are answered here; copies reach the others too.
    served: bool,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
enum State {
    /// It could not be opened yet.
    #[default]
    Away,
    /// Its store belongs to another catalog than the one that is configured.
    Disowned,
    Open(Arc<RegionContext>),
}

/// Why a region has no context here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// The configuration does not have it.
    Unknown,
    /// It could not be opened yet, or had to be closed.
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
            state: RwLock::default(),
        };
        let regions = Self(settings.into_iter().map(slot).collect());
        let opening = join_all(regions.0.iter().map(Slot::open));
        if tokio::time::timeout(OPENING_MAX, opening).await.is_err() {
            let missing = regions.0.iter().filter(|slot| slot.get().is_none());
            missing.for_each(|slot| tracing::warn!(region = %slot.settings.region, "the region does not open yet"));
        }
        Ok(regions)
    }

    /// Tries to open a region that is not open yet. Closes one whose store has become another catalog's, and returns it.
    pub(crate) async fn tend(&self, region: &Region) -> Option<Arc<RegionContext>> {
        let slot = self.0.iter().find(|slot| slot.settings.region == *region)?;
        slot.open().await;
        slot.close_if_disowned().await
    }

    /// Every region whose store belongs to another catalog than the one that is configured.
    pub(crate) fn disowned(&self) -> impl Iterator<Item = &Region> {
        let is_disowned = |slot: &&Slot| slot.state.read().is_ok_and(|state| matches!(*state, State::Disowned));
        self.0.iter().filter(is_disowned).map(|slot| &slot.settings.region)
    }

    /// Whether any region is open whose requests are answered here.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.iter().any(|slot| slot.served && slot.get().is_some())
    }

    /// Every region that is open.
    pub(crate) fn opened(&self) -> Vec<Arc<RegionContext>> {
        self.0.iter().filter_map(Slot::get).collect()
    }

    /// Every region whose requests are answered here.
    pub(crate) fn served(&self) -> impl Iterator<Item = &Region> {
        self.0.iter().filter(|slot| slot.served).map(|slot| &slot.settings.region)
    }

    /// Whether a cloud's requests for a region are answered here.
    pub(crate) fn serves(&self, cloud: Cloud, region: &str) -> bool {
        self.0.iter().any(|slot| slot.served && slot.is_of(cloud) && slot.settings.region.as_str() == region)
    }

    /// Every region there is.
    pub(crate) fn known(&self) -> impl Iterator<Item = &Region> {
        self.0.iter().map(|slot| &slot.settings.region)
    }

    /// Every region of a cloud, with its partition. To the cloud's clients there are no others.
    pub(crate) fn of(&self, cloud: Cloud) -> impl Iterator<Item = (&Region, &Partition)> {
        let of_it = self.0.iter().filter(move |slot| slot.is_of(cloud));
        of_it.map(|slot| (&slot.settings.region, &slot.settings.partition))
    }

    /// A region's settings.
    pub(crate) fn settings(&self, region: &Region) -> Option<&RegionSettings> {
        self.0.iter().map(|slot| &slot.settings).find(|settings| settings.region == *region)
    }

    /// Whether a region of the configuration does not answer.
    pub(crate) async fn is_away(&self, region: &Region) -> bool {
        match self.get(region.as_str()) {
            Err(why) => why == Unserved::Away,
            Ok(ctx) => !matches!(tokio::time::timeout(ANSWER_MAX, ctx.catalog.now()).await, Ok(Ok(_))),
        }
    }

    /// A region's parts.
    pub(crate) fn get(&self, region: &str) -> Result<Arc<RegionContext>, Unserved> {
        let slot = self.0.iter().find(|slot| slot.settings.region.as_str() == region).ok_or(Unserved::Unknown)?;
        slot.get().ok_or(Unserved::Away)
    }
}

impl Slot {
    fn is_of(&self, cloud: Cloud) -> bool {
        cloud.has(&self.settings.partition)
    }

    /// Opens it, if it is not open and can be.
    async fn open(&self) {
        if self.get().is_some() {
            return;
        }
        let region = &self.settings.region;
        match self.settings.open().await {
            Ok(ctx) => self.set(State::Open(Arc::new(ctx))),
            Err(error) => {
                let is_disowned = error.downcast_ref::<EngineError>().is_some_and(EngineError::is_disowned);
                self.set(if is_disowned { State::Disowned } else { State::Away });
                let (hint, error) = (hint_of(&error), format!("{error:#}"));
                tracing::warn!(%region, error, hint, "the region cannot be opened");
            }
        }
    }

    /// Closes it, if the store has become another catalog's, and returns it. What the store does not say now it is asked
    /// again: whatever could do harm asks by itself.
    async fn close_if_disowned(&self) -> Option<Arc<RegionContext>> {
        let ctx = self.get()?;
        let error = EngineError::from(ctx.store.check_owner().await.err()?);
        if !error.is_disowned() {
            return None;
        }
        self.set(State::Disowned);
        let (region, hint) = (&self.settings.region, error.hint());
        tracing::error!(%region, error = describe(&error), hint, "the region is closed");
        Some(ctx)
    }

    fn set(&self, state: State) {
        if let Ok(mut current) = self.state.write() {
            *current = state;
        }
    }

    fn get(&self) -> Option<Arc<RegionContext>> {
        match &*self.state.read().ok()? {
            State::Open(ctx) => Some(Arc::clone(ctx)),
            State::Away | State::Disowned => None,
        }
    }
}
