//! One region's settings, and the opening of its catalog, store and key service.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use catalog::{Catalog, CatalogError, CatalogErrorKind, Missing};
use engine::{EngineError, OwnPlace, RegionContext};
use model::{ByteSize, PackId, Partition, Region, SystemClock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Limits, RegionStore, SeenOwner};

use super::bandwidth::Timetable;
use super::place::{CatalogPlace, KmsPlace, StorePlace, open_bucket, open_service};
use crate::exit::hinted;

/// The fact in a catalog's `meta` table that names its region.
pub(crate) const META_REGION: &str = "region";

/// The fact in a catalog's `meta` table that names the store it was made for.
pub(crate) const META_STORE_ID: &str = "store_id";

/// The fact that tells a catalog from any other, by which a store names the one that it belongs to.
const META_CATALOG_ID: &str = "catalog_id";

/// The id of a catalog, which it is given when it is asked for first.
pub(crate) async fn id_of(catalog: &Catalog) -> Result<String, CatalogError> {
    let new = PackId::random(&mut rand::rng()).to_string();
    catalog.meta_or_set(META_CATALOG_ID, &new).await
}

/// How many requests may be allowed to a store at a time. More than the highest would be as many connections.
const STORE_REQUESTS: RangeInclusive<u32> = 1..=1024;

/// How many bytes these may be allowed to send: one request of the longest, at least.
const STORE_SENT_BYTES: RangeInclusive<u64> = 40 << 20..=64 << 30;

/// A `[[region]]` table as written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegionEntry {
    /// Its name.
    #[schemars(with = "String")]
    pub(crate) name: Region,
    /// The set of regions that copies may not leave, and whose clients find the region: AWS's where it is `aws` or begins with
    /// `aws-`, Tencent's where it is `tencent` or begins with `tencent-`.
    #[schemars(with = "String")]
    pub(crate) partition: Partition,
    /// `file:<directory>`, `s3://<bucket>[/<prefix>][?endpoint=<URL>][&region=<name>]`,
    /// `gs://<bucket>[/<prefix>][?endpoint=<URL>]` or `az://<container>[/<prefix>][?endpoint=<URL>][&account=<name>]`.
    pub(crate) store: String,
    /// `sqlite:<file>`, or `postgres://<user>@<host>/<database>`.
    pub(crate) catalog: String,
    /// `file:<file>`, or `awskms://?[endpoint=<URL>][&region=<name>][&alias=<name>]`.
    pub(crate) kms: String,
    /// A directory for files that live only while a command runs; `scratch` in the region's own.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scratch: Option<PathBuf>,
    /// Where file systems, disks and clusters that callers have made are kept; `resources` in the region's own.
    #[schemars(with = "Option<String>")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<PathBuf>,
    /// How fast copies may come into it: `50MB/s`, or a timetable such as `08:00,10MB/s 18:00,off` (UTC). A change
    /// is taken up while copies run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bandwidth: Option<String>,
    /// Requests of one process to its store that wait for an answer at a time, where the store is a bucket: 1 to 1024;
    /// 64 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) store_requests: Option<u32>,
    /// Bytes that these requests send, such as `1GiB`: 40MiB, which is the longest request, to 64GiB; 512MiB unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) store_sent_bytes: Option<String>,
    /// Whether the S3 service that its bucket is on copies packs itself, from and to other regions there that say the same.
    /// It then vouches for them by its checksums, and no bandwidth bounds them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) server_side_copies: bool,
    /// Whether FSx copies backups neither to it from other regions nor out of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) opt_in: bool,
    /// Whether it has no Windows file systems in several zones, and takes no copies of their backups.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) no_windows_multi_az: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl RegionEntry {
    /// Resolves the paths against the directory of the configuration file.
    pub(crate) fn check(&self, file: &Path) -> anyhow::Result<RegionSettings> {
        let base = file.parent().unwrap_or(Path::new("/"));
        let field = |field| format!("region {}: {field}", self.name);
        let catalog = CatalogPlace::parse(&self.catalog, base).with_context(|| field("catalog"))?;
        let store = StorePlace::parse(&self.store, base).with_context(|| field("store"))?;
        let kms = KmsPlace::parse(&self.kms, base).with_context(|| field("kms"))?;
        let own = match &catalog {
            CatalogPlace::File(file) => file.parent().unwrap_or(base).to_owned(),
            CatalogPlace::Server(_) => base.join(self.name.as_str()),
        };
        let in_own = |given: &Option<PathBuf>, name| given.as_ref().map_or(own.join(name), |given| base.join(given));
        let bandwidth = self.timetable().with_context(|| field("bandwidth"))?;
        let store_limits = self.store_limits(&store)?;
        if self.server_side_copies && store.s3_service().is_none() {
            bail!("region {}: server_side_copies: it is for buckets of S3 services (s3://…)", self.name);
        }
        let scratch = in_own(&self.scratch, "scratch");
        let resources = in_own(&self.resources, "resources");
        Ok(RegionSettings {
            region: self.name.clone(),
            partition: self.partition.clone(),
            store,
            kms,
            catalog,
            scratch,
            resources,
            bandwidth,
            store_limits,
            server_side_copies: self.server_side_copies,
            file: file.to_owned(),
            opt_in: self.opt_in,
            no_windows_multi_az: self.no_windows_multi_az,
            left_out: Arc::default(),
        })
    }

    /// How fast copies may come into it.
    fn timetable(&self) -> anyhow::Result<Timetable> {
        let given = self.bandwidth.as_deref().map_or(Ok(Timetable::UNLIMITED), str::parse);
        given.map_err(anyhow::Error::msg)
    }

    /// How much may be asked of its store at a time.
    fn store_limits(&self, store: &StorePlace) -> anyhow::Result<Limits> {
        let refused = |field: &str, why: String| anyhow::anyhow!("region {}: {field}: {why}", self.name);
        let is_directory = matches!(store, StorePlace::Directory(_));
        for (field, is_set) in
            [("store_requests", self.store_requests.is_some()), ("store_sent_bytes", self.store_sent_bytes.is_some())]
        {
            if is_set && is_directory {
                return Err(refused(field, "it is for buckets, and the store is a directory".to_owned()));
            }
        }
        let requests = self.store_requests.unwrap_or(Limits::DEFAULT.requests);
        if !STORE_REQUESTS.contains(&requests) {
            return Err(refused("store_requests", format!("{requests} is not between 1 and 1024")));
        }
        let sent_bytes = match &self.store_sent_bytes {
            None => Limits::DEFAULT.sent_bytes,
            Some(given) => given.parse::<ByteSize>().map_err(|why| refused("store_sent_bytes", why.to_string()))?.0,
        };
        if !STORE_SENT_BYTES.contains(&sent_bytes) {
            let why = format!("{} is not between 40MiB and 64GiB", ByteSize(sent_bytes));
            return Err(refused("store_sent_bytes", why));
        }
        Ok(Limits { requests, sent_bytes })
    }
}

