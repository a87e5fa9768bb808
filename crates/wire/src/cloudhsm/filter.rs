//! Filters of listings: all names must hold, and of each name one of its values.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::CloudHsmError;
use super::reply::{Backup, Cluster};
use super::scalar::{FILTER_NAME, FILTERS};
use super::words::{BackupState, ClusterState};
use crate::aws::constraint::Constraints;
use crate::aws::json::truncated;
use crate::aws::shape::{Reader, Rule, Shape};

/// How much of a name or value is repeated in a message.
const SHOWN_CHARACTERS_MAX: usize = 64;

/// Filters as they are sent: an object of names, each with a list of values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filters(pub BTreeMap<String, Vec<String>>);

impl Shape for Filters {
    fn read(given: Value, reader: &mut Reader) -> Option<Self> {
        let members = reader.members(given)?;
        let mut filters = Some(BTreeMap::new());
        for (name, values) in members {
            // Messages do not repeat the name, which may be of any length.
            let mut value = Map::from_iter([("Value".to_owned(), values)]);
            let values: Option<Option<Vec<String>>> = reader.member(&mut value, "Value");
            filters = filters.zip(values).map(|(mut filters, values)| {
                filters.extend(values.map(|values| (name, values)));
                filters
            });
        }
        filters.map(Self)
    }
}

/// How many names there may be, and what they look like.
#[derive(Debug)]
pub(super) struct FilterNames(RangeInclusive<usize>);

pub(super) static FILTER_NAMES: FilterNames = FilterNames(FILTERS);

impl Rule<Filters> for FilterNames {
    fn check(&self, filters: &Filters, path: &str, constraints: &mut Constraints) {
        if !self.0.contains(&filters.0.len()) {
            let shown = serde_json::to_string(filters).unwrap_or_default();
            constraints.count(path, &shown, filters.0.len(), self.0.clone());
        }
        for name in filters.0.keys() {
            FILTER_NAME.check(name, &format!("{path}.key"), constraints);
        }
    }
}

/// What a listing of backups is narrowed by. A filter that is not there holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupFilters {
    /// `backupIds`: these backups.
    pub backup_ids: Option<Vec<String>>,
    /// `sourceBackupIds`: copies that were made from these.
    pub source_backup_ids: Option<Vec<String>>,
    /// `clusterIds`: taken from these clusters in this region; not copies.
    pub cluster_ids: Option<Vec<String>>,
    /// `states`.
    pub states: Option<Vec<BackupState>>,
    /// `neverExpires`.
    pub never_expires: Option<Vec<bool>>,
}

impl BackupFilters {
    /// Makes sense of filters. Names and states are taken literally, `TRUE` is as good as `true`.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` for names and values that there are not.
    pub fn read(filters: &Filters) -> Result<Self, CloudHsmError> {
        let mut read = Self::default();
        for (name, values) in &filters.0 {
            match name.as_str() {
                "backupIds" => read.backup_ids = Some(values.clone()),
                "sourceBackupIds" => read.source_backup_ids = Some(values.clone()),
                "clusterIds" => read.cluster_ids = Some(values.clone()),
                "states" => read.states = Some(each(name, values, BackupState::find)?),
                "neverExpires" => read.never_expires = Some(each(name, values, truth)?),
                _ => return Err(unknown(name)),
            }
        }
        Ok(read)
    }

    /// Whether a backup is listed.
    ///
    /// One that is gone is only shown to those who ask for it by its id, its source or its state: that is how a
    /// client that waits for a copy learns that it failed.
    pub fn lists(&self, backup: &Backup) -> bool {
        self.holds(backup) && (backup.backup_state != BackupState::Deleted || self.asks_for_deleted())
    }

    fn holds(&self, backup: &Backup) -> bool {
        has(&self.backup_ids, Some(&backup.backup_id))
            && has(&self.source_backup_ids, backup.source_backup.as_ref())
            && has(&self.cluster_ids, backup.cluster_id.as_ref())
            && has(&self.states, Some(&backup.backup_state))
            && has(&self.never_expires, Some(&backup.never_expires))
    }

    fn asks_for_deleted(&self) -> bool {
        let states = self.states.as_ref().is_some_and(|states| states.contains(&BackupState::Deleted));
        states || self.backup_ids.is_some() || self.source_backup_ids.is_some()
    }
}

/// What a listing of clusters is narrowed by. A filter that is not there holds for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFilters {
    /// `clusterIds`.
    pub cluster_ids: Option<Vec<String>>,
    /// `vpcIds`.
    pub vpc_ids: Option<Vec<String>>,
    /// `states`.
    pub states: Option<Vec<ClusterState>>,
}

impl ClusterFilters {
    /// Makes sense of filters.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` for names and values that there are not.
    pub fn read(filters: &Filters) -> Result<Self, CloudHsmError> {
        let mut read = Self::default();
        for (name, values) in &filters.0 {
            match name.as_str() {
                "clusterIds" => read.cluster_ids = Some(values.clone()),
                "vpcIds" => read.vpc_ids = Some(values.clone()),
                "states" => read.states = Some(each(name, values, ClusterState::find)?),
                _ => return Err(unknown(name)),
            }
        }
        Ok(read)
    }

