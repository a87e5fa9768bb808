//! The listener: connections, their limits, TLS, and a quiet end.

use std::net::IpAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use rustix::net::sockopt::set_tcp_user_timeout;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Server, http};

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;

/// Of the files that the process may open, connections get one in so many: the others are for what they ask for.
const FILES_PER_CONNECTION: u64 = 2;

/// The most bytes of a request's head, a query of 32 KiB among them.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long a client may take for its request's head, and a new connection for its TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// How long what is sent to a client may stay without an answer, or find no place because it does not read.
const WRITE_TIMEOUT_MILLISECONDS: u32 = 30_000;

/// After a failed accept (too many open files, for one), nothing is accepted for this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Reads a certificate chain and its key.
pub(super) fn tls(cert: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.with_context(|| format!("failed to read the certificates in {}", cert.display()))?;
    let secret = PrivateKeyDer::from_pem_file(key);
    let secret = secret.with_context(|| format!("failed to read the private key in {}", key.display()))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, secret);
    let config = config.with_context(|| format!("{} does not fit {}", key.display(), cert.display()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts and serves connections until told to stop, then lets those that are being answered end.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    server: Arc<Server>,
    metrics: PrometheusHandle,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(connections_max()));
    let mut connections = JoinSet::new();
    let stopped = stopping.clone();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => break,
            accepted = async { (place.await, listener.accept().await) } => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (place, stream, source) = match accepted {
            (place, Ok((stream, source))) => (place, stream, source.ip()),
            (_, Err(error)) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, server, metrics, stopped) = (tls.clone(), Arc::clone(&server), metrics.clone(), stopped.clone());
        connections.spawn(async move {
            serve_stream(stream, source, tls, server, metrics, stopped).await;
            drop(place);
        });
    }
    while connections.join_next().await.is_some() {}
}

/// How many connections there may be, after the process has been allowed as many open files as it can be.
fn connections_max() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, ..limits };
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { raised.current } else { limits.current };
    let most =
        files.map_or(CONNECTIONS_MAX, |files| usize::try_from(files / FILES_PER_CONNECTION).unwrap_or(usize::MAX));
    most.clamp(1, CONNECTIONS_MAX)
}

async fn serve_stream(
    stream: TcpStream,
    source: IpAddr,
    tls: Option<TlsAcceptor>,
    server: Arc<Server>,
    metrics: PrometheusHandle,
    stopped: watch::Receiver<bool>,
) {
    // Without this a reply may wait for the acknowledgement of what was sent before.
    drop(stream.set_nodelay(true));
    // HTTP has no limit of its own for clients that do not read.
    _ = set_tcp_user_timeout(&stream, WRITE_TIMEOUT_MILLISECONDS);
    match tls {
        None => serve_requests(stream, source, server, metrics, stopped).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
                serve_requests(stream, source, server, metrics, stopped).await;
            }
        }
    }
}

async fn serve_requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    source: IpAddr,
    server: Arc<Server>,
    metrics: PrometheusHandle,
    mut stopped: watch::Receiver<bool>,
) {
    let answer = service_fn(move |request| http::answer(Arc::clone(&server), metrics.clone(), source, request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), answer));
    let told_to_stop = async { drop(stopped.wait_for(|stop| *stop).await) };
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = told_to_stop => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
