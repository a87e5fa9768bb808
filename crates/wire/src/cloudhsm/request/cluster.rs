//! Operations on clusters and their HSMs.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::super::error::CloudHsmError;
use super::super::retention::RetentionDays;
use super::super::scalar::{
    AVAILABILITY_ZONE, BACKUP_ARN, CERTIFICATE, CLUSTER_ID, ENI_ID, HSM_ID, HSM_TYPE, IP_ADDRESS, RETENTION_VALUE,
    SUBNET_IDS, TAGS,
};
use super::super::tags;
use super::super::words::{BackupRetentionType, ClusterMode, HsmType, NetworkType};
use super::{Check, Tag};
use crate::aws::arn::Arn;
use crate::aws::shape::{Count, structure};

structure! {
    /// For how long backups are kept; see [`RetentionDays`].
    BackupRetentionPolicy {
        kind: Option<BackupRetentionType> = "Type",
        value: Option<String> = "Value" => &RETENTION_VALUE,
    }

    /// Makes a cluster, empty or from a backup.
    CreateCluster {
        /// 90 days when there is none.
        backup_retention_policy: Option<BackupRetentionPolicy> = "BackupRetentionPolicy",
        /// See [`Self::known_hsm_type`].
        hsm_type: String = "HsmType" => &HSM_TYPE,
        /// See [`Self::source_backup`].
        source_backup_id: Option<String> = "SourceBackupId" => &BACKUP_ARN,
        /// One per availability zone, all in one VPC.
        subnet_ids: Vec<String> = "SubnetIds" => &SUBNET_IDS,
        /// `IPV4` when there is none.
        network_type: Option<NetworkType> = "NetworkType",
        tag_list: Option<Vec<Tag>> = "TagList" => &Count(TAGS),
        /// See [`Self::mode_given`].
        mode: Option<ClusterMode> = "Mode",
    }

    /// Changes the retention or the type of a cluster.
    ModifyCluster {
        hsm_type: Option<String> = "HsmType" => &HSM_TYPE,
        backup_retention_policy: Option<BackupRetentionPolicy> = "BackupRetentionPolicy",
        cluster_id: String = "ClusterId" => &CLUSTER_ID,
    }

    /// Removes a cluster that has no HSMs. Its backups stay.
    DeleteCluster {
        cluster_id: String = "ClusterId" => &CLUSTER_ID,
    }

    /// Gives a cluster its certificate.
    InitializeCluster {
        cluster_id: String = "ClusterId" => &CLUSTER_ID,
        /// PEM: issued for the cluster's CSR.
        signed_cert: String = "SignedCert" => &CERTIFICATE,
        /// PEM: the issuer.
        trust_anchor: String = "TrustAnchor" => &CERTIFICATE,
    }

    /// Adds an HSM to a cluster.
    CreateHsm {
        cluster_id: String = "ClusterId" => &CLUSTER_ID,
        /// One of the cluster's.
        availability_zone: String = "AvailabilityZone" => &AVAILABILITY_ZONE,
        ip_address: Option<String> = "IpAddress" => &IP_ADDRESS,
    }

    /// Removes an HSM from a cluster; see [`Self::selector`].
    DeleteHsm {
        cluster_id: String = "ClusterId" => &CLUSTER_ID,
        hsm_id: Option<String> = "HsmId" => &HSM_ID,
        eni_id: Option<String> = "EniId" => &ENI_ID,
        eni_ip: Option<String> = "EniIp" => &IP_ADDRESS,
    }
}

/// The backup that a cluster is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceBackup {
    /// One's own.
    Own(String),
    /// Perhaps another account's.
    Named(Arn),
}

impl SourceBackup {
    /// The id of the backup.
    pub fn id(&self) -> &str {
        match self {
            Self::Own(id) => id,
            Self::Named(arn) => arn.kind_and_id().map_or("", |(_, id)| id),
        }
    }
}

