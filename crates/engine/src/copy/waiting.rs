//! Sources of copies that wait for their target.
//!
//! Whoever is at work on a copy renews the hold on its source. While the target's catalog is away nobody can be, and the copy,
//! of which only that catalog knows, waits: then whoever looks after the source's region renews it.

use std::time::Duration;

use catalog::RunningOut;
use model::Region;

use super::submit::HOLD;
use crate::context::RegionContext;
use crate::error::EngineError;
use crate::lease::RENEWALS_PER_LEASE;

/// A hold that runs out soon has missed a renewal.
const SOON: Duration = Duration::from_secs(HOLD.as_secs() / RENEWALS_PER_LEASE as u64);

/// A hold that nobody renews, and the region that its copy is made in.
#[derive(Debug)]
pub struct Unrenewed {
    hold: RunningOut,
    /// The region.
    pub target: Region,
}

/// Holds of copies on backups of a region that run out soon.
///
/// # Errors
/// When the catalog fails.
pub async fn unrenewed_holds(source: &RegionContext) -> Result<Vec<Unrenewed>, EngineError> {
    let holds = source.catalog.holds_running_out(SOON).await?;
    let of_copy = |hold: RunningOut| {
        let target = hold.holder.split('/').next()?.parse().ok()?;
        Some(Unrenewed { hold, target })
    };
    Ok(holds.into_iter().filter_map(of_copy).collect())
}

/// Renews a hold whose copy waits. One that was released meanwhile stays so.
///
/// # Errors
/// When the catalog fails.
pub async fn renew_hold(source: &RegionContext, unrenewed: &Unrenewed) -> Result<(), EngineError> {
    let RunningOut { backup, holder } = &unrenewed.hold;
    source.catalog.renew_hold(backup, holder, HOLD).await?;
    Ok(())
}
