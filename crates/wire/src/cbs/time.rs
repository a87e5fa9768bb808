//! Times as CBS writes them: `YYYY-MM-DD hh:mm:ss` without a zone, and ISO 8601 in newer members.
//!
//! The documentation does not name the zone. Tencent's newer members carry +08:00, so that is the
//! default; the zone is a parameter everywhere.

use jiff::tz::{self, TimeZone};
use jiff::{Span, Zoned};
use model::Timestamp;

/// China's zone, which has no daylight saving time.
pub fn utc_plus_8() -> TimeZone {
    TimeZone::fixed(tz::offset(8))
}

/// `YYYY-MM-DD hh:mm:ss`; empty for a time outside the years 1 to 9999.
pub fn date_time(time: Timestamp, zone: &TimeZone) -> String {
    written(time, zone, "%Y-%m-%d %H:%M:%S")
}

/// `YYYY-MM-DD`, as in `TimeStartShare`.
pub fn date(time: Timestamp, zone: &TimeZone) -> String {
    written(time, zone, "%Y-%m-%d")
}

/// `YYYY-MM-DDThh:mm:ss+08:00`, as in `LatestModifyTime`.
pub fn iso8601(time: Timestamp, zone: &TimeZone) -> String {
    written(time, zone, "%Y-%m-%dT%H:%M:%S%:z")
}

/// The same day of the month and time of day `months` later, or the last day of a month that is too short; `None` beyond
/// the calendar.
pub fn months_after(time: Timestamp, months: i64, zone: &TimeZone) -> Option<Timestamp> {
    let later = zoned(time, zone)?.checked_add(Span::new().try_months(months).ok()?).ok()?;
    Some(Timestamp(later.timestamp().as_millisecond()))
}

/// How many days there are from one day to another, whatever the time of day; negative where `until` is the earlier.
pub fn days_until(from: Timestamp, until: Timestamp, zone: &TimeZone) -> Option<i64> {
    let (from, until) = (zoned(from, zone)?.date(), zoned(until, zone)?.date());
    Some(i64::from(from.until(until).ok()?.get_days()))
}

fn written(time: Timestamp, zone: &TimeZone, format: &str) -> String {
    zoned(time, zone).filter(|time| time.year() > 0).map(|time| time.strftime(format).to_string()).unwrap_or_default()
}

/// The civil time in `zone`, if the calendar reaches that far.
pub(super) fn zoned(time: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    Some(jiff::Timestamp::from_millisecond(time.0).ok()?.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_the_given_zone() {
        let time = Timestamp(1_768_478_400_999);
        assert_eq!(date_time(time, &utc_plus_8()), "2026-01-15 20:00:00");
        assert_eq!(date_time(time, &TimeZone::UTC), "2026-01-15 12:00:00");
        assert_eq!(date(Timestamp(time.0 + 4 * 3_600_000), &utc_plus_8()), "2026-01-16");
        assert_eq!(iso8601(time, &utc_plus_8()), "2026-01-15T20:00:00+08:00");
    }

    #[test]
    fn months_end_on_the_same_day_or_the_last() {
        let (time, zone) = (Timestamp(1_768_478_400_999), utc_plus_8());
        let end = |time, months| months_after(time, months, &zone).unwrap();
        assert_eq!(date_time(end(time, 1), &zone), "2026-02-15 20:00:00");
        assert_eq!(date_time(end(time, 36), &zone), "2029-01-15 20:00:00");
        let last_of_january = Timestamp(time.0 + 16 * 24 * 3_600_000);
        assert_eq!(date_time(end(last_of_january, 1), &zone), "2026-02-28 20:00:00");
        assert_eq!(days_until(last_of_january, end(last_of_january, 1), &zone), Some(28));
        // Four hours are a day where midnight is between.
        assert_eq!(days_until(time, Timestamp(time.0 + 4 * 3_600_000), &zone), Some(1));
        assert_eq!(days_until(last_of_january, time, &zone), Some(-16));
        assert_eq!(months_after(Timestamp(i64::MAX), 1, &zone), None);
    }

    #[test]
    fn times_beyond_the_calendar_are_empty() {
        for time in [Timestamp(i64::MAX), Timestamp(i64::MIN), Timestamp(-99_999_999_999_999)] {
            assert_eq!(date_time(time, &utc_plus_8()), "");
        }
    }
}
