//! Hostile bytes for the configuration's parsers; `fuzz/` runs the same function.

use std::path::Path;

use crate::config::place::KmsPlace;
use crate::config::{ConfigFile, Identities, StorePlace, parse_duration};

/// Reads any bytes as each of the files, and as a duration.
pub(crate) fn read(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let file = Path::new("/etc/offsite.toml");
    drop(parse_duration(&text));
    drop(Identities::parse(&text, file));
    if let Ok((_, regions)) = ConfigFile::parse(&text, file) {
        for region in regions {
            assert!(region.scratch.is_absolute());
            assert!(!matches!(region.store, StorePlace::Directory(path) if path.is_relative()));
            assert!(!matches!(region.kms, KmsPlace::File(path) if path.is_relative()));
        }
    }
}

#[cfg(test)]
#[path = "../../../store/tests/hostile/mutate.rs"]
mod mutate;

#[test]
fn hostile_configuration_is_refused_without_panic() {
    let identities = toml::to_string(&Identities::generate(model::Timestamp(0))).unwrap();
    let config = "identities = \"identities.toml\"\ngc_grace = \"24h\"\nlease_seconds = 60\n[[region]]\n\
                  name = \"us-east-1\"\npartition = \"aws\"\nstore = \"file:store\"\ncatalog = \"sqlite:catalog.db\"\n\
                  kms = \"file:kms.json\"\nscratch = \"scratch\"\n";
    assert!(ConfigFile::parse(config, Path::new("/offsite.toml")).is_ok());
    let buckets = [
        "s3://bucket/prefix?endpoint=http://localhost:8333&region=us-east-1",
        "gs://bucket/prefix?endpoint=http://localhost:4443",
        "az://container/prefix?endpoint=http://localhost:10000/account&account=account",
    ]
    .map(|store| config.replace("file:store", store));
    for bucket in &buckets {
        assert!(ConfigFile::parse(bucket, Path::new("/offsite.toml")).is_ok());
    }
    let keys = config.replace("file:kms.json", "awskms://?endpoint=http://localhost:8334&region=us-east-1&alias=a/b");
    assert!(ConfigFile::parse(&keys, Path::new("/offsite.toml")).is_ok());
    let [s3, gcs, azure] = &buckets;
    let seeds = [config, s3, gcs, azure, &keys, &identities, "24h"].map(|text| text.as_bytes().to_vec());
    for case in 0..5000 {
        let bytes = mutate::hostile(case, &seeds);
        let outcome = std::panic::catch_unwind(|| read(&bytes));
        assert!(outcome.is_ok(), "case {case}: {}", bytes.escape_ascii());
    }
}
