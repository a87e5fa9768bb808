//! Tencent Cloud Block Storage, version 2017-03-12: snapshots, disks and scheduled snapshot policies.
//!
//! [`Action::named`] tells what is served, [`parse`] makes a checked [`Request`] of parameters, and the
//! structures of [`reply`] are written as the API's documentation lists them.

mod action;
mod error;
pub mod filter;
pub mod ids;
pub mod listing;
pub mod policy;
pub mod reply;
pub mod request;
pub mod schedule;
pub mod time;
pub mod values;

pub use action::Action;
pub use error::{CbsCode, CbsError, Code};
pub use request::{Request, parse};

/// What a snapshot, disk or policy is called when its maker gave no name: "unnamed" in Chinese.
pub const UNNAMED: &str = "未命名";

/// How many instances can have a disk that is shareable, says Tencent's guide to shared disks.
pub const INSTANCES_PER_DISK_MAX: usize = 16;

/// How many accounts one snapshot can be shared with.
pub const SHARES_PER_SNAPSHOT_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tencent::sample::{NOW, SECRET_KEY, Sample};
    use crate::tencent::success;

    const T1: &str = "99405fae126d7184f166716bc5b58de94a68ecc88cb2ceb3d32f038ad7b5813b";
    const ID: &str = "98f0b5f0-7d84-4d11-9819-ee7804e524a4";

    /// What a server does between the bytes and the operation.
    fn received(sample: &Sample) -> Result<Request, CbsError> {
        let claim = sample.claim()?;
        claim.verify(SECRET_KEY)?;
        let action = Action::named(claim.target()?.action)?;
        claim.region()?;
        parse(action, &claim.parameters()?, NOW)
    }

    #[test]
    fn a_copy_goes_from_bytes_to_request_and_from_result_to_bytes() {
        let sample = Sample::json().authorized("content-type;host", T1);
        let Ok(Request::CopySnapshotCrossRegions(request)) = received(&sample) else { panic!("a copy") };
        assert_eq!(
            (request.snapshot_id.as_str(), request.destination_regions.as_slice()),
            ("snap-ckgjwkqh", &["ap-beijing".to_owned()][..])
        );

        let targets = vec![("ap-beijing".to_owned(), Ok("snap-d012rm6t".to_owned()))];
        let reply = success(&reply::CopySnapshotCrossRegionsReply::of(targets).unwrap(), ID);
        let wanted = concat!(
            r#"{"Response":{"SnapshotCopyResultSet":[{"SnapshotId":"snap-d012rm6t","DestinationRegion":"ap-beijing","#,
            r#""Code":"Success","Message":""}],"RequestId":"98f0b5f0-7d84-4d11-9819-ee7804e524a4"}}"#,
        );
        assert_eq!(String::from_utf8(reply.body).unwrap(), wanted);
    }

    #[test]
    fn a_refusal_has_status_200_and_its_code() {
        let reply = CbsError::from(CbsCode::InvalidSnapshotIdNotFound).reply(ID);
        let wanted = concat!(
            r#"{"Response":{"Error":{"Code":"InvalidSnapshotId.NotFound","Message":"The snapshot does not exist."},"#,
            r#""RequestId":"98f0b5f0-7d84-4d11-9819-ee7804e524a4"}}"#,
        );
        assert_eq!((reply.status, String::from_utf8(reply.body).unwrap().as_str()), (200, wanted));
    }

    #[test]
    fn an_unknown_region_or_action_is_only_told_to_those_who_signed() {
        let unsigned = Sample::json().authorized("content-type;host", "00").with("x-tc-action", "Nonsense");
        let signed = Sample::json().authorized("content-type;host", T1).with("x-tc-action", "Nonsense");
        let nowhere = Sample::json().authorized("content-type;host", T1).without("x-tc-region");
        let codes = [&unsigned, &signed, &nowhere].map(|sample| received(sample).unwrap_err().code.as_str());
        assert_eq!(codes, ["AuthFailure.SignatureFailure", "InvalidAction", "MissingParameter"]);
    }
}
