//! Bandwidth: how fast copies may come into a region, at which time of the week.
//!
//! Written as rclone's `--bwlimit` is: one rate, or a timetable of rates. Times are UTC.

use std::str::FromStr;

use model::{ByteSize, Timestamp};

const DAY_MINUTES: i64 = 24 * 60;
const WEEK_MINUTES: i64 = 7 * DAY_MINUTES;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The minute of the week, from Monday on, at which Unix time begins: it was a Thursday.
const EPOCH_MINUTE: i64 = 3 * DAY_MINUTES;

/// Rates, and from which minute of the week each holds until the next one's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timetable(Vec<(i64, Option<ByteSize>)>);

impl Timetable {
    /// Without any limit.
    pub(crate) const UNLIMITED: Self = Self(Vec::new());

    /// Bytes per second at that time; any number where there is none. Pure.
    pub(crate) fn rate_at(&self, now: Timestamp) -> Option<ByteSize> {
        let minute = (now.0.div_euclid(60_000) + EPOCH_MINUTE).rem_euclid(WEEK_MINUTES);
        // Before the week's first entry, its last one holds.
        let holding = self.0.iter().rfind(|(from, _)| *from <= minute).or(self.0.last());
        holding.and_then(|(_, rate)| *rate)
    }
}

impl FromStr for Timetable {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        if !given.contains(',') {
            return parse_rate_or_off(given).map(|rate| Self(vec![(0, rate)]));
        }
        let mut entries = Vec::new();
        for entry in given.split_whitespace() {
            let refused = || {
                let example = "\"08:00,10MB/s 18:00,off\" or \"Mon-08:00,10MB/s Fri-18:00,off\"";
                format!(
                    "\"{entry}\" is not a time and a rate: write a rate, such as 50MB/s, or a timetable, such as {example}"
                )
            };
            let (time, rate) = entry.split_once(',').ok_or_else(refused)?;
            let (days, time) = match time.split_once('-') {
                Some((day, time)) => {
                    let day = day.to_ascii_lowercase();
                    let day = DAYS.iter().position(|known| *known == day).ok_or_else(refused)?;
                    (day..day + 1, time)
                }
                None => (0..DAYS.len(), time),
            };
            let minute = parse_time(time).ok_or_else(refused)?;
            let rate = parse_rate_or_off(rate).map_err(|why| format!("\"{entry}\": {why}"))?;
            entries.extend(days.map(|day| (DAY_MINUTES * i64::try_from(day).unwrap_or_default() + minute, rate)));
        }
        entries.sort_by_key(|(minute, _)| *minute);
        if let Some(twice) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (day, minute) = (twice[0].0 / DAY_MINUTES, twice[0].0 % DAY_MINUTES);
            let day = DAYS[usize::try_from(day).unwrap_or_default()];
            return Err(format!("two rates are given for {:02}:{:02} on {day}", minute / 60, minute % 60));
        }
        Ok(Self(entries))
    }
}

/// The minute of the day.
fn parse_time(given: &str) -> Option<i64> {
    let (hour, minute) = given.split_once(':')?;
    let number = |digits: &str, below: i64| -> Option<i64> {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|number| is_number && *number < below)
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

fn parse_rate_or_off(given: &str) -> Result<Option<ByteSize>, String> {
    if given.trim().eq_ignore_ascii_case("off") { Ok(None) } else { parse_rate(given).map(Some) }
}

/// Reads `50MB/s`: a size, the `/s` being optional, never 0.
pub(crate) fn parse_rate(given: &str) -> Result<ByteSize, String> {
    let given = given.trim();
    let size: ByteSize =
        given.strip_suffix("/s").unwrap_or(given).parse().map_err(|e: model::size::InvalidSize| e.to_string())?;
    if size.0 == 0 { Err("a bandwidth of 0 would never end".to_owned()) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-05, a Monday.
    const MONDAY: i64 = 1_767_571_200_000;

    fn rate(table: &str, day: i64, hour: i64, minute: i64) -> Option<u64> {
        let table: Timetable = table.parse().unwrap();
        let time = Timestamp(MONDAY + ((day * 24 + hour) * 60 + minute) * 60_000);
        table.rate_at(time).map(|rate| rate.0)
    }

    #[test]
    fn bandwidths_take_a_unit_per_second() {
        assert_eq!(parse_rate("50MB/s"), Ok(ByteSize(50_000_000)));
        assert_eq!(parse_rate("1MiB"), Ok(ByteSize(1 << 20)));
        assert!(parse_rate("0").is_err());
        assert!(parse_rate("fast").is_err());
        assert!(parse_rate("50MB/s/s").is_err());
    }

    #[test]
    fn one_rate_holds_always() {
        assert_eq!(rate("10MB/s", 3, 12, 0), Some(10_000_000));
        assert_eq!(rate("off", 3, 12, 0), None);
        assert_eq!(Timetable::UNLIMITED.rate_at(Timestamp(0)), None);
    }

    #[test]
    fn a_rate_holds_until_the_next_ones_time() {
        let table = "18:00,off 08:00,10kB/s 12:30,20kB/s";
        for (day, hour, minute, expected) in [
            (0, 0, 0, None),
            (0, 7, 59, None),
            (0, 8, 0, Some(10_000)),
            (4, 12, 29, Some(10_000)),
            (4, 12, 30, Some(20_000)),
            (6, 17, 59, Some(20_000)),
            (6, 18, 0, None),
            (-3000, 9, 0, Some(10_000)),
        ] {
            assert_eq!(rate(table, day, hour, minute), expected, "day {day}, {hour}:{minute}");
        }
    }

    #[test]
    fn days_can_be_named() {
        let table = "Mon-08:00,1kB/s fri-18:00,off";
        for (day, hour, expected) in
            [(0, 7, None), (0, 8, Some(1_000)), (2, 3, Some(1_000)), (4, 17, Some(1_000)), (4, 18, None), (6, 23, None)]
        {
            assert_eq!(rate(table, day, hour, 0), expected, "day {day}, {hour}:00");
        }
        assert_eq!(rate("08:00,1kB/s Sun-10:00,2kB/s", 6, 11, 0), Some(2_000));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bad, expected) in [
            ("", "not a size"),
            ("fast", "not a size"),
            ("0", "would never end"),
            ("08:00,10MB/s,off", "not a size"),
            ("08:00, 10MB", "\"08:00,\": \"\" is not a size"),
            ("8:00,1MB", "not a time and a rate"),
            ("24:00,1MB", "not a time and a rate"),
            ("08:60,1MB", "not a time and a rate"),
            ("+8:00,1MB", "not a time and a rate"),
            ("Someday-08:00,1MB", "not a time and a rate"),
            ("08:00,1MB 10MB", "\"10MB\" is not a time and a rate"),
            ("08:00,1MB 08:00,off", "two rates are given for 08:00 on mon"),
            ("Sun-08:00,1MB 08:00,off", "two rates are given for 08:00 on sun"),
        ] {
            let error = bad.parse::<Timetable>().unwrap_err();
            assert!(error.contains(expected), "{bad}: {error}");
        }
    }
}
