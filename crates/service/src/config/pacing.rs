//! Pacing: the pace of copies into a region follows the clock, and the configuration file when that changes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use engine::Pace;
use model::{Clock, Region};

use super::bandwidth::Timetable;
use super::{ConfigFile, RegionSettings, read_text};

/// How soon a change is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The pace of a region. It changes by itself for as long as anyone has it.
pub(super) fn follow(settings: &RegionSettings, clock: Arc<dyn Clock>) -> Arc<Pace> {
    let mut table = settings.bandwidth.clone();
    let pace = Arc::new(Pace::new(table.rate_at(clock.now())));
    let (held, region, file) = (Arc::downgrade(&pace), settings.region.clone(), settings.file.clone());
    tokio::spawn(async move {
        // Of no time yet: the first look reads it again.
        let mut known_at = None;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let Some(pace) = held.upgrade() else { break };
            let changed_at = modified(&file);
            if changed_at.is_some() && changed_at != known_at {
                known_at = changed_at;
                match read(&file, &region) {
                    Ok(Some(read)) => table = read,
                    Ok(None) => {}
                    Err(error) => {
                        let error = format!("{error:#}");
                        tracing::warn!(%region, error, "the configuration's bandwidth is not taken over");
                    }
                }
            }
            let rate = table.rate_at(clock.now());
            if pace.set(rate) {
                let rate = rate.map_or_else(|| "unlimited".to_owned(), |rate| format!("{rate}/s"));
                tracing::info!(%region, rate, "copies into the region have another bandwidth");
            }
        }
    });
    pace
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|meta| meta.modified()).ok()
}

/// What the file says now of that region, if it still has it.
fn read(file: &Path, region: &Region) -> anyhow::Result<Option<Timetable>> {
    let (_, regions) = ConfigFile::parse(&read_text(file)?, file)?;
    Ok(regions.into_iter().find(|settings| settings.region == *region).map(|settings| settings.bandwidth))
}
