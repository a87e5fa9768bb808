//! Times as CBS writes them: `YYYY-MM-DD hh:mm:ss` without a zone, and ISO 8601 in newer members.
//!
//! The documentation does not name the zone. Tencent's newer members carry +08:00, so that is the
//! default; the zone is a parameter everywhere.

use jiff::Zoned;
use jiff::tz::{self, TimeZone};
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
    fn times_beyond_the_calendar_are_empty() {
        for time in [Timestamp(i64::MAX), Timestamp(i64::MIN), Timestamp(-99_999_999_999_999)] {
            assert_eq!(date_time(time, &utc_plus_8()), "");
        }
    }
}
