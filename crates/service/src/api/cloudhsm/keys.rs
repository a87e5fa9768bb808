//! The keys of clusters, and of the hardware that vouches for them, in files that only their owner can read.
//!
//! A cluster's key lies in the cluster's own directory, beside tokens that hold worse secrets: whoever can read it there
//! has those already. So it is sealed into every backup and comes back with a cluster that is made from one, as keys
//! inside of real HSMs do. SoftHSM looks at directories only, and passes the file over. The key of the hardware is the
//! region's, and is in no backup. Neither is ever in a reply, in a row, or in the log.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use engine::EngineError;
use model::Timestamp;
use serde::{Deserialize, Serialize};
use wire::cloudhsm::certificates::{ClusterKey, Hardware};
use wire::cloudhsm::words::ClusterMode;

use super::attributes::Identity;

/// In the directory of a cluster.
const CLUSTER_KEY: &str = "cluster.key";

/// In the directory of all clusters of a region.
const HARDWARE: &str = "hardware.json";

/// What SoftHSM keeps in the directory of a token.
const TOKEN: &str = "token.object";

/// The identity of a new cluster, whose directory this is. Safe to repeat, and to run beside others: of the keys that are
/// made, the first that is written is the one.
///
/// # Errors
/// When a file cannot be read or written, or is not what was written.
pub(super) fn make_identity(
    cluster: &Path,
    id: &str,
    mode: ClusterMode,
    now: Timestamp,
) -> Result<Identity, EngineError> {
    make(cluster, id, mode, now)
        .map_err(|source| EngineError::File { action: format!("make the identity of {id}"), source })
}

fn make(cluster: &Path, id: &str, mode: ClusterMode, now: Timestamp) -> io::Result<Identity> {
    let key = first_kept(&cluster.join(CLUSTER_KEY), || {
        let key = ClusterKey::new(id, mode).map_err(io::Error::other)?;
        Ok(key.key_pem.to_string())
    })?;
    let csr = ClusterKey::of_pem(&key, id, mode).map_err(io::Error::other)?.csr_pem;
    let hardware = first_kept(&cluster.with_file_name(HARDWARE), || {
        let Hardware { key_pem, aws_certificate_pem, manufacturer_certificate_pem } =
            Hardware::new(now).map_err(io::Error::other)?;
        let kept = HardwareFile {
            key: key_pem.to_string(),
            aws_certificate: aws_certificate_pem,
            manufacturer_certificate: manufacturer_certificate_pem,
        };
        serde_json::to_string(&kept).map_err(io::Error::other)
    })?;
    let kept: HardwareFile = serde_json::from_str(&hardware).map_err(io::Error::other)?;
    let hardware = Hardware {
        key_pem: kept.key.into(),
        aws_certificate_pem: kept.aws_certificate,
        manufacturer_certificate_pem: kept.manufacturer_certificate,
    };
    Ok(Identity {
        hsm_certificate: hardware.certify(&csr, now).map_err(io::Error::other)?,
        csr,
        aws_hardware_certificate: hardware.aws_certificate_pem,
        manufacturer_hardware_certificate: hardware.manufacturer_certificate_pem,
    })
}

#[derive(Serialize, Deserialize)]
struct HardwareFile {
    key: String,
    aws_certificate: String,
    manufacturer_certificate: String,
}

/// What is in the file; what `make` gives, if there was none.
fn first_kept(path: &Path, make: impl FnOnce() -> io::Result<String>) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        there => return there,
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Nobody else can read it, from the moment that it is made.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(make()?.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => return Err(error.error),
        _ => File::open(folder)?.sync_all()?,
    }
    fs::read_to_string(path)
}

/// Whether a directory holds a token that was initialized, as SoftHSM writes one.
pub(super) fn holds_token(cluster: &Path) -> bool {
    let Ok(entries) = fs::read_dir(cluster) else { return false };
    entries.flatten().any(|entry| entry.path().join(TOKEN).is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_identity_is_made_once_and_its_keys_are_their_owners_alone() {
        let region = tempfile::tempdir().unwrap();
        let cluster = region.path().join("cluster-dygnwhmscg5");
        fs::create_dir(&cluster).unwrap();
        let identity = || make_identity(&cluster, "cluster-dygnwhmscg5", ClusterMode::Fips, Timestamp(0)).unwrap();
        let (first, key) = (identity(), fs::read(cluster.join(CLUSTER_KEY)).unwrap());
        let again = identity();
        assert_eq!(first.aws_hardware_certificate, again.aws_hardware_certificate);
        assert_eq!(fs::read(cluster.join(CLUSTER_KEY)).unwrap(), key);
        for file in [cluster.join(CLUSTER_KEY), region.path().join(HARDWARE)] {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let shown = serde_json::to_string(&first).unwrap();
        assert!(shown.contains("CERTIFICATE REQUEST") && !shown.contains("PRIVATE"), "{shown}");
    }

    #[test]
    fn a_file_that_is_no_key_is_an_error() {
        let region = tempfile::tempdir().unwrap();
        let cluster = region.path().join("cluster-dygnwhmscg5");
        fs::create_dir(&cluster).unwrap();
        fs::write(cluster.join(CLUSTER_KEY), "nonsense").unwrap();
        assert!(make_identity(&cluster, "cluster-dygnwhmscg5", ClusterMode::Fips, Timestamp(0)).is_err());
    }

    #[test]
    fn a_token_is_known_by_its_file() {
        let cluster = tempfile::tempdir().unwrap();
        assert!(!holds_token(cluster.path()) && !holds_token(&cluster.path().join("nowhere")));
        fs::create_dir(cluster.path().join("0f0e")).unwrap();
        assert!(!holds_token(cluster.path()));
        fs::write(cluster.path().join("0f0e").join(TOKEN), "").unwrap();
        assert!(holds_token(cluster.path()));
    }
}
