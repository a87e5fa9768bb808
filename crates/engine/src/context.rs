//! A region as the engine sees it: its catalog, its store and its key service.

use std::path::PathBuf;
use std::sync::Arc;

use catalog::Catalog;
use model::{Clock, Partition, Region};
use store::{KeyService, RegionStore};

use crate::pace::Pace;

/// A place that no backup has: a part of a region, of this one or of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPlace {
    /// Where it is. There need not be anything yet.
    pub path: PathBuf,
    /// What it is, e.g. `the store of us-east-1`.
    pub what: String,
}

/// One region's three parts, and where and how fast work may be done in it.
#[derive(Clone, Debug)]
pub struct RegionContext {
    /// Its name.
    pub region: Region,
    /// The set of regions that copies may not leave.
    pub partition: Partition,
    /// Its bytes.
    pub store: RegionStore,
    /// Its rows.
    pub catalog: Catalog,
    /// What wraps its data keys.
    pub keys: Arc<dyn KeyService>,
    /// An existing directory for files that live only while a command runs.
    pub scratch: PathBuf,
    /// Where directories and images that callers have made are kept; made when it is needed.
    pub managed: PathBuf,
    /// What backups leave out where they meet it.
    pub left_out: Arc<[OwnPlace]>,
    /// How fast copies may come into it, those of this process together.
    pub pace: Arc<Pace>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}
