//! Builders: a catalog of its own for each test, backups and packs with telling names.
//!
//! Catalogs are files, or, where the environment names a server of PostgreSQL, schemas of its database.

use std::time::Duration;

use catalog::{
    Catalog, CatalogError, CatalogErrorKind, Fence, LeaseRequest, Missing, NewBackup, NewPack, Published, sqlite_url,
};
use model::{
    AccountId, BackupId, BackupState, DataKeyId, KmsKeyId, ObjectName, Origin, PackId, ResourceKind, SnapshotId,
    Timestamp,
};
use testkit::servers;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

fn server() -> Option<String> {
    servers::named(servers::CATALOGS, 0)
}

/// Whether catalogs are files.
pub(crate) fn is_sqlite() -> bool {
    server().is_none()
}

/// A new catalog, which goes when this is dropped if it is a file.
pub(crate) struct Fresh {
    pub(crate) catalog: Catalog,
    pub(crate) folder: tempfile::TempDir,
    url: String,
}

impl std::ops::Deref for Fresh {
    type Target = Catalog;
    fn deref(&self) -> &Catalog {
        &self.catalog
    }
}

impl Fresh {
    pub(crate) async fn new() -> Self {
        Self::new_in(tempfile::tempdir().unwrap()).await
    }

    /// In memory where the machine has a file system for that: for tests of very many commits.
    pub(crate) async fn new_in_memory() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::new_in(folder.unwrap()).await
    }

    async fn new_in(folder: tempfile::TempDir) -> Self {
        let url = match server() {
            Some(server) => servers::new_schema(&server).unwrap(),
            None => sqlite_url(&folder.path().join("catalog.db")),
        };
        Self { catalog: Catalog::open(&url, Missing::Create).await.unwrap(), folder, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A second process, as far as the database can tell.
    pub(crate) async fn open_again(&self) -> Catalog {
        Catalog::open(self.url(), Missing::Refuse).await.unwrap()
    }

    /// Connects as another process.
    pub(crate) async fn connect(&self) -> sqlx::AnyConnection {
        use sqlx::Connection;
        sqlx::AnyConnection::connect(self.url()).await.unwrap()
    }

    /// Begins to write as another process, until what is returned is closed.
    pub(crate) async fn hold_the_writers_lock(&self) -> sqlx::AnyConnection {
        let mut connection = self.connect().await;
        let begin = if is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN; SELECT 1 FROM writer FOR UPDATE" };
        sqlx::raw_sql(begin).execute(&mut connection).await.unwrap();
        connection
    }

    /// Runs a statement that no method of the catalog would.
    pub(crate) async fn force(&self, sql: &str) {
        let pool = sqlx::AnyPool::connect(self.url()).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// A backup in progress under a lease that runs for an hour.
    pub(crate) async fn begin(&self, number: u8) -> (BackupId, Fence) {
        let fence = self.insert_backup(&new_backup(number), &lease("worker", HOUR)).await.unwrap();
        (backup_id(number), fence)
    }

    /// An available backup that names these packs.
    pub(crate) async fn available(&self, number: u8, packs: &[NewPack]) -> BackupId {
        let (id, fence) = self.begin(number).await;
        self.store(&id, fence, packs).await;
        self.publish(&id, fence, &published()).await.unwrap();
        id
    }

    /// Announces packs and lands them.
    pub(crate) async fn store(&self, id: &BackupId, fence: Fence, packs: &[NewPack]) {
        self.intend_packs(&account(), id, fence, packs).await.unwrap();
        let ids: Vec<PackId> = packs.iter().map(|pack| pack.pack_id).collect();
        self.land_packs(&account(), id, fence, &ids, 0).await.unwrap();
    }

    /// Forgets a pack as the one who has deleted its object, if it is deleting.
    pub(crate) async fn forget(&self, account: &AccountId, pack: &PackId) -> Result<(), CatalogError> {
        match self.claim_pack_removal(account, pack, &lease("gc", Duration::ZERO), None).await? {
            Some(fence) => self.forget_pack(account, pack, fence).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn delete(&self, id: &BackupId) {
        self.begin_delete(&account(), id, None).await.unwrap();
        self.finish_delete(std::slice::from_ref(id)).await.unwrap();
    }

    pub(crate) async fn state(&self, id: &BackupId) -> BackupState {
        self.find_backup(&account(), id).await.unwrap().unwrap().state
    }
}

pub(crate) fn account() -> AccountId {
    "123456789012".parse().unwrap()
}

pub(crate) fn other_account() -> AccountId {
    "210987654321".parse().unwrap()
}

pub(crate) fn backup_id(number: u8) -> BackupId {
    format!("backup-0{number:016x}").parse().unwrap()
}

pub(crate) fn kms_key() -> KmsKeyId {
    "0f0e0d0c-0b0a-4908-8706-050403020100".parse().unwrap()
}

pub(crate) fn lease(owner: &str, ttl: Duration) -> LeaseRequest {
    LeaseRequest { owner: owner.to_owned(), ttl }
}

pub(crate) fn new_backup(number: u8) -> NewBackup {
    NewBackup {
        id: backup_id(number),
        account: account(),
        resource_id: "fs-0123456789abcdef0".parse().unwrap(),
        resource_kind: ResourceKind::Lustre,
        resource_name: Some("projects".to_owned()),
        source: None,
        origin: Origin::User,
        attributes: "{}".to_owned(),
        expires_at: None,
        size_bytes: 0,
        parent_id: None,
        kms_key: kms_key(),
        data_key: DataKeyId([number; 16]),
        wrapped: vec![number; 40],
        request: format!("{{\"number\":{number}}}"),
        tags: vec![("z".to_owned(), "first".to_owned()), ("a".to_owned(), "second".to_owned())],
    }
}

/// Pack `number`, sealed under the data key of backup `number`.
pub(crate) fn pack(number: u8) -> NewPack {
    NewPack {
        pack_id: PackId([number; 16]),
        object_name: ObjectName([number; 32]),
        bytes: 1000 + u64::from(number),
        data_key: DataKeyId([number; 16]),
    }
}

pub(crate) fn published() -> Published {
    Published {
        snapshot_id: SnapshotId([7; 16]),
        parent_id: None,
        completed_at: Timestamp(4_000_000_000_000),
        size_bytes: 1,
        stored_bytes: 2,
        moved_bytes: 3,
        deduplicated_bytes: 4,
        entry_count: 5,
        omission_count: 6,
    }
}

#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(result: Result<T, CatalogError>, kind: CatalogErrorKind) {
    let error = result.expect_err("it should have failed");
    assert!(error.is(kind), "{error:?}");
}
