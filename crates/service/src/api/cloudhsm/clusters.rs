//! `DescribeClusters`, `ModifyCluster` and `DeleteCluster`.

use catalog::ResourceRow;
use model::{ResourceState, Service, Timestamp};
use wire::cloudhsm::CloudHsmError;
use wire::cloudhsm::reply::{Cluster, ClusterReply, DescribeClustersReply};
use wire::cloudhsm::request::{DeleteCluster, DescribeClusters, ModifyCluster};
use wire::cloudhsm::words::{ClusterState, HsmType};

use super::attributes::{ClusterAttributes, EarlierType};
use super::{Call, Changing, cluster_view, edit_cluster, internal, now, retention};

/// For how long a change of type can be taken back, says `ModifyCluster` of the user guide.
const ROLLBACK_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

pub(super) async fn describe(call: &Call, request: &DescribeClusters) -> Result<DescribeClustersReply, CloudHsmError> {
    let (filters, page) = (request.cluster_filters()?, request.page()?);
    let now = now(call).await?;
    let after = page.after.as_deref().unwrap_or_default();
    // An account has a handful.
    let rows = call.ctx.catalog.page_of_resources(&call.account.id, Service::CloudHsm, after, u32::MAX).await;
    let rows = rows.map_err(internal)?;
    let mut clusters: Vec<Cluster> = rows.iter().map(|row| cluster_view::view(&call.ctx, row, now)).collect();
    clusters.retain(|cluster| filters.lists(cluster));
    let is_last = clusters.len() <= page.items_max;
    clusters.truncate(page.items_max);
    let next_token = clusters.last().filter(|_| !is_last).map(|cluster| page.next_token(&cluster.cluster_id));
    Ok(DescribeClustersReply { clusters, next_token })
}

pub(super) async fn modify(call: &Call, request: &ModifyCluster) -> Result<ClusterReply, CloudHsmError> {
    let (hsm_type, days, now) = (request.known_hsm_type()?, request.retention()?, now(call).await?);
    let row = edit_cluster(call, &request.cluster_id, |cluster| {
        check_there(cluster.row)?;
        if let Some(hsm_type) = hsm_type.filter(|asked| *asked != cluster.known.hsm_type) {
            change_type(&cluster, hsm_type, now)?.clone_into(cluster.known);
        }
        if let Some(days) = days {
            cluster.known.retention_days = days.days();
        }
        Ok(())
    })
    .await?;
    if days.is_some() {
        retention::retain_of(&call.ctx, &call.account.id, &row.id).await.map_err(internal)?;
    }
    Ok(cluster_view::reply(&call.ctx, &row, now))
}

/// The cluster once its type begins to change: up, or back to what it was a short while ago.
fn change_type(cluster: &Changing<'_>, hsm_type: HsmType, now: Timestamp) -> Result<ClusterAttributes, CloudHsmError> {
    let (id, known) = (&cluster.row.id, &*cluster.known);
    let state = cluster_view::state(cluster.row, known);
    if state != ClusterState::Active {
        return Err(CloudHsmError::invalid(format!("Cluster {id} is in state {state}: its type cannot be changed.")));
    }
    let is_back = known.earlier_type.is_some_and(|earlier| earlier.hsm_type == hsm_type && earlier.until > now);
    let (state, earlier_type) = match () {
        () if is_back => (ClusterState::RollbackInProgress, None),
        () if hsm_type > known.hsm_type => {
            let until = Timestamp(now.0.saturating_add(ROLLBACK_MILLISECONDS));
            (ClusterState::ModifyInProgress, Some(EarlierType { hsm_type: known.hsm_type, until }))
        }
        () => {
            let message = format!("The type of cluster {id} cannot be changed from {} to {hsm_type}.", known.hsm_type);
            return Err(CloudHsmError::invalid(message));
        }
    };
    Ok(ClusterAttributes { state, hsm_type, earlier_type, ..known.clone() })
}

pub(super) async fn delete(call: &Call, request: &DeleteCluster) -> Result<ClusterReply, CloudHsmError> {
    let row = edit_cluster(call, &request.cluster_id, |cluster| {
        let (id, state) = (&cluster.row.id, cluster_view::state(cluster.row, cluster.known));
        if !cluster.known.hsms.is_empty() {
            return Err(CloudHsmError::invalid(format!("Cluster {id} still has HSMs: delete them first.")));
        }
        match state {
            ClusterState::CreateInProgress
            | ClusterState::InitializeInProgress
            | ClusterState::ModifyInProgress
            | ClusterState::RollbackInProgress => {
                return Err(CloudHsmError::invalid(format!("Cluster {id} is in state {state}: it cannot be deleted.")));
            }
            _ => cluster.row.state = ResourceState::Deleting,
        }
        Ok(())
    })
    .await?;
    Ok(cluster_view::reply(&call.ctx, &row, now(call).await?))
}

/// Refuses what needs a cluster that is neither being removed nor could not be made.
pub(super) fn check_there(row: &ResourceRow) -> Result<(), CloudHsmError> {
    match row.state {
        ResourceState::Creating | ResourceState::Available => Ok(()),
        ResourceState::Deleting => Err(CloudHsmError::invalid(format!("Cluster {} is being deleted.", row.id))),
        ResourceState::Failed => Err(CloudHsmError::invalid(format!("Cluster {} could not be created.", row.id))),
    }
}
