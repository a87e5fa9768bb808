//! What `deploy/` gives to operators fits the binary, Kubernetes and systemd.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use testkit::program::{find, installed};

const OFFSITE: &str = env!("CARGO_BIN_EXE_offsite");

/// Each has a kustomization of its name.
const REGIONS: [&str; 2] = ["eu-central-1", "eu-north-1"];

const KUBERNETES: &str = "deploy/kubernetes";

const UNIT: &str = "deploy/systemd/offsite.service";

/// Of ten, how much systemd thinks the service can do that it need not; with what [`UNIT`] says cannot be taken away it is 2.1.
const EXPOSURE_MAX_TENTHS: &str = "25";

#[test]
fn manifests_follow_the_schema_of_kubernetes() {
    let scratch = tempfile::tempdir().unwrap();
    let mut files = ["namespace.yaml", "site.example.yaml"].map(|name| path(KUBERNETES).join(name)).to_vec();
    for region in REGIONS {
        files.push(scratch.path().join(region));
        std::fs::write(files.last().unwrap(), render(region)).unwrap();
    }
    run(Command::new(tool("kubernetes-validate")).args(["--strict", "--quiet"]).args(files));
}

#[test]
fn everything_that_nodes_mount_is_there() {
    for region in REGIONS {
        let site = Manifests::of(region);
        let pod = site.pod();
        let volumes = pod["volumes"].as_array().unwrap();
        let names: BTreeSet<&str> = volumes.iter().map(|volume| text(&volume["name"])).collect();
        let mounts = container(pod)["volumeMounts"].as_array().unwrap();
        assert_eq!(mounts.iter().map(|mount| text(&mount["name"])).collect::<BTreeSet<_>>(), names);
        assert!(!site.files_of("config").is_empty(), "it has the configuration");
        for volume in volumes {
            if let Some(name) = volume["secret"]["secretName"].as_str() {
                site.find("Secret", name);
            }
            if let Some(name) = volume["persistentVolumeClaim"]["claimName"].as_str() {
                site.find("PersistentVolumeClaim", name);
            }
        }
        for source in container(pod)["envFrom"].as_array().unwrap() {
            site.find("Secret", text(&source["secretRef"]["name"]));
        }
    }
}

#[test]
fn what_selects_nodes_selects_those_of_one_region() {
    for region in REGIONS {
        let site = Manifests::of(region);
        let deployment = site.only("Deployment");
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/instance"], region);
        assert_eq!(deployment["spec"]["replicas"], 2);
        assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
        assert_eq!(&site.only("Service")["spec"]["selector"], labels);
        assert_eq!(&site.only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], labels);
        for spread in site.pod()["topologySpreadConstraints"].as_array().unwrap() {
            assert_eq!(&spread["labelSelector"]["matchLabels"], labels);
        }
    }
}

#[test]
fn the_manifests_of_regions_differ_in_their_names_alone() {
    let [mut first, second] = REGIONS.map(|region| Manifests::of(region).made);
    // The configuration has both.
    first.retain(|object| object["kind"] != "ConfigMap");
    let renamed = Value::from(first).to_string().replace(REGIONS[0], REGIONS[1]);
    let second: Vec<Value> = second.into_iter().filter(|object| object["kind"] != "ConfigMap").collect();
    assert_eq!(renamed, Value::from(second).to_string());
}

