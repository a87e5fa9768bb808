//! Backups, copies, removals and gc of two regions, all at once: gc takes nothing that any of them needs.
//!
//! What races is not replayed by a seed, but what was asked for is: failures print it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::backups::delete_backup;
use engine::copy::{CopyRequest, copy_backup};
use engine::gc::{GcOptions, collect};
use engine::verify::{Depth, verify_backup};
use engine::{EngineError, ErrorKind, RegionContext, Worker};
use model::{BackupId, BackupState, ResourceId};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::support::{account, add, back_up, copy_of, region, scratch, worker};

const HISTORIES: u64 = 40;
const ROUNDS: usize = 4;
const FILES: u32 = 12;
const FILE_BYTES_MAX: usize = 150_000;

/// Two regions and a tree that is a resource of the first.
struct World {
    folder: tempfile::TempDir,
    regions: [Arc<RegionContext>; 2],
    resource: ResourceId,
    worker: Worker,
    ledger: Mutex<Ledger>,
}

/// What callers were told: by region and id.
#[derive(Debug, Default)]
struct Ledger {
    done: BTreeSet<(usize, BackupId)>,
    deleted: BTreeSet<(usize, BackupId)>,
    copies_refused: usize,
}

/// A piece of work, with what it needs of the seed.
#[derive(Clone, Copy, Debug)]
enum Task {
    Backup,
    Copy { from: usize, pick: usize, reencrypt: bool },
    Delete { region: usize, pick: usize },
    Gc { region: usize },
}

impl World {
    async fn new() -> Self {
        let folder = scratch();
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let regions = [region(folder.path(), "us-east-1").await.ctx, region(folder.path(), "us-west-2").await.ctx];
        let resource = add(&regions[0], &tree).await;
        Self { folder, regions, resource, worker: worker(), ledger: Mutex::default() }
    }

    /// Writes some files anew.
    fn change(&self, rng: &mut StdRng, files: u32) {
        for _ in 0..files {
            let path: PathBuf = self.folder.path().join("tree").join(rng.random_range(0..FILES).to_string());
            let mut bytes = vec![0; rng.random_range(1..FILE_BYTES_MAX)];
            rng.fill_bytes(&mut bytes);
            std::fs::write(path, bytes).unwrap();
        }
    }

    async fn run(&self, task: Task) -> Result<(), EngineError> {
        match task {
            Task::Backup => self.back_up().await,
            Task::Copy { from, pick, reencrypt } => match self.pick(from, pick).await {
                Some(id) => self.copy(from, id, reencrypt).await,
                None => Ok(()),
            },
            Task::Delete { region, pick } => match self.pick(region, pick).await {
                Some(id) => self.delete(region, id).await,
                None => Ok(()),
            },
            Task::Gc { region } => {
                let options = GcOptions { grace: Duration::ZERO, dry_run: false };
                for _ in 0..3 {
                    collect(&self.regions[region], options).await?;
                }
                Ok(())
            }
        }
    }

    /// Some backup that is there now, in whatever state.
    async fn pick(&self, region: usize, pick: usize) -> Option<BackupId> {
        let rows = self.regions[region].catalog.all_backups(&account()).await.unwrap();
        let index = pick.checked_rem(rows.len())?;
        Some(rows[index].id.clone())
    }

    async fn back_up(&self) -> Result<(), EngineError> {
        let id = back_up(&self.regions[0], &self.resource).await?;
        self.ledger.lock().unwrap().done.insert((0, id));
        Ok(())
    }

    async fn copy(&self, from: usize, backup: BackupId, reencrypt: bool) -> Result<(), EngineError> {
        let request = CopyRequest { reencrypt, ..copy_of(backup) };
        let to = 1 - from;
        let targets = [Arc::clone(&self.regions[to])];
        let copied = copy_backup(&self.regions[from], &targets, &self.worker, request, Arc::default()).await;
        match copied.and_then(|mut results| results.remove(0).1) {
            Ok(report) => drop(self.ledger.lock().unwrap().done.insert((to, report.backup.id))),
            Err(error) => {
                self.ledger.lock().unwrap().copies_refused += 1;
                return Err(error);
            }
        }
        Ok(())
    }

    async fn delete(&self, region: usize, id: BackupId) -> Result<(), EngineError> {
        let deleted = delete_backup(&self.regions[region], &account(), &id, None).await;
        if deleted.is_ok() {
            self.ledger.lock().unwrap().deleted.insert((region, id));
        }
        deleted
    }