    /// Whether a cluster is listed.
    pub fn lists(&self, cluster: &Cluster) -> bool {
        has(&self.cluster_ids, Some(&cluster.cluster_id))
            && has(&self.vpc_ids, cluster.vpc_id.as_ref())
            && has(&self.states, Some(&cluster.state))
    }
}

fn each<T>(name: &str, values: &[String], find: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, CloudHsmError> {
    let refused = |value| {
        let shown = truncated(value, SHOWN_CHARACTERS_MAX);
        CloudHsmError::invalid(format!("The filter '{name}' does not have the value '{shown}'."))
    };
    values.iter().map(|value| find(value).ok_or_else(|| refused(value))).collect()
}

fn unknown(name: &str) -> CloudHsmError {
    CloudHsmError::invalid(format!("There is no filter '{}'.", truncated(name, SHOWN_CHARACTERS_MAX)))
}

fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn has<T: PartialEq>(wanted: &Option<Vec<T>>, value: Option<&T>) -> bool {
    wanted.as_ref().is_none_or(|wanted| value.is_some_and(|value| wanted.contains(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudhsm::error::ErrorCode;
    use crate::cloudhsm::reply::sample;

    fn filters(pairs: &[(&str, &[&str])]) -> Filters {
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        Filters(pairs.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect())
    }

    fn lists(pairs: &[(&str, &[&str])], backup: &Backup) -> bool {
        BackupFilters::read(&filters(pairs)).unwrap().lists(backup)
    }

    #[test]
    fn names_are_anded_and_values_ored() {
        let copy = sample::copy();
        assert!(lists(&[], &copy));
        assert!(lists(&[("sourceBackupIds", &["backup-aaaaaaaaaaa", "backup-ro5c4er4aac"])], &copy));
        assert!(lists(
            &[("sourceBackupIds", &["backup-ro5c4er4aac"]), ("states", &["READY", "CREATE_IN_PROGRESS"])],
            &copy
        ));
        assert!(!lists(&[("sourceBackupIds", &["backup-ro5c4er4aac"]), ("states", &["READY"])], &copy));
        assert!(lists(&[("neverExpires", &["True"])], &copy));
        assert!(!lists(&[("neverExpires", &["false"])], &copy));
        assert!(!lists(&[("states", &[])], &copy));
    }

    #[test]
    fn a_copy_is_not_of_the_cluster_of_its_source() {
        assert!(!lists(&[("clusterIds", &["cluster-dygnwhmscg5"])], &sample::copy()));
        let own = Backup { cluster_id: Some("cluster-dygnwhmscg5".to_owned()), ..sample::copy() };
        assert!(lists(&[("clusterIds", &["cluster-dygnwhmscg5"])], &own));
    }

    #[test]
    fn what_is_gone_is_shown_to_those_who_ask_for_it() {
        let failed = Backup { backup_state: BackupState::Deleted, ..sample::copy() };
        assert!(!lists(&[], &failed));
        assert!(!lists(&[("neverExpires", &["true"])], &failed));
        assert!(lists(&[("backupIds", &["backup-kdm2xq4vtra"])], &failed));
        assert!(lists(&[("sourceBackupIds", &["backup-ro5c4er4aac"])], &failed));
        assert!(lists(&[("states", &["DELETED"])], &failed));
        assert!(!lists(&[("sourceBackupIds", &["backup-ro5c4er4aac"]), ("states", &["READY"])], &failed));
    }

    #[test]
    fn names_and_values_that_there_are_not_are_refused() {
        let bad: [&[(&str, &[&str])]; 4] = [
            &[("BackupIds", &["backup-ro5c4er4aac"])],
            &[("states", &["ready"])],
            &[("neverExpires", &["yes"])],
            &[("vpcIds", &[])],
        ];
        for pairs in bad {
            let refused = BackupFilters::read(&filters(pairs)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidRequest, "{pairs:?}");
        }
        assert!(ClusterFilters::read(&filters(&[("backupIds", &[])])).is_err());
        assert!(ClusterFilters::read(&filters(&[("vpcIds", &["vpc-1"]), ("states", &["ACTIVE"])])).is_ok());
    }

    #[test]
    fn clusters_are_found_by_id_network_and_state() {
        let cluster = sample::cluster();
        let lists = |pairs| ClusterFilters::read(&filters(pairs)).unwrap().lists(&cluster);
        assert!(lists(&[]));
        assert!(lists(&[("clusterIds", &["cluster-dygnwhmscg5"]), ("states", &["UNINITIALIZED"])]));
        assert!(lists(&[("vpcIds", &["vpc-50ae0636"])]));
        assert!(!lists(&[("states", &["ACTIVE"])]));
    }
}