#[test]
fn the_configuration_that_nodes_mount_is_valid_there() {
    for region in REGIONS {
        let site = Manifests::of(region);
        let mounted = tempfile::tempdir().unwrap();
        for (name, content) in site.files_of("config") {
            let file = mounted.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        let config = mounted.path().join("offsite.toml");
        let told = run(Command::new(OFFSITE).args(["config", "check", "--config"]).arg(&config));
        assert!(told.contains("2 regions and 1 account are valid") && !told.contains("warning"), "{told}");

        let made = new_site();
        let policy = |folder: &Path| std::fs::read_to_string(folder.join("policies/default.cedar")).unwrap();
        assert_eq!(policy(mounted.path()), policy(made.path()), "the policy is the one that `init` makes");

        let config: toml::Table = std::fs::read_to_string(config).unwrap().parse().unwrap();
        let regions = config["region"].as_array().unwrap();
        assert_eq!(regions.iter().map(|table| table["name"].as_str().unwrap()).collect::<Vec<_>>(), REGIONS);
        for table in regions {
            let is_own = table["name"].as_str() == Some(region);
            let below = |field: &str, volume: &str| table[field].as_str().unwrap().starts_with(site.mounted_at(volume));
            assert!(below("scratch", "scratch"), "every region's scratch is on the volume for it");
            assert!(!is_own || below("resources", "resources"), "what callers make is where all nodes see it");
            let authority = table["catalog"].as_str().unwrap().split_once("sslrootcert=/etc/offsite/").unwrap().1;
            assert!(mounted.path().join(authority).exists(), "the authority of the databases is there");
        }
    }
}

#[test]
fn nodes_answer_their_probes_and_stop_in_time() {
    for region in REGIONS {
        let site = Manifests::of(region);
        let pod = site.pod();
        let container = container(pod);
        let arguments: Vec<&str> = container["args"].as_array().unwrap().iter().map(text).collect();
        let port = &container["ports"][0];
        assert_eq!(site.only("Service")["spec"]["ports"][0]["targetPort"], port["name"]);
        assert!(arguments.contains(&format!("--listen=0.0.0.0:{}", port["containerPort"]).as_str()));
        let variables = container["env"].as_array().unwrap().iter();
        let told = variables.clone().find(|variable| variable["name"] == "REGION").unwrap();
        assert_eq!(told["valueFrom"]["fieldRef"]["fieldPath"], "metadata.labels['app.kubernetes.io/instance']");
        let config = variables.clone().find(|variable| variable["name"] == "OFFSITE_CONFIG").unwrap();
        assert_eq!(text(&config["value"]), format!("{}/offsite.toml", site.mounted_at("config")));

        let mut server = Server::start(arguments.iter().map(|argument| argument.replace("$(REGION)", region)));
        for probe in ["readinessProbe", "livenessProbe"] {
            let asked = &container[probe]["httpGet"];
            assert_eq!(asked["port"], port["name"]);
            assert_eq!(server.url.split("://").next().unwrap().to_uppercase(), text(&asked["scheme"]), "{probe}");
            server.ask(text(&asked["path"]));
        }
        server.stop();

        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        let until_told = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        let unit = read(UNIT);
        assert_eq!(setting(&unit, "TimeoutStopSec"), format!("{}s", grace - until_told), "as long as systemd gives it");
        let limit = text(&container["resources"]["limits"]["memory"]);
        assert_eq!(format!("{}i", setting(&unit, "MemoryMax")), limit, "as much as systemd gives it");
        assert_eq!(text(&container["image"]).rsplit_once(':').unwrap().1, env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn systemd_takes_the_unit_and_its_drop_in() {
    let scratch = tempfile::tempdir().unwrap();
    let unit = scratch.path().join("offsite.service");
    // Whether the program is there is checked, too.
    std::fs::write(&unit, read(UNIT).replace("/usr/local/bin/offsite", OFFSITE)).unwrap();
    let drop_ins = scratch.path().join("offsite.service.d");
    for with_drop_in in [false, true] {
        if with_drop_in {
            std::fs::create_dir(&drop_ins).unwrap();
            let drop_in = read("deploy/systemd/read-everything.conf");
            std::fs::write(drop_ins.join("read-everything.conf"), drop_in).unwrap();
        }
        let systemd = || Command::new(find("systemd-analyze").unwrap());
        let told = run(systemd().args(["verify", "--man=no"]).arg(&unit));
        // What it does not know it ignores, and ends well.
        assert_eq!(told, "");
        let threshold = format!("--threshold={EXPOSURE_MAX_TENTHS}");
        let judged = run(systemd().args(["security", "--offline=true", "--json=short", &threshold]).arg(&unit));
        let judged: Vec<Value> = serde_json::from_str(&judged).unwrap();
        let of_files = judged.iter().find(|about| text(&about["name"]).contains("~CAP_(DAC_")).unwrap();
        assert_eq!(
            of_files["set"], !with_drop_in,
            "the permission to read every file is taken away without the drop-in"
        );
    }
    std::fs::create_dir(scratch.path().join("etc")).unwrap();
    let mut users = Command::new(find("systemd-sysusers").unwrap());
    let root = format!("--root={}", scratch.path().display());
    run(users.arg(root).arg(path("deploy/systemd/offsite.sysusers")));
    let made = std::fs::read_to_string(scratch.path().join("etc/passwd")).unwrap();
    assert!(made.starts_with(&format!("{}:", setting(&read(UNIT), "User"))), "{made}");
}

#[test]
fn servers_start_as_the_unit_and_its_environment_say() {
    let unit = read(UNIT);
    let start = setting(&unit, "ExecStart").strip_prefix("/usr/local/bin/offsite ").unwrap();
    let (command, variable) = start.split_once(" $").unwrap();
    let written = format!("{variable}=");
    let environment = read("deploy/systemd/offsite.env");
    let of_unit = unit.lines().find_map(|line| line.strip_prefix("Environment=\"")?.strip_prefix(&written));
    let of_file = environment.lines().find_map(|line| line.strip_prefix('#')?.strip_prefix(&written));
    for options in [of_unit.unwrap().trim_end_matches('"'), of_file.unwrap()] {
        let mut server = Server::start(format!("{command} {options}").split_whitespace());
        server.ask("/readyz");
        server.stop();
    }
}

#[test]
fn the_container_is_made_of_what_is_there_and_starts_a_server() {
    let written = read("deploy/container/Containerfile").replace("\\\n", " ");
    let steps: Vec<(&str, &str)> = written.lines().filter_map(|line| line.split_once(' ')).collect();
    let of_kind = |kind| steps.iter().filter(move |(name, _)| *name == kind).map(|(_, rest)| *rest);
    for base in of_kind("FROM") {
        let tag = base.split_whitespace().next().unwrap().rsplit_once(':').unwrap().1;
        assert!(!["", "latest"].contains(&tag), "{base}");
    }
    let toolchain = of_kind("FROM").next().unwrap();
    assert!(toolchain.contains(concat!("rust:", env!("CARGO_PKG_RUST_VERSION"))), "{toolchain}");
    let folder = tempfile::tempdir().unwrap();
    for copied in of_kind("COPY").filter(|copied| !copied.starts_with("--from=")) {
        let words: Vec<&str> = copied.split_whitespace().collect();
        let (_, sources) = words.split_last().unwrap();
        for source in sources {
            let there = path(source);
            assert!(there.exists(), "{source}");
            run(Command::new("cp").arg("-r").arg(there).arg(folder.path()));
        }
    }
    // Cargo finds every member there, and what it would build is what is locked.
    let cargo = ["tree", "--locked", "--offline", "--package", "offsite", "--edges", "normal,build"];
    run(Command::new("cargo").args(cargo).current_dir(&folder));
    assert!(of_kind("RUN").any(|command| command.contains("cargo build --release --locked --package offsite")));

    let user = of_kind("USER").next().unwrap();
    let security = Manifests::of(REGIONS[0]).pod()["securityContext"].clone();
    assert_eq!(user, format!("{}:{}", security["runAsUser"], security["runAsGroup"]));
    let command: Vec<String> = serde_json::from_str(of_kind("CMD").next().unwrap()).unwrap();
    assert!(command.contains(&format!("0.0.0.0:{}", of_kind("EXPOSE").next().unwrap())));
    let mut server = Server::start(command);
    server.ask("/healthz");
    server.stop();
}

/// What a region's kustomization makes, and what the operator makes beside it.
struct Manifests {
    made: Vec<Value>,
    beside: Vec<Value>,
}

impl Manifests {
    fn of(region: &str) -> Self {
        Self { made: parse(&render(region)), beside: parse(&read("deploy/kubernetes/site.example.yaml")) }
    }

    #[track_caller]
    fn find(&self, kind: &str, name: &str) -> &Value {
        let mut all = self.made.iter().chain(&self.beside);
        let found = all.find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        let found = found.unwrap_or_else(|| panic!("there is no {kind} {name}"));
        assert_eq!(found["metadata"]["namespace"], "offsite", "{kind} {name}");
        found
    }

    /// The one object of its kind that the kustomization makes.
    #[track_caller]
    fn only(&self, kind: &str) -> &Value {
        let found: Vec<&Value> = self.made.iter().filter(|object| object["kind"] == kind).collect();
        assert_eq!(found.len(), 1, "{kind}");
        found[0]
    }

    fn pod(&self) -> &Value {
        &self.only("Deployment")["spec"]["template"]["spec"]
    }

    fn mounted_at(&self, volume: &str) -> &str {
        let mut mounts = container(self.pod())["volumeMounts"].as_array().unwrap().iter();
        text(&mounts.find(|mount| mount["name"] == volume).unwrap()["mountPath"])
    }

    /// The files of a projected volume, each with its content.
    fn files_of(&self, volume: &str) -> Vec<(String, String)> {
        let volumes = self.pod()["volumes"].as_array().unwrap();
        let volume = volumes.iter().find(|known| known["name"] == volume).unwrap();
        let mut files = Vec::new();
        for source in volume["projected"]["sources"].as_array().unwrap() {
            let (kind, data) =
                if source["secret"].is_object() { ("Secret", "stringData") } else { ("ConfigMap", "data") };
            let source = &source[if kind == "Secret" { "secret" } else { "configMap" }];
            let object = self.find(kind, text(&source["name"]));
            for item in source["items"].as_array().unwrap() {
                files.push((text(&item["path"]).to_owned(), text(&object[data][text(&item["key"])]).to_owned()));
            }
        }
        files
    }
}

/// `offsite serve` on regions in a scratch directory.
struct Server {
    process: Child,
    url: String,
    _site: TempDir,
}

impl Server {
    /// Starts it as `arguments` say, but on a free port and with a certificate of its own.
    fn start(arguments: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let site = new_site();
        let certificate = |name: &str| site.path().join(name).display().to_string();
        let [cert, key] = [certificate("tls.crt"), certificate("tls.key")];
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]);
        run(openssl.args(["-out", &cert, "-keyout", &key]));
        let mut command = Command::new(OFFSITE);
        for argument in arguments {
            let mut argument = argument.as_ref().to_owned();
            for address in ["0.0.0.0:8470", "127.0.0.1:8470"] {
                argument = argument.replace(address, "127.0.0.1:0");
            }
            for folder in ["/etc/offsite-tls/", "/var/lib/offsite/"] {
                argument = argument.replace(folder, &format!("{}/", site.path().display()));
            }
            command.arg(argument);
        }
        command.env("OFFSITE_CONFIG", site.path().join("offsite.toml"));
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        let url = loop {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "{command:?} ended before it listened");
            if let Some(url) = line.trim_end().strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        // So that it never waits for a reader.
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        Self { process, url, _site: site }
    }

    /// Asks as a probe does, which takes any certificate.
    #[track_caller]
    fn ask(&self, path: &str) {
        let script = "import ssl, sys, urllib.request
urllib.request.urlopen(sys.argv[1], context=ssl._create_unverified_context())";
        run(Command::new(tool("python")).args(["-c", script]).arg(format!("{}{path}", self.url)));
    }

    /// Ends it as systemd and Kubernetes do.
    #[track_caller]
    fn stop(&mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A site with the regions of the examples, on files.
fn new_site() -> TempDir {
    let site = tempfile::tempdir().unwrap();
    run(Command::new(OFFSITE).args(["init", "--dir"]).arg(site.path()));
    for region in REGIONS {
        let config = site.path().join("offsite.toml");
        let mut add = Command::new(OFFSITE);
        run(add.args(["region", "add", region, "--partition", "aws", "--config"]).arg(config).current_dir(site.path()));
    }
    site
}

/// What `kubectl apply -k` would apply.
fn render(region: &str) -> String {
    run(Command::new(tool("kubectl")).arg("kustomize").arg(path(KUBERNETES).join(region)))
}

/// The documents of a YAML text.
fn parse(yaml: &str) -> Vec<Value> {
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.argv[1]))))";
    serde_json::from_str(&run(Command::new(tool("python")).args(["-c", script, yaml]))).unwrap()
}

fn container(pod: &Value) -> &Value {
    &pod["containers"][0]
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The value of a unit's setting that is given once.
#[track_caller]
fn setting<'a>(unit: &'a str, name: &str) -> &'a str {
    unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap()
}

/// What the command printed, on both; it has to end well.
#[track_caller]
fn run(command: &mut Command) -> String {
    let ran = command.env_remove("OFFSITE_CONFIG").output().unwrap();
    let printed = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(ran.status.success(), "{command:?}: {printed}");
    printed
}

/// A program of the environment that `cargo xtask test` has made.
fn tool(name: &str) -> PathBuf {
    installed(Path::new(env!("CARGO_TARGET_TMPDIR")), name)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap()
}

fn path(file: impl AsRef<Path>) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../.."].iter().collect::<PathBuf>().join(file)
}
