//! Configuration: `offsite.toml` and the identities file it names, read once and checked whole.
//!
//! Every error names the file, the line or field, and what is accepted there: a mistyped path must
//! not look like an empty region.

mod access_key;
mod bandwidth;
mod duration;
pub(crate) mod environment;
#[cfg(test)]
mod hostile;
mod identities;
mod limits;
mod pacing;
mod place;
mod policies;
pub(crate) mod reference;
mod region;
mod replacing;

use std::collections::HashSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use engine::{OwnPlace, PART_PACKS, Worker};
use model::Region;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wire::aws::sigv4::SKEW_DEFAULT;

pub(crate) use access_key::{AccessKey, Cloud};
pub(crate) use bandwidth::parse_rate;
use duration::Span;
pub(crate) use duration::parse_duration;
pub(crate) use identities::{Account, Identities};
pub(crate) use place::{CatalogPlace, StorePlace};
pub(crate) use policies::{POLICIES, PolicyDirectory};
pub(crate) use region::{META_REGION, META_STORE_ID, RegionEntry, RegionSettings, id_of};
pub(crate) use replacing::replace_text;

use crate::exit::hinted;

/// The name of the configuration file that `offsite init` writes.
pub(crate) const CONFIG_FILE: &str = "offsite.toml";

/// How long a lease lasts without renewal, where the file does not say.
const LEASE_SECONDS: u64 = 60;

/// The most that the clocks of clients may be off. Whoever has seen a request can repeat it that long.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60 * 60);

/// What `offsite.toml` says, with its paths made absolute.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where it was read from.
    file: PathBuf,
    /// Who may use the regions.
    pub(crate) identities: Identities,
    /// Where that was read from.
    pub(crate) identities_file: PathBuf,
    /// Where the policies are that decide what they may do.
    pub(crate) policies: PolicyDirectory,
    /// How long gc leaves a pack that nothing names.
    pub(crate) gc_grace: Duration,
    /// How long a worker's lease lasts without renewal.
    pub(crate) lease: Duration,
    /// How many packs make a part of a copy that servers share.
    pub(crate) copy_part_packs: usize,
    /// How often an account may call, where its limits do not say.
    pub(crate) requests_per_second: RequestRates,
    /// How far the clocks of AWS clients may be off.
    pub(crate) aws_clock_skew: Duration,
    /// After how long a cluster that is initialized is activated, where its directory holds no token yet.
    pub(crate) cloudhsm_activation: Duration,
    /// The regions, in the order of the file.
    pub(crate) regions: Vec<RegionSettings>,
}

/// Calls a second of one account in one region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestRates {
    /// To each operation of CBS.
    pub(crate) cbs: NonZeroU32,
    /// To FSx as a whole; any number where there is none.
    pub(crate) fsx: Option<NonZeroU32>,
    /// To CloudHSM as a whole; any number where there is none.
    pub(crate) cloudhsm: Option<NonZeroU32>,
}

/// What `offsite.toml` says, as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// The file with the accounts; relative paths start at this file's directory.
    #[schemars(with = "String")]
    identities: PathBuf,
    /// The directory of Cedar policies that decide what access keys may do; `policies`, if that is there.
    #[schemars(with = "Option<String>")]
    policies: Option<PathBuf>,
    /// How long gc leaves a pack that nothing names.
    #[serde(default = "default_grace")]
    gc_grace: Span,
    /// How long work is another's after its last sign of life, in seconds: 1 to 3600.
    #[serde(default = "default_lease_seconds")]
    lease_seconds: u64,
    /// A copy that sends more packs than this is shared by the servers of its region, in parts of so many. Not one with
    /// --reencrypt or --bandwidth, nor one whose source is read once for several regions.
    #[serde(default = "default_copy_part_packs")]
    copy_part_packs: NonZeroUsize,
    /// Calls of an account to one operation of CBS in one region.
    #[serde(default = "default_requests_per_second")]
    cbs_requests_per_second: NonZeroU32,
    /// Calls of an account to FSx in one region; any number without it.
    fsx_requests_per_second: Option<NonZeroU32>,
    /// Calls of an account to CloudHSM in one region; any number without it.
    cloudhsm_requests_per_second: Option<NonZeroU32>,
    /// How far the clocks of AWS clients may be off: 1s to 1h.
    #[serde(default = "default_skew")]
    aws_clock_skew: Span,
    /// After how long an initialized HSM cluster is activated without a token.
    #[serde(default = "default_activation")]
    cloudhsm_activation: Span,
    #[serde(default)]
    #[schemars(skip)]
    region: Vec<RegionEntry>,
}