/// What an HSM to remove is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the members of the request")]
pub enum HsmSelector<'a> {
    HsmId(&'a str),
    EniId(&'a str),
    EniIp(&'a str),
}

impl CreateCluster {
    /// The type.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` when there is none of that name.
    pub fn known_hsm_type(&self) -> Result<HsmType, CloudHsmError> {
        known_hsm_type(&self.hsm_type)
    }

    /// The backup that the cluster is made from, if it is not empty.
    pub fn source_backup(&self) -> Option<SourceBackup> {
        let given = self.source_backup_id.as_ref()?;
        Some(given.parse().map_or_else(|_| SourceBackup::Own(given.clone()), SourceBackup::Named))
    }

    /// For how long the cluster keeps its backups.
    ///
    /// # Errors
    /// See [`RetentionDays`].
    pub fn retention(&self) -> Result<RetentionDays, CloudHsmError> {
        self.backup_retention_policy.as_ref().map_or(Ok(RetentionDays::default()), RetentionDays::try_from)
    }

    /// The mode of an empty cluster.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` when the type does not have that mode, or has two and none is given.
    pub fn mode_given(&self) -> Result<ClusterMode, CloudHsmError> {
        match (self.known_hsm_type()?, self.mode) {
            (HsmType::Hsm1Medium, Some(ClusterMode::NonFips)) => {
                Err(CloudHsmError::invalid("Clusters of type hsm1.medium can only be in FIPS mode."))
            }
            (HsmType::Hsm1Medium, _) => Ok(ClusterMode::Fips),
            (HsmType::Hsm2mMedium, Some(mode)) => Ok(mode),
            (HsmType::Hsm2mMedium, None) => {
                Err(CloudHsmError::invalid("A cluster of type hsm2m.medium must be given a Mode."))
            }
        }
    }

    /// The mode of a cluster made from a backup of a cluster of that type and mode: the same. Backups move up
    /// from hsm1.medium to hsm2m.medium, never down.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` when the backup does not suit.
    pub fn mode_from(&self, backup_type: HsmType, backup_mode: ClusterMode) -> Result<ClusterMode, CloudHsmError> {
        let hsm_type = self.known_hsm_type()?;
        if hsm_type < backup_type {
            let message = format!("A backup of a cluster of type {backup_type} cannot be restored to {hsm_type}.");
            return Err(CloudHsmError::invalid(message));
        }
        match self.mode {
            Some(mode) if mode != backup_mode => {
                let message = format!("A backup of a cluster in {backup_mode} mode cannot be restored to {mode} mode.");
                Err(CloudHsmError::invalid(message))
            }
            _ => Ok(backup_mode),
        }
    }
}

impl ModifyCluster {
    /// The new type, if it is to change.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` when there is none of that name.
    pub fn known_hsm_type(&self) -> Result<Option<HsmType>, CloudHsmError> {
        self.hsm_type.as_deref().map(known_hsm_type).transpose()
    }

    /// The new retention, if it is to change.
    ///
    /// # Errors
    /// See [`RetentionDays`].
    pub fn retention(&self) -> Result<Option<RetentionDays>, CloudHsmError> {
        self.backup_retention_policy.as_ref().map(RetentionDays::try_from).transpose()
    }
}

impl DeleteHsm {
    /// What the HSM is known by.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` when nothing or too much is given.
    pub fn selector(&self) -> Result<HsmSelector<'_>, CloudHsmError> {
        match (&self.hsm_id, &self.eni_id, &self.eni_ip) {
            (Some(id), None, None) => Ok(HsmSelector::HsmId(id)),
            (None, Some(id), None) => Ok(HsmSelector::EniId(id)),
            (None, None, Some(ip)) => Ok(HsmSelector::EniIp(ip)),
            _ => Err(CloudHsmError::invalid("Exactly one of HsmId, EniId and EniIp must be given.")),
        }
    }
}

fn known_hsm_type(name: &str) -> Result<HsmType, CloudHsmError> {
    HsmType::find(name).ok_or_else(|| {
        CloudHsmError::invalid(format!("The HsmType must be hsm1.medium or hsm2m.medium, not '{name}'."))
    })
}

fn check_address(address: Option<&str>) -> Result<(), CloudHsmError> {
    match address {
        Some(address) if address.parse::<Ipv4Addr>().is_err() => {
            Err(CloudHsmError::invalid(format!("'{address}' is not an IPv4 address.")))
        }
        _ => Ok(()),
    }
}

impl Check for CreateCluster {
    fn check(&self) -> Result<(), CloudHsmError> {
        tags::check_all(self.tag_list.iter().flatten())?;
        self.retention()?;
        if BTreeSet::from_iter(&self.subnet_ids).len() < self.subnet_ids.len() {
            return Err(CloudHsmError::invalid("Each subnet must be in an availability zone of its own."));
        }
        // With a backup, a mode that is not given is the backup's.
        let is_open = self.source_backup_id.is_some() && self.mode.is_none();
        if is_open { self.known_hsm_type().map(drop) } else { self.mode_given().map(drop) }
    }
}

impl Check for ModifyCluster {
    fn check(&self) -> Result<(), CloudHsmError> {
        if let (None, None) = (self.known_hsm_type()?, self.retention()?) {
            return Err(CloudHsmError::invalid("A HsmType or a BackupRetentionPolicy must be given."));
        }
        Ok(())
    }
}

impl Check for DeleteCluster {}
impl Check for InitializeCluster {}

impl Check for CreateHsm {
    fn check(&self) -> Result<(), CloudHsmError> {
        check_address(self.ip_address.as_deref())
    }
}

impl Check for DeleteHsm {
    fn check(&self) -> Result<(), CloudHsmError> {
        check_address(self.eni_ip.as_deref())?;
        self.selector().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(hsm_type: HsmType, mode: Option<ClusterMode>) -> CreateCluster {
        CreateCluster {
            backup_retention_policy: None,
            hsm_type: hsm_type.to_string(),
            source_backup_id: None,
            subnet_ids: vec!["subnet-0e358c43".to_owned()],
            network_type: None,
            tag_list: None,
            mode,
        }
    }

    #[test]
    fn the_older_type_is_in_fips_mode_and_the_newer_is_told() {
        use {ClusterMode as M, HsmType as T};
        assert_eq!(create(T::Hsm1Medium, None).mode_given(), Ok(M::Fips));
        assert!(create(T::Hsm1Medium, Some(M::NonFips)).mode_given().is_err());
        assert_eq!(create(T::Hsm2mMedium, Some(M::NonFips)).mode_given(), Ok(M::NonFips));
        assert!(create(T::Hsm2mMedium, None).mode_given().is_err());
    }

    #[test]
    fn a_backup_keeps_its_mode_and_moves_up_only() {
        use {ClusterMode as M, HsmType as T};
        assert_eq!(create(T::Hsm2mMedium, None).mode_from(T::Hsm2mMedium, M::NonFips), Ok(M::NonFips));
        assert_eq!(create(T::Hsm2mMedium, Some(M::Fips)).mode_from(T::Hsm1Medium, M::Fips), Ok(M::Fips));
        assert!(create(T::Hsm1Medium, None).mode_from(T::Hsm2mMedium, M::Fips).is_err());
        assert!(create(T::Hsm2mMedium, Some(M::Fips)).mode_from(T::Hsm2mMedium, M::NonFips).is_err());
    }

    #[test]
    fn a_source_is_an_id_or_an_arn() {
        let source = |text: &str| {
            let request =
                CreateCluster { source_backup_id: Some(text.to_owned()), ..create(HsmType::Hsm1Medium, None) };
            request.source_backup().unwrap()
        };
        let named = source("arn:aws:cloudhsm:us-east-1:111122223333:backup/backup-ro5c4er4aac");
        let SourceBackup::Named(arn) = &named else { panic!("{named:?}") };
        assert_eq!((arn.account.as_str(), named.id()), ("111122223333", "backup-ro5c4er4aac"));
        assert_eq!(source("backup-ro5c4er4aac"), SourceBackup::Own("backup-ro5c4er4aac".to_owned()));
    }
}
