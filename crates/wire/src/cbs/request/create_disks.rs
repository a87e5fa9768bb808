//! `CreateDisks`: the request with the most members, and with the most that exclude each other.

use std::collections::BTreeMap;

use model::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Checked;
use super::check::{ensure, flag, limited_names, missing, name_in_bytes, tags};
use crate::cbs::reply::Tag;
use crate::cbs::values::{DiskChargeType, DiskType, Encrypt, EncryptType, FileSystemType, RenewFlag};
use crate::cbs::{CbsCode, CbsError, INSTANCES_PER_DISK_MAX};
use crate::tencent::CommonCode;
use crate::tencent::reading::structure;

const DISKS_PER_CREATION_MAX: i64 = 20;
const CLIENT_TOKEN_LEN_MAX: usize = 64;
/// The largest disk that Tencent sells.
const DISK_GIB_MAX: i64 = 32_000;
/// Smaller disks cannot burst.
const BURST_GIB_MIN: i64 = 460;
const PREPAID_MONTHS: [i64; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 24, 36];

structure! {
    /// Where a new disk shall lie.
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    pub Placement {
        zone: String = "Zone",
        project_id: Option<i64> = "ProjectId",
        project_name: Option<String> = "ProjectName",
        cage_id: Option<String> = "CageId",
        cdc_id: Option<String> = "CdcId",
        cdc_name: Option<String> = "CdcName",
        dedicated_cluster_id: Option<String> = "DedicatedClusterId",
    }
}

structure! {
    /// For how long a disk is paid in advance.
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    pub DiskChargePrepaid {
        /// Months.
        period: i64 = "Period",
        renew_flag: Option<RenewFlag> = "RenewFlag",
        cur_instance_deadline: Option<String> = "CurInstanceDeadline",
    }
}

structure! {
    /// Where a new disk is attached, and mounted.
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    pub AutoMountConfiguration {
        /// At least one, each once; only one for a disk that is not shareable.
        instance_id: Vec<String> = "InstanceId",
        mount_point: Option<Vec<String>> = "MountPoint",
        file_system_type: Option<FileSystemType> = "FileSystemType",
    }
}

structure! {
    /// Makes disks, empty or of a snapshot. Without a snapshot there is a size.
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    pub CreateDisks {
        placement: Placement = "Placement",
        disk_charge_type: DiskChargeType = "DiskChargeType",
        disk_type: DiskType = "DiskType",
        disk_name: Option<String> = "DiskName",
        tags: Option<Vec<Tag>> = "Tags",
        snapshot_id: Option<String> = "SnapshotId",
        /// In GiB.
        disk_size: Option<i64> = "DiskSize",
        /// How many, 1 to 20; see [`CreateDisks::count`].
        disk_count: Option<i64> = "DiskCount",
        disk_charge_prepaid: Option<DiskChargePrepaid> = "DiskChargePrepaid",
        encrypt: Option<Encrypt> = "Encrypt",
        kms_key_id: Option<String> = "KmsKeyId",
        encrypt_type: Option<EncryptType> = "EncryptType",
        shareable: Option<bool> = "Shareable",
        /// In MB/s.
        throughput_performance: Option<i64> = "ThroughputPerformance",
        burst_performance: Option<bool> = "BurstPerformance",
        /// Makes a repeated call harmless.
        client_token: Option<String> = "ClientToken",
        /// 1: snapshots that are not permanent go with the disk.
        delete_snapshot: Option<i64> = "DeleteSnapshot",
        auto_mount_configuration: Option<AutoMountConfiguration> = "AutoMountConfiguration",
        disk_backup_quota: Option<i64> = "DiskBackupQuota",
    }
}

impl CreateDisks {
    /// How many disks to make.
    pub fn count(&self) -> usize {
        self.disk_count.and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
    }

    /// All that is asked for, in one spelling: JSON without the token and without absent members, the others ordered by name.
    /// It is kept, and compared by later versions, in which there may be more members.
    pub fn parameters(&self) -> String {
        let asked = Self { client_token: None, ..self.clone() };
        in_one_spelling(serde_json::to_value(asked).expect("requests are structures of plain data")).to_string()
    }

    fn check_presence(&self) -> Result<(), CbsError> {
        let missing_beside = [
            (self.snapshot_id.is_none() && self.disk_size.is_none(), "DiskSize"),
            (
                self.disk_charge_type == DiskChargeType::Prepaid && self.disk_charge_prepaid.is_none(),
                "DiskChargePrepaid",
            ),
            (self.kms_key_id.is_some() && self.encrypt.is_none(), "Encrypt"),
        ];
        match missing_beside.into_iter().find(|(is_missing, _)| *is_missing) {
            Some((_, name)) => Err(missing(name)),
            None => Ok(()),
        }
    }

