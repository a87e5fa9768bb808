//! A large copy that several workers share: each pack is sent once, and what one lets lie another sends.

use std::sync::Arc;
use std::time::Duration;

use catalog::LeaseRequest;
use engine::copy::{CopyReport, copy_backup, help_copy};
use engine::verify::{Depth, verify_backup};
use engine::{ErrorKind, Progress, RegionContext, Worker};
use model::BackupId;
use tokio::sync::watch;

use crate::gated_store::GatedStore;
use crate::support::{Place, TestRegion, account, assert_read, copy_of, region, region_with_noise, scratch, worker};

/// Nine packs or so: whoever is kept from writing takes some before that keeps it from reading. Of a bucket it would be so
/// many that the test took minutes, so the target's store is a directory, wherever its catalog is.
const NOISE: usize = 300 << 20;

/// A copy whose holder writes nothing until the gate is opened, and another worker's view of its target.
struct Shared {
    _folder: tempfile::TempDir,
    source: TestRegion,
    backup: BackupId,
    held: Arc<RegionContext>,
    other: Arc<RegionContext>,
    gate: watch::Sender<bool>,
}

impl Shared {
    async fn new() -> Self {
        let folder = scratch();
        let (source, backup) = region_with_noise(folder.path(), NOISE).await;
        let place = Place::new(folder.path(), "us-west-2").in_directory();
        let (gated, gate) = GatedStore::gate(place.objects(), 3);
        let held = place.region_around(gated).await;
        let (catalog, store) = (place.open_catalog().await, place.open_store().await);
        let other = Arc::new(RegionContext { catalog, store, ..RegionContext::clone(&held) });
        Self { _folder: folder, source, backup, held, other, gate }
    }

    /// Copies as the holder of the lease, in parts of one pack.
    async fn copy(&self, progress: &Arc<Progress>) -> CopyReport {
        let worker = Worker { part_packs: 1, ..worker() };
        let targets = [Arc::clone(&self.held)];
        let request = copy_of(self.backup.clone());
        let copied = copy_backup(&self.source.ctx, &targets, &worker, request, Arc::clone(progress)).await;
        copied.unwrap().remove(0).1.unwrap()
    }

    /// The copy, once parts of it are offered to others.
    async fn offered(&self) -> BackupId {
        loop {
            if let Some(id) = self.other.catalog.shared_copies(HELPER).await.unwrap().pop() {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn assert_whole(&self, report: &CopyReport, progress: &Progress) {
        let verified = verify_backup(&self.other, &account(), &report.backup.id, Depth::ReadData, Arc::default()).await;
        assert_eq!(verified.unwrap().faults.len(), 0);
        let packs = self.source.ctx.store.list_packs(&account()).await.unwrap();
        let bytes = packs.iter().map(|(_, bytes)| bytes).sum::<u64>();
        assert_eq!((report.packs_moved, report.bytes_moved), (packs.len() as u64, bytes), "whoever has sent them");
        assert_eq!((progress.done_bytes(), progress.total_bytes()), (bytes, bytes));
        assert_eq!(self.other.catalog.parts_left(&report.backup.id).await.unwrap(), 0);
    }
}

const HELPER: &str = "helper";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn others_send_what_the_holder_has_not_come_to_and_each_pack_is_sent_once() {
    let shared = Shared::new().await;
    shared.source.asked.take_pack_reads();
    let progress = Arc::<Progress>::default();
    let helped = async {
        let id = shared.offered().await;
        let row = shared.other.catalog.find_backup(&account(), &id).await.unwrap().unwrap();
        let helper = Worker { owner: HELPER.to_owned(), ..worker() };
        let sent = help_copy(&shared.source.ctx, &shared.other, &helper, &row, &Arc::default()).await;
        shared.gate.send(true).unwrap();
        sent.unwrap()
    };
    let (report, helped) = tokio::join!(shared.copy(&progress), helped);
    assert!(helped > 0 && helped < report.bytes_moved, "{helped} of {}", report.bytes_moved);
    shared.assert_whole(&report, &progress).await;
    assert_read(&shared.source.asked.take_pack_reads(), 1..=1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_part_that_its_worker_lets_lie_is_sent_by_the_holder() {
    let shared = Shared::new().await;
    let progress = Arc::<Progress>::default();
    let lazy = async {
        let id = shared.offered().await;
        let request = LeaseRequest { owner: HELPER.to_owned(), ttl: Duration::from_millis(100) };
        let part = shared.other.catalog.claim_part(&id, &request).await.unwrap().expect("it is offered");
        shared.gate.send(true).unwrap();
        part
    };
    let (report, part) = tokio::join!(shared.copy(&progress), lazy);
    shared.assert_whole(&report, &progress).await;
    let late = shared.other.catalog.land_packs_of_part(&account(), &part, &[], 0).await;
    assert!(late.is_err_and(|error| error.is(catalog::CatalogErrorKind::LostLease)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_helper_that_cannot_read_the_source_gives_its_part_back() {
    let shared = Shared::new().await;
    let progress = Arc::<Progress>::default();
    let helped = async {
        let id = shared.offered().await;
        let row = shared.other.catalog.find_backup(&account(), &id).await.unwrap().unwrap();
        // Its source is another region, which does not have the packs.
        let folder = scratch();
        let elsewhere = region(folder.path(), "us-east-1").await.ctx;
        let record = shared.source.ctx.store.read_record(&account(), &shared.backup).await.unwrap();
        elsewhere.store.put_record(&record).await.unwrap();
        let helper = Worker { owner: HELPER.to_owned(), ..worker() };
        let helped = help_copy(&elsewhere, &shared.other, &helper, &row, &Arc::default()).await;
        assert_eq!(helped.unwrap_err().kind(), ErrorKind::Damaged);
        assert_eq!(shared.other.catalog.shared_copies(HELPER).await.unwrap(), [id]);
        shared.gate.send(true).unwrap();
    };
    let (report, ()) = tokio::join!(shared.copy(&progress), helped);
    shared.assert_whole(&report, &progress).await;
}
