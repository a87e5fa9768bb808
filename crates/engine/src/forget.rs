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

#[cfg(test)]
mod tests {
    use model::{BackupId, BackupState, DataKeyId, ResourceKind, Timestamp};

    use super::*;

    fn taken(at: &str) -> BackupRow {
        let at: Instant = at.parse().unwrap();
        let created_at = Timestamp(at.as_millisecond());
        BackupRow {
            id: BackupId::random(&mut rand::rng(), ResourceKind::Lustre),
            account: "123456789012".parse().unwrap(),
            resource_id: "fs-0123456789abcdef0".parse().unwrap(),
            resource_kind: ResourceKind::Lustre,
            resource_name: None,
            state: BackupState::Available,
            snapshot_id: None,
            parent_id: None,
            kms_key: "00000000-0000-4000-8000-000000000000".parse().unwrap(),
            data_key: DataKeyId([0; 16]),
            created_at,
            completed_at: Some(created_at),
            source_region: None,
            source_backup: None,
            request: String::new(),
            failure: None,
            size_bytes: 0,
            stored_bytes: 0,
            moved_bytes: 0,
            deduplicated_bytes: 0,
            entry_count: 0,
            omission_count: 0,
            done_bytes: 0,
            total_bytes: 0,
            lease_owner: None,
            lease_fence: catalog::Fence(0),
            lease_expires_at: Timestamp(0),
            origin: Origin::User,
            attributes: "{}".to_owned(),
            tags: Vec::new(),
            expires_at: None,
            source_taken_at: None,
        }
    }

    /// Which of the backups taken then are kept, by their places.
    fn kept(rows: &[BackupRow], rules: &KeepRules) -> Vec<usize> {
        let plan = plan(rows, rules);
        (0..rows.len()).filter(|place| !plan[*place].is_empty()).collect()
    }

    fn by(period: Period, most: u64) -> KeepRules {
        KeepRules { periods: vec![(period, most)], ..KeepRules::default() }
    }

    #[test]
    fn the_newest_of_each_span_that_has_one_is_kept() {
        let rows: Vec<BackupRow> = [
            "2027-01-03T23:59:59Z", // the Sunday of the last ISO week of 2026
            "2027-01-03T23:00:00Z",
            "2027-01-03T22:59:59Z",
            "2027-01-01T00:00:00Z",
            "2026-12-31T23:59:59Z",
            "2026-12-28T00:00:00Z",
            "2026-12-27T00:00:00Z",
            "2025-12-31T12:00:00Z",
        ]
        .map(taken)
        .into();
        let all = u64::MAX;
        assert_eq!(kept(&rows, &by(Period::Hour, all)), [0, 2, 3, 4, 5, 6, 7]);
        assert_eq!(kept(&rows, &by(Period::Day, all)), [0, 3, 4, 5, 6, 7]);
        assert_eq!(kept(&rows, &by(Period::Week, all)), [0, 6, 7]);
        assert_eq!(kept(&rows, &by(Period::Month, all)), [0, 4, 7]);
        assert_eq!(kept(&rows, &by(Period::Year, all)), [0, 4, 7]);
        // Spans that have none do not count.
        assert_eq!(kept(&rows, &by(Period::Day, 3)), [0, 3, 4]);
        assert_eq!(kept(&rows, &by(Period::Year, 2)), [0, 4]);
    }

    #[test]
    fn a_backup_is_kept_for_every_rule_that_names_it_and_forgotten_for_none() {
        let mut rows = ["2026-12-03T00:00:00Z", "2026-12-02T00:00:00Z", "2026-12-01T00:00:00Z"].map(taken);
        rows[2].tags.push(("keep".to_owned(), "yes".to_owned()));
        let rules = KeepRules {
            last: 1,
            periods: vec![(Period::Day, 1), (Period::Month, 5)],
            within: Some(Duration::from_secs(86_400)),
            tags: vec![("keep".to_owned(), "yes".to_owned())],
        };
        use Reason::{Daily, Last, Monthly, Tag, Within};
        let expected = [vec![Last, Daily, Monthly, Within], vec![Within], vec![Tag]];
        assert_eq!(plan(&rows, &rules), expected);
        assert_eq!(plan(&rows, &KeepRules::default()), [const { Vec::new() }; 3]);
        let other_tag = KeepRules { tags: vec![("keep".into(), "no".into())], ..KeepRules::default() };
        assert!(kept(&rows, &other_tag).is_empty());
        assert!(plan(&[], &rules).is_empty());
    }

    #[test]
    fn a_copy_counts_by_when_its_contents_were_taken() {
        let mut rows = ["2026-12-03T00:00:02Z", "2026-12-03T00:00:01Z", "2026-12-03T00:00:00Z"].map(taken);
        assert_eq!(kept(&rows, &by(Period::Day, 7)), [0]);
        let day = 86_400_000;
        for (row, days) in rows.iter_mut().zip([1, 2, 3]) {
            row.source_taken_at = Some(Timestamp(row.created_at.0 - days * day));
        }
        assert_eq!(kept(&rows, &by(Period::Day, 7)), [0, 1, 2]);
        // What no calendar has is a span of its own.
        rows[2].source_taken_at = Some(Timestamp(i64::MIN));
        assert_eq!(kept(&rows, &by(Period::Year, 7)), [0, 2]);
    }
}