fn default_grace() -> Span {
    Span(Duration::from_secs(24 * 60 * 60))
}

fn default_lease_seconds() -> u64 {
    LEASE_SECONDS
}

fn default_copy_part_packs() -> NonZeroUsize {
    NonZeroUsize::new(PART_PACKS).expect("it is not 0")
}

/// As Tencent documents it. AWS does not say what its limits are.
fn default_requests_per_second() -> NonZeroU32 {
    NonZeroU32::new(20).expect("20 is not 0")
}

fn default_skew() -> Span {
    Span(SKEW_DEFAULT)
}

/// Long enough for a client that waits for `INITIALIZED` to see it.
fn default_activation() -> Span {
    Span(Duration::from_secs(5))
}

impl ConfigFile {
    /// Reads and checks the text of the file at `file`, without a look at what it names.
    pub(crate) fn parse(text: &str, file: &Path) -> anyhow::Result<(Self, Vec<RegionSettings>)> {
        let read: Self = parse_toml(text, file)?;
        let regions = check_regions(&read.region, file).with_context(|| file.display().to_string())?;
        if !(1..=3600).contains(&read.lease_seconds) {
            bail!("{}: lease_seconds: {} is not between 1 and 3600", file.display(), read.lease_seconds);
        }
        if !(Duration::from_secs(1)..=CLOCK_SKEW_MAX).contains(&read.aws_clock_skew.0) {
            bail!("{}: aws_clock_skew: {} is not between 1s and 1h", file.display(), read.aws_clock_skew);
        }
        Ok((read, regions))
    }
}

impl Config {
    /// Reads and checks the file at `path` and the identities it names.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let file = std::path::absolute(path).with_context(|| format!("failed to find {}", path.display()))?;
        if !is_there(&file)? {
            let error = anyhow::anyhow!("there is no configuration at {}", file.display());
            return Err(hinted(error, "make one with `offsite init`, or name one with --config or OFFSITE_CONFIG"));
        }
        let (read, regions) = ConfigFile::parse(&read_text(&file)?, &file)?;
        let base = file.parent().unwrap_or(Path::new("/"));
        let identities_file = base.join(&read.identities);
        Ok(Self {
            identities: Identities::load(&identities_file)?,
            identities_file,
            policies: PolicyDirectory::of(read.policies.as_deref(), base),
            gc_grace: read.gc_grace.0,
            lease: Duration::from_secs(read.lease_seconds),
            copy_part_packs: read.copy_part_packs.get(),
            requests_per_second: RequestRates {
                cbs: read.cbs_requests_per_second,
                fsx: read.fsx_requests_per_second,
                cloudhsm: read.cloudhsm_requests_per_second,
            },
            aws_clock_skew: read.aws_clock_skew.0,
            cloudhsm_activation: read.cloudhsm_activation.0,
            regions,
            file,
        })
    }

    /// What is set and does nothing.
    pub(crate) fn warnings(&self) -> Vec<String> {
        lone_askers(&self.regions)
    }

    /// This process, as the holder of leases.
    pub(crate) fn worker(&self) -> Worker {
        Worker { part_packs: self.copy_part_packs, ..Worker::this_process(self.lease) }
    }

    /// The settings of one region.
    pub(crate) fn region(&self, region: &Region) -> anyhow::Result<&RegionSettings> {
        self.regions.iter().find(|settings| settings.region == *region).ok_or_else(|| {
            let names: Vec<&str> = self.regions.iter().map(|settings| settings.region.as_str()).collect();
            let error = anyhow::anyhow!("there is no region {region} in {}", self.file.display());
            hinted(error, format!("the regions there are {}", names.join(", ")))
        })
    }
}

