//! Copying objects from bucket to bucket of one S3 service, which moves their bytes itself.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, Result};

use crate::aws::ServicePlace;

/// A bucket, or what lies below its prefix, as a part of the service that it is on.
#[derive(Clone, Debug)]
pub struct S3Service {
    pub(super) place: ServicePlace,
    /// All buckets of the service, as if they were one: what an object is called begins with its bucket's name.
    pub(super) whole: Arc<dyn ObjectStore>,
    pub(super) root: Path,
}

impl S3Service {
    /// Whether both are on the same service.
    pub(crate) fn is_that_of(&self, other: &Self) -> bool {
        self.place.service() == other.place.service()
    }

    /// Has the service copy an object of so many bytes from `source`, unless nothing would vouch for the copy: what was
    /// uploaded in parts has no checksum. Tells whether it was copied.
    ///
    /// # Errors
    /// When the service refuses, or does not answer; also when its checksum of the copy is not that of the object, as where
    /// a key service encrypts each.
    pub(crate) async fn copy_from(&self, source: &Self, key: &Path, bytes: u64) -> Result<bool> {
        let (from, to) = (source.path_of(key), self.path_of(key));
        let original = self.whole.head(&from).await?;
        if original.size != bytes || !has_checksum(&original) {
            return Ok(false);
        }
        self.whole.copy(&from, &to).await?;
        let copy = self.whole.head(&to).await?;
        match copy.size == bytes && copy.e_tag == original.e_tag {
            true => Ok(true),
            false => {
                Err(Error::Generic { store: "S3", source: "the copy's checksum is another than the object's".into() })
            }
        }
    }

    fn path_of(&self, key: &Path) -> Path {
        self.root.parts().chain(key.parts()).collect()
    }
}

/// Whether an object's entity tag is the MD5 of its bytes: 32 hexadecimal digits, which it is of what came in one request.
fn has_checksum(object: &ObjectMeta) -> bool {
    let tag = object.e_tag.as_deref().unwrap_or_default().trim_matches('"');
    tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(query: &[(&str, &str)]) -> S3Service {
        let mut place = ServicePlace::default();
        assert!(query.iter().all(|(name, value)| place.take(name, value).unwrap()));
        let whole = Arc::new(object_store::memory::InMemory::new());
        S3Service { place, whole, root: Path::from("bucket/prefix") }
    }

    #[test]
    fn services_are_the_same_by_their_endpoints_or_else_by_the_region_of_aws() {
        let here = [("endpoint", "http://127.0.0.1:8333"), ("region", "eu-west-1")];
        assert!(service(&here).is_that_of(&service(&here[..1])));
        assert!(
            !service(&here).is_that_of(&service(&[("endpoint", "http://127.0.0.2:8333"), ("region", "eu-west-1")]))
        );
        assert!(!service(&here).is_that_of(&service(&here[1..])));
        assert!(service(&here[1..]).is_that_of(&service(&here[1..])));
        assert!(!service(&here[1..]).is_that_of(&service(&[("region", "eu-west-2")])));
    }

    /// Its tags are no checksums.
    #[tokio::test]
    async fn what_nothing_vouches_for_is_not_copied() {
        let service = service(&[("region", "eu-west-1")]);
        let key = Path::from("pack");
        service.whole.put(&Path::from("bucket/prefix/pack"), "bytes".into()).await.unwrap();
        assert!(!service.copy_from(&service, &key, 5).await.unwrap());
        assert!(service.copy_from(&service, &Path::from("none"), 5).await.is_err());
    }
}
