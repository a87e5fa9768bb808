//! Whose a store is: one catalog's at a time, which `catalog.json` names.
//!
//! To a catalog, what no row of its own names is garbage, so two of one store would remove each other's backups. A
//! catalog that is made anew from the store names itself there before it reads anything; one that is named no more
//! publishes and removes nothing. It looks before each of these, and once more before it says that it is done: if the
//! store was still its own then, whoever takes the store over has yet to read it, and will see what was written.

use std::sync::Arc;

use model::Region;
use model::effect::effect;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode};
use serde::{Deserialize, Serialize};

use super::{RegionStore, wrap};
use crate::error::{StoreError, StoreErrorKind};

const OWNER_KEY: &str = "catalog.json";
const OWNER_VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct OwnerFile {
    format: String,
    version: u32,
    store_id: String,
    catalog_id: String,
    /// BLAKE3 over the other fields, so that a damaged file does not name a catalog that is none.
    checksum: String,
}

impl OwnerFile {
    fn new(store_id: &str, catalog_id: &str) -> Self {
        let mut file = Self {
            format: "offsite catalog".to_owned(),
            version: OWNER_VERSION,
            store_id: store_id.to_owned(),
            catalog_id: catalog_id.to_owned(),
            checksum: String::new(),
        };
        file.checksum = file.digest();
        file
    }

    fn digest(&self) -> String {
        let text = format!("{}\n{}\n{}\n{}", self.format, self.version, self.store_id, self.catalog_id);
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }
}

/// What a store says of whose it is.
#[derive(Debug)]
pub struct SeenOwner(Result<Option<OwnerFile>, StoreError>);

impl RegionStore {
    /// [`RegionStore::open`], and what the store says at the same time of whose it is, for
    /// [`RegionStore::check_owner_to_read`]: over a long line each question takes a while.
    ///
    /// # Errors
    /// As those of [`RegionStore::open`].
    pub async fn open_seeing_owner(
        region: &Region,
        inner: Arc<dyn ObjectStore>,
    ) -> Result<(Self, SeenOwner), StoreError> {
        let store = Self::unopened(region, inner);
        let (file, owner) = tokio::join!(store.read_format(), store.read_owner());
        Ok((store.opened(file?), SeenOwner(owner)))
    }

    /// Tells on behalf of which catalog the store is opened, by the id that the catalog was given when it was made.
    #[must_use]
    pub fn of_catalog(mut self, catalog_id: &str) -> Self {
        self.catalog_id = Some(catalog_id.into());
        self
    }

    /// Makes the store that of the catalog it was opened for, whosever it was.
    ///
    /// Of two that do so at once it is the last one's, and the other one's [`RegionStore::check_owner`] says so.
    ///
    /// # Errors
    /// Any [`StoreErrorKind`] but `NotFound`, `Corrupt` and `Disowned`.
    pub async fn take_over(&self) -> Result<(), StoreError> {
        self.still_there().await?;
        let Some(catalog_id) = &self.catalog_id else { return Ok(()) };
        effect("store.take_over.before");
        self.write(&Path::from(OWNER_KEY), self.owned_by(catalog_id).into(), "write").await?;
        effect("store.take_over.after");
        Ok(())
    }

    /// Checks that the store is [still there](RegionStore::still_there) and belongs to the catalog it was opened for.
    ///
    /// A store that names no catalog, as it was made before there was such a file, becomes that of the first one that
    /// asks.
    ///
    /// # Errors
    /// [`StoreErrorKind::Disowned`] when it belongs to another. [`StoreErrorKind::Unavailable`] when it is not there, and when
    /// the file is damaged: what would be published waits until a rebuild has written it anew.
    pub async fn check_owner(&self) -> Result<(), StoreError> {
        if self.catalog_id.is_none() {
            return self.still_there().await;
        }
        let seen = SeenOwner(self.read_owner().await);
        self.compare_owner(seen).await.map_err(|error| match error.kind {
            StoreErrorKind::Corrupt => StoreError { kind: StoreErrorKind::Unavailable, ..error },
            _ => error,
        })
    }

    /// [`RegionStore::check_owner`] for one who is about to read, by what was seen when the store was opened: a store that
    /// takes no writes cannot be made this catalog's, one whose file is damaged is nobody else's, and neither is harmed by
    /// being read.
    ///
    /// # Errors
    /// As those of [`RegionStore::check_owner`].
    pub async fn check_owner_to_read(&self, seen: SeenOwner) -> Result<(), StoreError> {
        match self.compare_owner(seen).await {
            Err(error)
                if matches!(error.kind, StoreErrorKind::Full | StoreErrorKind::Denied | StoreErrorKind::Corrupt) =>
            {
                Ok(())
            }
            compared => compared,
        }
    }

    async fn compare_owner(&self, seen: SeenOwner) -> Result<(), StoreError> {
        let Some(catalog_id) = &self.catalog_id else { return Ok(()) };
        let owner = match seen.0? {
            Some(owner) => owner,
            None => self.adopt(catalog_id).await?,
        };
        if *owner.store_id != *self.store_id {
            return Err(self.fault(StoreErrorKind::Unavailable, "recognize", OWNER_KEY, "it is of another store"));
        }
        if *owner.catalog_id != **catalog_id {
            let cause = format!("it names the catalog {}, and this one is {catalog_id}", owner.catalog_id);
            return Err(self.fault(StoreErrorKind::Disowned, "use", OWNER_KEY, &cause));
        }
        Ok(())
    }

