//! Two regions on servers of their own, each served by several nodes: a cluster in a scratch directory.
//!
//! Each region has a PostgreSQL server and a SeaweedFS server; both have their keys in one moto server. All that goes to a
//! store or to the keys passes a link, and what goes to a store from the other region passes another one.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::link::Link;
use crate::moto::Moto;
use crate::postgres::Postgres;
use crate::seaweed::{ACCESS_KEY, SECRET_KEY, Seaweed};

/// The regions of a cluster.
pub const REGIONS: [&str; 2] = ["eu-north-1", "eu-south-1"];

/// What a node prints before its address, once it takes requests.
const LISTENING: &str = "listening on http://";

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct ClusterPlan {
    /// The binary of offsite.
    pub offsite: PathBuf,
    /// Where `weed` and `moto_server` are.
    pub programs: PathBuf,
    /// Nodes of each region.
    pub nodes_per_region: usize,
    /// Lines of the configuration that stand before its regions, in place of what `init` writes there.
    pub settings: Vec<(&'static str, &'static str)>,
}

/// A cluster that runs until this is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// Those of the first region, then those of the second.
    pub nodes: Vec<Node>,
    /// The regions.
    pub sites: [Site; 2],
    /// What leads to the keys of both regions.
    pub keys: Link,
    offsite: PathBuf,
    _key_service: Moto,
    folder: TempDir,
}

/// What one region's nodes share.
#[derive(Debug)]
pub struct Site {
    /// The region's name.
    pub region: &'static str,
    /// Where its catalog is.
    pub catalog: Postgres,
    /// Where its bytes are.
    pub store: Seaweed,
    /// What leads to its store from its own nodes, and from commands.
    pub near: Link,
    /// What leads to its store from the other region's nodes.
    pub far: Link,
}

/// One `offsite serve`.
#[derive(Debug)]
pub struct Node {
    /// The region that it serves.
    pub region: &'static str,
    /// Where it listens, as `host:port`: the same after it was started again.
    pub host: String,
    /// What it said since it was started first.
    pub log: PathBuf,
    offsite: PathBuf,
    config: PathBuf,
    process: Option<Child>,
}

impl Cluster {
    /// Starts all servers and nodes.
    ///
    /// # Errors
    /// When a program is missing or does not come up.
    pub fn start(plan: &ClusterPlan) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("offsite-cluster-").tempdir()?;
        let key_service = Moto::start(&plan.programs.join("moto_server"))?;
        let keys = Link::to(key_service.address())?;
        let weed = plan.programs.join("weed");
        let sites = [Site::start(REGIONS[0], &weed)?, Site::start(REGIONS[1], &weed)?];
        let mut cluster =
            Self { nodes: Vec::new(), sites, keys, offsite: plan.offsite.clone(), _key_service: key_service, folder };
        cluster.init(&plan.settings)?;
        for (own, region) in REGIONS.into_iter().enumerate() {
            let config = cluster.config_from(own)?;
            for number in 1..=plan.nodes_per_region {
                let log = cluster.folder.path().join(format!("{region}-{number}.log"));
                cluster.nodes.push(Node::start(region, &plan.offsite, &config, log)?);
            }
        }
        Ok(cluster)
    }

    /// Starts a further node of a region, with a configuration of its own.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_node(&mut self, region: &'static str, config: &Path) -> io::Result<()> {
        let log = self.folder().join(format!("{region}-{}.log", self.nodes.len() + 1));
        self.nodes.push(Node::start(region, &self.offsite, config, log)?);
        Ok(())
    }

    /// A command that works on the cluster by another configuration, ready to be given its arguments.
    pub fn command_with(&self, config: &Path) -> Command {
        offsite(&self.offsite, config)
    }

    /// Where the configuration is and, below it, each region's directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration of commands.
    pub fn config(&self) -> PathBuf {
        self.folder().join("offsite.toml")
    }

    /// A file with the keys that clients need.
    pub fn client_env(&self) -> PathBuf {
        self.folder().join("client.env")
    }

    /// A command that works on the cluster, ready to be given its arguments.
    pub fn command(&self) -> Command {
        offsite(&self.offsite, &self.config())
    }

    /// Makes the configuration and both regions.
    fn init(&self, settings: &[(&str, &str)]) -> io::Result<()> {
        check(Command::new(&self.offsite).args(["--quiet", "init", "--dir"]).arg(self.folder()))?;
        for site in &self.sites {
            let store = format!("s3://{}?endpoint=http://{}", site.region, site.near.address());
            let catalog = site.catalog.new_database("offsite")?;
            let kms =
                format!("awskms://?endpoint=http://{}&region=eu-west-1&alias={}", self.keys.address(), site.region);
            let mut added = self.command();
            added.args(["--quiet", "region", "add", site.region, "--partition", "aws"]);
            check(added.args(["--store", &store, "--catalog", &catalog, "--kms", &kms]))?;
        }
        let text = fs::read_to_string(self.config())?;
        fs::write(self.config(), with_settings(&text, settings))
    }

    /// The configuration of the nodes of a region, to which the other one is far.
    fn config_from(&self, own: usize) -> io::Result<PathBuf> {
        let other = &self.sites[1 - own];
        let text = fs::read_to_string(self.config())?.replace(&other.near.address(), &other.far.address());
        let config = self.folder().join(format!("nodes-of-{}.toml", REGIONS[own]));
        fs::write(&config, text)?;
        Ok(config)
    }
}

