//! The reply of `CopySnapshotCrossRegions`: one entry for each target.

use serde::Serialize;

use crate::cbs::{CbsError, Code};

/// The reply of `CopySnapshotCrossRegions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CopySnapshotCrossRegionsReply {
    snapshot_copy_result_set: Vec<SnapshotCopyResult>,
}

/// What became of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SnapshotCopyResult {
    /// The new snapshot in that region; empty if there is none.
    pub snapshot_id: String,
    /// The target.
    pub destination_region: String,
    /// `Success`, or an error code.
    pub code: &'static str,
    /// Empty, or what went wrong.
    pub message: String,
}

impl CopySnapshotCrossRegionsReply {
    /// The reply for targets in the order of the request, each with its new snapshot's id or its refusal.
    ///
    /// # Errors
    /// The first refusal, when no target was accepted: then the whole call failed.
    pub fn of(targets: Vec<(String, Result<String, CbsError>)>) -> Result<Self, CbsError> {
        let is_accepted = targets.iter().any(|(_, outcome)| outcome.is_ok());
        let first_refusal = targets.iter().find_map(|(_, outcome)| outcome.as_ref().err());
        match first_refusal {
            Some(refusal) if !is_accepted => Err(refusal.clone()),
            _ => Ok(Self { snapshot_copy_result_set: targets.into_iter().map(SnapshotCopyResult::of).collect() }),
        }
    }
}

impl SnapshotCopyResult {
    fn of((destination_region, outcome): (String, Result<String, CbsError>)) -> Self {
        let (snapshot_id, code, message) = match outcome {
            Ok(id) => (id, "Success", String::new()),
            Err(CbsError { code, message }) => (String::new(), Code::as_str(code), message),
        };
        Self { snapshot_id, destination_region, code, message }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cbs::CbsCode;

    fn accepted(region: &str, id: &str) -> (String, Result<String, CbsError>) {
        (region.to_owned(), Ok(id.to_owned()))
    }

    fn refused(region: &str, code: CbsCode) -> (String, Result<String, CbsError>) {
        (region.to_owned(), Err(CbsError::new(code, "no")))
    }

    #[test]
    fn a_busy_target_is_refused_beside_a_good_one() {
        let targets = vec![
            accepted("ap-beijing", "snap-d012rm6t"),
            refused("ap-shanghai", CbsCode::ResourceInUseCopySnapshotConflict),
        ];
        let wanted = json!({ "SnapshotCopyResultSet": [
            { "SnapshotId": "snap-d012rm6t", "DestinationRegion": "ap-beijing", "Code": "Success", "Message": "" },
            {
                "SnapshotId": "", "DestinationRegion": "ap-shanghai",
                "Code": "ResourceInUse.CopySnapshotConflict", "Message": "no",
            },
        ] });
        let reply = CopySnapshotCrossRegionsReply::of(targets).unwrap();
        assert_eq!(serde_json::to_value(reply).unwrap(), wanted);
    }

    #[test]
    fn the_call_fails_with_the_first_code_when_every_target_does() {
        let targets = vec![
            refused("ap-beijing", CbsCode::InsufficientSnapshotQuota),
            refused("ap-shanghai", CbsCode::ResourceInUseCopySnapshotConflict),
        ];
        let refusal = CopySnapshotCrossRegionsReply::of(targets).unwrap_err();
        assert_eq!(refusal.code, CbsCode::InsufficientSnapshotQuota.into());
    }
}
