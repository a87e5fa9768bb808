//! Operations that make and remove backups.

use super::super::scalar::{BACKUP_ID, CLIENT_REQUEST_TOKEN, FILE_SYSTEM_ID, KMS_KEY_ID, REGION, TAGS, VOLUME_ID};
use super::Tag;
use crate::aws::shape::structure;
use crate::fsx::FsxError;

structure! {
    /// Starts copying a backup into the region that was called.
    CopyBackup {
        client_request_token: Option<String> = "ClientRequestToken" => &CLIENT_REQUEST_TOKEN,
        /// Looked up in `source_region`.
        source_backup_id: String = "SourceBackupId" => &BACKUP_ID,
        /// The region called, when there is none.
        source_region: Option<String> = "SourceRegion" => &REGION,
        /// The key of the copy: key id, key ARN, alias name or alias ARN. The service's own when there is none.
        kms_key_id: Option<String> = "KmsKeyId" => &KMS_KEY_ID,
        /// False when there is none.
        copy_tags: Option<bool> = "CopyTags",
        tags: Option<Vec<Tag>> = "Tags" => &TAGS,
    }

    /// Backs up a file system or an ONTAP volume; see [`Self::subject`].
    CreateBackup {
        file_system_id: Option<String> = "FileSystemId" => &FILE_SYSTEM_ID,
        client_request_token: Option<String> = "ClientRequestToken" => &CLIENT_REQUEST_TOKEN,
        /// Given tags keep those of the file system from being inherited.
        tags: Option<Vec<Tag>> = "Tags" => &TAGS,
        volume_id: Option<String> = "VolumeId" => &VOLUME_ID,
    }

    /// Removes a backup for good.
    DeleteBackup {
        backup_id: String = "BackupId" => &BACKUP_ID,
        client_request_token: Option<String> = "ClientRequestToken" => &CLIENT_REQUEST_TOKEN,
    }
}

/// What a backup is to be taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A file system of that id.
    FileSystem(&'a str),
    /// An ONTAP volume of that id.
    Volume(&'a str),
}

impl CreateBackup {
    /// What is to be backed up.
    ///
    /// # Errors
    /// `BadRequest` unless exactly one of file system and volume is named.
    pub fn subject(&self) -> Result<Subject<'_>, FsxError> {
        match (&self.file_system_id, &self.volume_id) {
            (Some(id), None) => Ok(Subject::FileSystem(id)),
            (None, Some(id)) => Ok(Subject::Volume(id)),
            (None, None) => Err(FsxError::bad_request("One of FileSystemId and VolumeId must be given.")),
            (Some(_), Some(_)) => Err(FsxError::bad_request("Only one of FileSystemId and VolumeId can be given.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_has_one_subject() {
        let request = |file_system_id: Option<&str>, volume_id: Option<&str>| CreateBackup {
            file_system_id: file_system_id.map(str::to_owned),
            client_request_token: None,
            tags: None,
            volume_id: volume_id.map(str::to_owned),
        };
        assert_eq!(request(Some("fs-1"), None).subject(), Ok(Subject::FileSystem("fs-1")));
        assert_eq!(request(None, Some("fsvol-1")).subject(), Ok(Subject::Volume("fsvol-1")));
        assert!(request(None, None).subject().is_err() && request(Some("fs-1"), Some("fsvol-1")).subject().is_err());
    }
}