/// Says of each region that asks its S3 service for copies between it and another, and has no other there.
fn lone_askers(regions: &[RegionSettings]) -> Vec<String> {
    let asking = || {
        let asking = regions.iter().filter(|settings| settings.server_side_copies);
        asking.filter_map(|settings| Some((settings, settings.store.s3_service()?)))
    };
    let warning = |(settings, service): (&RegionSettings, String)| {
        let (region, partition) = (&settings.region, &settings.partition);
        let others = || asking().filter(|(other, _)| other.region != *region && other.partition == *partition);
        if others().any(|(_, theirs)| theirs == service) {
            return None;
        }
        let elsewhere: Vec<String> =
            others().map(|(other, theirs)| format!("{} is on {theirs}", other.region)).collect();
        let why = match elsewhere.is_empty() {
            true => "no other region asks for it".to_owned(),
            false => {
                format!("{region} is on {service}, and {}; one service has to be written alike", elsewhere.join(", "))
            }
        };
        Some(format!("region {region}: server_side_copies does nothing: {why}"))
    };
    asking().filter_map(warning).collect()
}

fn check_regions(entries: &[RegionEntry], file: &Path) -> anyhow::Result<Vec<RegionSettings>> {
    if entries.is_empty() {
        bail!("region: none is given; at least one [[region]] table is needed");
    }
    let mut names = HashSet::new();
    if let Some(twice) = entries.iter().find(|entry| !names.insert(&entry.name)) {
        bail!("region: {} is given twice", twice.name);
    }
    let mut regions = entries.iter().map(|entry| entry.check(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let own: Arc<[OwnPlace]> = regions.iter().flat_map(RegionSettings::own_places).collect();
    regions.iter_mut().for_each(|settings| settings.left_out = Arc::clone(&own));
    Ok(regions)
}

/// Whether there is something at `path`. Not to be permitted to look is an error, and no answer.
pub(crate) fn is_there(path: &Path) -> anyhow::Result<bool> {
    path.try_exists().with_context(|| format!("failed to look for {}", path.display()))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}

/// Reads the TOML of the file at `path`; errors name the file and the line, on one line.
fn parse_toml<T: DeserializeOwned>(text: &str, path: &Path) -> anyhow::Result<T> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map(|span| format!(", line {}", line_of(text, &span))).unwrap_or_default();
        anyhow::anyhow!("{}{place}: {}", path.display(), error.message())
    })
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITIES: &str = "[[account]]\nid = \"123456789012\"\nname = \"default\"\n";
    const REGION: &str = "[[region]]\nname = \"us-east-1\"\npartition = \"aws\"\nstore = \"file:store\"\n\
                          catalog = \"sqlite:a/catalog.db\"\nkms = \"file:kms.json\"\n";

    fn load(config: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("identities.toml"), IDENTITIES).unwrap();
        let file = dir.path().join(CONFIG_FILE);
        std::fs::write(&file, config).unwrap();
        Config::load(&file).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn paths_are_taken_from_the_files_directory() {
        let config = load(&format!("identities = \"identities.toml\"\n{REGION}")).unwrap();
        let base = config.file.parent().unwrap();
        assert_eq!(config.regions[0].store, StorePlace::Directory(base.join("store")));
        assert_eq!(config.regions[0].scratch, base.join("a/scratch"));
        assert_eq!(config.gc_grace, Duration::from_secs(86_400));
    }

    #[test]
    fn server_side_copies_that_do_nothing_are_named() {
        let warnings = |regions: &[(&str, &str)]| {
            let table = |(name, query): &(&str, &str)| {
                let region = REGION.replace("us-east-1", name).replace("file:store", &format!("s3://{name}?{query}"));
                format!("{region}server_side_copies = true\n")
            };
            let tables: String = regions.iter().map(table).collect();
            load(&format!("identities = \"identities.toml\"\n{tables}")).unwrap().warnings()
        };
        let (here, there) = (("a-1", "endpoint=http://127.0.0.1:9000"), ("b-1", "endpoint=http://localhost:9000"));
        assert_eq!(warnings(&[here, ("b-1", here.1)]), [""; 0]);
        assert_eq!(warnings(&[("a-1", "region=r"), ("b-1", "region=r")]), [""; 0]);
        let does_nothing = "server_side_copies does nothing";
        assert_eq!(warnings(&[here]), [format!("region a-1: {does_nothing}: no other region asks for it")]);
        let alike = "one service has to be written alike";
        assert_eq!(
            warnings(&[here, there]),
            [
                format!(
                    "region a-1: {does_nothing}: a-1 is on http://127.0.0.1:9000, and b-1 is on http://localhost:9000; {alike}"
                ),
                format!(
                    "region b-1: {does_nothing}: b-1 is on http://localhost:9000, and a-1 is on http://127.0.0.1:9000; {alike}"
                ),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let ids = "identities = \"identities.toml\"\n";
        for (config, expected) in [
            (format!("{ids}colour = 1\n{REGION}"), "offsite.toml, line 2: unknown field `colour`"),
            (ids.to_owned(), "region: none is given"),
            (format!("{ids}{REGION}{REGION}"), "region: us-east-1 is given twice"),
            (format!("{ids}gc_grace = \"soon\"\n{REGION}"), "line 2: \"soon\" is not a duration"),
            (format!("{ids}aws_clock_skew = \"0s\"\n{REGION}"), "aws_clock_skew: 0s is not between 1s and 1h"),
            (format!("{ids}aws_clock_skew = \"61m\"\n{REGION}"), "aws_clock_skew: 61m is not between 1s and 1h"),
            (format!("{ids}lease_seconds = 0\n{REGION}"), "lease_seconds: 0 is not between"),
            (
                format!("{ids}fsx_requests_per_second = 0\n{REGION}"),
                "line 2: invalid value: integer `0`, expected a nonzero",
            ),
            (
                format!("{ids}{REGION}store_requests = 8\n"),
                "region us-east-1: store_requests: it is for buckets, and the store is a directory",
            ),
            (
                format!("{ids}{}store_requests = 0\n", REGION.replace("file:store", "s3://x?region=y")),
                "store_requests: 0 is not between 1 and 1024",
            ),
            (
                format!("{ids}{}store_sent_bytes = \"1MiB\"\n", REGION.replace("file:store", "s3://x?region=y")),
                "store_sent_bytes: 1.0 MiB is not between 40MiB and 64GiB",
            ),
            (
                format!("{ids}{}store_sent_bytes = \"much\"\n", REGION.replace("file:store", "s3://x?region=y")),
                "store_sent_bytes: \"much\" is not a size",
            ),
            (format!("{ids}{}", REGION.replace("file:store", "ftp://x")), "region us-east-1: store: \"ftp://x\""),
            (
                format!("{ids}{}", REGION.replace("file:store", "s3://x")),
                "region us-east-1: store: not of the form s3:",
            ),
            (
                format!("{ids}{}", REGION.replace("file:store", "gs://x?account=a")),
                "region us-east-1: store: not of the form gs:",
            ),
            (
                format!("{ids}{}", REGION.replace("file:store", "az://x?region=a")),
                "region us-east-1: store: not of the form az:",
            ),
            (format!("{ids}{}", REGION.replace("sqlite:a/catalog.db", "sqlite:")), "catalog: \"sqlite:\""),
            (format!("{ids}{}", REGION.replace("us-east-1", "US EAST")), "is not a valid region name"),
            (format!("{ids}{REGION}bandwidth = \"fast\"\n"), "region us-east-1: bandwidth: \"fast\" is not a size"),
            (format!("identities = \"other.toml\"\n{REGION}"), "other.toml"),
        ] {
            let error = load(&config).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
