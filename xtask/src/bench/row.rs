//! The rows of the tables, in the order they are measured.

use serde::{Deserialize, Serialize};

/// One thing that a user of backups waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Row {
    BackupDayOne,
    BackupDayTwo,
    CopyDayOne,
    CopyDayTwo,
    CopyNothing,
    Verify,
    VerifyReadData,
    Restore,
    Limits,
}

impl Row {
    /// The order they are measured in; the source changes before [`Row::BackupDayTwo`].
    pub(super) const ORDER: [Self; 9] = [
        Self::BackupDayOne,
        Self::CopyDayOne,
        Self::BackupDayTwo,
        Self::CopyDayTwo,
        Self::CopyNothing,
        Self::Verify,
        Self::VerifyReadData,
        Self::Restore,
        Self::Limits,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BackupDayOne => "backup day 1",
            Self::BackupDayTwo => "backup day 2",
            Self::CopyDayOne => "copy day 1",
            Self::CopyDayTwo => "copy day 2",
            Self::CopyNothing => "copy nothing to move",
            Self::Verify => "verify",
            Self::VerifyReadData => "verify --read-data",
            Self::Restore => "restore",
            Self::Limits => "limits of the machine",
        }
    }
}
