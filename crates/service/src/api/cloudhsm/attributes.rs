//! What only CloudHSM knows of a cluster or a backup: JSON in their rows, empty for those that the command line made.

use std::collections::BTreeMap;
use std::fmt;

use catalog::{BackupRow, ResourceRow};
use engine::RegionContext;
use model::{AccountId, BackupId, HsmId, ResourceState, Timestamp};
use serde::{Deserialize, Serialize};
use wire::cloudhsm::retention::RetentionDays;
use wire::cloudhsm::words::{ClusterMode, ClusterState, HsmState, HsmType, NetworkType};

/// What CloudHSM knows of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClusterAttributes {
    /// As far as the cluster has come; that it is being removed, or could not be made, is told by its row.
    pub(super) state: ClusterState,
    pub(super) hsm_type: HsmType,
    pub(super) mode: ClusterMode,
    pub(super) network_type: NetworkType,
    pub(super) retention_days: u16,
    /// The subnet of each availability zone.
    pub(super) subnets: BTreeMap<String, String>,
    pub(super) security_group: String,
    #[serde(default)]
    pub(super) hsms: Vec<HsmAttributes>,
    /// There from the first HSM until the cluster is initialized.
    #[serde(default)]
    pub(super) identity: Option<Identity>,
    /// The certificate that its owner has issued for the cluster.
    #[serde(default)]
    pub(super) cluster_certificate: Option<String>,
    #[serde(default)]
    pub(super) initialized_at: Option<Timestamp>,
    /// The type that the cluster had before it was changed, while it can have it again.
    #[serde(default)]
    pub(super) earlier_type: Option<EarlierType>,
    /// Backups that are due and have not been accepted yet.
    #[serde(default)]
    pub(super) owed: Vec<Occasion>,
}

/// What the cluster asks its owner to sign, and what vouches for that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) csr: String,
    pub(super) hsm_certificate: String,
    pub(super) aws_hardware_certificate: String,
    pub(super) manufacturer_hardware_certificate: String,
}

/// What CloudHSM knows of an HSM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HsmAttributes {
    pub(super) id: HsmId,
    pub(super) state: HsmState,
    #[serde(default)]
    pub(super) state_message: Option<String>,
    pub(super) zone: String,
    pub(super) subnet: String,
    pub(super) eni_id: String,
    pub(super) eni_ip: String,
    #[serde(default)]
    pub(super) eni_ip_v6: Option<String>,
    /// The backup that has to end before the HSM comes or goes.
    #[serde(default)]
    pub(super) backup: Option<BackupId>,
}

/// A type that a cluster had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EarlierType {
    pub(super) hsm_type: HsmType,
    pub(super) until: Timestamp,
}

/// What a backup is made for. Of each, there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Occasion {
    /// The cluster has become active.
    Activation,
    /// A day has passed.
    Daily(Timestamp),
    /// This HSM is added to an active cluster.
    Added(HsmId),
    /// This HSM is removed from an active cluster, as was asked for then: it stays if that fails, and is asked for again.
    Removed(HsmId, Timestamp),
}

impl Occasion {
    /// The HSM that waits for the backup, if one does.
    pub(super) fn hsm(&self) -> Option<&HsmId> {
        match self {
            Self::Added(hsm) | Self::Removed(hsm, _) => Some(hsm),
            Self::Activation | Self::Daily(_) => None,
        }
    }
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Activation => f.write_str("activation"),
            Self::Daily(at) => write!(f, "daily/{}", at.0),
            Self::Added(hsm) => write!(f, "{hsm}/added"),
            Self::Removed(hsm, at) => write!(f, "{hsm}/removed/{}", at.0),
        }
    }
}

impl ClusterAttributes {
    /// Those of a cluster.
    pub(super) fn of(ctx: &RegionContext, row: &ResourceRow) -> Self {
        serde_json::from_str(&row.attributes).unwrap_or_else(|_| Self::attached(ctx, &row.account))
    }

    /// Those of a directory that the command line has registered: its tokens are in use already. SoftHSM, as which it was
    /// most likely written, is not validated.
    fn attached(ctx: &RegionContext, account: &AccountId) -> Self {
        Self {
            state: ClusterState::Active,
            hsm_type: HsmType::Hsm2mMedium,
            mode: ClusterMode::NonFips,
            network_type: NetworkType::Ipv4,
            retention_days: RetentionDays::default().days(),
            subnets: [(format!("{}a", ctx.region), network_id("subnet", account))].into(),
            security_group: network_id("sg", account),
            hsms: Vec::new(),
            identity: None,
            cluster_certificate: None,
            initialized_at: None,
            earlier_type: None,
            owed: Vec::new(),
        }
    }

    /// Puts them into the cluster's row, and whether the keeper has steps to take.
    pub(super) fn put(&self, row: &mut ResourceRow) {
        row.attributes = self.text();
        row.pending = self.is_pending(row);
    }

    /// As its row holds them.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("serializing to memory")
    }

    fn is_pending(&self, row: &ResourceRow) -> bool {
        match row.state {
            ResourceState::Creating | ResourceState::Deleting => true,
            ResourceState::Failed => false,
            ResourceState::Available => match self.state {
                _ if !self.owed.is_empty() || self.hsms.iter().any(HsmAttributes::is_changing) => true,
                ClusterState::Uninitialized => false,
                ClusterState::Active => row.next_backup_at.is_none(),
                _ => true,
            },
        }
    }

    /// Whether its tokens are in use, so that there is something to back up.
    pub(super) fn is_active(&self) -> bool {
        self.state == ClusterState::Active
    }

    /// For how long its backups are kept.
    pub(super) fn retention(&self) -> RetentionDays {
        RetentionDays::new(self.retention_days).unwrap_or_default()
    }
}

impl HsmAttributes {
    /// Whether it comes or goes.
    pub(super) fn is_changing(&self) -> bool {
        matches!(self.state, HsmState::CreateInProgress | HsmState::DeleteInProgress)
    }
}

/// What CloudHSM knows of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct BackupAttributes {
    pub(super) hsm_type: Option<HsmType>,
    pub(super) mode: Option<ClusterMode>,
    /// For how many days its cluster keeps its backups, as far as is known once the cluster is gone.
    pub(super) retention_days: Option<u16>,
    pub(super) never_expires: Option<bool>,
    pub(super) cluster_certificate: Option<String>,
    /// On a copy: when its content was made.
    pub(super) content_made_at: Option<Timestamp>,
    /// When it was restored after its removal: its age counts from then on.
    pub(super) restored_at: Option<Timestamp>,
}

impl BackupAttributes {
    /// Those of a backup.
    pub(super) fn of(row: &BackupRow) -> Self {
        serde_json::from_str(&row.attributes).unwrap_or_default()
    }

    /// Those of a new backup of a cluster.
    pub(super) fn of_cluster(known: &ClusterAttributes) -> Self {
        Self {
            hsm_type: Some(known.hsm_type),
            mode: Some(known.mode),
            retention_days: Some(known.retention_days),
            cluster_certificate: known.cluster_certificate.clone(),
            ..Self::default()
        }
    }

    /// As its row holds them.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("serializing to memory")
    }
}

/// An id of an account's one network, which there is no service for.
pub(super) fn network_id(kind: &str, account: &AccountId) -> String {
    format!("{kind}-0{:016x}", account.as_str().parse::<u64>().unwrap_or_default())
}
