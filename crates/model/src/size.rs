//! Byte counts as people read and write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes. Displays in powers of 1024 (`1.5 MiB`); parses `10`, `64KiB`, `50MB`, `2 GiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

/// A size that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a size: write a number and a unit, such as 64KiB, 50MB or 2GiB")]
pub struct InvalidSize(String);

const UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = match self.0 {
            0..1024 => return f.pad(&format!("{} B", self.0)),
            1024..0x10_0000 => ("KiB", 10),
            0x10_0000..0x4000_0000 => ("MiB", 20),
            0x4000_0000..0x100_0000_0000 => ("GiB", 30),
            _ => ("TiB", 40),
        };
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let scaled = self.0 as f64 / f64::from(1_u32 << (scale - 10)) / 1024.0;
        f.pad(&format!("{scaled:.1} {unit}"))
    }
}

impl FromStr for ByteSize {
    type Err = InvalidSize;
    fn from_str(given: &str) -> Result<Self, InvalidSize> {
        let refused = || InvalidSize(given.to_owned());
        let lower = given.trim().to_ascii_lowercase();
        let (digits, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| lower.strip_suffix(unit).map(|digits| (digits, *factor)))
            .unwrap_or((&lower, 1));
        let number: u64 = digits.trim().parse().map_err(|_| refused())?;
        number.checked_mul(factor).map(Self).ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!("50MB".parse(), Ok(ByteSize(50_000_000)));
        assert_eq!("2 GiB".parse(), Ok(ByteSize(2 << 30)));
        assert_eq!("7".parse(), Ok(ByteSize(7)));
        for bad in ["", "MB", "-1", "99999999999999999999", "20000000TiB", "1.5x"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sizes_print_with_one_decimal() {
        assert_eq!(ByteSize(1023).to_string(), "1023 B");
        assert_eq!(ByteSize(1536).to_string(), "1.5 KiB");
        assert_eq!(ByteSize(5 << 40).to_string(), "5.0 TiB");
    }
}
