//! Replies of CloudHSM. Members without a value are left out; lists of tags and HSMs are written when empty.

use std::collections::BTreeMap;

use serde::Serialize;

use super::request::Tag;
use super::retention::RetentionDays;
use super::words::{BackupPolicy, BackupState, ClusterMode, ClusterState, HsmState, HsmType, NetworkType};
use crate::aws::json::EpochSeconds;

/// Declares structures of a reply; wire names are the fields' in Pascal case. Members in brackets may be absent.
macro_rules! output {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$about:meta])* $([$optional:ident: $optional_type:ty])? $($field:ident: $type:ty)?,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(rename_all = "PascalCase")]
        #[expect(missing_docs, reason = "named as in the vendor's API reference")]
        pub struct $name {
            $($(#[$about])*
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $optional: Option<$optional_type>,)?
            $(pub $field: $type,)?)*
        }
    )*};
}

output! {
    /// A backup.
    Backup {
        /// In this region.
        backup_id: String,
        /// Of this region and the owner.
        backup_arn: String,
        backup_state: BackupState,
        /// The cluster it was taken from; not on copies, which tell it in `source_cluster`.
        [cluster_id: String],
        /// When its content was made: a copy has that of its source.
        create_timestamp: EpochSeconds,
        /// Only on copies: when the copy was asked for.
        [copy_timestamp: EpochSeconds],
        /// Whether retention passes it over. Copies are never subject to it.
        never_expires: bool,
        /// Only on copies.
        [source_region: String],
        /// Only on copies: the id in the source region.
        [source_backup: String],
        /// Only on copies: the cluster in the region where the content was made.
        [source_cluster: String],
        /// Only in `PENDING_DELETION`: when it goes for good.
        [delete_timestamp: EpochSeconds],
        tag_list: Vec<Tag>,
        [hsm_type: HsmType],
        [mode: ClusterMode],
    }

    /// What is told of a copy when it is asked for: where it comes from, but not its id.
    DestinationBackup {
        /// That of the source.
        create_timestamp: EpochSeconds,
        source_region: String,
        source_backup: String,
        [source_cluster: String],
    }

    /// A cluster.
    Cluster {
        /// Always `DEFAULT`.
        backup_policy: BackupPolicy,
        backup_retention_policy: RetentionDays,
        cluster_id: String,
        create_timestamp: EpochSeconds,
        hsms: Vec<Hsm>,
        hsm_type: HsmType,
        /// Only while a change of type can be taken back.
        [hsm_type_rollback_expiration: EpochSeconds],
        /// The first password of the crypto officer; until activation.
        [pre_co_password: String],
        [security_group: String],
        /// The id, never the ARN, of the backup it was made from.
        [source_backup_id: String],
        state: ClusterState,
        [state_message: String],
        /// The subnet of each availability zone.
        subnet_mapping: BTreeMap<String, String>,
        [vpc_id: String],
        network_type: NetworkType,
        [certificates: Certificates],
        tag_list: Vec<Tag>,
        mode: ClusterMode,
    }

    /// An HSM of a cluster.
    Hsm {
        [availability_zone: String],
        [cluster_id: String],
        [subnet_id: String],
        [eni_id: String],
        [eni_ip: String],
        /// Only with `DUALSTACK`.
        [eni_ip_v6: String],
        hsm_id: String,
        [hsm_type: HsmType],
        state: HsmState,
        [state_message: String],
    }

    /// The certificates of a cluster, in PEM. All but the last are there while the cluster is `UNINITIALIZED` and
    /// has an HSM; the last once it is initialized.
    #[derive(Default)]
    Certificates {
        [cluster_csr: String],
        [hsm_certificate: String],
        [aws_hardware_certificate: String],
        [manufacturer_hardware_certificate: String],
        [cluster_certificate: String],
    }

    /// The reply of `CopyBackupToRegion`.
    CopyBackupToRegionReply {
        destination_backup: DestinationBackup,
    }

    /// The reply of `DeleteBackup`, `RestoreBackup` and `ModifyBackupAttributes`.
    BackupReply {
        backup: Backup,
    }

    /// The reply of `DescribeBackups`.
    DescribeBackupsReply {
        backups: Vec<Backup>,
        [next_token: String],
    }

    /// The reply of `CreateCluster`, `ModifyCluster` and `DeleteCluster`.
    ClusterReply {
        cluster: Cluster,
    }

    /// The reply of `DescribeClusters`.
    DescribeClustersReply {
        clusters: Vec<Cluster>,
        [next_token: String],
    }

    /// The reply of `InitializeCluster`.
    InitializeClusterReply {
        state: ClusterState,
        state_message: String,
    }

    /// The reply of `CreateHsm`.
    CreateHsmReply {
        hsm: Hsm,
    }

    /// The reply of `DeleteHsm`.
    DeleteHsmReply {
        hsm_id: String,
    }

    /// The reply of `ListTags`.
    ListTagsReply {
        tag_list: Vec<Tag>,
        [next_token: String],
    }

    /// The reply of `PutResourcePolicy` and `DeleteResourcePolicy`: the policy as it was written.
    ResourcePolicyReply {
        resource_arn: String,
        [policy: String],
    }

    /// The reply of `GetResourcePolicy`: `{}` when there is none.
    GetResourcePolicyReply {
        [policy: String],
    }
}

