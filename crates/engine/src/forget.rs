//! Which backups are kept of a resource, by rules such as one for each of the last seven days.
//!
//! Contents count once, and by when they were taken: a copy does so as its source does, and goes and stays with the other copies
//! of the same contents in its region.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use catalog::{BackupRow, Catalog};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, Zoned};
use model::{AccountId, BackupId, Origin, ResourceId, SnapshotId, Timestamp};
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
    /// All that were taken within so long before the newest, or after it by a clock that was wrong.
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
    /// Other accounts may read it.
    Shared,
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
            Self::Shared => "shared",
        })
    }
}

/// A backup that rules may be applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: BackupId,
    /// When its contents were asked for.
    pub taken_at: Timestamp,
    /// Which contents it holds.
    pub snapshot: Option<SnapshotId>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// The backups in a region that rules may be applied to, by resource, newest first: all that are available, but for those that
/// go by themselves, those that their service has made of its own accord and keeps by rules of its own, and copies that do not
/// tell when their contents were taken.
///
/// # Errors
/// When the catalog fails.
pub async fn candidates(
    catalog: &Catalog,
    account: &AccountId,
    resource: Option<&ResourceId>,
) -> Result<BTreeMap<ResourceId, Vec<Candidate>>, EngineError> {
    let mut found: BTreeMap<ResourceId, Vec<Candidate>> = BTreeMap::new();
    each_available(catalog, account, resource, |row| {
        let (BackupRow { id, snapshot_id: snapshot, .. }, taken_at) = (&row, row.taken_at());
        if let (Some(taken_at), None, Origin::User) = (taken_at, row.expires_at, row.origin) {
            let candidate = Candidate { id: id.clone(), taken_at, snapshot: *snapshot, tags: row.tags };
            found.entry(row.resource_id).or_default().push(candidate);
        }
    })
    .await?;
    for rows in found.values_mut() {
        rows.sort_by(|a, b| (b.taken_at, &b.id).cmp(&(a.taken_at, &a.id)));
    }
    Ok(found)
}

/// Adds that those are kept that no rule names and that other accounts may read.
///
/// # Errors
/// When the catalog fails.
pub async fn keep_shared(catalog: &Catalog, rows: &[Candidate], plan: &mut [Vec<Reason>]) -> Result<(), EngineError> {
    for (row, reasons) in rows.iter().zip(plan).filter(|(_, reasons)| reasons.is_empty()) {
        let is_shared = !catalog.list_shares(&row.id).await?.is_empty();
        if is_shared || catalog.find_backup_policy(&row.id).await?.is_some() {
            reasons.push(Reason::Shared);
        }
    }
    Ok(())
}

/// Why each of the backups of one resource, newest first, is kept; for no reason, if it is not.
///
/// Those with the same contents count as one, which is kept if any of them is.
pub fn plan(rows: &[Candidate], rules: &KeepRules, now: Timestamp) -> Vec<Vec<Reason>> {
    let mut seen = HashMap::new();
    let mut contents: Vec<(&Candidate, Vec<Reason>)> = Vec::new();
    let mut places = Vec::with_capacity(rows.len());
    for row in rows {
        let known = row.snapshot.and_then(|snapshot| seen.get(&snapshot).copied());
        let place = known.unwrap_or(contents.len());
        if known.is_none() {
            contents.push((row, Vec::new()));
            seen.extend(row.snapshot.map(|snapshot| (snapshot, place)));
        }
        places.push(place);
    }
    for ((_, reasons), _) in contents.iter_mut().zip(0..rules.last) {
        reasons.push(Reason::Last);
    }
    for (period, most) in &rules.periods {
        let mut last = None;
        let firsts = contents.iter_mut().filter(|(row, _)| {
            let span = Some(period.of(row.taken_at));
            std::mem::replace(&mut last, span) != span
        });
        firsts.zip(0..*most).for_each(|((_, reasons), _)| reasons.push(period.reason()));
    }
    let newest = rows.iter().map(|row| row.taken_at).find(|taken_at| *taken_at <= now).unwrap_or(now);
    for (row, reasons) in &mut contents {
        let age = newest.0.saturating_sub(row.taken_at.0).max(0).unsigned_abs();
        if rules.within.is_some_and(|within| u128::from(age) <= within.as_millis()) {
            reasons.push(Reason::Within);
        }
    }
    for (row, place) in rows.iter().zip(&places) {
        let reasons = &mut contents[*place].1;
        if rules.tags.iter().any(|tag| row.tags.contains(tag)) && !reasons.contains(&Reason::Tag) {
            reasons.push(Reason::Tag);
        }
    }
    places.into_iter().map(|place| contents[place].1.clone()).collect()
}

