//! Checksums of what is written to services whose clients send none: bytes that change on their way do not count as stored.
//!
//! The checksum is MD5 (RFC 1864), which both Azure and Google have. It is for faults, not for people who forge: what is
//! read is checked by hashes of its own. Azure answers with the checksum of what is written in one request; of a part it
//! would do so only where the request has a checksum, too, which has to be signed before this module sees it.

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::TryStreamExt;
use http_body_util::BodyExt;
use md5::{Digest, Md5};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use crate::courtesy::Courteous;

/// The header of requests and answers.
const CONTENT_MD5: &str = "content-md5";

/// Who compares what has arrived with what was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ComparedBy {
    /// The service, which is told the checksum and refuses other bytes.
    Service,
    /// The client: the service tells the checksum of what it has got.
    Client,
}

/// Connects as [`Courteous`], and compares what is written.
#[derive(Debug)]
pub(crate) struct Compared(pub(crate) ComparedBy, pub(crate) Courteous);

impl HttpConnector for Compared {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service { inner: self.1.connect(options)?, compared_by: self.0 }))
    }
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    compared_by: ComparedBy,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if request.method() != "PUT" || request.body().content_length() == 0 {
            return self.inner.execute(request).await;
        }
        let sent = checksum(&request).await?;
        if matches!(self.compared_by, ComparedBy::Service) {
            request.headers_mut().insert(CONTENT_MD5, sent.parse().expect("base64 can stand in a header"));
        }
        let response = self.inner.execute(request).await?;
        match response.headers().get(CONTENT_MD5) {
            Some(arrived) if response.status().is_success() && arrived != sent.as_str() => {
                // What is interrupted is sent again, if it may be sent twice.
                Err(HttpError::new(HttpErrorKind::Interrupted, DamagedOnTheWay))
            }
            _ => Ok(response),
        }
    }
}

/// What was sent is not what has arrived.
#[derive(Debug, thiserror::Error)]
#[error("the bytes were damaged on their way to the service")]
struct DamagedOnTheWay;

/// The checksum of a request's body as headers have it.
async fn checksum(request: &HttpRequest) -> Result<String, HttpError> {
    let pieces: Vec<Bytes> = request.body().clone().into_data_stream().try_collect().await?;
    let hashed = tokio::task::spawn_blocking(move || {
        let digest = pieces.iter().fold(Md5::new(), |digest, piece| digest.chain_update(piece));
        BASE64_STANDARD.encode(digest.finalize())
    });
    Ok(hashed.await.expect("hashing does not panic"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use object_store::PutPayload;
    use object_store::client::HttpRequestBody;

    use super::*;

    /// Of `a pack`.
    const CHECKSUM: &str = "I39E3fUYMX5tJW4iaEKq2g==";

    /// Answers each request that it has got these bytes, and notes what it was told of them.
    #[derive(Debug)]
    struct Stub {
        arrived: Option<&'static str>,
        told: Arc<Mutex<Vec<Option<String>>>>,
    }

    #[async_trait]
    impl HttpService for Stub {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            let told = request.headers().get(CONTENT_MD5).map(|told| told.to_str().unwrap().to_owned());
            self.told.lock().unwrap().push(told);
            let mut response = HttpResponse::new(Bytes::new().into());
            if let Some(arrived) = self.arrived {
                response.headers_mut().insert(CONTENT_MD5, arrived.parse().unwrap());
            }
            Ok(response)
        }
    }

    /// What a service is told that has got `arrived`, and whether the write counts.
    async fn written(
        compared_by: ComparedBy,
        arrived: Option<&'static str>,
        body: HttpRequestBody,
    ) -> (Option<String>, bool) {
        let told = Arc::default();
        let inner = HttpClient::new(Stub { arrived, told: Arc::clone(&told) });
        let mut request = HttpRequest::new(body);
        *request.method_mut() = "PUT".parse().unwrap();
        let is_written = Service { inner, compared_by }.call(request).await.is_ok();
        (told.lock().unwrap().pop().unwrap(), is_written)
    }

    #[tokio::test]
    async fn a_service_that_compares_is_told_the_checksum() {
        let pieces: PutPayload = [Bytes::from_static(b"a "), Bytes::from_static(b"pack")].into_iter().collect();
        let told = Some(CHECKSUM.to_owned());
        assert_eq!(written(ComparedBy::Service, None, pieces.into()).await, (told, true));
        assert_eq!(written(ComparedBy::Service, None, HttpRequestBody::empty()).await, (None, true));
    }

    #[tokio::test]
    async fn what_arrived_damaged_does_not_count_as_written() {
        for (arrived, counts) in [(None, true), (Some(CHECKSUM), true), (Some("AAAAAAAAAAAAAAAAAAAAAA=="), false)] {
            let body = HttpRequestBody::from(b"a pack".to_vec());
            assert_eq!(written(ComparedBy::Client, arrived, body).await, (None, counts), "{arrived:?}");
        }
    }
}
