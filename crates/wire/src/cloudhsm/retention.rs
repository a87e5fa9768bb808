//! Retention: for how many days a cluster keeps its backups.

use model::Timestamp;
use serde::Serialize;
use serde::ser::SerializeStruct;

use super::error::CloudHsmError;
use super::request::BackupRetentionPolicy;
use super::words::BackupRetentionType;

/// For how many days a removed backup can still be restored.
pub const RESTORABLE_DAYS: u16 = 7;

const DAYS_MIN: u16 = 7;
const DAYS_MAX: u16 = 379;

/// From 7 to 379 days; 90 where nothing is said. Source: "CloudHSM backup retention policy" of the user guide.
///
/// Written as the structure `BackupRetentionPolicy`, with the number as a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetentionDays(u16);

impl RetentionDays {
    /// That many days, if a cluster can be told to keep its backups for so long.
    pub fn new(days: u16) -> Option<Self> {
        (DAYS_MIN..=DAYS_MAX).contains(&days).then_some(Self(days))
    }

    /// The number of days.
    pub fn days(self) -> u16 {
        self.0
    }

    /// When a backup that was made at `created` has been kept long enough.
    pub fn end(self, created: Timestamp) -> Timestamp {
        days_after(created, self.0)
    }
}

impl Default for RetentionDays {
    fn default() -> Self {
        Self(90)
    }
}

impl Serialize for RetentionDays {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut policy = serializer.serialize_struct("BackupRetentionPolicy", 2)?;
        policy.serialize_field("Type", &BackupRetentionType::Days)?;
        policy.serialize_field("Value", &self.0.to_string())?;
        policy.end()
    }
}

impl TryFrom<&BackupRetentionPolicy> for RetentionDays {
    type Error = CloudHsmError;

    /// # Errors
    /// `CloudHsmInvalidRequestException` when a member is missing, or the days are not from 7 to 379.
    fn try_from(policy: &BackupRetentionPolicy) -> Result<Self, CloudHsmError> {
        let (Some(BackupRetentionType::Days), Some(value)) = (policy.kind, &policy.value) else {
            return Err(CloudHsmError::invalid("A BackupRetentionPolicy must have a Type and a Value."));
        };
        value.parse().ok().and_then(Self::new).ok_or_else(|| {
            CloudHsmError::invalid(format!("Backups can be retained for {DAYS_MIN} to {DAYS_MAX} days, not '{value}'."))
        })
    }
}

/// When a backup that is removed now goes for good: its `DeleteTimestamp`.
pub fn delete_timestamp(now: Timestamp) -> Timestamp {
    days_after(now, RESTORABLE_DAYS)
}

fn days_after(start: Timestamp, days: u16) -> Timestamp {
    const MILLISECONDS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
    Timestamp(start.0.saturating_add(i64::from(days) * MILLISECONDS_PER_DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Option<&str>) -> Result<u16, CloudHsmError> {
        let policy = BackupRetentionPolicy { kind: Some(BackupRetentionType::Days), value: value.map(str::to_owned) };
        RetentionDays::try_from(&policy).map(RetentionDays::days)
    }

    #[test]
    fn retention_is_from_7_to_379_days() {
        assert_eq!((read(Some("7")), read(Some("090")), read(Some("379"))), (Ok(7), Ok(90), Ok(379)));
        for bad in [None, Some("6"), Some("380"), Some("0"), Some("999"), Some("-7"), Some("")] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        assert!(RetentionDays::try_from(&BackupRetentionPolicy { kind: None, value: Some("90".to_owned()) }).is_err());
    }

    #[test]
    fn the_number_is_written_as_a_string() {
        let written = serde_json::to_string(&RetentionDays::default()).unwrap();
        assert_eq!(written, r#"{"Type":"DAYS","Value":"90"}"#);
    }

    #[test]
    fn a_removed_backup_goes_after_seven_days() {
        assert_eq!(delete_timestamp(Timestamp(1_000)), Timestamp(604_801_000));
        assert_eq!(RetentionDays::new(7).unwrap().end(Timestamp(1_000)), Timestamp(604_801_000));
    }
}