impl Period {
    /// Which one a time lies in.
    fn of(self, time: Timestamp) -> (i16, i16, i8) {
        let instant = Instant::from_millisecond(time.0).unwrap_or(Instant::MIN);
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
    use model::ResourceKind;

    use super::*;

    fn taken(at: &str) -> Candidate {
        let at: Instant = at.parse().unwrap();
        let id = BackupId::random(&mut rand::rng(), ResourceKind::Lustre);
        Candidate { id, taken_at: Timestamp(at.as_millisecond()), snapshot: None, tags: Vec::new() }
    }

    const NOW: Timestamp = Timestamp(4_000_000_000_000);

    /// Which of the backups taken then are kept, by their places.
    fn kept(rows: &[Candidate], rules: &KeepRules) -> Vec<usize> {
        let plan = plan(rows, rules, NOW);
        (0..rows.len()).filter(|place| !plan[*place].is_empty()).collect()
    }

    fn by(period: Period, most: u64) -> KeepRules {
        KeepRules { periods: vec![(period, most)], ..KeepRules::default() }
    }

    #[test]
    fn the_newest_of_each_span_that_has_one_is_kept() {
        let rows: Vec<Candidate> = [
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
        assert_eq!(plan(&rows, &rules, NOW), expected);
        assert_eq!(plan(&rows, &KeepRules::default(), NOW), [const { Vec::new() }; 3]);
        let other_tag = KeepRules { tags: vec![("keep".into(), "no".into())], ..KeepRules::default() };
        assert!(kept(&rows, &other_tag).is_empty());
        assert!(plan(&[], &rules, NOW).is_empty());
    }

    #[test]
    fn the_same_contents_count_once_and_stay_together() {
        let mut rows =
            ["2026-12-03T00:00:00Z", "2026-12-03T00:00:00Z", "2026-12-02T00:00:00Z", "2026-12-01T00:00:00Z"].map(taken);
        rows[0].snapshot = Some(SnapshotId([1; 16]));
        rows[1].snapshot = Some(SnapshotId([1; 16]));
        rows[1].tags.push(("keep".to_owned(), "yes".to_owned()));
        assert_eq!(kept(&rows, &KeepRules { last: 2, ..KeepRules::default() }), [0, 1, 2]);
        let tagged = KeepRules { tags: vec![("keep".into(), "yes".into())], ..KeepRules::default() };
        assert_eq!(kept(&rows, &tagged), [0, 1]);
    }

    #[test]
    fn a_clock_that_was_ahead_takes_nothing_away() {
        let rows =
            ["2027-12-03T00:00:00Z", "2026-12-02T00:00:00Z", "2026-12-01T00:00:00Z", "2026-01-01T00:00:00Z"].map(taken);
        let rules = KeepRules { within: Some(Duration::from_secs(30 * 86_400)), ..KeepRules::default() };
        let now = Timestamp(rows[1].taken_at.0 + 1);
        let plan = plan(&rows, &rules, now);
        assert_eq!(plan.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 0]);
        // What no calendar has is a span of its own.
        let odd = Candidate { taken_at: Timestamp(i64::MIN), ..rows[3].clone() };
        assert_eq!(kept(&[rows[3].clone(), odd], &by(Period::Year, 7)), [0, 1]);
    }
}
