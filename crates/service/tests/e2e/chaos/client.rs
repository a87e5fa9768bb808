//! A client that makes, copies, restores and removes backups, and knows what it was promised.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::{Clock, SystemClock};
use serde_json::{Value, json};
use testkit::cluster::{Cluster, IN_FILES, REGIONS};
use testkit::corpus::{Content, Random};

use crate::api::exchange::{Raw, Reply};
use crate::api::served::Keys;

/// The regions of a client, by their numbers.
const NAMES: [&str; 3] = [REGIONS[0], REGIONS[1], IN_FILES];

/// How long a reply is waited for before another node is asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long all nodes of a region may fail to answer: as long as the worst trouble, and as work that waits for it.
const AWAY_MAX: Duration = Duration::from_secs(120);

/// What a failure says that has this cause.
const KEY_DISABLED: &str = "the key is disabled";

/// How long it rests after each thing that it has done.
const REST: Duration = Duration::from_millis(150);

/// Files of a file system.
const FILES: usize = 3;

/// File systems of a client.
const FILE_SYSTEMS: usize = 2;

/// Which bytes a file holds, for each: the seed that they are made from.
pub(crate) type Files = BTreeMap<String, u64>;

/// A client of all regions.
pub(crate) struct Client {
    pub(crate) folder: PathBuf,
    /// What is in each file system that it writes to, by id.
    file_systems: Vec<(String, Files)>,
    /// Backups that it was promised, in the first region.
    pub(crate) backups: Vec<Promise>,
    /// Copies of these, in the second region.
    pub(crate) copies: Vec<Promise>,
    /// File systems made from copies, in the second region.
    pub(crate) restored: Vec<Promise>,
    /// Backups that it removed.
    pub(crate) removed: Vec<String>,
    /// What could not be made, as a key was disabled.
    pub(crate) failed: Vec<String>,
    nodes: [Vec<String>; 3],
    keys: Keys,
    random: Random,
    tokens: u64,
    number: u64,
}

/// Something that was acknowledged, and what is to be in it.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) id: String,
    pub(crate) files: Files,
}

impl Client {
    pub(crate) fn new(cluster: &Cluster, seed: u64, number: u64) -> Self {
        let hosts = |region: &str| {
            cluster.nodes.iter().filter(|node| node.region == region).map(|node| node.host.clone()).collect()
        };
        Self {
            folder: cluster.folder().to_owned(),
            file_systems: Vec::new(),
            backups: Vec::new(),
            copies: Vec::new(),
            restored: Vec::new(),
            removed: Vec::new(),
            failed: Vec::new(),
            nodes: NAMES.map(hosts),
            keys: Keys::read(&cluster.client_env()),
            random: Random::new(seed),
            tokens: 0,
            number,
        }
    }