/// Where the parts of one region are; every path absolute.
#[derive(Clone, Debug)]
pub(crate) struct RegionSettings {
    /// Its name.
    pub(crate) region: Region,
    /// The set of regions that copies may not leave.
    pub(crate) partition: Partition,
    /// Its store.
    pub(crate) store: StorePlace,
    /// Its catalog.
    pub(crate) catalog: CatalogPlace,
    /// Its key service.
    pub(crate) kms: KmsPlace,
    /// A directory for files that live only while a command runs.
    pub(crate) scratch: PathBuf,
    /// Where file systems, disks and clusters that callers have made are kept.
    pub(crate) resources: PathBuf,
    /// How fast copies may come into it.
    pub(crate) bandwidth: Timetable,
    /// How much may be asked of its store at a time.
    pub(crate) store_limits: Limits,
    /// Whether its store's service copies packs itself.
    pub(crate) server_side_copies: bool,
    /// The configuration file that says all this.
    pub(crate) file: PathBuf,
    /// Whether FSx copies backups neither to it from other regions nor out of it.
    pub(crate) opt_in: bool,
    /// Whether it has no Windows file systems in several zones, and takes no copies of their backups.
    pub(crate) no_windows_multi_az: bool,
    /// What backups in it leave out: the places of all regions.
    pub(crate) left_out: Arc<[OwnPlace]>,
}

impl RegionSettings {
    /// Where its store and its catalog are, as far as they are files: they grow with every backup, and a backup of a part that is
    /// written to meanwhile is of no use. Its key file is not among them, which is to be kept elsewhere, too.
    pub(super) fn own_places(&self) -> Vec<OwnPlace> {
        let own = |part: &str, path: &Path| OwnPlace {
            path: path.to_owned(),
            what: format!("the {part} of {}", self.region),
        };
        let mut places = Vec::new();
        if let StorePlace::Directory(directory) = &self.store {
            places.push(own("store", directory));
        }
        if let CatalogPlace::File(file) = &self.catalog {
            for companion in ["", "-wal", "-shm", "-journal"] {
                let mut path = file.clone().into_os_string();
                path.push(companion);
                places.push(own("catalog", Path::new(&path)));
            }
        }
        places
    }

    /// Opens all parts of the region and checks that they belong together.
    pub(crate) async fn open(&self) -> anyhow::Result<RegionContext> {
        let catalog = self.open_catalog().await?;
        self.open_around(catalog).await
    }

