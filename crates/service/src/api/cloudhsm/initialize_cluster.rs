//! `InitializeCluster`: a cluster takes the certificate that its owner has issued for it.

use wire::cloudhsm::CloudHsmError;
use wire::cloudhsm::certificates::check_cluster_certificate;
use wire::cloudhsm::reply::InitializeClusterReply;
use wire::cloudhsm::request::InitializeCluster;
use wire::cloudhsm::words::{ClusterState, HsmState};

use super::attributes::HsmAttributes;
use super::clusters::check_there;
use super::{Call, edit_cluster, now};

pub(super) async fn initialize(
    call: &Call,
    request: InitializeCluster,
) -> Result<InitializeClusterReply, CloudHsmError> {
    let now = now(call).await?;
    edit_cluster(call, &request.cluster_id, |cluster| {
        check_there(cluster.row)?;
        let (id, known) = (&cluster.row.id, cluster.known);
        if known.state != ClusterState::Uninitialized {
            let message = format!("Cluster {id} is in state {}: it cannot be initialized.", known.state);
            return Err(CloudHsmError::invalid(message));
        }
        let is_there = |hsm: &HsmAttributes| hsm.state == HsmState::Active;
        let Some(identity) = known.identity.as_ref().filter(|_| known.hsms.iter().any(is_there)) else {
            return Err(CloudHsmError::invalid(format!("Cluster {id} has no HSM to be initialized on.")));
        };
        check_cluster_certificate(&request.signed_cert, &request.trust_anchor, &identity.csr, now)?;
        known.state = ClusterState::InitializeInProgress;
        known.cluster_certificate = Some(request.signed_cert);
        known.identity = None;
        Ok(())
    })
    .await?;
    Ok(InitializeClusterReply::begun())
}