    /// Works until it is over; what it has begun by then it ends.
    pub(crate) fn work_until(&mut self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::SeqCst) {
            match self.random.below(10) {
                _ if self.file_systems.len() < FILE_SYSTEMS => drop(self.make_file_system(openzfs())),
                0..=3 => self.back_up(),
                4..=6 => self.copy(),
                7 => self.remove(),
                _ => self.restore(),
            }
            // It is not the load that is tried here.
            std::thread::park_timeout(REST);
        }
    }

    /// Has a file system made, writes its files, and returns its id, or the code of a refusal.
    pub(crate) fn make_file_system(&mut self, openzfs: Value) -> Result<String, String> {
        let wanted = json!({"FileSystemType": "OPENZFS", "StorageCapacity": 64, "OpenZFSConfiguration": openzfs});
        let made = self.make(0, "CreateFileSystem", on_subnet(wanted))?;
        let id = text(&made["FileSystem"]["FileSystemId"]);
        assert!(self.wait_for(0, "FileSystem", &id), "an empty file system needs no key");
        let files: Files = (0..FILES).map(|number| (format!("file{number}"), self.random.number())).collect();
        for (name, seed) in &files {
            fs::write(self.directory(0, &id).join(name), bytes(*seed)).unwrap();
        }
        self.file_systems.push((id.clone(), files));
        Ok(id)
    }

    /// What is in a file system that it made.
    pub(crate) fn files(&self, id: &str) -> &Files {
        &self.file_systems.iter().find(|(known, _)| known == id).expect("it made that one").1
    }

    /// Changes a file and makes a backup. Nothing else is written until it is made.
    fn back_up(&mut self) {
        let chosen = self.random.index(self.file_systems.len());
        let (name, seed) = (format!("file{}", self.random.index(FILES)), self.random.number());
        let id = self.file_systems[chosen].0.clone();
        fs::write(self.directory(0, &id).join(&name), bytes(seed)).unwrap();
        self.file_systems[chosen].1.insert(name, seed);
        let Ok(made) = self.make(0, "CreateBackup", json!({"FileSystemId": id})) else { return };
        let backup = text(&made["Backup"]["BackupId"]);
        if self.wait_for(0, "Backup", &backup) {
            self.backups.push(Promise { id: backup, files: self.file_systems[chosen].1.clone() });
        }
    }

    /// Begins a copy and leaves it to the servers.
    fn copy(&mut self) {
        let Some(source) = choose(&mut self.random, &self.backups) else { return };
        let wanted = json!({"SourceBackupId": source.id, "SourceRegion": REGIONS[0]});
        if let Ok(made) = self.make(1, "CopyBackup", wanted) {
            self.copies.push(Promise { id: text(&made["Backup"]["BackupId"]), ..source });
        }
    }

    /// Removes a backup. Its copies stay.
    fn remove(&mut self) {
        let Some(backup) = choose(&mut self.random, &self.backups) else { return };
        let gone = match self.make(0, "DeleteBackup", json!({"BackupId": backup.id})) {
            Ok(_) => true,
            // The reply to the first try may be what was lost.
            Err(code) => code == "BackupNotFound",
        };
        if gone {
            self.backups.retain(|known| known.id != backup.id);
            self.removed.push(backup.id);
        }
    }

    /// Has a file system made from a copy that has arrived.
    fn restore(&mut self) {
        let Some(copy) = choose(&mut self.random, &self.copies) else { return };
        if self.state(1, "Backup", &copy.id) != "AVAILABLE" {
            return;
        }
        let wanted = json!({"BackupId": copy.id, "OpenZFSConfiguration": openzfs()});
        if let Ok(made) = self.make(1, "CreateFileSystemFromBackup", on_subnet(wanted)) {
            self.restored.push(Promise { id: text(&made["FileSystem"]["FileSystemId"]), ..copy });
        }
    }

    /// Where a file system of a region is.
    pub(crate) fn directory(&self, region: usize, id: &str) -> PathBuf {
        self.folder.join(NAMES[region]).join("resources").join(id)
    }

    /// Waits until a `FileSystem` or `Backup` is there. It may fail only because a key is disabled, and says so; returns
    /// whether it did not.
    pub(crate) fn wait_for(&mut self, region: usize, kind: &str, id: &str) -> bool {
        let begun = Instant::now();
        loop {
            match self.state(region, kind, id).as_str() {
                "AVAILABLE" => return true,
                "CREATING" | "COPYING" => {}
                state if state.contains(KEY_DISABLED) => {
                    self.failed.push(id.to_owned());
                    return false;
                }
                state => panic!("{kind} {id} is {state}"),
            }
            assert!(begun.elapsed() < AWAY_MAX, "{kind} {id} is not there after {:?}", begun.elapsed());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// The lifecycle of a `FileSystem` or `Backup`, or the code of the error.
    pub(crate) fn state(&mut self, region: usize, kind: &str, id: &str) -> String {
        let ids = format!("{kind}Ids");
        match self.call(region, &format!("Describe{kind}s"), &json!({ids: [id]})) {
            Ok(reply) => {
                let found = &reply[format!("{kind}s")][0];
                let why = &found["FailureDetails"]["Message"];
                if why.is_null() { text(&found["Lifecycle"]) } else { format!("{}: {why}", found["Lifecycle"]) }
            }
            Err(code) => code,
        }
    }

    /// A call that may be sent again, as its token says that it is the same.
    pub(crate) fn make(&mut self, region: usize, operation: &str, mut parameters: Value) -> Result<Value, String> {
        self.tokens += 1;
        parameters["ClientRequestToken"] = json!(format!("client-{}-{}", self.number, self.tokens));
        self.call(region, operation, &parameters)
    }

    /// Asks one node after the other until one answers; returns the reply, or the code of its refusal.
    fn call(&mut self, region: usize, operation: &str, parameters: &Value) -> Result<Value, String> {
        let begun = Instant::now();
        loop {
            let hosts = &self.nodes[region];
            let host = &hosts[self.random.index(hosts.len())];
            let target = format!("AWSSimbaAPIService_v20180301.{operation}");
            let request = Raw::aws(host, NAMES[region], "fsx", &target, &parameters.to_string());
            let request = request.signed(&self.keys, SystemClock.now().0 / 1000);
            let said = match send(host, &request.bytes()) {
                Ok(reply) if reply.status == 200 => return Ok(reply.json()),
                Ok(reply) if reply.status < 500 => return Err(reply.code()),
                Ok(reply) => reply.text(),
                Err(error) => error.to_string(),
            };
            assert!(begun.elapsed() < AWAY_MAX, "nobody has answered {operation} for {:?}: {said}", begun.elapsed());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

fn send(host: &str, bytes: &[u8]) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(bytes)?;
    Reply::read(&mut BufReader::new(stream))
}

fn choose(random: &mut Random, promises: &[Promise]) -> Option<Promise> {
    promises.get(random.index(promises.len())).cloned()
}

pub(crate) fn openzfs() -> Value {
    json!({"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64})
}

pub(crate) fn on_subnet(mut wanted: Value) -> Value {
    wanted["SubnetIds"] = json!(["subnet-0123456789abcdef0"]);
    wanted
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The contents of a file: some MB that no file of another seed shares, half of which zstd makes smaller.
fn bytes(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::new();
    for kind in [Content::Text, Content::Incompressible] {
        let len = random.between(100_000, 1_500_000);
        kind.write(&mut bytes, &mut random, len).expect("writing to memory");
    }
    bytes
}

/// Asserts that a directory has these files and no others.
#[track_caller]
pub(crate) fn assert_holds(directory: &Path, files: &Files) {
    let listed = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut names: Vec<String> = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, files.keys().cloned().collect::<Vec<_>>(), "{}", directory.display());
    for (name, seed) in files {
        let path = directory.join(name);
        assert!(fs::read(&path).unwrap() == bytes(*seed), "{} holds something else", path.display());
    }
}