    fn check_values(&self) -> Result<(), CbsError> {
        let token_fits = |token: &String| token.is_ascii() && token.len() <= CLIENT_TOKEN_LEN_MAX;
        let prepaid = self.disk_charge_prepaid.as_ref();
        name_in_bytes("DiskName", self.disk_name.as_ref())?;
        flag("DeleteSnapshot", self.delete_snapshot)?;
        tags(self.tags.as_deref())?;
        ensure(!self.placement.zone.is_empty(), "Placement.Zone must not be empty.")?;
        ensure(self.placement.project_id.is_none_or(|id| id >= 0), "Placement.ProjectId must not be negative.")?;
        ensure(
            self.disk_size.is_none_or(|size| (1..=DISK_GIB_MAX).contains(&size)),
            "DiskSize must be between 1 and 32000.",
        )?;
        ensure(self.disk_count.is_none_or(|count| count > 0), "DiskCount must be positive.")?;
        ensure(self.disk_backup_quota.is_none_or(|quota| quota >= 0), "DiskBackupQuota must not be negative.")?;
        ensure(
            self.client_token.as_ref().is_none_or(token_fits),
            "ClientToken must have at most 64 ASCII characters.",
        )?;
        ensure(
            prepaid.is_none_or(|prepaid| PREPAID_MONTHS.contains(&prepaid.period)),
            "DiskChargePrepaid.Period must be 1 to 12, 24 or 36.",
        )
    }

    /// The instances that the disks are to be attached to.
    pub fn instances(&self) -> &[String] {
        self.auto_mount_configuration.as_ref().map_or(&[], |mounted| &mounted.instance_id)
    }

    fn check_attachment(&self) -> Result<(), CbsError> {
        let Some(AutoMountConfiguration { instance_id, mount_point, file_system_type }) =
            &self.auto_mount_configuration
        else {
            return Ok(());
        };
        limited_names("AutoMountConfiguration.InstanceId", instance_id, INSTANCES_PER_DISK_MAX)?;
        ensure(
            instance_id.len() == 1 || self.shareable == Some(true),
            "Only a Shareable disk can be attached to several instances.",
        )?;
        if mount_point.is_some() || file_system_type.is_some() {
            let message = "Disks can be attached to instances, and are not formatted or mounted there.";
            return Err(CbsError::new(CommonCode::UnsupportedOperation, message));
        }
        Ok(())
    }

    fn check_combinations(&self) -> Result<(), CbsError> {
        let is_fast = matches!(self.disk_type, DiskType::CloudHssd | DiskType::CloudTssd);
        let bursts = self.burst_performance == Some(true);
        let is_encrypted = self.encrypt.is_some();
        ensure(!is_encrypted || self.shareable != Some(true), "Encrypt and Shareable cannot be given together.")?;
        ensure(
            !is_encrypted || self.auto_mount_configuration.is_none(),
            "Encrypt and AutoMountConfiguration cannot be given together.",
        )?;
        ensure(
            self.throughput_performance.is_none_or(|rate| rate >= 0 && (is_fast || rate == 0)),
            "ThroughputPerformance needs a DiskType of CLOUD_HSSD or CLOUD_TSSD.",
        )?;
        ensure(
            !bursts || is_fast && self.disk_size.is_none_or(|size| size >= BURST_GIB_MIN),
            "BurstPerformance needs a DiskType of CLOUD_HSSD or CLOUD_TSSD and at least 460 GiB.",
        )
    }
}

impl Checked for CreateDisks {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        self.check_presence()?;
        self.check_values()?;
        self.check_combinations()?;
        self.check_attachment()?;
        if self.disk_count.is_some_and(|count| count > DISKS_PER_CREATION_MAX) {
            return Err(CbsCode::InvalidParameterValueLimitExceeded.into());
        }
        // The oldest type is no longer sold, the fastest only together with an instance.
        if matches!(self.disk_type, DiskType::CloudBasic | DiskType::CloudTssd) {
            return Err(CbsCode::InvalidParameterDiskConfigNotSupported.into());
        }
        Ok(())
    }
}

