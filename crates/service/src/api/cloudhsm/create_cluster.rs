//! `CreateCluster`, empty or from a backup: accepted at once, made and filled by the region's keeper.
//!
//! There is no service of networks. Every subnet is taken to be in the account's one network, the first in the region's
//! first availability zone, the next in the next.

use catalog::{BackupRow, Quota, Terms};
use engine::managed::{NewManaged, accept_managed};
use engine::{Acceptance, ErrorKind};
use model::ResourceKind;
use rand::Rng;
use wire::cloudhsm::CloudHsmError;
use wire::cloudhsm::reply::ClusterReply;
use wire::cloudhsm::request::{CreateCluster, SourceBackup};
use wire::cloudhsm::words::{BackupState, ClusterState, NetworkType};

use super::attributes::{BackupAttributes, ClusterAttributes};
use super::backups::check_state;
use super::{Call, as_pairs, backup_not_found, backup_view, cluster_view, internal, load_backup, now, policies};

pub(super) async fn create(call: &Call, request: CreateCluster) -> Result<ClusterReply, CloudHsmError> {
    let source = match request.source_backup() {
        Some(source) => Some(load_source(call, &source).await?),
        None => None,
    };
    let (mode, certificate) = match &source {
        Some(row) => {
            check_state(row, BackupState::Ready)?;
            let known = BackupAttributes::of(row);
            let mode = request.mode_from(backup_view::hsm_type(&known), backup_view::mode(&known))?;
            (mode, known.cluster_certificate)
        }
        None => (request.mode_given()?, None),
    };
    let attributes = ClusterAttributes {
        state: ClusterState::CreateInProgress,
        hsm_type: request.known_hsm_type()?,
        mode,
        network_type: request.network_type.unwrap_or(NetworkType::Ipv4),
        retention_days: request.retention()?.days(),
        subnets: ('a'..='z').map(|zone| format!("{}{zone}", call.ctx.region)).zip(request.subnet_ids).collect(),
        security_group: random_id("sg"),
        hsms: Vec::new(),
        identity: None,
        cluster_certificate: certificate,
        initialized_at: None,
        earlier_type: None,
        owed: Vec::new(),
    };
    let new = NewManaged {
        kind: ResourceKind::Hsm,
        name: None,
        kms_key: None,
        made_from: source.as_ref().map(|row| row.id.clone()),
        lender: source.map(|row| row.account).filter(|account| *account != call.account.id),
        size_bytes: 0,
        tags: as_pairs(request.tag_list.as_deref().unwrap_or_default()),
        attributes: attributes.text(),
        next_backup_at: None,
    };
    let max = call.account.limits.cloudhsm_clusters;
    let terms = Terms { token: None, quotas: vec![Quota::Resources { kind: ResourceKind::Hsm, max }] };
    let accepted = accept_managed(&call.ctx, &call.account.id, new, &terms).await;
    let accepted = accepted.map_err(|error| match error.kind() {
        // The backup was removed since it was looked up.
        ErrorKind::NotFound | ErrorKind::Conflict => {
            backup_not_found(request.source_backup_id.as_deref().unwrap_or(""))
        }
        _ => internal(error),
    })?;
    match accepted {
        Acceptance::New(row) => Ok(cluster_view::reply(&call.ctx, &row, now(call).await?)),
        Acceptance::OverQuota(_) | Acceptance::Earlier(_) => {
            Err(CloudHsmError::invalid(format!("You can have {max} clusters in {}.", call.ctx.region)))
        }
    }
}

/// The caller's own backup, or one that another account lends.
async fn load_source(call: &Call, source: &SourceBackup) -> Result<BackupRow, CloudHsmError> {
    match source {
        SourceBackup::Own(id) => load_backup(call, id).await,
        SourceBackup::Named(arn) if arn.account != call.account.id.as_str() => policies::load_lent(call, arn).await,
        SourceBackup::Named(arn) if call.names().contains(arn) => load_backup(call, source.id()).await,
        SourceBackup::Named(_) => Err(backup_not_found(source.id())),
    }
}

/// An id of what belongs to a network, which there is no service for.
pub(super) fn random_id(kind: &str) -> String {
    let mut bytes = [0; 8];
    rand::rng().fill_bytes(&mut bytes);
    format!("{kind}-0{}", hex::encode(bytes))
}
