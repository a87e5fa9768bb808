//! Operations that list, page by page.

use super::super::scalar::{
    BACKUP_IDS, FILE_SYSTEM_IDS, FILTER_VALUES, FILTERS, MAX_RESULTS, NEXT_TOKEN, STORAGE_VIRTUAL_MACHINE_IDS,
    VOLUME_IDS,
};
use super::super::words::{FilterName, StorageVirtualMachineFilterName, VolumeFilterName};
use crate::aws::shape::{Count, structure};
use crate::fsx::FsxError;

structure! {
    /// One condition of a listing: the named property has one of the values, taken literally.
    Filter {
        name: Option<FilterName> = "Name",
        values: Option<Vec<String>> = "Values" => &FILTER_VALUES,
    }

    /// Lists backups. Ids override filters; filters must all hold.
    DescribeBackups {
        backup_ids: Option<Vec<String>> = "BackupIds" => &BACKUP_IDS,
        filters: Option<Vec<Filter>> = "Filters" => &FILTERS,
        max_results: Option<i64> = "MaxResults" => &MAX_RESULTS,
        next_token: Option<String> = "NextToken" => &NEXT_TOKEN,
    }

    /// Lists file systems.
    DescribeFileSystems {
        file_system_ids: Option<Vec<String>> = "FileSystemIds" => &FILE_SYSTEM_IDS,
        max_results: Option<i64> = "MaxResults" => &MAX_RESULTS,
        next_token: Option<String> = "NextToken" => &NEXT_TOKEN,
    }

    /// One condition of a listing of volumes.
    VolumeFilter {
        name: Option<VolumeFilterName> = "Name",
        values: Option<Vec<String>> = "Values" => &FILTER_VALUES,
    }

    /// Lists volumes.
    DescribeVolumes {
        volume_ids: Option<Vec<String>> = "VolumeIds" => &VOLUME_IDS,
        filters: Option<Vec<VolumeFilter>> = "Filters" => &Count(0..=2),
        max_results: Option<i64> = "MaxResults" => &MAX_RESULTS,
        next_token: Option<String> = "NextToken" => &NEXT_TOKEN,
    }

    /// One condition of a listing of storage virtual machines.
    StorageVirtualMachineFilter {
        name: Option<StorageVirtualMachineFilterName> = "Name",
        values: Option<Vec<String>> = "Values" => &FILTER_VALUES,
    }

    /// Lists storage virtual machines.
    DescribeStorageVirtualMachines {
        storage_virtual_machine_ids: Option<Vec<String>> = "StorageVirtualMachineIds" => &STORAGE_VIRTUAL_MACHINE_IDS,
        filters: Option<Vec<StorageVirtualMachineFilter>> = "Filters" => &Count(0..=1),
        max_results: Option<i64> = "MaxResults" => &MAX_RESULTS,
        next_token: Option<String> = "NextToken" => &NEXT_TOKEN,
    }
}

/// What backups can be narrowed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupProperty {
    /// The file system, or that of the volume.
    FileSystemId,
    /// Who asked for the backup.
    BackupType,
    /// The kind of the file system.
    FileSystemType,
    /// The volume.
    VolumeId,
}

/// One condition on backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupCondition<'a> {
    /// What is looked at.
    pub property: BackupProperty,
    /// Any of these, taken literally.
    pub values: &'a [String],
}

impl BackupCondition<'_> {
    /// Whether a backup with that value fulfils this; one without a value does not.
    pub fn holds(&self, value: Option<&str>) -> bool {
        value.is_some_and(|value| self.values.iter().any(|wanted| wanted == value))
    }
}

impl DescribeBackups {
    /// The conditions that must all hold; none when ids are given, which override them.
    ///
    /// # Errors
    /// `BadRequest` for a filter that lacks its name or values, or that belongs to another operation.
    pub fn conditions(&self) -> Result<Vec<BackupCondition<'_>>, FsxError> {
        let conditions = self.filters.iter().flatten().map(Filter::condition).collect::<Result<Vec<_>, _>>()?;
        let has_ids = self.backup_ids.as_ref().is_some_and(|ids| !ids.is_empty());
        Ok(if has_ids { Vec::new() } else { conditions })
    }
}

impl Filter {
    fn condition(&self) -> Result<BackupCondition<'_>, FsxError> {
        let name = self.name.ok_or_else(|| FsxError::bad_request("A filter must have a name."))?;
        let property = match name {
            FilterName::FileSystemId => BackupProperty::FileSystemId,
            FilterName::BackupType => BackupProperty::BackupType,
            FilterName::FileSystemType => BackupProperty::FileSystemType,
            FilterName::VolumeId => BackupProperty::VolumeId,
            FilterName::DataRepositoryType | FilterName::FileCacheId | FilterName::FileCacheType => {
                return Err(FsxError::bad_request(format!("Backups cannot be filtered by {name}.")));
            }
        };
        let values = self.values.as_deref().filter(|values| !values.is_empty());
        let values = values.ok_or_else(|| FsxError::bad_request(format!("The filter {name} must have values.")))?;
        Ok(BackupCondition { property, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(name: Option<FilterName>, values: &[&str], ids: &[&str]) -> DescribeBackups {
        let owned = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
        let filters = Some(vec![Filter { name, values: owned(values) }]);
        DescribeBackups { backup_ids: owned(ids), filters, max_results: None, next_token: None }
    }

    #[test]
    fn values_are_taken_literally() {
        let request = listing(Some(FilterName::FileSystemId), &["fs-*", "fs-00000001"], &[]);
        let conditions = request.conditions().unwrap();
        assert_eq!(conditions[0].property, BackupProperty::FileSystemId);
        assert!(conditions[0].holds(Some("fs-00000001")));
        assert!(!conditions[0].holds(Some("fs-00000002")) && !conditions[0].holds(None));
    }

    #[test]
    fn ids_override_filters() {
        assert_eq!(listing(Some(FilterName::VolumeId), &["x"], &["backup-00000000"]).conditions(), Ok(vec![]));
    }

    #[test]
    fn filters_of_other_operations_are_bad_requests() {
        for name in [None, Some(FilterName::FileCacheId), Some(FilterName::DataRepositoryType)] {
            assert!(listing(name, &["x"], &[]).conditions().is_err(), "{name:?}");
        }
        assert!(listing(Some(FilterName::BackupType), &[], &[]).conditions().is_err());
    }
}
