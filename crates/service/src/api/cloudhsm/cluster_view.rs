//! Clusters as callers see them: what their rows say, and the description in them.

use catalog::ResourceRow;
use engine::RegionContext;
use model::{ResourceState, Timestamp};
use wire::cloudhsm::reply::{CLUSTER_DELETE_MESSAGE, Certificates, Cluster, ClusterReply, Hsm};
use wire::cloudhsm::words::{BackupPolicy, ClusterState};

use super::as_tags;
use super::attributes::{ClusterAttributes, HsmAttributes, network_id};
use crate::api::reason;

/// The reply that describes a cluster.
pub(super) fn reply(ctx: &RegionContext, row: &ResourceRow, now: Timestamp) -> ClusterReply {
    ClusterReply { cluster: view(ctx, row, now) }
}

/// A cluster as it is now.
pub(super) fn view(ctx: &RegionContext, row: &ResourceRow, now: Timestamp) -> Cluster {
    let known = ClusterAttributes::of(ctx, row);
    let id = row.id.as_str();
    let state = state(row, &known);
    Cluster {
        backup_policy: BackupPolicy::Default,
        backup_retention_policy: known.retention(),
        cluster_id: id.to_owned(),
        create_timestamp: row.created_at.into(),
        hsms: known.hsms.iter().map(|hsm| hsm_view(id, &known, hsm)).collect(),
        hsm_type: known.hsm_type,
        hsm_type_rollback_expiration: known
            .earlier_type
            .filter(|earlier| earlier.until > now)
            .map(|earlier| earlier.until.into()),
        // There is no officer to log in as before a token's owner has made one.
        pre_co_password: None,
        security_group: Some(known.security_group.clone()),
        source_backup_id: row.made_from.as_ref().map(ToString::to_string),
        state,
        state_message: match state {
            ClusterState::DeleteInProgress => Some(CLUSTER_DELETE_MESSAGE.to_owned()),
            _ => row.failure.as_deref().map(reason),
        },
        certificates: certificates(&known),
        subnet_mapping: known.subnets,
        vpc_id: Some(network_id("vpc", &row.account)),
        network_type: known.network_type,
        tag_list: as_tags(&row.tags),
        mode: known.mode,
    }
}

/// Where a cluster is in its life.
pub(super) fn state(row: &ResourceRow, known: &ClusterAttributes) -> ClusterState {
    match row.state {
        ResourceState::Deleting => ClusterState::DeleteInProgress,
        // Its directory could not be filled from the backup.
        ResourceState::Failed => ClusterState::Degraded,
        ResourceState::Creating | ResourceState::Available => match known.state {
            ClusterState::Active if known.hsms.iter().any(HsmAttributes::is_changing) => ClusterState::UpdateInProgress,
            state => state,
        },
    }
}

/// An HSM as it is now.
pub(super) fn hsm_view(cluster: &str, known: &ClusterAttributes, hsm: &HsmAttributes) -> Hsm {
    Hsm {
        availability_zone: Some(hsm.zone.clone()),
        cluster_id: Some(cluster.to_owned()),
        subnet_id: Some(hsm.subnet.clone()),
        eni_id: Some(hsm.eni_id.clone()),
        eni_ip: Some(hsm.eni_ip.clone()),
        eni_ip_v6: hsm.eni_ip_v6.clone(),
        hsm_id: hsm.id.to_string(),
        hsm_type: Some(known.hsm_type),
        state: hsm.state,
        state_message: hsm.state_message.clone(),
    }
}

fn certificates(known: &ClusterAttributes) -> Option<Certificates> {
    let identity = known.identity.as_ref().filter(|_| known.state == ClusterState::Uninitialized);
    let shown = Certificates {
        cluster_csr: identity.map(|identity| identity.csr.clone()),
        hsm_certificate: identity.map(|identity| identity.hsm_certificate.clone()),
        aws_hardware_certificate: identity.map(|identity| identity.aws_hardware_certificate.clone()),
        manufacturer_hardware_certificate: identity.map(|identity| identity.manufacturer_hardware_certificate.clone()),
        cluster_certificate: known.cluster_certificate.clone(),
    };
    (shown != Certificates::default()).then_some(shown)
}
