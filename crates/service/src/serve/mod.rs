//! `offsite serve`: the cloud APIs on one listener, and the workers behind them.
//!
//! A server keeps nothing that the catalogs do not have: it can be killed at any time, and any other that
//! serves the same regions goes on with its work.

mod body;
mod http;
mod identities;
mod jobs;
mod keeper;
mod listener;
pub(crate) mod metrics;
mod policies;
mod regions;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use engine::{RegionContext, Worker};
use model::{Clock, Region, SystemClock};
use tokio::sync::watch;

use body::BodyRoom;
pub(crate) use identities::IdentityFile;
pub(crate) use jobs::Jobs;
pub(crate) use policies::PolicyFolder;
pub(crate) use regions::{Regions, Unserved};

use crate::api::{Denials, Rates};
use crate::cli::{CLIENT_FILE, Global, init};
use crate::config::{CONFIG_FILE, Config, RequestRates, is_there};
use crate::exit::Outcome;
use crate::output::say;

/// How long requests and connections may take to end once the server is told to.
const GRACE: Duration = Duration::from_secs(10);

/// Arguments of `offsite serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8470")]
    listen: SocketAddr,
    /// The regions to serve [default: all of the configuration].
    #[arg(long, value_name = "REGION", value_delimiter = ',')]
    regions: Vec<Region>,
    /// A file with the server's certificate chain, to speak TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// A file with the certificate's private key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// What every request and every worker of a server shares.
#[derive(Debug)]
pub(crate) struct Server {
    /// The regions and their parts.
    pub(crate) regions: Regions,
    /// Who may send requests.
    pub(crate) identities: IdentityFile,
    /// What they may do.
    pub(crate) policies: PolicyFolder,
    /// What they were denied lately.
    pub(crate) denials: Denials,
    /// This process, as the holder of leases.
    pub(crate) worker: Worker,
    /// The work that is under way here.
    pub(crate) jobs: Jobs,
    /// How often each account calls what.
    pub(crate) rates: Rates,
    /// How often it may, where its limits do not say.
    pub(crate) requests_per_second: RequestRates,
    /// The memory for the bodies of requests.
    pub(crate) bodies: BodyRoom,
    /// How long gc leaves a pack that nothing names.
    pub(crate) gc_grace: Duration,
    /// How far the clocks of AWS clients may be off.
    pub(crate) aws_clock_skew: Duration,
    /// After how long a cluster that is initialized is activated, where its directory holds no token yet.
    pub(crate) cloudhsm_activation: Duration,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Serves until a signal ends it.
pub(crate) async fn run(global: &Global, args: ServeArgs) -> anyhow::Result<Outcome> {
    let config = load_or_make(global).await?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Some(listener::tls(cert, key)?),
        _ => None,
    };
    config.warnings().iter().for_each(|warning| say(format_args!("warning: {warning}")));
    let worker = config.worker();
    let policies = PolicyFolder::open(config.policies)?;
    let server = Arc::new(Server {
        worker,
        gc_grace: config.gc_grace,
        aws_clock_skew: config.aws_clock_skew,
        cloudhsm_activation: config.cloudhsm_activation,
        rates: Rates::default(),
        requests_per_second: config.requests_per_second,
        identities: IdentityFile::new(config.identities_file, config.identities),
        policies,
        denials: Denials::default(),
        regions: Regions::open(config.regions, &args.regions).await?,
        jobs: Jobs::default(),
        bodies: BodyRoom::default(),
        clock: Arc::new(SystemClock),
    });
    let metrics = metrics::install()?;
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("failed to listen on {}", args.listen))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    say(format_args!("listening on {scheme}://{}", listener.local_addr()?));
    let (stop, stopping) = watch::channel(false);
    let keepers = keeper::start(&server, &stopping);
    let serving = tokio::spawn(listener::serve(listener, tls, Arc::clone(&server), metrics, stopping));
    wait_for_signal().await?;
    say("stopping: finishing requests, giving work back");
    stop.send_replace(true);
    // What does not end in time is as if the process had been killed, which loses nothing.
    drop(tokio::time::timeout(GRACE, serving).await);
    keepers.stop().await;
    server.jobs.stop().await;
    server.give_back().await;
    Ok(Outcome::Done)
}

impl Server {
    async fn give_back(&self) {
        for ctx in self.regions.opened() {
            self.give_back_in(&ctx).await;
        }
    }

    async fn give_back_in(&self, ctx: &RegionContext) {
        if let Err(error) = engine::resume::give_back(ctx, &self.worker).await {
            tracing::warn!(region = %ctx.region, %error, "leases were not given back; they run out by themselves");
        }
    }
}

/// Reads the configuration, or makes one where there is none and says what a client needs. Not where one was named: a name that
/// was mistyped must not become a site, with secrets that are printed.
async fn load_or_make(global: &Global) -> anyhow::Result<Config> {
    if global.config.is_none() && !is_there(Path::new(CONFIG_FILE))? {
        let made = init(Path::new(".")).await?;
        let client = made.with_file_name(CLIENT_FILE);
        say(format_args!("made {}; a client needs (also in {}):", made.display(), client.display()));
        let text = std::fs::read_to_string(&client).with_context(|| format!("failed to read {}", client.display()))?;
        text.lines().for_each(say);
    }
    Config::load(global.config())
}

async fn wait_for_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
