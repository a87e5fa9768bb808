//! A copy and a cluster, as in the vendor's guides.

use model::Timestamp;

use super::*;

pub(in crate::cloudhsm) fn copy() -> Backup {
    Backup {
        backup_id: "backup-kdm2xq4vtra".to_owned(),
        backup_arn: "arn:aws:cloudhsm:us-west-2:111122223333:backup/backup-kdm2xq4vtra".to_owned(),
        backup_state: BackupState::CreateInProgress,
        cluster_id: None,
        create_timestamp: Timestamp(1_768_400_000_000).into(),
        copy_timestamp: Some(Timestamp(1_768_478_400_127).into()),
        never_expires: true,
        source_region: Some("us-east-1".to_owned()),
        source_backup: Some("backup-ro5c4er4aac".to_owned()),
        source_cluster: Some("cluster-dygnwhmscg5".to_owned()),
        delete_timestamp: None,
        tag_list: Vec::new(),
        hsm_type: Some(HsmType::Hsm2mMedium),
        mode: Some(ClusterMode::Fips),
    }
}

pub(in crate::cloudhsm) fn cluster() -> Cluster {
    Cluster {
        backup_policy: BackupPolicy::Default,
        backup_retention_policy: RetentionDays::default(),
        cluster_id: "cluster-dygnwhmscg5".to_owned(),
        create_timestamp: Timestamp(1_768_400_000_000).into(),
        hsms: Vec::new(),
        hsm_type: HsmType::Hsm2mMedium,
        hsm_type_rollback_expiration: None,
        pre_co_password: None,
        security_group: Some("sg-40399d28".to_owned()),
        source_backup_id: None,
        state: ClusterState::Uninitialized,
        state_message: None,
        subnet_mapping: [("us-west-2a".to_owned(), "subnet-0e358c43".to_owned())].into(),
        vpc_id: Some("vpc-50ae0636".to_owned()),
        network_type: NetworkType::Ipv4,
        certificates: Some(Certificates { cluster_csr: Some("csr".to_owned()), ..Certificates::default() }),
        tag_list: Vec::new(),
        mode: ClusterMode::Fips,
    }
}