    /// Opens the catalog alone, which is enough to look things up.
    pub(crate) async fn open_catalog(&self) -> anyhow::Result<Catalog> {
        let hint = self.rebuild_hint();
        let shown = &self.catalog;
        if matches!(shown, CatalogPlace::File(file) if !file.exists()) {
            return Err(hinted(anyhow::anyhow!("the catalog of {} is missing: {shown}", self.region), hint));
        }
        let opened = Catalog::open(&shown.url(), Missing::Refuse).await;
        let catalog = opened.map_err(|error| self.unusable(error))?;
        let region = catalog.meta(META_REGION).await.map_err(|error| self.unusable(error))?;
        if region.as_deref() == Some(self.region.as_str()) {
            return Ok(catalog);
        }
        let why = region.map_or("has been emptied".to_owned(), |region| format!("is the catalog of {region}"));
        Err(hinted(anyhow::anyhow!("the catalog of {} ({shown}) {why}", self.region), hint))
    }

    fn unusable(&self, error: CatalogError) -> anyhow::Error {
        let is_damaged = error.is(CatalogErrorKind::Corrupt);
        let shown = &self.catalog;
        let error = anyhow::Error::new(EngineError::from(error))
            .context(format!("the catalog of {} ({shown}) cannot be used", self.region));
        if is_damaged { hinted(error, self.rebuild_hint()) } else { error }
    }

    fn rebuild_hint(&self) -> String {
        let region = &self.region;
        match &self.catalog {
            CatalogPlace::File(_) => format!("`offsite rebuild --region {region}` makes a new one from the store"),
            CatalogPlace::Server(_) => format!(
                "`offsite rebuild --region {region}` makes a new one from the store, in an empty database that the \
                 configuration names"
            ),
        }
    }

    /// Opens the rest of the region around its catalog.
    pub(crate) async fn open_around(&self, catalog: Catalog) -> anyhow::Result<RegionContext> {
        let (ctx, owner) = self.open_unchecked(catalog).await?;
        let made_for = ctx.catalog.meta(META_STORE_ID).await.map_err(EngineError::from)?;
        if made_for.as_deref() != Some(ctx.store.store_id()) {
            let error = anyhow::anyhow!("the store of {} is not the one its catalog was made for", self.region);
            let hint = format!(
                "put the right store back at {}, or make a catalog for this one with `offsite rebuild --region {}`",
                self.store, self.region
            );
            return Err(hinted(error, hint));
        }
        ctx.store.check_owner_to_read(owner).await.map_err(EngineError::from)?;
        Ok(ctx)
    }

    /// Opens the store, the key service and the scratch directory around a catalog that may be new. Returns, too, what the
    /// store says of whose it is.
    pub(crate) async fn open_unchecked(&self, catalog: Catalog) -> anyhow::Result<(RegionContext, SeenOwner)> {
        let clock = Arc::new(SystemClock);
        let catalog_id = id_of(&catalog).await.map_err(EngineError::from)?;
        let (store, owner) = self.open_store().await?;
        std::fs::create_dir_all(&self.scratch)
            .with_context(|| format!("failed to make the scratch directory {}", self.scratch.display()))?;
        let ctx = RegionContext {
            region: self.region.clone(),
            partition: self.partition.clone(),
            store: store.of_catalog(&catalog_id),
            catalog,
            keys: self.kms.open(&self.region, clock.clone()).map_err(EngineError::from)?,
            scratch: self.scratch.clone(),
            managed: self.resources.clone(),
            left_out: Arc::clone(&self.left_out),
            pace: super::pacing::follow(self, clock.clone()),
            clock,
        };
        Ok((ctx, owner))
    }

    async fn open_store(&self) -> anyhow::Result<(RegionStore, SeenOwner)> {
        if let StorePlace::Directory(directory) = &self.store
            && !directory.is_dir()
        {
            let error = anyhow::anyhow!("the store of {} is not there: {}", self.region, self.store);
            return Err(hinted(
                error,
                "check that its disk is mounted and that offsite.toml names the right directory",
            ));
        }
        let unusable = || format!("the store of {} cannot be used", self.region);
        let opened = match &self.store {
            StorePlace::Directory(directory) => {
                let inner = self.store.open(self.store_limits).with_context(unusable)?;
                let opened = RegionStore::open_seeing_owner(&self.region, inner).await;
                opened.map(|(store, owner)| (store.in_directory(directory), owner))
            }
            StorePlace::Bucket(address) => {
                let bucket = open_bucket(address, self.store_limits).with_context(unusable)?;
                let service = match self.server_side_copies {
                    true => open_service(address, &bucket).with_context(unusable)?,
                    false => None,
                };
                let opened = RegionStore::open_seeing_owner(&self.region, Arc::clone(&bucket.objects)).await;
                opened.map(|(store, owner)| (store.in_bucket(bucket).in_service(service), owner))
            }
        };
        Ok(opened.map_err(EngineError::from)?)
    }
}
