//! Replies about disks.

use serde::{Serialize, Serializer};

use super::{Placement, Tag};
use crate::cbs::values::{AttachMode, DiskChargeType, DiskState, DiskType, DiskUsage, EncryptType, RenewFlag};

/// A disk. Times are texts of `cbs::time`. The default is a detached data disk that is paid by the hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Disk {
    /// `disk-…`
    pub disk_id: String,
    /// At most 60 bytes.
    pub disk_name: String,
    /// What it is used for.
    pub disk_usage: DiskUsage,
    /// Its medium.
    pub disk_type: DiskType,
    /// In GiB.
    pub disk_size: i64,
    /// Where it is in its life.
    pub disk_state: DiskState,
    /// How it is paid for.
    pub disk_charge_type: DiskChargeType,
    /// Whether it is elastic: it can be detached from its instance.
    pub portable: bool,
    /// Where it lies.
    pub placement: Placement,
    /// Whether snapshots can be taken of it.
    pub snapshot_ability: bool,
    /// How many snapshots it has.
    pub snapshot_count: i64,
    /// What they hold, in MiB.
    pub snapshot_size: i64,
    /// When it was made.
    pub create_time: String,
    /// When its paid time ends; empty if it has no end.
    pub deadline_time: String,
    /// What happens then; empty if it has no end.
    #[serde(serialize_with = "word_or_empty")]
    pub renew_flag: Option<RenewFlag>,
    /// Whether it is at an instance.
    pub attached: bool,
    /// How it is attached to a bare-metal instance; empty elsewhere.
    #[serde(serialize_with = "word_or_empty")]
    pub attach_mode: Option<AttachMode>,
    /// Its instance; empty if there is none.
    pub instance_id: String,
    /// All its instances.
    pub instance_id_list: Vec<String>,
    /// `CVM` or `EKS`; empty without an instance.
    pub instance_type: &'static str,
    /// The instance it was at last.
    pub last_attach_ins_id: Option<String>,
    /// Whether it goes when its instance does.
    pub delete_with_instance: bool,
    /// 1 if its snapshots that are not permanent go when it does, else 0.
    pub delete_snapshot: i64,
    /// Whether it is encrypted.
    pub encrypt: bool,
    /// The generation of its encryption; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypt_type: Option<EncryptType>,
    /// The key of its encryption; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Whether several instances can have it.
    pub shareable: bool,
    /// Whether a snapshot is being rolled back onto it.
    pub rollbacking: bool,
    /// How far that is.
    pub rollback_percent: i64,
    /// Whether it is being migrated.
    pub migrating: bool,
    /// How far that is.
    pub migrate_percent: i64,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// The policies it is bound to; null unless asked for.
    pub auto_snapshot_policy_ids: Option<Vec<String>>,
    /// What was bought beside the basic performance, in MB/s.
    pub throughput_performance: i64,
    /// Whether it may burst.
    pub burst_performance: bool,
    /// Whether it was made from a backup point.
    pub backup_disk: bool,
    /// How many backup points it may have.
    pub disk_backup_quota: i64,
    /// How many backup points it has.
    pub disk_backup_count: i64,
    /// Whether it ends before its instance does.
    pub deadline_error: bool,
    /// Whether its renewal is at odds with its instance's.
    pub auto_renew_flag_error: bool,
    /// Days to its end; prepaid disks only.
    pub differ_days_of_deadline: Option<i64>,
    /// Whether it can be given back; prepaid disks only.
    pub is_returnable: Option<bool>,
    /// Why it cannot be given back: 1 already returned, 2 expired, 3 not supported, 8 over the quota, 10 not an
    /// elastic prepaid data disk.
    pub return_fail_code: i64,
    /// What went wrong in its last operation.
    pub error_prompt: String,
}

/// The reply of `CreateDisks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateDisksReply {
    /// The new disks.
    pub disk_id_set: Vec<String>,
}

/// The reply of `DescribeDisks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeDisksReply {
    /// How many match, on all pages.
    pub total_count: usize,
    /// Those of this page.
    pub disk_set: Vec<Disk>,
}

fn word_or_empty<W: Serialize, S: Serializer>(word: &Option<W>, serializer: S) -> Result<S::Ok, S::Error> {
    match word {
        Some(word) => word.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The members of `Disk` in `tencentcloud-sdk-python-cbs` 3.1.175, without the two optional ones.
    const MEMBERS: [&str; 42] = [
        "AttachMode",
        "Attached",
        "AutoRenewFlagError",
        "AutoSnapshotPolicyIds",
        "BackupDisk",
        "BurstPerformance",
        "CreateTime",
        "DeadlineError",
        "DeadlineTime",
        "DeleteSnapshot",
        "DeleteWithInstance",
        "DifferDaysOfDeadline",
        "DiskBackupCount",
        "DiskBackupQuota",
        "DiskChargeType",
        "DiskId",
        "DiskName",
        "DiskSize",
        "DiskState",
        "DiskType",
        "DiskUsage",
        "Encrypt",
        "ErrorPrompt",
        "InstanceId",
        "InstanceIdList",
        "InstanceType",
        "IsReturnable",
        "LastAttachInsId",
        "MigratePercent",
        "Migrating",
        "Placement",
        "Portable",
        "RenewFlag",
        "ReturnFailCode",
        "RollbackPercent",
        "Rollbacking",
        "Shareable",
        "SnapshotAbility",
        "SnapshotCount",
        "SnapshotSize",
        "Tags",
        "ThroughputPerformance",
    ];

    #[test]
    fn every_member_is_written_and_only_nullable_ones_are_null() {
        let written = serde_json::to_value(Disk::default()).unwrap();
        let members = written.as_object().unwrap();
        let mut names: Vec<&String> = members.keys().collect();
        names.sort();
        assert_eq!(names, MEMBERS);
        let nulls: Vec<&String> = members.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name).collect();
        let nullable = ["AutoSnapshotPolicyIds", "DifferDaysOfDeadline", "IsReturnable", "LastAttachInsId"];
        assert!(nulls.iter().all(|name| nullable.contains(&name.as_str())) && nulls.len() == 4, "{nulls:?}");
    }

    #[test]
    fn an_encrypted_disk_names_its_key() {
        let disk = Disk { encrypt_type: Some(EncryptType::V2), kms_key_id: Some("k".to_owned()), ..Disk::default() };
        let written: Value = serde_json::to_value(disk).unwrap();
        assert_eq!((&written["EncryptType"], &written["KmsKeyId"]), (&json!("ENCRYPT_V2"), &json!("k")));
        assert_eq!((&written["AttachMode"], &written["RenewFlag"]), (&json!(""), &json!("")));
    }
}
