//! Schedules: when a scheduled snapshot policy runs next. A pure function of the rules and the time.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use model::Timestamp;

use super::policy::Policy;
use super::time::zoned;

/// Days that are looked at: the longest wait, of `IntervalDays` 365, and the day it begins on.
const DAYS_AHEAD: usize = 367;

/// The rules of one policy.
#[derive(Clone, Copy, Debug)]
pub struct Schedule<'a> {
    /// The rules; the policy runs whenever one of them says so.
    pub policies: &'a [Policy],
    /// When the rules were made or last changed: nothing runs before, and intervals count from that day.
    pub since: Timestamp,
    /// The zone of hours and days.
    pub zone: &'a TimeZone,
}

impl Schedule<'_> {
    /// The first run after `after`; `None` when no rule names a time, or the calendar ends before it.
    ///
    /// Given the time of the last run, this is the run that is due; given the present, the one to show.
    pub fn next_run(&self, after: Timestamp) -> Option<Timestamp> {
        let since = zoned(self.since, self.zone)?;
        let from = zoned(after.max(self.since), self.zone)?;
        let runs = self.policies.iter().filter_map(|policy| self.next_run_of(policy, since.date(), &from));
        runs.min().map(|run| Timestamp(run.timestamp().as_millisecond()))
    }

    fn next_run_of(&self, policy: &Policy, since: Date, from: &Zoned) -> Option<Zoned> {
        let days = from.date().series(1.day()).take(DAYS_AHEAD).filter(|day| runs_on(policy, *day, since));
        let mut runs = days.filter_map(|day| {
            let hours = policy.hour.iter().filter_map(|hour| Time::new(i8::try_from(*hour).ok()?, 0, 0, 0).ok());
            let times = hours.filter_map(|hour| day.to_datetime(hour).to_zoned(self.zone.clone()).ok());
            times.filter(|time| time > from).min()
        });
        runs.next()
    }
}

fn runs_on(policy: &Policy, day: Date, since: Date) -> bool {
    if !policy.day_of_week.is_empty() {
        policy.day_of_week.contains(&i64::from(day.weekday().to_sunday_zero_offset()))
    } else if !policy.day_of_month.is_empty() {
        policy.day_of_month.contains(&i64::from(day.day()))
    } else {
        let days = since.until(day).map(|span| i64::from(span.get_days())).unwrap_or_default();
        policy.interval_days > 0 && days % policy.interval_days == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cbs::time::{date_time, utc_plus_8};

    fn at(text: &str) -> Timestamp {
        let time = text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(utc_plus_8()).unwrap();
        Timestamp(time.timestamp().as_millisecond())
    }

    /// The runs after `since`, one after the other.
    fn runs(policies: &[Policy], since: &str, count: usize) -> Vec<String> {
        let zone = utc_plus_8();
        let schedule = Schedule { policies, since: at(since), zone: &zone };
        let mut last = at(since);
        let mut runs = Vec::new();
        while runs.len() < count {
            last = schedule.next_run(last).unwrap();
            runs.push(date_time(last, &zone));
        }
        runs
    }

    #[test]
    fn days_of_the_week_count_from_sunday() {
        // 2026-01-15 is a Thursday.
        let policy = Policy { hour: vec![23, 1], day_of_week: vec![0, 4], ..Policy::default() };
        let wanted = ["2026-01-15 23:00:00", "2026-01-18 01:00:00", "2026-01-18 23:00:00", "2026-01-22 01:00:00"];
        assert_eq!(runs(&[policy], "2026-01-15T01:00:00", 4), wanted);
    }

    #[test]
    fn months_without_the_day_are_passed_over() {
        let policy = Policy { hour: vec![0], day_of_month: vec![31], ..Policy::default() };
        let wanted = ["2025-12-31 00:00:00", "2026-01-31 00:00:00", "2026-03-31 00:00:00", "2026-05-31 00:00:00"];
        assert_eq!(runs(&[policy], "2025-12-01T12:00:00", 4), wanted);
    }

    #[test]
    fn an_interval_begins_on_the_first_day_only_if_the_hour_is_still_to_come() {
        let policy = Policy { hour: vec![3], interval_days: 5, ..Policy::default() };
        let early = runs(std::slice::from_ref(&policy), "2026-01-15T02:59:59", 2);
        let late = runs(&[policy], "2026-01-15T03:00:00", 2);
        assert_eq!(early, ["2026-01-15 03:00:00", "2026-01-20 03:00:00"]);
        assert_eq!(late, ["2026-01-20 03:00:00", "2026-01-25 03:00:00"]);
    }

    #[test]
    fn the_longest_interval_is_reached() {
        let policy = Policy { hour: vec![0], interval_days: 365, ..Policy::default() };
        let wanted = ["2025-01-15 00:00:00", "2026-01-15 00:00:00"];
        assert_eq!(runs(&[policy], "2024-01-16T00:00:00", 2), wanted);
    }

    #[test]
    fn the_first_way_to_name_days_counts_and_the_earliest_rule_wins() {
        let weekly = Policy { hour: vec![5], day_of_week: vec![5], day_of_month: vec![15], interval_days: 1 };
        let monthly = Policy { hour: vec![6], day_of_month: vec![15], interval_days: 1, ..Policy::default() };
        assert_eq!(runs(std::slice::from_ref(&weekly), "2026-01-15T00:00:00", 1), ["2026-01-16 05:00:00"]);
        assert_eq!(runs(&[weekly, monthly], "2026-01-15T00:00:00", 1), ["2026-01-15 06:00:00"]);
    }

    #[test]
    fn without_a_rule_nothing_runs() {
        let zone = utc_plus_8();
        let none = Policy { hour: vec![3], ..Policy::default() };
        let bad_hour = Policy { hour: vec![24, -1, 1000], interval_days: 1, ..Policy::default() };
        for policies in [&[][..], &[none], &[bad_hour]] {
            let schedule = Schedule { policies, since: Timestamp(0), zone: &zone };
            assert_eq!(schedule.next_run(Timestamp(0)), None);
        }
    }

    proptest! {
        #[test]
        fn a_run_is_after_the_last_one_at_a_named_hour_and_within_the_longest_wait(
            hour in prop::collection::vec(0..24i64, 1..5),
            day_of_week in prop::collection::vec(0..7i64, 0..4),
            day_of_month in prop::collection::vec(1..32i64, 0..4),
            interval_days in 1..366i64,
            since in 0..4_000_000_000_000i64,
            later in 0..100_000_000_000i64,
        ) {
            let policies = [Policy { hour, day_of_week, day_of_month, interval_days }];
            let zone = utc_plus_8();
            let schedule = Schedule { policies: &policies, since: Timestamp(since), zone: &zone };
            let after = Timestamp(since + later);
            let run = schedule.next_run(after).unwrap();
            let local = zoned(run, &zone).unwrap();
            prop_assert!(run > after && run.0 - after.0 <= 366 * 86_400_000);
            prop_assert!(policies[0].hour.contains(&i64::from(local.hour())));
        }

        #[test]
        fn any_time_has_an_answer(since: i64, after: i64, interval_days: i64) {
            let policies = [Policy { hour: vec![3], interval_days, ..Policy::default() }];
            let zone = utc_plus_8();
            let schedule = Schedule { policies: &policies, since: Timestamp(since), zone: &zone };
            prop_assert!(schedule.next_run(Timestamp(after)).is_none_or(|run| run.0 > after));
        }
    }
}
