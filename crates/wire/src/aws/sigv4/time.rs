//! The time a request was signed at, and how times are shown in messages.

const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// The time a request was signed at: as it stands in the string to sign, and in seconds since 1970.
pub(super) struct SignedTime {
    pub(super) text: String,
    pub(super) seconds: i64,
}

impl SignedTime {
    /// Reads `YYYYMMDDThhmmssZ`, and what a `Date` header may hold besides: `Thu, 15 Jan 2026 12:00:00 GMT`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let time = read_basic(text).or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp()))?;
        Some(Self { text: time.strftime(FORMAT).to_string(), seconds: time.as_second() })
    }
}

fn read_basic(text: &str) -> Option<jiff::Timestamp> {
    let fits = text.len() == 16
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    let time = jiff::civil::DateTime::strptime(FORMAT, text).ok().filter(|_| fits)?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

pub(super) fn shown_time(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.strftime(FORMAT).to_string(),
        Err(_) => seconds.to_string(),
    }
}

pub(super) fn shown_window(seconds: i64) -> String {
    if seconds % 60 == 0 { format!("{} min", seconds / 60) } else { format!("{seconds} sec") }
}
