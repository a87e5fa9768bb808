//! Bringing a region up to date with another.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::Terms;
use engine::copy::{Brought, CopyRequest, accept_copy, accept_missing, copy_missing, find_missing};
use engine::{Acceptance, ErrorKind, RegionContext, Worker};
use model::{BackupId, BackupState};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::support::{account, add, back_up, copy_of, region, region_with_noise, scratch, worker};

/// What `target` lacks, oldest first.
async fn missing(source: &RegionContext, target: &RegionContext) -> Vec<BackupId> {
    let missing = find_missing(source, target, &account(), None).await.unwrap();
    missing.backups.into_iter().map(|(_, id)| id).collect()
}

async fn bring(source: &Arc<RegionContext>, target: &Arc<RegionContext>, request: CopyRequest) -> Brought {
    let targets = [Arc::clone(target)];
    let mut brought = copy_missing(source, &targets, &worker(), request, Arc::default()).await.unwrap();
    brought.pop().unwrap().1.unwrap()
}

/// Whatever the order in which regions are brought up to date from each other, each ends with every backup once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn regions_that_are_brought_up_to_date_from_each_other_have_each_backup_once() {
    let seed = rand::rng().next_u64();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let folder = scratch();
    let mut regions = Vec::new();
    for name in ["us-west-2", "eu-west-1", "eu-central-1"] {
        let ctx = region(folder.path(), name).await.ctx;
        let tree = folder.path().join(format!("tree-of-{name}"));
        std::fs::create_dir(&tree).unwrap();
        std::fs::write(tree.join("file"), name).unwrap();
        let resource = add(&ctx, &tree).await;
        for _ in 0..2 {
            back_up(&ctx, &resource).await.unwrap();
        }
        regions.push(ctx);
    }
    let mut pairs = Vec::new();
    for from in &regions {
        pairs.extend(regions.iter().filter(|to| to.region != from.region).map(|to| (from, to)));
    }
    for _ in 0..3 {
        pairs.shuffle(&mut random);
        for (from, to) in &pairs {
            for id in missing(from, to).await {
                assert!(matches!(bring(from, to, copy_of(id)).await, Brought::Copied(_)));
            }
            assert_eq!(missing(from, to).await, []);
        }
    }
    for ctx in &regions {
        let mut snapshots: BTreeMap<_, usize> = BTreeMap::new();
        for row in ctx.catalog.all_backups(&account()).await.unwrap() {
            *snapshots.entry(row.snapshot_id.unwrap().0).or_default() += 1;
        }
        assert!(snapshots.len() == 6 && snapshots.values().all(|times| *times == 1), "{}: {snapshots:?}", ctx.region);
    }
}