impl DestinationBackup {
    /// What is told of a copy of `source` out of `region`.
    pub fn of(source: &Backup, region: &str) -> Self {
        Self {
            create_timestamp: source.create_timestamp,
            source_region: region.to_owned(),
            source_backup: source.backup_id.clone(),
            source_cluster: source.origin_cluster().cloned(),
        }
    }
}

impl Backup {
    /// The cluster whose content it holds: its own, or on a copy the one at the source.
    pub fn origin_cluster(&self) -> Option<&String> {
        self.cluster_id.as_ref().or(self.source_cluster.as_ref())
    }
}

impl InitializeClusterReply {
    /// What is said when a cluster begins to initialize.
    pub fn begun() -> Self {
        Self {
            state: ClusterState::InitializeInProgress,
            state_message: "Cluster is initializing. State will change to INITIALIZED upon completion.".to_owned(),
        }
    }
}

/// What is said of a cluster that is being removed.
pub const CLUSTER_DELETE_MESSAGE: &str = "The cluster is being deleted.";

#[cfg(test)]
pub(super) mod sample;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::json::success;

    fn body(reply: &impl Serialize) -> String {
        String::from_utf8(success(reply, "id").body).unwrap()
    }

    #[test]
    fn the_reply_to_a_copy_names_only_its_source() {
        let source = Backup {
            backup_id: "backup-ro5c4er4aac".to_owned(),
            cluster_id: Some("cluster-dygnwhmscg5".to_owned()),
            source_cluster: None,
            ..sample::copy()
        };
        let reply = CopyBackupToRegionReply { destination_backup: DestinationBackup::of(&source, "us-east-1") };
        assert_eq!(
            body(&reply),
            concat!(
                r#"{"DestinationBackup":{"CreateTimestamp":1768400000.0,"SourceRegion":"us-east-1","#,
                r#""SourceBackup":"backup-ro5c4er4aac","SourceCluster":"cluster-dygnwhmscg5"}}"#,
            )
        );
    }

    #[test]
    fn a_copy_of_a_copy_keeps_the_first_cluster_and_names_the_next_source() {
        let told = DestinationBackup::of(&sample::copy(), "us-west-2");
        assert_eq!(told.source_cluster.as_deref(), Some("cluster-dygnwhmscg5"));
        assert_eq!((told.source_backup.as_str(), told.source_region.as_str()), ("backup-kdm2xq4vtra", "us-west-2"));
    }

    #[test]
    fn a_copy_in_progress_is_described() {
        assert_eq!(
            body(&DescribeBackupsReply { backups: vec![sample::copy()], next_token: None }),
            concat!(
                r#"{"Backups":[{"BackupId":"backup-kdm2xq4vtra","#,
                r#""BackupArn":"arn:aws:cloudhsm:us-west-2:111122223333:backup/backup-kdm2xq4vtra","#,
                r#""BackupState":"CREATE_IN_PROGRESS","CreateTimestamp":1768400000.0,"CopyTimestamp":1768478400.127,"#,
                r#""NeverExpires":true,"SourceRegion":"us-east-1","SourceBackup":"backup-ro5c4er4aac","#,
                r#""SourceCluster":"cluster-dygnwhmscg5","TagList":[],"HsmType":"hsm2m.medium","Mode":"FIPS"}]}"#,
            )
        );
    }

    #[test]
    fn a_cluster_is_described() {
        assert_eq!(
            body(&ClusterReply { cluster: sample::cluster() }),
            concat!(
                r#"{"Cluster":{"BackupPolicy":"DEFAULT","BackupRetentionPolicy":{"Type":"DAYS","Value":"90"},"#,
                r#""ClusterId":"cluster-dygnwhmscg5","CreateTimestamp":1768400000.0,"Hsms":[],"HsmType":"hsm2m.medium","#,
                r#""SecurityGroup":"sg-40399d28","State":"UNINITIALIZED","SubnetMapping":{"us-west-2a":"subnet-0e358c43"},"#,
                r#""VpcId":"vpc-50ae0636","NetworkType":"IPV4","Certificates":{"ClusterCsr":"csr"},"TagList":[],"Mode":"FIPS"}}"#,
            )
        );
    }

    #[test]
    fn odd_names_are_spelled_as_in_the_model() {
        let hsm = Hsm {
            availability_zone: None,
            cluster_id: None,
            subnet_id: None,
            eni_id: Some("eni-40b10b1a".to_owned()),
            eni_ip: Some("10.0.1.5".to_owned()),
            eni_ip_v6: Some("2001:db8::5".to_owned()),
            hsm_id: "hsm-lgouyitvq5l".to_owned(),
            hsm_type: None,
            state: HsmState::Active,
            state_message: None,
        };
        assert_eq!(
            body(&CreateHsmReply { hsm }),
            r#"{"Hsm":{"EniId":"eni-40b10b1a","EniIp":"10.0.1.5","EniIpV6":"2001:db8::5","HsmId":"hsm-lgouyitvq5l","State":"ACTIVE"}}"#
        );
        let cluster = Cluster { pre_co_password: Some("password".to_owned()), ..sample::cluster() };
        assert!(body(&ClusterReply { cluster }).contains(r#""PreCoPassword":"password""#));
        assert_eq!(body(&GetResourcePolicyReply { policy: None }), "{}");
        assert_eq!(body(&DescribeBackupsReply { backups: Vec::new(), next_token: None }), r#"{"Backups":[]}"#);
    }
}
