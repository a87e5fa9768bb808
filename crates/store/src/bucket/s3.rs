//! Buckets of S3-compatible services. Each request is signed, with the SHA-256 of what it writes.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;

use super::connection::{client_options, retry};
use crate::aws::{REGION_DEFAULT, ServicePlace, credentials};
use crate::courtesy::Courteous;

/// Opens a bucket, whose name is part of the path of requests to an endpoint, not of the host's name.
pub(super) fn open(
    place: &ServicePlace,
    bucket: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    courteous: Courteous,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let region = place.region.as_deref();
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region.unwrap_or(REGION_DEFAULT))
        .with_credentials(credentials(environment, region)?);
    if let Some(endpoint) = place.endpoint() {
        builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
    }
    let builder = builder.with_client_options(client_options(place.endpoint())).with_retry(retry());
    Ok(Arc::new(builder.with_http_connector(courteous).build()?))
}
