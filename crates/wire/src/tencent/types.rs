//! The types that parameters can have, each with its form in JSON and in text.

use model::Timestamp;
use serde_json::Value;

use super::reading::{Parameter, Place, Reading};

impl Parameter for String {
    fn read(given: &Value, place: Place<'_>, reading: &mut Reading) -> Option<Self> {
        given.as_str().map(str::to_owned).or_else(|| reading.wrong_type(place, "a string"))
    }
}

impl Parameter for i64 {
    fn read(given: &Value, place: Place<'_>, reading: &mut Reading) -> Option<Self> {
        let number = match given {
            Value::String(text) if reading.is_text => text.parse().ok(),
            other => other.as_i64(),
        };
        number.or_else(|| reading.wrong_type(place, "an integer"))
    }
}

impl Parameter for bool {
    fn read(given: &Value, place: Place<'_>, reading: &mut Reading) -> Option<Self> {
        let flag = match given {
            // Tencent's Python SDK writes `True` and `False` in forms and queries.
            Value::String(text) if reading.is_text && text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if reading.is_text && text.eq_ignore_ascii_case("false") => Some(false),
            other => other.as_bool(),
        };
        flag.or_else(|| reading.wrong_type(place, "true or false"))
    }
}

/// "Timestamp ISO8601": a date, a time of day and an offset, e.g. `2022-01-08T09:47:55+00:00`.
impl Parameter for Timestamp {
    fn read(given: &Value, place: Place<'_>, reading: &mut Reading) -> Option<Self> {
        let time = given.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let time = time.map(|time| Self(time.as_millisecond()));
        time.or_else(|| reading.wrong_type(place, "a time such as 2022-01-08T09:47:55+00:00"))
    }
}

impl<T: Parameter> Parameter for Vec<T> {
    fn read(given: &Value, place: Place<'_>, reading: &mut Reading) -> Option<Self> {
        let Some(items) = given.as_array() else { return reading.wrong_type(place, "a list") };
        let read = |(position, item)| T::read(item, place.item(position), reading);
        let read: Vec<Option<T>> = items.iter().enumerate().map(read).collect();
        read.into_iter().collect()
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn read(given: &Value, place: Place<'_>, reading: &mut Reading) -> Option<Self> {
        T::read(given, place, reading).map(Some)
    }

    fn absent(_: Place<'_>, _: &mut Reading) -> Option<Self> {
        Some(None)
    }
}
