//! Which backups are kept of a resource, by rules such as one for each of the last seven days.
//!
//! A backup counts by when its contents were taken: a copy does so as its source does, so that the same rules keep the same
//! backups in every region.

use std::collections::BTreeMap;
use std::time::Duration;

use catalog::{BackupRow, Catalog};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, Zoned};
use model::{AccountId, Origin, ResourceId};
use serde::Serialize;

use crate::backups::each_available;
use crate::error::EngineError;

/// What is kept of the backups of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepRules {
    /// The newest so many.
    pub last: u64,
    /// The newest of each of the last so many hours, days, weeks, months or years (UTC) that have one.
    pub periods: Vec<(Period, u64)>,
    /// All that were taken within so long before the newest.
    pub within: Option<Duration>,
    /// All that have one of these tags.
    pub tags: Vec<(String, String)>,
}

/// A span of the calendar, in UTC. Weeks are those of ISO 8601.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// Why a backup is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It is among the newest.
    Last,
    /// It is the newest of an hour.
    Hourly,
    /// It is the newest of a day.
    Daily,
    /// It is the newest of a week.
    Weekly,
    /// It is the newest of a month.
    Monthly,
    /// It is the newest of a year.
    Yearly,
    /// It was taken shortly before the newest.
    Within,
    /// It has a tag.
    Tag,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Last => "last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
            Self::Within => "within",
            Self::Tag => "tag",
        })
    }
}

/// The backups in a region that rules may be applied to, by resource, newest first: all that are available, but for those that
/// go by themselves, and those that their service has made of its own accord and keeps by rules of its own.
///
/// # Errors
/// When the catalog fails.
pub async fn candidates(
    catalog: &Catalog,
    account: &AccountId,
    resource: Option<&ResourceId>,
) -> Result<BTreeMap<ResourceId, Vec<BackupRow>>, EngineError> {
    let mut found: BTreeMap<ResourceId, Vec<BackupRow>> = BTreeMap::new();
    each_available(catalog, account, resource, |row| {
        if row.expires_at.is_none() && row.origin == Origin::User {
            found.entry(row.resource_id.clone()).or_default().push(row);
        }
    })
    .await?;
    for rows in found.values_mut() {
        rows.sort_by(|a, b| (b.taken_at(), &b.id).cmp(&(a.taken_at(), &a.id)));
    }
    Ok(found)
}

/// Why each of the backups of one resource, newest first, is kept; for no reason, if it is not.
pub fn plan(rows: &[BackupRow], rules: &KeepRules) -> Vec<Vec<Reason>> {
    let mut reasons = vec![Vec::new(); rows.len()];
    for (reasons, _) in reasons.iter_mut().zip(0..rules.last) {
        reasons.push(Reason::Last);
    }
    for (period, most) in &rules.periods {
        let mut last = None;
        let firsts = rows.iter().enumerate().filter(|(_, row)| {
            let span = Some(period.of(row));
            std::mem::replace(&mut last, span) != span
        });
        for ((place, _), _) in firsts.zip(0..*most) {
            reasons[place].push(period.reason());
        }
    }
    let newest = rows.first().map_or(0, |row| row.taken_at().0);
    for (row, reasons) in rows.iter().zip(&mut reasons) {
        let age = newest.saturating_sub(row.taken_at().0).unsigned_abs();
        if rules.within.is_some_and(|within| u128::from(age) <= within.as_millis()) {
            reasons.push(Reason::Within);
        }
        if rules.tags.iter().any(|tag| row.tags.contains(tag)) {
            reasons.push(Reason::Tag);
        }
    }
    reasons
}

impl Period {
    /// Which one a backup was taken in.
    fn of(self, row: &BackupRow) -> (i16, i16, i8) {
        let instant = Instant::from_millisecond(row.taken_at().0).unwrap_or(Instant::MIN);
        let time = Zoned::new(instant, TimeZone::UTC);
        match self {
            Self::Hour => (time.year(), time.day_of_year(), time.hour()),
            Self::Day => (time.year(), time.day_of_year(), 0),
            Self::Week => {
                let week = time.date().iso_week_date();
                (week.year(), week.week().into(), 0)
            }
            Self::Month => (time.year(), time.month().into(), 0),
            Self::Year => (time.year(), 0, 0),
        }
    }

    fn reason(self) -> Reason {
        match self {
            Self::Hour => Reason::Hourly,
            Self::Day => Reason::Daily,
            Self::Week => Reason::Weekly,
            Self::Month => Reason::Monthly,
            Self::Year => Reason::Yearly,
        }
    }
}
