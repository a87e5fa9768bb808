//! KMS keys as callers name them: a key id, a key's ARN, the alias `alias/aws/fsx`, or that alias's ARN.

use engine::RegionContext;
use model::KmsKeyId;
use wire::aws::arn::{Arn, Namespace};
use wire::fsx::FsxError;

use super::internal;
use crate::api::{default_key, is_usable_key};

/// The one alias there is: the key that is used where none is named.
const ALIAS: &str = "alias/aws/fsx";

/// The key that a caller named, if it is there and may be used. Naming none means the region's own.
pub(super) async fn find(
    ctx: &RegionContext,
    names: Namespace<'_>,
    given: Option<&str>,
) -> Result<Option<KmsKeyId>, FsxError> {
    let given = given.unwrap_or(ALIAS);
    let named = match given.parse::<Arn>() {
        Ok(arn) if arn.service == "kms" && names.contains(&arn) => arn.resource.trim_start_matches("key/").to_owned(),
        Ok(_) => return Ok(None),
        Err(_) => given.to_owned(),
    };
    let id = match named.as_str() {
        ALIAS => default_key(ctx).await.map_err(internal)?,
        named => named.parse().ok(),
    };
    let Some(id) = id else { return Ok(None) };
    Ok(is_usable_key(ctx, &id).await.map_err(internal)?.then_some(id))
}