#[tokio::test]
async fn what_came_from_the_target_stays_where_it_is_even_once_it_is_removed_there() {
    let folder = scratch();
    let (source, backup) = region_with_noise(folder.path(), 1 << 20).await;
    let target = region(folder.path(), "us-west-2").await.ctx;
    assert!(matches!(bring(&source.ctx, &target, copy_of(backup.clone())).await, Brought::Copied(_)));
    engine::backups::delete_backup(&source.ctx, &account(), &backup, None).await.unwrap();
    assert_eq!(missing(&target, &source.ctx).await, []);
    // To a third region it is as good as any, and from there, too, it does not come back.
    let third = region(folder.path(), "eu-west-1").await.ctx;
    let lacked = missing(&target, &third).await;
    assert_eq!(lacked.len(), 1);
    assert!(matches!(bring(&target, &third, copy_of(lacked[0].clone())).await, Brought::Copied(_)));
    let found = find_missing(&third, &source.ctx, &account(), None).await.unwrap();
    assert_eq!((found.backups.len(), found.own), (0, 1));
    // Of several copies of one backup one is enough.
    let request = copy_of(lacked[0].clone());
    engine::copy::copy_backup(&target, &[Arc::clone(&third)], &worker(), request, Arc::default()).await.unwrap();
    let fourth = region(folder.path(), "eu-central-1").await.ctx;
    assert_eq!(missing(&third, &fourth).await.len(), 1);
    // Nor is one brought anywhere that has come to its end and was not removed yet.
    let ended = missing(&third, &fourth).await;
    let now = third.catalog.now().await.unwrap();
    for row in third.catalog.all_backups(&account()).await.unwrap() {
        engine::backups::edit_backup(&third, &account(), &row.id, |row| row.expires_at = Some(now)).await.unwrap();
    }
    assert_eq!(missing(&third, &fourth).await, []);
    assert!(accept_missing(&third, &fourth, &worker(), &copy_of(ended[0].clone())).await.unwrap().is_none());
    // What has been removed since it was found missing is brought nowhere.
    let none = copy_missing(&source.ctx, &[third], &worker(), copy_of(backup), Arc::default()).await.unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn an_interrupted_copy_is_gone_on_with_whatever_it_was_asked_for_with_and_one_at_work_is_left_alone() {
    let folder = scratch();
    let (source, backup) = region_with_noise(folder.path(), 1 << 20).await;
    let source = source.ctx;
    let target = region(folder.path(), "us-west-2").await.ctx;
    let asked = CopyRequest { reencrypt: true, tags: vec![("a".into(), "1".into())], ..copy_of(backup.clone()) };
    let another = Worker { owner: "another/boot/pid:[1]/1/1".to_owned(), ..worker() };
    let accepted = accept_copy(&source, &target, &another, &asked, &Terms::default()).await.unwrap();
    let Acceptance::New(job) = accepted else { panic!("it is new") };
    let id = job.id().clone();

    assert_eq!(missing(&source, &target).await, std::slice::from_ref(&backup), "it is not there yet");
    match bring(&source, &target, copy_of(backup.clone())).await {
        Brought::UnderWay(copy) => assert_eq!(copy, id),
        other => panic!("{other:?}"),
    }
    job.leave().await.unwrap();
    // Servers will go on with it.
    assert!(accept_missing(&source, &target, &worker(), &copy_of(backup.clone())).await.unwrap().is_none());
    match bring(&source, &target, copy_of(backup.clone())).await {
        Brought::Copied(report) => assert_eq!((&report.backup.id, &report.backup.tags), (&id, &asked.tags)),
        other => panic!("{other:?}"),
    }
    assert_eq!(missing(&source, &target).await, []);
    assert!(matches!(bring(&source, &target, copy_of(backup)).await, Brought::There));
    assert_eq!(target.catalog.all_backups(&account()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_copy_that_failed_is_made_anew_and_partitions_are_kept() {
    let folder = scratch();
    let (source, backup) = region_with_noise(folder.path(), 1 << 20).await;
    let source = source.ctx;
    let target = region(folder.path(), "us-west-2").await.ctx;
    let accepted = accept_copy(&source, &target, &worker(), &copy_of(backup.clone()), &Terms::default()).await;
    let Acceptance::New(job) = accepted.unwrap() else { panic!("it is new") };
    let id = job.id().clone();
    job.leave().await.unwrap();
    let request = catalog::LeaseRequest { owner: "test".to_owned(), ttl: std::time::Duration::ZERO };
    let fence = target.catalog.claim(&id, &request, None).await.unwrap().unwrap();
    target.catalog.fail(&id, fence, "a test has it fail").await.unwrap();
    assert!(matches!(bring(&source, &target, copy_of(backup)).await, Brought::Copied(_)));
    let states: Vec<_> = target.catalog.all_backups(&account()).await.unwrap().iter().map(|row| row.state).collect();
    assert_eq!(states, [BackupState::Failed, BackupState::Available]);

    let elsewhere = RegionContext { partition: "aws-cn".parse().unwrap(), ..RegionContext::clone(&target) };
    let refused = find_missing(&source, &elsewhere, &account(), None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}