impl Site {
    fn start(region: &'static str, weed: &Path) -> io::Result<Self> {
        let (catalog, store) = (Postgres::start()?, Seaweed::start(weed)?);
        let endpoint = store.endpoint();
        let address = endpoint.trim_start_matches("http://");
        Ok(Self { region, catalog, near: Link::to(address)?, far: Link::to(address)?, store })
    }
}

impl Node {
    fn start(region: &'static str, offsite: &Path, config: &Path, log: PathBuf) -> io::Result<Self> {
        let (offsite, config) = (offsite.to_owned(), config.to_owned());
        let mut node = Self { region, host: "127.0.0.1:0".to_owned(), log, offsite, config, process: None };
        node.run()?;
        Ok(node)
    }

    /// Starts it, if it does not run. Returns when it takes requests.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn run(&mut self) -> io::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let mut command = offsite(&self.offsite, &self.config);
        command.args(["serve", "--regions", self.region, "--listen", &self.host]).env("OFFSITE_LOG", "info");
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(process.stderr.take().expect("standard error is piped"));
        self.process = Some(process);
        let mut log = File::options().create(true).append(true).open(&self.log)?;
        let mut line = String::new();
        loop {
            line.clear();
            if said.read_line(&mut line)? == 0 {
                self.kill();
                return Err(io::Error::other(format!("a node did not come up: see {}", self.log.display())));
            }
            io::Write::write_all(&mut log, line.as_bytes())?;
            if let Some((_, host)) = line.trim_end().split_once(LISTENING) {
                host.clone_into(&mut self.host);
                break;
            }
        }
        // So that it never waits for a reader.
        std::thread::spawn(move || io::copy(&mut said, &mut log));
        Ok(())
    }

    /// Tells it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM);
        match self.process.take().map(|mut process| process.wait()).transpose()? {
            Some(status) if !status.success() => Err(io::Error::other(format!("a node ended with {status}"))),
            _ => Ok(()),
        }
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // One that is gone already needs no killing.
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// Has it stand still.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            // It was not waited for, so the id is its own.
            let _gone = kill_process(Pid::from_child(process), signal);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A configuration with these settings in place of its own, and with no other regions than those of a cluster.
fn with_settings(text: &str, settings: &[(&str, &str)]) -> String {
    let mut tables = text.split_inclusive('\n').fold(vec![String::new()], |mut tables, line| {
        if line.starts_with("[[region]]") {
            tables.push(String::new());
        }
        tables.last_mut().expect("it begins with one").push_str(line);
        tables
    });
    let regions = tables.split_off(1);
    let is_set = |line: &&str| settings.iter().any(|(name, _)| line.starts_with(&format!("{name} =")));
    let kept = tables[0].lines().filter(|line| !is_set(line)).map(|line| format!("{line}\n"));
    let set = settings.iter().map(|(name, value)| format!("{name} = {value}\n"));
    let is_ours = |table: &&String| REGIONS.iter().any(|region| table.contains(&format!("name = \"{region}\"")));
    kept.chain(set).chain(regions.iter().filter(is_ours).cloned()).collect()
}

/// The binary with a configuration, and with the keys of stores and key service.
fn offsite(program: &Path, config: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    command.arg("--config").arg(config);
    command
}

fn check(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(io::Error::other(said())) }
}
