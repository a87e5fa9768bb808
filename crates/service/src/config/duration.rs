//! Durations as people write them: `90s`, `15m`, `24h`, `7d`; a bare number is seconds.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration as a configuration file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub(crate) struct Span(#[schemars(with = "String")] pub(crate) Duration);

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_duration(&String::deserialize(deserializer)?).map(Self).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [("h", 60 * 60), ("m", 60), ("s", 1)];
        let (unit, scale) = units
            .into_iter()
            .find(|(_, scale)| seconds >= *scale && seconds.is_multiple_of(*scale))
            .unwrap_or(("s", 1));
        write!(f, "{}{unit}", seconds / scale)
    }
}

/// Reads a duration.
///
/// # Errors
/// A sentence that says what is accepted.
pub(crate) fn parse_duration(given: &str) -> Result<Duration, String> {
    let refused = || format!("\"{given}\" is not a duration: write seconds, or a number and s, m, h or d, such as 24h");
    let given = given.trim();
    let digits_len = given.find(|c: char| !c.is_ascii_digit()).unwrap_or(given.len());
    let (digits, unit) = given.split_at(digits_len);
    let seconds_per_unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(refused()),
    };
    let number: u64 = digits.parse().map_err(|_| refused())?;
    // Catalogs keep times as milliseconds in 63 bits; a hundred years are enough for everybody.
    let seconds = number.checked_mul(seconds_per_unit).filter(|seconds| *seconds <= 36_500 * 24 * 60 * 60);
    seconds.map(Duration::from_secs).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["24h", "15m", "90s", "5s", "0s"] {
            assert_eq!(Span(parse_duration(text).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, seconds) in [("0s", 0), ("90", 90), ("15m", 900), ("24h", 86_400), (" 7d ", 604_800)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "h", "-1s", "1.5h", "1 h", "1w", "99999999999999999999s", "999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }
}
