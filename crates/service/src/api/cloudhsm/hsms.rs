//! `CreateHsm` and `DeleteHsm`: decided here, in one transaction with the quotas, and done by the region's keeper.
//!
//! An HSM of an active cluster neither comes nor goes before the backup that is made on that occasion has ended.

use std::collections::BTreeSet;

use model::{HsmId, ResourceState, Timestamp};
use wire::cloudhsm::reply::{CreateHsmReply, DeleteHsmReply};
use wire::cloudhsm::request::{CreateHsm, DeleteHsm, HsmSelector};
use wire::cloudhsm::words::{ClusterState, HsmState, NetworkType};
use wire::cloudhsm::{CloudHsmError, ErrorCode};

use super::attributes::{ClusterAttributes, HsmAttributes, Occasion};
use super::clusters::check_there;
use super::create_cluster::random_id;
use super::{Call, Changing, cluster_view, edit_cluster, now};

pub(super) async fn create(call: &Call, request: &CreateHsm) -> Result<CreateHsmReply, CloudHsmError> {
    let id = HsmId::random(&mut rand::rng());
    let row = edit_cluster(call, &request.cluster_id, |cluster| add(call, &id, request, cluster)).await?;
    let known = ClusterAttributes::of(&call.ctx, &row);
    let hsm = known.hsms.iter().find(|hsm| hsm.id == id).ok_or_else(vanished)?;
    Ok(CreateHsmReply { hsm: cluster_view::hsm_view(row.id.as_str(), &known, hsm) })
}

fn add(call: &Call, id: &HsmId, request: &CreateHsm, cluster: Changing<'_>) -> Result<(), CloudHsmError> {
    let Changing { row, known, others } = cluster;
    check_there(row)?;
    check_can_grow(row.id.as_str(), row.state, known)?;
    check_quotas(call, known, others)?;
    let zone = &request.availability_zone;
    let place = known.subnets.iter().enumerate().find(|(_, (known, _))| *known == zone);
    let Some((number, (_, subnet))) = place else {
        return Err(CloudHsmError::invalid(format!("Cluster {} has no subnet in {zone}.", row.id)));
    };
    let taken = others.iter().chain([&*known]).flat_map(|known| &known.hsms).map(|hsm| hsm.eni_ip.as_str()).collect();
    let (eni_ip, last) = address(request.ip_address.as_deref(), number, &taken)?;
    let hsm = HsmAttributes {
        id: id.clone(),
        state: HsmState::CreateInProgress,
        state_message: None,
        zone: zone.clone(),
        subnet: subnet.clone(),
        eni_id: random_id("eni"),
        eni_ip,
        eni_ip_v6: (known.network_type == NetworkType::DualStack).then(|| format!("fd00::{number:x}:{last:x}")),
        backup: None,
    };
    known.hsms.push(hsm);
    if known.is_active() {
        known.owed.push(Occasion::Added(id.clone()));
    }
    Ok(())
}

/// Before a cluster is active, it has one HSM, on which it is initialized.
fn check_can_grow(id: &str, state: ResourceState, known: &ClusterAttributes) -> Result<(), CloudHsmError> {
    match known.state {
        ClusterState::Active if state == ResourceState::Available => Ok(()),
        ClusterState::Uninitialized | ClusterState::Initialized if known.hsms.is_empty() => Ok(()),
        ClusterState::Uninitialized | ClusterState::InitializeInProgress | ClusterState::Initialized
            if !known.hsms.is_empty() =>
        {
            let message = format!("Cluster '{id}' already contains an HSM but has not yet been fully activated");
            Err(CloudHsmError::invalid(message))
        }
        state => Err(CloudHsmError::invalid(format!("Cluster {id} is in state {state}: no HSM can be added."))),
    }
}

fn check_quotas(call: &Call, known: &ClusterAttributes, others: &[ClusterAttributes]) -> Result<(), CloudHsmError> {
    let limits = &call.account.limits;
    let there = known.hsms.len() as u64;
    let all = there + others.iter().map(|other| other.hsms.len() as u64).sum::<u64>();
    if there >= limits.cloudhsm_hsms_per_cluster {
        let message = format!("A cluster can have {} HSMs.", limits.cloudhsm_hsms_per_cluster);
        return Err(CloudHsmError::invalid(message));
    }
    if all >= limits.cloudhsm_hsms {
        let message = format!("You can have {} HSMs in {}.", limits.cloudhsm_hsms, call.ctx.region);
        return Err(CloudHsmError::invalid(message));
    }
    Ok(())
}

/// The address that was asked for, or a free one of the zone, and its last number. No two HSMs of an account have the same.
fn address(asked: Option<&str>, zone: usize, taken: &BTreeSet<&str>) -> Result<(String, u8), CloudHsmError> {
    if let Some(asked) = asked {
        let last = asked.rsplit('.').next().and_then(|last| last.parse().ok()).unwrap_or_default();
        let is_free = !taken.contains(asked);
        return is_free
            .then(|| (asked.to_owned(), last))
            .ok_or_else(|| CloudHsmError::invalid(format!("The address {asked} is another HSM's.")));
    }
    // The first addresses of a subnet are its own.
    let mut free = (4..=254).map(|last| (format!("10.0.{zone}.{last}"), last));
    let found = free.find(|(address, _)| !taken.contains(address.as_str()));
    found.ok_or_else(|| CloudHsmError::invalid("The subnet has no free address."))
}

pub(super) async fn delete(call: &Call, request: &DeleteHsm) -> Result<DeleteHsmReply, CloudHsmError> {
    let selector = request.selector()?;
    let now = now(call).await?;
    let mut removed = None;
    edit_cluster(call, &request.cluster_id, |cluster| {
        removed = Some(begin_removal(selector, cluster, now)?);
        Ok(())
    })
    .await?;
    let id = removed.ok_or_else(vanished)?;
    Ok(DeleteHsmReply { hsm_id: id.into() })
}

fn begin_removal(selector: HsmSelector<'_>, cluster: Changing<'_>, now: Timestamp) -> Result<HsmId, CloudHsmError> {
    let Changing { row, known, .. } = cluster;
    let is_it = |hsm: &&mut HsmAttributes| match selector {
        HsmSelector::HsmId(id) => hsm.id.as_str() == id,
        HsmSelector::EniId(id) => hsm.eni_id == id,
        HsmSelector::EniIp(ip) => hsm.eni_ip == ip,
    };
    let Some(hsm) = known.hsms.iter_mut().find(is_it) else {
        let message = format!("Cluster {} has no such HSM.", row.id);
        return Err(CloudHsmError::new(ErrorCode::ResourceNotFound, message));
    };
    if hsm.is_changing() {
        return Err(CloudHsmError::invalid(format!("HSM {} is in state {}.", hsm.id, hsm.state)));
    }
    hsm.state = HsmState::DeleteInProgress;
    hsm.state_message = None;
    hsm.backup = None;
    let id = hsm.id.clone();
    if known.is_active() {
        known.owed.push(Occasion::Removed(id.clone(), now));
    }
    Ok(id)
}

fn vanished() -> CloudHsmError {
    CloudHsmError::new(ErrorCode::InternalFailure, "The HSM was lost.")
}
