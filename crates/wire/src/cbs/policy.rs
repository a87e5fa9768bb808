//! The timing of scheduled snapshots: at which hours of which days.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::CbsError;
use crate::tencent::reading::structure;
use crate::tencent::{CommonCode, Parameter, Place, Reading};

/// One rule of a scheduled snapshot policy, the same in requests and replies.
///
/// Of the three ways to name days the first that is there counts; an empty list or 0 is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Policy {
    /// Hours of the day, 0 to 23.
    pub hour: Vec<i64>,
    /// Days of the week, 0 (Sunday) to 6.
    pub day_of_week: Vec<i64>,
    /// Days of the month, 1 to 31; a month without that day is passed over.
    pub day_of_month: Vec<i64>,
    /// Every so many days, 1 to 365, from the day the policy was made.
    pub interval_days: i64,
}

structure! {
    /// A rule as callers give it.
    Given {
        hour: Vec<i64> = "Hour",
        day_of_week: Option<Vec<i64>> = "DayOfWeek",
        day_of_month: Option<Vec<i64>> = "DayOfMonth",
        interval_days: Option<i64> = "IntervalDays",
    }
}

impl Parameter for Policy {
    fn read(given: &Value, place: Place<'_>, reading: &mut Reading) -> Option<Self> {
        let given = Given::read(given, place, reading)?;
        Some(Self {
            hour: given.hour,
            day_of_week: given.day_of_week.unwrap_or_default(),
            day_of_month: given.day_of_month.unwrap_or_default(),
            interval_days: given.interval_days.unwrap_or_default(),
        })
    }
}

impl Policy {
    /// Checks that hours and days are named and exist.
    pub(super) fn check(&self) -> Result<(), CbsError> {
        // A longer list than there are values says something twice, and costs time in every search.
        let within = |list: &[i64], first: i64, last: i64| {
            let values = first..=last;
            list.len() <= values.clone().count() && list.iter().all(|item| values.contains(item))
        };
        let names_days = !self.day_of_week.is_empty() || !self.day_of_month.is_empty() || self.interval_days != 0;
        let faults = [
            (self.hour.is_empty(), "Hour must not be empty."),
            (!within(&self.hour, 0, 23), "Hour must be between 0 and 23."),
            (!within(&self.day_of_week, 0, 6), "DayOfWeek must be between 0 and 6."),
            (!within(&self.day_of_month, 1, 31), "DayOfMonth must be between 1 and 31."),
            (!(0..=365).contains(&self.interval_days), "IntervalDays must be between 1 and 365."),
            (!names_days, "One of DayOfWeek, DayOfMonth and IntervalDays is required."),
        ];
        match faults.into_iter().find(|(is_fault, _)| *is_fault) {
            Some((_, message)) => Err(CbsError::new(CommonCode::InvalidParameterValue, message)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(hour: &[i64], day_of_week: &[i64], day_of_month: &[i64], interval_days: i64) -> Policy {
        Policy { hour: hour.into(), day_of_week: day_of_week.into(), day_of_month: day_of_month.into(), interval_days }
    }

    #[test]
    fn hours_and_days_are_held_to_their_ranges() {
        let good = [policy(&[0, 23], &[0, 6], &[], 0), policy(&[3], &[], &[1, 31], 0), policy(&[3], &[], &[], 365)];
        let bad = [
            policy(&[], &[1], &[], 0),
            policy(&[24], &[1], &[], 0),
            policy(&[3; 25], &[1], &[], 0),
            policy(&[-1], &[1], &[], 0),
            policy(&[3], &[7], &[], 0),
            policy(&[3], &[], &[0], 0),
            policy(&[3], &[], &[32], 0),
            policy(&[3], &[], &[], 366),
            policy(&[3], &[1], &[], -1),
            policy(&[3], &[], &[], 0),
        ];
        for policy in good {
            assert_eq!(policy.check(), Ok(()), "{policy:?}");
        }
        for policy in bad {
            assert_eq!(policy.check().unwrap_err().code, CommonCode::InvalidParameterValue.into(), "{policy:?}");
        }
    }

    #[test]
    fn replies_show_all_four_members() {
        let written = serde_json::to_value(policy(&[3], &[1], &[], 0)).unwrap();
        assert_eq!(written, json!({ "Hour": [3], "DayOfWeek": [1], "DayOfMonth": [], "IntervalDays": 0 }));
    }
}
