//! Placing a copy's packs in the target's catalog: what is there is held on to, what is not is
//! announced before it is written.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use catalog::{NewPack, Standing};
use model::PackId;
use store::PackRef;

use super::plan::plan_copy;
use super::target::TargetJob;
use super::write::Writer;
use crate::backup::pack_ref;
use crate::error::{EngineError, ErrorKind};

/// Packs announced in one transaction, for which all others who write wait.
const BATCH: usize = 512;

/// A pack that something else is at work on is asked for again after this.
const POLL: Duration = Duration::from_millis(100);

/// One object is removed or written well within this; what takes longer has been interrupted.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is left to do for one target.
pub(super) struct Placed {
    pub(super) missing: Vec<PackRef>,
    /// What was missing, until the service of both stores copied it.
    pub(super) by_service: Vec<PackRef>,
    pub(super) packs_held: u64,
    pub(super) bytes_held: u64,
    /// What was held from the start in another form than the source's: sealed anew by an earlier copy.
    held_otherwise: HashMap<PackId, PackRef>,
    /// What was not held at the start. How that lies in the target shows once it has landed.
    lacked: Vec<PackId>,
}

impl Placed {
    pub(super) fn bytes_missing(&self) -> u64 {
        self.missing.iter().map(|pack| pack.bytes).sum()
    }

    pub(super) fn bytes_by_service(&self) -> u64 {
        self.by_service.iter().map(|pack| pack.bytes).sum()
    }

    /// Every pack that the target lacked at first.
    pub(super) fn moved(&self) -> impl Iterator<Item = &PackRef> {
        self.missing.iter().chain(&self.by_service)
    }

    /// The target's pack table: exactly the source's pack ids, each landed.
    ///
    /// # Errors
    /// `Failed` when one has not landed.
    pub(super) async fn landed(&self, job: &TargetJob) -> Result<Vec<PackRef>, EngineError> {
        let rows = job.ctx().catalog.held_packs(job.account(), &self.lacked).await?;
        let landed: HashMap<PackId, PackRef> = rows.iter().map(|row| (row.pack_id, pack_ref(row))).collect();
        if let Some(pack) = self.lacked.iter().find(|pack| !landed.contains_key(pack)) {
            let message = format!("pack {pack} has not landed in {}", job.ctx().region);
            return Err(EngineError::refused(ErrorKind::Failed, message));
        }
        let of_target = |pack: &PackRef| landed.get(&pack.id).or_else(|| self.held_otherwise.get(&pack.id)).copied();
        Ok(job.record.packs.iter().map(|pack| of_target(pack).unwrap_or(*pack)).collect())
    }

    /// Takes in that these are there now.
    pub(super) fn moved_by_service(&mut self, packs: &HashSet<PackId>) {
        self.by_service.extend(self.missing.extract_if(.., |pack| packs.contains(&pack.id)));
    }
}

/// Draws edges to all packs that the target holds, and announces those that it lacks.
pub(super) async fn place(job: &TargetJob) -> Result<Placed, EngineError> {
    let ids: Vec<PackId> = job.record.packs.iter().map(|pack| pack.id).collect();
    let held = job.ctx().catalog.hold_packs(job.account(), job.id(), job.fence(), &ids).await?;
    let rows: HashMap<PackId, PackRef> = held.iter().map(|row| (row.pack_id, pack_ref(row))).collect();
    let (missing, held) = plan_copy(&job.record.packs, |pack| rows.contains_key(pack));
    let mut placed = Placed {
        missing: Vec::new(),
        by_service: Vec::new(),
        packs_held: held.len() as u64,
        bytes_held: held.iter().map(|pack| pack.bytes).sum(),
        held_otherwise: held
            .iter()
            .filter(|pack| rows[&pack.id] != ***pack)
            .map(|pack| (pack.id, rows[&pack.id]))
            .collect(),
        lacked: missing.iter().map(|pack| pack.id).collect(),
    };
    drop(rows);
    // Under a new data key an object's name is not known before it is sealed.
    if job.writer.anew.is_some() {
        placed.missing = missing.into_iter().copied().collect();
        return Ok(placed);
    }
    for batch in missing.chunks(BATCH) {
        let rows: Vec<NewPack> = batch.iter().map(|pack| new_pack(pack)).collect();
        for (pack, standing) in batch.iter().zip(announce(&job.writer, &rows).await?) {
            if standing == Standing::Held {
                placed.packs_held += 1;
                placed.bytes_held += pack.bytes;
            } else {
                placed.missing.push(**pack);
            }
        }
    }
    Ok(placed)
}

pub(super) fn new_pack(pack: &PackRef) -> NewPack {
    NewPack { pack_id: pack.id, object_name: pack.object_name, bytes: pack.bytes, data_key: pack.data_key }
}

/// Announces packs, waiting for those that gc is removing or another copy is sealing anew.
pub(super) async fn announce(writer: &Writer, rows: &[NewPack]) -> Result<Vec<Standing>, EngineError> {
    let started = tokio::time::Instant::now();
    loop {
        let standings = writer.ctx.catalog.intend_packs(&writer.account, &writer.backup, writer.fence(), rows).await?;
        let busy = |standing: &Standing| matches!(standing, Standing::Deleting | Standing::Taken);
        if !standings.iter().any(busy) {
            return Ok(standings);
        }
        if started.elapsed() > PATIENCE {
            let message =
                format!("another piece of work in {} has begun with a pack that this copy needs", writer.ctx.region);
            let hint = format!("finish it (or run `offsite gc --region {}`), then run this again", writer.ctx.region);
            return Err(EngineError::refused(ErrorKind::Unavailable, message).with_hint(hint));
        }
        tokio::time::sleep(POLL).await;
    }
}
