//! Two regions on servers of their own, each served by several nodes: a cluster in a scratch directory.
//!
//! Each region has a PostgreSQL server, a SeaweedFS server and a moto server. All that goes to a store or to keys passes a
//! link, and so does what goes from a node to its region's catalog. What goes to store and catalog from elsewhere passes others.

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
use crate::tunnel::Tunnel;

/// The regions of a cluster.
pub const REGIONS: [&str; 2] = ["eu-north-1", "eu-south-1"];

/// A region that a cluster can have besides, in files.
pub const IN_FILES: &str = "eu-west-3";

/// The database of each region.
const DATABASE: &str = "offsite";

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
    /// The regions that have servers.
    pub sites: Vec<Site>,
    offsite: PathBuf,
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
    /// What leads to its store from other regions' nodes.
    pub far: Link,
    /// What leads to its catalog from other regions' nodes.
    pub far_catalog: Tunnel,
    /// What leads to its keys.
    pub keys: Link,
    _key_service: Moto,
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
    /// What leads from it to its region's catalog, where that is a server's.
    pub catalog: Option<Tunnel>,
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
        let sites = REGIONS.iter().map(|region| Site::start(region, &plan.programs)).collect::<io::Result<_>>()?;
        let mut cluster = Self { nodes: Vec::new(), sites, offsite: plan.offsite.clone(), folder };
        cluster.init(&plan.settings)?;
        for region in REGIONS {
            for _ in 0..plan.nodes_per_region {
                cluster.start_own_node(region)?;
            }
        }
        Ok(cluster)
    }

    /// Adds [`IN_FILES`] to the configuration of commands, and starts a node of it, whose configuration this returns. The other
    /// nodes do not learn of it.
    ///
    /// # Errors
    /// When it cannot be made, or the node does not come up.
    pub fn add_region(&mut self) -> io::Result<PathBuf> {
        check(self.command().args(["--quiet", "region", "add", IN_FILES, "--partition", "aws"]))?;
        self.start_own_node(IN_FILES)
    }

    /// Loses a region for good: its nodes, its servers, and all that they had.
    ///
    /// # Errors
    /// When something of it cannot be removed.
    pub fn lose(&mut self, region: &str) -> io::Result<()> {
        self.nodes.retain(|node| node.region != region);
        self.sites.retain(|site| site.region != region);
        fs::remove_dir_all(self.folder().join(region))
    }

    /// Starts a further node of a region, with its own way to the region's catalog.
    fn start_own_node(&mut self, region: &'static str) -> io::Result<PathBuf> {
        let site = self.sites.iter().find(|site| site.region == region);
        let catalog = site.map(|site| Tunnel::to(site.catalog.socket())).transpose()?;
        let config = self.folder().join(format!("{region}-{}.toml", self.nodes.len() + 1));
        fs::write(&config, self.config_from(region, catalog.as_ref())?)?;
        self.start_node(region, &config)?;
        self.nodes.last_mut().expect("it was started").catalog = catalog;
        Ok(config)
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
            let catalog = site.catalog.new_database(DATABASE)?;
            let kms = format!("awskms://?endpoint=http://{}&region=eu-west-1", site.keys.address());
            let mut added = self.command();
            added.args(["--quiet", "region", "add", site.region, "--partition", "aws"]);
            check(added.args(["--store", &store, "--catalog", &catalog, "--kms", &kms]))?;
        }
        let text = fs::read_to_string(self.config())?;
        fs::write(self.config(), with_settings(&text, settings))
    }

    /// The configuration of a node of a region, to which the others are far.
    fn config_from(&self, region: &str, catalog: Option<&Tunnel>) -> io::Result<String> {
        let mut text = fs::read_to_string(self.config())?;
        for site in &self.sites {
            let way = if site.region == region { catalog } else { Some(&site.far_catalog) };
            let way = way.expect("there is one to a catalog on a server").address();
            text = text.replace(&site.catalog.address(DATABASE), &site.catalog.address_through(&way, DATABASE));
            if site.region != region {
                text = text.replace(&site.near.address(), &site.far.address());
            }
        }
        Ok(text)
    }
}

impl Site {
    fn start(region: &'static str, programs: &Path) -> io::Result<Self> {
        let (catalog, store) = (Postgres::start()?, Seaweed::start(&programs.join("weed"))?);
        let key_service = Moto::start(&programs.join("moto_server"))?;
        let endpoint = store.endpoint();
        let address = endpoint.trim_start_matches("http://");
        let (near, far, keys) = (Link::to(address)?, Link::to(address)?, Link::to(key_service.address())?);
        let far_catalog = Tunnel::to(catalog.socket())?;
        Ok(Self { region, catalog, store, near, far, far_catalog, keys, _key_service: key_service })
    }

    /// Cuts it off from all other regions, or no longer. Its keys can be reached only from its own nodes then.
    pub fn cut_off(&self, cut: bool) {
        self.far.cut(cut);
        self.far_catalog.cut(cut);
    }
}

impl Node {
    fn start(region: &'static str, offsite: &Path, config: &Path, log: PathBuf) -> io::Result<Self> {
        let (offsite, config) = (offsite.to_owned(), config.to_owned());
        let mut node =
            Self { region, host: "127.0.0.1:0".to_owned(), log, catalog: None, offsite, config, process: None };
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
