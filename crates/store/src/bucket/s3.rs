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
    let mut builder = builder(place, environment, courteous)?.with_bucket_name(bucket);
    if let Some(endpoint) = place.endpoint() {
        builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
    }
    Ok(Arc::new(builder.build()?))
}

/// Opens all buckets of a service as if they were one, in which the name of each object begins with its bucket's.
pub(super) fn open_whole(
    place: &ServicePlace,
    environment: impl IntoIterator<Item = (String, String)>,
    courteous: Courteous,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    let region = place.region.as_deref().unwrap_or(REGION_DEFAULT);
    let endpoint = place.endpoint().map_or_else(|| format!("https://s3.{region}.amazonaws.com"), str::to_owned);
    // As if the endpoint were that of one bucket, which has no name to put before an object's.
    let builder = builder(place, environment, courteous)?.with_bucket_name("").with_endpoint(endpoint);
    Ok(Arc::new(builder.with_virtual_hosted_style_request(true).build()?))
}

fn builder(
    place: &ServicePlace,
    environment: impl IntoIterator<Item = (String, String)>,
    courteous: Courteous,
) -> object_store::Result<AmazonS3Builder> {
    let region = place.region.as_deref();
    let builder = AmazonS3Builder::new()
        .with_region(region.unwrap_or(REGION_DEFAULT))
        .with_credentials(credentials(environment, region)?)
        .with_client_options(client_options(place.endpoint()))
        .with_retry(retry());
    Ok(builder.with_http_connector(courteous))
}