    /// Everything that was reported done and is not removed can be read, to the last byte.
    async fn verify(&self, seed: u64) {
        let kept: Vec<(usize, BackupId)> = {
            let ledger = self.ledger.lock().unwrap();
            ledger.done.difference(&ledger.deleted).cloned().collect()
        };
        for (region, id) in kept {
            let ctx = &self.regions[region];
            let verified = verify_backup(ctx, &account(), &id, Depth::ReadData, Arc::default()).await;
            let report = verified.unwrap_or_else(|error| panic!("seed {seed}: {id} in {}: {error:?}", ctx.region));
            assert!(report.faults.is_empty(), "seed {seed}: {id} in {}: {:?}", ctx.region, report.faults);
        }
        for ctx in &self.regions {
            for row in ctx.catalog.all_backups(&account()).await.unwrap() {
                let whole = matches!(row.state, BackupState::Available) || row.state.is_in_progress();
                assert!(whole, "seed {seed}: {} in {} is {}: {:?}", row.id, ctx.region, row.state, row.failure);
            }
        }
    }

    /// Removes every backup and collects twice: nothing is left in the stores or the catalogs.
    async fn remove_all(&self, seed: u64) {
        let refused = self.ledger.lock().unwrap().copies_refused;
        for ctx in &self.regions {
            for row in ctx.catalog.all_backups(&account()).await.unwrap() {
                // A copy that was refused half-way holds its source for a while, to be gone on with.
                for hold in ctx.catalog.active_holds(&row.id).await.unwrap() {
                    assert_ne!(refused, 0, "seed {seed}: {} is held by {}, which has ended", row.id, hold.holder);
                    ctx.catalog.release_hold(&row.id, &hold.holder).await.unwrap();
                }
                let deleted = delete_backup(ctx, &account(), &row.id, None).await;
                deleted.unwrap_or_else(|error| panic!("seed {seed}: {} in {}: {error:?}", row.id, ctx.region));
            }
            for _ in 0..2 {
                collect(ctx, GcOptions { grace: Duration::ZERO, dry_run: false }).await.unwrap();
            }
            let objects = ctx.store.list_packs(&account()).await.unwrap();
            assert!(objects.is_empty(), "seed {seed}: left in {}: {objects:?}", ctx.region);
            let known = ctx.catalog.known_objects(&account(), None, 10).await.unwrap();
            assert!(known.is_empty(), "seed {seed}: left in the catalog of {}: {known:?}", ctx.region);
            let records = ctx.store.list_records().await.unwrap();
            assert!(records.is_empty(), "seed {seed}: records left in {}: {records:?}", ctx.region);
        }
    }
}

/// What is done at the same time: gc always, in both regions, by two in each.
fn plan(rng: &mut StdRng) -> Vec<Task> {
    let mut tasks = vec![Task::Backup];
    tasks.extend([0, 1, 0, 1].map(|region| Task::Gc { region }));
    for _ in 0..rng.random_range(3..9) {
        let (region, pick) = (rng.random_range(0..2), rng.random_range(0..1000));
        let task = match rng.random_range(0..8) {
            0 => Task::Backup,
            1..=4 => Task::Copy { from: region, pick, reencrypt: rng.random_bool(0.2) },
            _ => Task::Delete { region, pick },
        };
        tasks.insert(rng.random_range(0..=tasks.len()), task);
    }
    tasks
}

/// Whether a backup that was picked was merely in another state by then: gone, held, or not done.
fn is_refusal(task: Task, error: &EngineError) -> bool {
    match task {
        Task::Backup => error.kind() == ErrorKind::Conflict,
        Task::Copy { .. } | Task::Delete { .. } => matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound),
        Task::Gc { .. } => false,
    }
}

async fn live(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let world = Arc::new(World::new().await);
    world.change(&mut rng, FILES);
    world.back_up().await.unwrap();
    for round in 0..ROUNDS {
        let files = rng.random_range(0..4);
        world.change(&mut rng, files);
        let start = |task| {
            let world = Arc::clone(&world);
            (task, tokio::spawn(async move { world.run(task).await }))
        };
        let running: Vec<_> = plan(&mut rng).into_iter().map(start).collect();
        for (task, running) in running {
            match running.await {
                Ok(Err(error)) if !is_refusal(task, &error) => {
                    panic!("seed {seed}, round {round}, {task:?}: {error:?}")
                }
                Err(panicked) => panic!("seed {seed}, round {round}, {task:?}: {panicked}"),
                Ok(_) => {}
            }
        }
    }
    world.verify(seed).await;
    world.remove_all(seed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn gc_beside_backups_copies_and_removals_harms_none() {
    for seed in 0..HISTORIES {
        live(seed).await;
    }
}
