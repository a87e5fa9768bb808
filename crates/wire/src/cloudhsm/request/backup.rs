//! Operations on one backup.

use super::super::error::CloudHsmError;
use super::super::scalar::{BACKUP_ID, REGION, TAGS};
use super::super::tags;
use super::{Check, Tag};
use crate::aws::shape::{Count, structure};

structure! {
    /// Starts copying a backup from the region that was called into another.
    CopyBackupToRegion {
        destination_region: String = "DestinationRegion" => &REGION,
        backup_id: String = "BackupId" => &BACKUP_ID,
        /// These exactly go on the copy. The source's when there are none.
        tag_list: Option<Vec<Tag>> = "TagList" => &Count(TAGS),
    }

    /// Removes a backup; it can be restored for a week.
    DeleteBackup {
        backup_id: String = "BackupId" => &BACKUP_ID,
    }

    /// Brings a removed backup back.
    RestoreBackup {
        backup_id: String = "BackupId" => &BACKUP_ID,
    }

    /// Exempts a backup from retention, or no longer.
    ModifyBackupAttributes {
        backup_id: String = "BackupId" => &BACKUP_ID,
        never_expires: bool = "NeverExpires",
    }
}

impl Check for CopyBackupToRegion {
    fn check(&self) -> Result<(), CloudHsmError> {
        tags::check_all(self.tag_list.iter().flatten())
    }
}

impl Check for DeleteBackup {}
impl Check for RestoreBackup {}
impl Check for ModifyBackupAttributes {}
