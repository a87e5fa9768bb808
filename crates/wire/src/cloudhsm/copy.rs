//! Where a backup may be copied, and which one: the checks of `CopyBackupToRegion` in their order.

use model::{Partition, Region};

use super::error::{CloudHsmError, ErrorCode};
use super::scalar::REGION;
use super::words::BackupState;

/// A region as the checks see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub region: Region,
    /// What copies may not leave.
    pub partition: Partition,
    /// Whether CloudHSM is offered there, and the account may use it.
    pub is_open: bool,
}

/// Whether the service can be offered in a region: its model has a name for it, and the partition is not that of China,
/// where there is none.
pub fn is_offered(region: &Region, partition: &Partition) -> bool {
    REGION.pattern.matches(region.as_str()) && partition.as_str() != "aws-cn"
}

/// Checks where a copy is to go. `destination` is what the deployment knows of the region called `wanted`.
///
/// # Errors
/// `CloudHsmInvalidRequestException`: the region is unknown or not open, in another partition, or the one called.
pub fn check_destination(called: &Place, wanted: &str, destination: Option<&Place>) -> Result<(), CloudHsmError> {
    let Some(destination) = destination.filter(|place| place.is_open) else {
        let message = format!("The destination region {wanted} is unknown, or does not offer CloudHSM to you.");
        return Err(CloudHsmError::invalid(message));
    };
    if destination.partition != called.partition {
        let message =
            format!("Backups cannot be copied from {} to {wanted}: they are in different partitions.", called.region);
        return Err(CloudHsmError::invalid(message));
    }
    if destination.region == called.region {
        let message = format!("The backup is already in {wanted}: name another destination region.");
        return Err(CloudHsmError::invalid(message));
    }
    Ok(())
}

/// Checks what is to be copied. `state` is that of the caller's own backup in the region called, if there is one:
/// what others share cannot be copied.
///
/// # Errors
/// `CloudHsmResourceNotFoundException` when there is none;
/// `CloudHsmInvalidRequestException` when it is not `READY`.
pub fn check_source(backup_id: &str, state: Option<BackupState>) -> Result<(), CloudHsmError> {
    match state {
        None => Err(CloudHsmError::new(ErrorCode::ResourceNotFound, format!("Backup {backup_id} was not found."))),
        Some(BackupState::Ready) => Ok(()),
        Some(state) => {
            Err(CloudHsmError::invalid(format!("Backup {backup_id} is in state {state}, and can be copied in READY.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(region: &str, partition: &str, is_open: bool) -> Place {
        Place { region: region.parse().unwrap(), partition: partition.parse().unwrap(), is_open }
    }

    #[test]
    fn a_copy_stays_within_its_partition_and_leaves_its_region() {
        let here = place("us-east-1", "aws", true);
        let check = |there: &Place| check_destination(&here, there.region.as_str(), Some(there));
        assert_eq!(check(&place("us-west-2", "aws", true)), Ok(()));
        for bad in [place("us-west-2", "aws", false), place("us-gov-west-1", "aws-us-gov", true), here.clone()] {
            assert_eq!(check(&bad).unwrap_err().code, ErrorCode::InvalidRequest, "{bad:?}");
        }
        assert!(check_destination(&here, "eu-west-9", None).is_err());
    }

    #[test]
    fn it_is_offered_where_its_model_has_names_for_the_region() {
        let offered = |region: &str, partition: &str| is_offered(&region.parse().unwrap(), &partition.parse().unwrap());
        assert!(offered("us-east-1", "aws") && offered("us-gov-west-1", "aws-us-gov"));
        assert!(!offered("cn-north-1", "aws-cn") && !offered("ap-guangzhou", "tencent"));
    }

    #[test]
    fn only_ready_backups_are_copied() {
        assert_eq!(check_source("backup-ro5c4er4aac", Some(BackupState::Ready)), Ok(()));
        assert_eq!(check_source("backup-ro5c4er4aac", None).unwrap_err().code, ErrorCode::ResourceNotFound);
        for state in [BackupState::CreateInProgress, BackupState::PendingDeletion, BackupState::Deleted] {
            let refused = check_source("backup-ro5c4er4aac", Some(state)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidRequest, "{state}");
        }
    }
}
