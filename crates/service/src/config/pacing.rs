//! Pacing: the pace of copies into a region follows the clock, and the configuration file when that changes.

use std::path::{Path, PathBuf};
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
    let pace = Arc::new(Pace::new(settings.bandwidth.rate_at(clock.now())));
    let held = Arc::downgrade(&pace);
    let mut followed = Followed {
        region: settings.region.clone(),
        file: settings.file.clone(),
        table: settings.bandwidth.clone(),
        seen_at: None,
        known_at: None,
        refused_at: None,
    };
    tokio::spawn(async move {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            let Some(pace) = held.upgrade() else { break };
            // A file on a mount that hangs is to hold up nothing else.
            let looked = tokio::task::spawn_blocking(move || {
                followed.look();
                followed
            });
            followed = match looked.await {
                Ok(followed) => followed,
                Err(_) => break,
            };
            let rate = followed.table.rate_at(clock.now());
            if pace.set(rate) {
                let rate = rate.map_or_else(|| "unlimited".to_owned(), |rate| format!("{rate}/s"));
                tracing::info!(region = %followed.region, rate, "copies into the region have another bandwidth");
            }
        }
    });
    pace
}

/// What is known of a region's bandwidth.
struct Followed {
    region: Region,
    file: PathBuf,
    table: Timetable,
    /// When the file was changed last, as the look before saw it.
    seen_at: Option<SystemTime>,
    /// When what was read of it last was written; of no time yet, so that the first look reads it again.
    known_at: Option<SystemTime>,
    /// When what could not be read was written: it is said once.
    refused_at: Option<SystemTime>,
}

impl Followed {
    /// Reads the file again if it has changed, and has not changed since the look before: who writes it may be at it still.
    fn look(&mut self) {
        let changed_at = modified(&self.file);
        let is_settled = changed_at == std::mem::replace(&mut self.seen_at, changed_at);
        if changed_at.is_none() || changed_at == self.known_at || !is_settled {
            return;
        }
        match read(&self.file, &self.region) {
            Ok(table) => {
                self.known_at = changed_at;
                self.table = table.unwrap_or_else(|| self.table.clone());
            }
            Err(error) => {
                if std::mem::replace(&mut self.refused_at, changed_at) != changed_at {
                    let error = format!("{error:#}");
                    tracing::warn!(region = %self.region, error, "the configuration's bandwidth is not taken over");
                }
            }
        }
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|meta| meta.modified()).ok()
}

/// What the file says now of that region, if it still has it.
fn read(file: &Path, region: &Region) -> anyhow::Result<Option<Timetable>> {
    let (_, regions) = ConfigFile::parse(&read_text(file)?, file)?;
    Ok(regions.into_iter().find(|settings| settings.region == *region).map(|settings| settings.bandwidth))
}