    async fn adopt(&self, catalog_id: &Arc<str>) -> Result<OwnerFile, StoreError> {
        // A file that is missing because the whole store is says nothing.
        self.still_there().await?;
        effect("store.adopt.before");
        let put =
            self.inner.put_opts(&Path::from(OWNER_KEY), self.owned_by(catalog_id).into(), PutMode::Create.into()).await;
        match put {
            // Another catalog may have been quicker.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(wrap(&self.region, "write", OWNER_KEY, error)),
        }
        effect("store.adopt.after");
        let owner = self.read_owner().await?;
        owner.ok_or_else(|| self.fault(StoreErrorKind::Unavailable, "read", OWNER_KEY, "it does not stay"))
    }

    fn owned_by(&self, catalog_id: &str) -> Vec<u8> {
        serde_json::to_vec_pretty(&OwnerFile::new(&self.store_id, catalog_id)).expect("serializing to memory")
    }

    async fn read_owner(&self) -> Result<Option<OwnerFile>, StoreError> {
        let bytes = match self.get(OWNER_KEY).await {
            Ok(bytes) => bytes,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(wrap(&self.region, "read", OWNER_KEY, error)),
        };
        let bad = |why: &str| {
            let why = format!("{why}; `offsite rebuild` writes it anew");
            self.fault(StoreErrorKind::Corrupt, "read", OWNER_KEY, &why)
        };
        let file: OwnerFile = serde_json::from_slice(&bytes).map_err(|e| bad(&e.to_string()))?;
        match &file {
            f if f.checksum != f.digest() => Err(bad("its checksum does not match")),
            f if f.format != "offsite catalog" || f.version != OWNER_VERSION => Err(bad("it is of another version")),
            _ => Ok(Some(file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;
    use crate::region_store::open_directory;

    async fn stores() -> (tempfile::TempDir, [RegionStore; 2]) {
        let region: Region = "us-east-1".parse().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let local = open_directory(directory.path()).unwrap();
        let remote: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let stores = [
            RegionStore::create(&region, local, "local").await.unwrap().in_directory(directory.path()),
            RegionStore::create(&region, remote, "remote").await.unwrap(),
        ];
        (directory, stores)
    }

    fn kind(checked: Result<(), StoreError>) -> Option<StoreErrorKind> {
        checked.err().map(|error| error.kind)
    }

    #[tokio::test]
    async fn a_store_is_the_first_catalogs_until_another_takes_it_over() {
        let (_directory, stores) = stores().await;
        for store in stores {
            let [first, second] = ["first", "second"].map(|id| store.clone().of_catalog(id));
            first.check_owner().await.unwrap();
            assert_eq!(kind(second.check_owner().await), Some(StoreErrorKind::Disowned));
            first.check_owner().await.unwrap();
            second.take_over().await.unwrap();
            second.check_owner().await.unwrap();
            assert_eq!(kind(first.check_owner().await), Some(StoreErrorKind::Disowned));
            assert_eq!(store.list_accounts().await.unwrap(), [], "it is nobody's backup");
        }
    }

    #[tokio::test]
    async fn what_was_seen_when_it_was_opened_says_whose_a_store_is() {
        let (_directory, stores) = stores().await;
        for store in stores {
            let open = || RegionStore::open_seeing_owner(&store.region, Arc::clone(&store.inner));
            let (first, seen) = open().await.unwrap();
            first.of_catalog("first").check_owner_to_read(seen).await.unwrap();
            let (second, seen) = open().await.unwrap();
            let refused = second.of_catalog("second").check_owner_to_read(seen).await;
            assert_eq!(kind(refused), Some(StoreErrorKind::Disowned));
        }
    }

    #[tokio::test]
    async fn a_store_that_is_not_there_is_nobodys() {
        let (_directory, stores) = stores().await;
        for store in stores {
            store.inner.delete(&Path::from("format.json")).await.unwrap();
            let store = store.of_catalog("first");
            assert_eq!(kind(store.check_owner().await), Some(StoreErrorKind::Unavailable));
            assert_eq!(kind(store.take_over().await), Some(StoreErrorKind::Unavailable));
            assert!(store.read_owner().await.unwrap().is_none(), "nothing is written where no store is");
        }
    }

    #[tokio::test]
    async fn a_damaged_name_is_noticed_and_mended_by_who_takes_over() {
        let (_directory, stores) = stores().await;
        for store in stores {
            let store = store.of_catalog("first");
            store.check_owner().await.unwrap();
            for damaged in ["", "{}", &String::from_utf8(store.owned_by("first")).unwrap().replace("first", "other")] {
                store.inner.put(&Path::from(OWNER_KEY), damaged.to_owned().into()).await.unwrap();
                assert_eq!(kind(store.check_owner().await), Some(StoreErrorKind::Unavailable), "{damaged}");
                let (_, seen) = RegionStore::open_seeing_owner(&store.region, Arc::clone(&store.inner)).await.unwrap();
                store.check_owner_to_read(seen).await.unwrap();
            }
            store.take_over().await.unwrap();
            store.check_owner().await.unwrap();
        }
    }
}
