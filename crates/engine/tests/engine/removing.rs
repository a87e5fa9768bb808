//! Removals of several backups: all of them or none, and gone on with where they were cut short.

use std::time::Duration;

use engine::backups::delete_backups;
use engine::{ErrorKind, RegionContext};
use model::{BackupId, BackupState};

use crate::support::{account, back_up, region_with_noise, scratch};

async fn states(ctx: &RegionContext, ids: &[BackupId]) -> Vec<Option<BackupState>> {
    let mut states = Vec::new();
    for id in ids {
        states.push(ctx.catalog.find_backup(&account(), id).await.unwrap().map(|row| row.state));
    }
    states
}

/// Of a list of backups the first were removed, and then it failed: at one that had just begun to be copied, or as the
/// store was gone. It could not be repeated either, as the first were unknown by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_of_several_backups_is_refused_as_a_whole_and_can_be_repeated() {
    let folder = scratch();
    let (region, first) = region_with_noise(folder.path(), 1 << 10).await;
    let resource = region.ctx.catalog.find_backup(&account(), &first).await.unwrap().unwrap().resource_id;
    let ids = [first, back_up(&region.ctx, &resource).await.unwrap()];

    region.ctx.catalog.place_hold(&account(), &ids[1], "copy", Duration::from_secs(3600)).await.unwrap();
    let refused = delete_backups(&region.ctx, &account(), &ids).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(states(&region.ctx, &ids).await, [Some(BackupState::Available); 2]);
    region.ctx.catalog.release_hold(&ids[1], "copy").await.unwrap();

    region.asked.refuse();
    let failed = delete_backups(&region.ctx, &account(), &ids).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Denied);
    assert_eq!(states(&region.ctx, &ids).await, [Some(BackupState::Deleting); 2]);

    let back = RegionContext { store: region.place.open_store().await, ..RegionContext::clone(&region.ctx) };
    delete_backups(&back, &account(), &ids).await.unwrap();
    assert_eq!(states(&back, &ids).await, [None; 2]);
    assert_eq!(back.store.list_records().await.unwrap(), []);
}
