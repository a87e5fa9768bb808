//! The scalar types of the CloudHSM model: lengths, ranges and patterns.

use std::ops::RangeInclusive;

use crate::aws::constraint::Pattern;
use crate::aws::shape::{List, Text};

const ANY: RangeInclusive<usize> = 0..=usize::MAX;

macro_rules! texts {
    ($($name:ident: $length:expr, $pattern:expr;)*) => {
        $(pub(super) static $name: Text = Text { length: $length, pattern: $pattern };)*

        #[cfg(test)]
        const TEXTS: &[(&str, &Text)] = &[$((stringify!($name), &$name),)*];
    };
}

/// An ARN of the service. As published, regions of isolated partitions may be in ARNs, though nowhere else.
macro_rules! arn {
    ($kind:literal) => {
        concat!(
            "arn:aws(-(us-gov))?:cloudhsm:([a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}-[0-9]{1}):",
            "[0-9]{12}:",
            $kind
        )
    };
}

texts! {
    BACKUP_ID: ANY, Pattern::new("backup-[2-7a-zA-Z]{11,16}");
    BACKUP_ARN: ANY, Pattern::new(concat!("^(", arn!("backup/"), ")?backup-[2-7a-zA-Z]{11,16}"));
    CLUSTER_ID: ANY, Pattern::new("cluster-[2-7a-zA-Z]{11,16}");
    HSM_ID: ANY, Pattern::new("hsm-[2-7a-zA-Z]{11,16}");
    RESOURCE_ID: ANY, Pattern::new("(?:cluster|backup)-[2-7a-zA-Z]{11,16}");
    RESOURCE_ARN: ANY, Pattern::new(arn!("(backup/backup|cluster/cluster|hsm/hsm)-[2-7a-zA-Z]{11,16}"));
    REGION: ANY, Pattern::new(r"[a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-\d");
    AVAILABILITY_ZONE: ANY, Pattern::new(r"[a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-\d[a-z]");
    HSM_TYPE: 0..=32, Pattern::new(r"((p|)hsm[0-9][a-z.]*\.[a-zA-Z]+)");
    SUBNET_ID: ANY, Pattern::new("subnet-[0-9a-fA-F]{8,17}");
    ENI_ID: ANY, Pattern::new("eni-[0-9a-fA-F]{8,17}");
    IP_ADDRESS: ANY, Pattern::new(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}");
    CERTIFICATE: 0..=20_000, Pattern::by_hand(r"[a-zA-Z0-9+-/=\s]*", is_certificate_text);
    RETENTION_VALUE: 1..=3, Pattern::new("[0-9]+");
    TAG_KEY: 1..=128, Pattern::new(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$");
    TAG_VALUE: 0..=256, Pattern::new(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$");
    FILTER_NAME: ANY, Pattern::new("[a-zA-Z0-9_-]+");
    NEXT_TOKEN: 0..=256, Pattern::new(".*");
    POLICY: 1..=20_000, Pattern::by_hand("(?s).*", |_| true);
}

pub(super) const BACKUPS_MAX_RESULTS: RangeInclusive<i64> = 1..=50;
pub(super) const CLUSTERS_MAX_RESULTS: RangeInclusive<i64> = 1..=25;
pub(super) const TAGS_MAX_RESULTS: RangeInclusive<i64> = 1..=100;
pub(super) const FILTERS: RangeInclusive<usize> = 0..=30;
pub(super) const TAGS: RangeInclusive<usize> = 1..=50;

pub(super) static SUBNET_IDS: List<Text> = List(1..=10, &SUBNET_ID);
pub(super) static TAG_KEYS: List<Text> = List(TAGS, &TAG_KEY);

/// `\s` of the services is white space of ASCII, and `+-/` a range.
fn is_certificate_text(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+'..=b'/' | b'=' | b' ' | b'\t'..=b'\r');
    text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_matches(text: &Text, good: &[&str], bad: &[&str]) {
        for given in good {
            assert!(text.pattern.matches(given), "{given}");
        }
        for given in bad {
            assert!(!text.pattern.matches(given), "{given}");
        }
    }

    #[test]
    fn ids_match_as_a_whole() {
        assert_matches(
            &BACKUP_ID,
            &["backup-ro5c4er4aac", "backup-ABCDEFGHIJK22222"],
            &["xbackup-ro5c4er4aac", "backup-ro5c4er4aac\n", "backup-ro5c4er4aa", "backup-ro5c4er4aa0", "backup-"],
        );
        assert_matches(&RESOURCE_ID, &["cluster-dygnwhmscg5", "backup-ro5c4er4aac"], &["hsm-dygnwhmscg5"]);
        assert_matches(&SUBNET_ID, &["subnet-0e358c43", "subnet-0e358c430e358c43f"], &["subnet-0e358c4g", "subnet-0"]);
    }

    #[test]
    fn regions_of_isolated_partitions_are_refused() {
        assert_matches(
            &REGION,
            &["us-east-1", "us-gov-west-1", "ap-southeast-2", "eu-central-1", "cn-north-1"],
            &["us-iso-east-1", "us-east", "us-east-10", "US-EAST-1", "mars-1", "us-east-١"],
        );
        assert_matches(&AVAILABILITY_ZONE, &["us-west-2a"], &["us-west-2", "us-west-2ab"]);
    }

    #[test]
    fn a_backup_is_named_by_id_or_arn() {
        let arn = "arn:aws:cloudhsm:us-east-1:111122223333:backup/backup-ro5c4er4aac";
        let foreign = "arn:aws:fsx:us-east-1:111122223333:backup/backup-ro5c4er4aac";
        assert_matches(&BACKUP_ARN, &[arn, "backup-ro5c4er4aac"], &[foreign, "cluster-dygnwhmscg5"]);
        let cluster = "arn:aws-us-gov:cloudhsm:us-gov-west-1:111122223333:cluster/cluster-dygnwhmscg5";
        assert_matches(&RESOURCE_ARN, &[arn, cluster], &["backup-ro5c4er4aac", foreign]);
    }

    #[test]
    fn kinds_of_hsm_have_a_form() {
        assert_matches(&HSM_TYPE, &["hsm1.medium", "hsm2m.medium", "phsm9.x"], &["hsm.medium", "hsm1", "hsm1.2"]);
    }

    #[test]
    fn a_certificate_is_pem() {
        let pem = "-----BEGIN CERTIFICATE-----\r\nMIIB+/==\n\t-----END CERTIFICATE-----\n";
        assert_matches(&CERTIFICATE, &[pem, ""], &["{}", "a:b", "ä"]);
    }

    proptest! {
        #[test]
        fn every_pattern_can_be_matched_against_any_text(text: String) {
            for (_, rule) in TEXTS {
                rule.pattern.matches(&text);
            }
        }
    }
}