/// In which order JSON's members are kept is for other crates to decide.
fn in_one_spelling(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let present: BTreeMap<String, Value> = members.into_iter().filter(|(_, member)| !member.is_null()).collect();
    present.into_iter().map(|(name, member)| (name, in_one_spelling(member))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cbs::{Action, Code, Request, parse};
    use crate::tencent::Parameters;

    /// The smallest good `CreateDisks`, with some members replaced.
    fn create(changes: Value) -> Result<Request, Code> {
        let mut body = json!({
            "Placement": { "Zone": "ap-guangzhou-3" }, "DiskChargeType": "POSTPAID_BY_HOUR",
            "DiskType": "CLOUD_PREMIUM", "DiskSize": 20,
        });
        let Value::Object(changes) = changes else { panic!("an object") };
        changes.into_iter().for_each(|(name, value)| body[name] = value);
        let parameters = Parameters::from_json(body.to_string().as_bytes()).unwrap();
        parse(Action::CreateDisks, &parameters, Timestamp(0)).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_disk_needs_a_size_or_a_snapshot() {
        assert_eq!(create(json!({ "DiskSize": null })), Err(CommonCode::MissingParameter.into()));
        assert!(create(json!({ "DiskSize": null, "SnapshotId": "snap-1" })).is_ok());
        let Ok(Request::CreateDisks(request)) = create(json!({ "DiskCount": 20 })) else { panic!("disks") };
        assert_eq!(request.count(), 20);
    }

    /// What earlier versions have kept is compared with it.
    #[test]
    fn parameters_have_one_spelling_that_stays() {
        let tags = json!([{ "Key": "b", "Value": "1" }, { "Key": "a", "Value": "2" }]);
        let prepaid = json!({ "Period": 12, "RenewFlag": "NOTIFY_AND_AUTO_RENEW" });
        let all = json!({
            "Tags": tags, "SnapshotId": null, "DiskCount": 2, "ClientToken": "once", "DiskChargeType": "PREPAID",
            "DiskChargePrepaid": prepaid, "Shareable": false,
        });
        for (changes, parameters) in [
            (
                json!({ "ClientToken": "once" }),
                r#"{"DiskChargeType":"POSTPAID_BY_HOUR","DiskSize":20,"DiskType":"CLOUD_PREMIUM","Placement":{"Zone":"ap-guangzhou-3"}}"#,
            ),
            (
                all,
                concat!(
                    r#"{"DiskChargePrepaid":{"Period":12,"RenewFlag":"NOTIFY_AND_AUTO_RENEW"},"DiskChargeType":"PREPAID","#,
                    r#""DiskCount":2,"DiskSize":20,"DiskType":"CLOUD_PREMIUM","Placement":{"Zone":"ap-guangzhou-3"},"#,
                    r#""Shareable":false,"Tags":[{"Key":"b","Value":"1"},{"Key":"a","Value":"2"}]}"#,
                ),
            ),
        ] {
            let Ok(Request::CreateDisks(request)) = create(changes) else { panic!("disks") };
            assert_eq!(request.parameters(), parameters);
        }
    }

    #[test]
    fn what_a_new_disk_cannot_be_is_refused() {
        let value = CommonCode::InvalidParameterValue;
        let refusals: [(Value, Code); 25] = [
            (json!({ "Placement": {} }), CommonCode::MissingParameter.into()),
            (json!({ "DiskChargeType": "PREPAID" }), CommonCode::MissingParameter.into()),
            (json!({ "KmsKeyId": "k" }), CommonCode::MissingParameter.into()),
            (json!({ "DiskSize": "20" }), CommonCode::InvalidParameter.into()),
            (json!({ "DiskType": "CLOUD_FAST" }), value.into()),
            (json!({ "DiskName": "未".repeat(21) }), value.into()),
            (json!({ "DiskSize": 0 }), value.into()),
            (json!({ "DiskSize": 32_001 }), value.into()),
            (json!({ "DiskCount": 0 }), value.into()),
            (json!({ "DiskCount": 21 }), CbsCode::InvalidParameterValueLimitExceeded.into()),
            (json!({ "DiskChargeType": "PREPAID", "DiskChargePrepaid": { "Period": 13 } }), value.into()),
            (json!({ "Encrypt": "encrypt" }), value.into()),
            (json!({ "Encrypt": "ENCRYPT", "Shareable": true }), value.into()),
            (json!({ "Encrypt": "ENCRYPT", "AutoMountConfiguration": { "InstanceId": ["i"] } }), value.into()),
            (json!({ "AutoMountConfiguration": {} }), CommonCode::MissingParameter.into()),
            (json!({ "AutoMountConfiguration": { "InstanceId": [] } }), value.into()),
            (json!({ "AutoMountConfiguration": { "InstanceId": ["i", "j"] } }), value.into()),
            (
                json!({ "AutoMountConfiguration": { "InstanceId": ["i"], "FileSystemType": "xfs" } }),
                CommonCode::UnsupportedOperation.into(),
            ),
            (json!({ "ThroughputPerformance": 100 }), value.into()),
            (json!({ "DiskType": "CLOUD_HSSD", "BurstPerformance": true, "DiskSize": 459 }), value.into()),
            (json!({ "ClientToken": "x".repeat(65) }), value.into()),
            (json!({ "ClientToken": "é" }), value.into()),
            (json!({ "DeleteSnapshot": 2 }), value.into()),
            (json!({ "DiskType": "CLOUD_TSSD" }), CbsCode::InvalidParameterDiskConfigNotSupported.into()),
            (json!({ "Zone": "ap-guangzhou-3" }), CommonCode::UnknownParameter.into()),
        ];
        for (changes, code) in refusals {
            assert_eq!(create(changes.clone()), Err(code), "{changes}");
        }
        assert!(create(json!({ "DiskType": "CLOUD_HSSD", "BurstPerformance": true, "DiskSize": 460 })).is_ok());
        assert!(create(json!({ "Encrypt": "ENCRYPT", "KmsKeyId": "k" })).is_ok());
        let both = json!({ "Shareable": true, "AutoMountConfiguration": { "InstanceId": ["i", "j"] } });
        let Ok(Request::CreateDisks(request)) = create(both) else { panic!("disks") };
        assert_eq!(request.instances(), ["i", "j"]);
    }
}
