//! A catalog whose store was given to another one, by a rebuild, publishes and removes nothing any more.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Missing};
use engine::backups::{delete_backup, edit_backup};
use engine::copy::copy_backup;
use engine::gc::{GcOptions, collect};
use engine::rebuild::rebuild;
use engine::verify::{Depth, verify_backup};
use engine::{EngineError, RegionContext};
use model::{BackupId, BackupState, ResourceId};

use crate::support::{TestRegion, account, add, back_up, copy_of, region, scratch, worker};

const COLLECT: GcOptions = GcOptions { grace: Duration::ZERO, dry_run: false };

/// The object that names the catalog that a store belongs to.
const OWNER: &str = "catalog.json";

/// A region of the catalog `old`, a tree that is a resource of it, and two backups of that: one removed, one there.
struct Site {
    folder: tempfile::TempDir,
    region: TestRegion,
    old: Arc<RegionContext>,
    resource: ResourceId,
    kept: BackupId,
}

impl Site {
    async fn new() -> Self {
        let folder = scratch();
        let region = region(folder.path(), "us-east-1").await;
        let old =
            Arc::new(RegionContext { store: region.ctx.store.clone().of_catalog("old"), ..(*region.ctx).clone() });
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let resource = add(&old, &tree).await;
        std::fs::write(tree.join("file"), "of the first day").unwrap();
        let removed = back_up(&old, &resource).await.unwrap();
        std::fs::write(tree.join("file"), "of the second day").unwrap();
        let kept = back_up(&old, &resource).await.unwrap();
        delete_backup(&old, &account(), &removed, None).await.unwrap();
        Self { folder, region, old, resource, kept }
    }

    /// The same region with an empty catalog.
    async fn emptied(&self, id: &str) -> RegionContext {
        let catalog = Catalog::open(&self.region.place.new_catalog(id), Missing::Create).await.unwrap();
        RegionContext { catalog, store: self.old.store.clone().of_catalog(id), ..(*self.old).clone() }
    }

    fn tree(&self) -> &Path {
        self.folder.path()
    }
}

fn assert_disowned<T>(outcome: Result<T, EngineError>) {
    let refused = outcome.map(|_| ()).unwrap_err();
    assert!(refused.is_disowned() && refused.is_worth_retrying(), "{refused:?}");
    assert!(refused.hint().is_some_and(|hint| hint.contains("offsite rebuild --region us-east-1")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_catalog_whose_store_was_rebuilt_publishes_and_removes_nothing() {
    let site = Site::new().await;
    let (old, kept) = (&site.old, &site.kept);
    // gc of the old catalog has something to do, and has begun it.
    old.catalog.doom_unreferenced(None).await.unwrap();
    let doomed = old.catalog.doomed_packs(Duration::ZERO).await.unwrap();
    assert!(!doomed.is_empty());
    for (owner, pack) in &doomed {
        assert!(old.catalog.begin_pack_deletion(owner, &pack.pack_id, Duration::ZERO).await.unwrap());
    }
    let packs = old.store.list_packs(&account()).await.unwrap().len();

    let new = site.emptied("new").await;
    assert_eq!(rebuild(&new).await.unwrap().backups, 1);

    std::fs::write(site.tree().join("tree/file"), "of the third day").unwrap();
    assert_disowned(back_up(old, &site.resource).await);
    assert_disowned(collect(old, COLLECT).await);
    assert_disowned(delete_backup(old, &account(), kept, None).await);
    let there = new.store.list_records().await.unwrap();
    assert_eq!(there, [(account(), kept.clone())], "no record has come, none has gone");
    assert!(old.store.list_packs(&account()).await.unwrap().len() >= packs, "no pack has gone");
    for row in old.catalog.all_backups(&account()).await.unwrap() {
        // Whoever looks at the old catalog sees what is not finished, and nothing that failed for good.
        let standing = (row.state, row.lease_owner);
        assert!(
            matches!(standing, (BackupState::Creating | BackupState::Deleting, None)),
            "{} is {standing:?}",
            row.id
        );
    }

    collect(&new, COLLECT).await.unwrap();
    collect(&new, COLLECT).await.unwrap();
    let verified = verify_backup(&new, &account(), kept, Depth::ReadData, Arc::default()).await.unwrap();
    assert_eq!(verified.faults.len(), 0, "{verified:?}");
    back_up(&new, &site.resource).await.unwrap();
}

/// What was written when the store was taken over may have come too late for the rebuild to see: it is not acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_record_that_is_written_while_the_store_is_taken_over_is_not_published() {
    let site = Site::new().await;
    let (old, kept) = (&site.old, &site.kept);
    let place = &site.region.place;
    let before = place.read(OWNER).await;
    site.emptied("new").await.store.take_over().await.unwrap();
    let after = place.read(OWNER).await;

    let tagged = |row: &mut catalog::BackupRow| row.tags = vec![("tag".to_owned(), "value".to_owned())];
    for day in ["of the third day", "of the fourth day"] {
        place.write(OWNER, before.clone()).await;
        std::fs::write(site.tree().join("tree/file"), day).unwrap();
        site.region.asked.write_with_next_record(OWNER, after.clone());
        assert_disowned(back_up(old, &site.resource).await);
    }
    place.write(OWNER, before).await;
    site.region.asked.write_with_next_record(OWNER, after.clone());
    assert_disowned(edit_backup(old, &account(), kept, tagged).await);
    let available: Vec<BackupId> = old
        .catalog
        .all_backups(&account())
        .await
        .unwrap()
        .into_iter()
        .filter(|row| row.state == BackupState::Available)
        .map(|row| row.id)
        .collect();
    assert_eq!(available, std::slice::from_ref(kept));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_into_a_region_that_was_rebuilt_are_refused_and_wait() {
    let site = Site::new().await;
    let target = region(site.folder.path(), "us-west-2").await;
    let ctx = RegionContext { store: target.ctx.store.clone().of_catalog("old"), ..(*target.ctx).clone() };
    let ctx = Arc::new(ctx);
    ctx.store.check_owner().await.unwrap();
    ctx.store.clone().of_catalog("new").take_over().await.unwrap();
    let (targets, request) = ([Arc::clone(&ctx)], copy_of(site.kept.clone()));
    let copied = copy_backup(&site.old, &targets, &worker(), request, Arc::default()).await;
    let refused = copied.unwrap().remove(0).1.unwrap_err();
    assert!(refused.is_disowned(), "{refused:?}");
    let rows = ctx.catalog.all_backups(&account()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), [BackupState::Copying]);
    assert_eq!(ctx.store.list_records().await.unwrap(), []);
}

/// The last one has the store, whichever has ended first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_rebuilds_at_once_one_has_the_store() {
    let site = Site::new().await;
    let contexts = [site.emptied("one").await, site.emptied("two").await];
    let [one, two] = &contexts;
    let (one, two) = tokio::join!(rebuild(one), rebuild(two));
    let mut owners = Vec::new();
    for (ctx, outcome) in contexts.iter().zip([one, two]) {
        let owns = ctx.store.check_owner().await.is_ok();
        assert!(outcome.is_ok() || !owns, "who has the store has built its catalog: {outcome:?}");
        owners.push(owns);
    }
    assert_eq!(owners.iter().filter(|owns| **owns).count(), 1);
}
