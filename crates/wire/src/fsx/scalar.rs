//! The scalar types of the FSx model: lengths, ranges and patterns.

use std::ops::RangeInclusive;

use crate::aws::constraint::Pattern;
use crate::aws::shape::{Count, List, Text};

macro_rules! texts {
    ($($name:ident: $length:expr, $pattern:expr;)*) => {
        $(pub(super) static $name: Text = Text { length: $length, pattern: $pattern };)*

        #[cfg(test)]
        const TEXTS: &[(&str, &Text)] = &[$((stringify!($name), &$name),)*];
    };
}

macro_rules! numbers {
    ($($name:ident: $range:expr;)*) => {
        $(pub(super) const $name: RangeInclusive<i64> = $range;)*
    };
}

/// A line of text: the model leaves out everything that ends one.
macro_rules! line {
    ($min:literal, $max:literal) => {
        Pattern::by_hand(concat!(r"^[^\u0000\u0085\u2028\u2029\r\n]{", $min, ",", $max, "}$"), |text| {
            is_line(text, $min..=$max)
        })
    };
}

/// Any characters but line feeds.
macro_rules! any {
    ($min:literal, $max:literal) => {
        Pattern::by_hand(concat!("^.{", $min, ",", $max, "}$"), |text| {
            !text.contains('\n') && ($min..=$max).contains(&text.chars().count())
        })
    };
}

fn is_line(text: &str, length: RangeInclusive<usize>) -> bool {
    let ends_lines = ['\0', '\u{85}', '\u{2028}', '\u{2029}', '\r', '\n'];
    !text.contains(ends_lines) && length.contains(&text.chars().count())
}

/// The model's alternative for IPv6 is far longer than any message may be.
const IPV4: &str =
    r"^(([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])\.){3}([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])$";
const ANY_ARN: &str = r"^arn:[^:]{1,63}:[^:]{0,63}:[^:]{0,63}:(?:|\d{12}):[^/].{0,1023}$";
const SECRET_ARN: &str =
    r"^arn:[^:]{1,63}:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[a-zA-Z0-9/_+=.@-]+-[a-zA-Z0-9]{6}$";
const FSX_ARN: &str = concat!(
    r"^arn:(?=[^:]+:fsx:[^:]+:\d{12}:)((|(?=[a-z0-9-.]{1,63})(?!\d{1,3}(\.\d{1,3}){3})",
    r"(?![^:]*-{2})(?![^:]*-\.)(?![^:]*\.-)[a-z0-9].*(?<!-)):){4}(?!/).{0,1024}$",
);

texts! {
    CLIENT_REQUEST_TOKEN: 1..=63, Pattern::new("[A-za-z0-9_.-]{0,63}$");
    BACKUP_ID: 12..=128, Pattern::new("^(backup-[0-9a-f]{8,})$");
    REGION: 1..=20, Pattern::new("^[a-z0-9-]{1,20}$");
    KMS_KEY_ID: 1..=2048, any!(1, 2048);
    FILE_SYSTEM_ID: 11..=21, Pattern::new("^(fs-[0-9a-f]{8,})$");
    VOLUME_ID: 23..=23, Pattern::new("^(fsvol-[0-9a-f]{17,})$");
    STORAGE_VIRTUAL_MACHINE_ID: 21..=21, Pattern::new("^(svm-[0-9a-f]{17,})$");
    RESOURCE_ARN: 8..=512, Pattern::by_hand(FSX_ARN, is_fsx_or_foreign_arn);
    TAG_KEY: 1..=128, Pattern::new(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$");
    TAG_VALUE: 0..=256, Pattern::new(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$");
    NEXT_TOKEN: 1..=255, Pattern::new(r"^(?:[A-Za-z0-9+\/]{4})*(?:[A-Za-z0-9+\/]{2}==|[A-Za-z0-9+\/]{3}=)?$");
    FILTER_VALUE: 1..=128, Pattern::new(r"^[0-9a-zA-Z\*\.\\/\?\-\_]*$");
    SUBNET_ID: 15..=24, Pattern::new("^(subnet-[0-9a-f]{8,})$");
    SECURITY_GROUP_ID: 11..=20, Pattern::new("^(sg-[0-9a-f]{8,})$");
    ROUTE_TABLE_ID: 12..=21, Pattern::new("^(rtb-[0-9a-f]{8,})$");
    DIRECTORY_ID: 12..=12, Pattern::new("^d-[0-9a-f]{10}$");
    DAILY_TIME: 5..=5, Pattern::new(r"^([01]\d|2[0-3]):?([0-5]\d)$");
    WEEKLY_TIME: 7..=7, Pattern::new(r"^[1-7]:([01]\d|2[0-3]):?([0-5]\d)$");
    FILE_SYSTEM_TYPE_VERSION: 1..=20, Pattern::new("^[0-9](.[0-9]*)*$");
    IP_ADDRESS_RANGE: 9..=17, line!(9, 17);
    IPV6_ADDRESS_RANGE: 4..=43, line!(4, 43);
    IP_ADDRESS: 1..=45, Pattern::by_hand(IPV4, |text| text.parse::<std::net::IpAddr>().is_ok());
    ADMIN_PASSWORD: 8..=50, line!(8, 50);
    ARCHIVE_PATH: 3..=4357, line!(3, 4357);
    ALTERNATE_DNS_NAME: 4..=253, line!(4, 253);
    DOMAIN_NAME: 1..=255, line!(1, 255);
    ORGANIZATIONAL_UNIT: 1..=2000, line!(1, 2000);
    ADMINISTRATORS_GROUP: 1..=256, line!(1, 256);
    DIRECTORY_USER_NAME: 1..=256, line!(1, 256);
    DIRECTORY_PASSWORD: 1..=256, any!(1, 256);
    SECRETS_MANAGER_ARN: 64..=1024, Pattern::new(SECRET_ARN);
    GENERAL_ARN: 8..=1024, Pattern::new(ANY_ARN);
    ROOT_SQUASH: 3..=21, Pattern::new("^([0-9]{1,10}):([0-9]{1,10})$");
    NO_SQUASH_NID: 11..=43, Pattern::new(r"^([0-9\[\]\-]*\.){3}([0-9\[\]\-]*)@tcp$");
    NFS_CLIENTS: 1..=128, Pattern::new("^[ -~]{1,128}$");
    NFS_EXPORT_OPTION: 1..=128, Pattern::new("^[ -~]{1,128}$");
}

numbers! {
    MAX_RESULTS: 1..=2_147_483_647;
    STORAGE_CAPACITY: 0..=2_147_483_647;
    AUTOMATIC_BACKUP_RETENTION_DAYS: 0..=90;
    MEGABYTES_PER_SECOND: 8..=100_000;
    PER_UNIT_STORAGE_THROUGHPUT: 12..=1000;
    THROUGHPUT_CAPACITY_MBPS: 4000..=2_000_000;
    MEGABYTES: 1..=512_000;
    DISK_IOPS: 0..=2_400_000;
    METADATA_IOPS: 1500..=192_000;
    HA_PAIRS: 1..=12;
    THROUGHPUT_CAPACITY_PER_HA_PAIR: 128..=6144;
    RECORD_SIZE_KIB: 4..=4096;
    INTEGER_NO_MAX: 0..=2_147_483_647;
}

pub(super) static BACKUP_IDS: List<Text> = List(0..=50, &BACKUP_ID);
pub(super) static FILE_SYSTEM_IDS: List<Text> = List(0..=50, &FILE_SYSTEM_ID);
pub(super) static VOLUME_IDS: List<Text> = List(0..=50, &VOLUME_ID);
pub(super) static STORAGE_VIRTUAL_MACHINE_IDS: List<Text> = List(0..=50, &STORAGE_VIRTUAL_MACHINE_ID);
pub(super) static SUBNET_IDS: List<Text> = List(0..=50, &SUBNET_ID);
pub(super) static SECURITY_GROUP_IDS: List<Text> = List(0..=50, &SECURITY_GROUP_ID);
pub(super) static ROUTE_TABLE_IDS: List<Text> = List(0..=50, &ROUTE_TABLE_ID);
pub(super) static TAG_KEYS: List<Text> = List(1..=50, &TAG_KEY);
pub(super) static FILTER_VALUES: List<Text> = List(0..=20, &FILTER_VALUE);
pub(super) static DNS_IPS: List<Text> = List(1..=3, &IP_ADDRESS);
pub(super) static ALIASES: List<Text> = List(0..=50, &ALTERNATE_DNS_NAME);
pub(super) static NO_SQUASH_NIDS: List<Text> = List(0..=64, &NO_SQUASH_NID);
pub(super) static NFS_EXPORT_OPTIONS: List<Text> = List(1..=20, &NFS_EXPORT_OPTION);

pub(super) const TAGS: Count = Count(1..=50);
pub(super) const FILTERS: Count = Count(0..=10);

/// The model's pattern for ARNs of FSx has look-around, which is put into words here: an account of twelve
/// digits; partition and region of letters, digits, dots and single dashes, none of them an IP address;
/// the resource not starting with a slash. Names of other services are let through, some of which have neither
/// region nor account: there is an error of its own for them, which the model's pattern would leave without a cause.
fn is_fsx_or_foreign_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, service, region, account, resource] = parts[..] else { return false };
    let is_foreign = service != "fsx";
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    is_label(partition)
        && is_label(service)
        && (is_label(region) || is_foreign && region.is_empty())
        && (is_account || is_foreign && account.is_empty())
        && !resource.starts_with('/')
        && !resource.contains('\n')
        && resource.chars().count() <= 1024
}

fn is_label(label: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let starts_well = label.starts_with(|first: char| first.is_ascii_alphanumeric());
    let has_odd_dash = ["--", "-.", ".-"].iter().any(|odd| label.contains(odd)) || label.ends_with('-');
    starts_well
        && label.len() <= 63
        && label.bytes().all(plain)
        && !has_odd_dash
        && label.parse::<std::net::Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For each type, what it takes, and what it does not.
    const SAMPLES: &[(&Text, &[&str], &[&str])] = &[
        (&CLIENT_REQUEST_TOKEN, &["a803813d-de49-4f5c-97a8-25f1375a8813", r"[\]^_`"], &["a b", "a\n", "é"]),
        (
            &BACKUP_ID,
            &["backup-0a3364eded1014b28", "backup-00000000"],
            &["backup-ro5c4er4aac", "backup-0A3364ED", "backup-1"],
        ),
        (&REGION, &["us-east-2"], &["us_east_2", "US-EAST-2", "", "\n"]),
        (&KMS_KEY_ID, &["alias/aws/fsx", "é"], &["", "a\nb"]),
        (&FILE_SYSTEM_ID, &["fs-0123456789abcdef0"], &["fs-123", "fs-0123456789abcdeg0"]),
        (&VOLUME_ID, &["fsvol-0123456789abcdef0"], &["fsvol-0123456789"]),
        (&STORAGE_VIRTUAL_MACHINE_ID, &["svm-0123456789abcdef0"], &["svm-1"]),
        (&TAG_KEY, &["Name", "größe 1", "a:b/c=d+e-f@g.h_i"], &["a!", "a\tb", "a\n"]),
        (&TAG_VALUE, &["", "x"], &["<"]),
        (&NEXT_TOKEN, &["abcd", "ab==", "abc=", "+/+/"], &["abc", "a-_=", "=", "abcd\n"]),
        (&FILTER_VALUE, &[r"a*.\/?-_"], &["a b", "é"]),
        (&SUBNET_ID, &["subnet-0123456789abcdef0"], &["subnet-x"]),
        (&SECURITY_GROUP_ID, &["sg-0123456789abcdef0"], &["sg-"]),
        (&ROUTE_TABLE_ID, &["rtb-0123456789abcdef0"], &["rtb"]),
        (&DIRECTORY_ID, &["d-0123456789"], &["d-012345678g"]),
        (&DAILY_TIME, &["05:00", "23:59"], &["24:00", "5:000", "05:60"]),
        (&WEEKLY_TIME, &["1:05:00", "7:23:59"], &["0:05:00", "8:05:00", "1-05-00"]),
        (&FILE_SYSTEM_TYPE_VERSION, &["2.15"], &["v2", ""]),
        (&IP_ADDRESS, &["10.0.0.1", "fd00::1"], &["host", ""]),
        (&ADMIN_PASSWORD, &["correct horse"], &["short", "a\rbcdefgh"]),
        (&ARCHIVE_PATH, &["s3://bucket"], &["s3", "s3://\u{2028}"]),
        (
            &SECRETS_MANAGER_ARN,
            &["arn:aws:secretsmanager:us-east-1:111122223333:secret:fsx-join-AbCdEf"],
            &["arn:aws:secretsmanager"],
        ),
        (
            &GENERAL_ARN,
            &["arn:aws:logs:us-east-1:111122223333:log-group:x", "arn:aws:s3:::b"],
            &["arn:aws:s3:::/b", "x"],
        ),
        (&ROOT_SQUASH, &["0:0", "65534:65534"], &["0", "a:b"]),
        (&NO_SQUASH_NID, &["10.0.1.6@tcp", "10.0.[2-10].[1-255]@tcp"], &["10.0.1.6", "host@tcp"]),
        (&NFS_CLIENTS, &["*", "10.0.0.0/8"], &["", "é"]),
        (
            &RESOURCE_ARN,
            &[
                "arn:aws:fsx:us-west-1:111122223333:backup/backup-0a3364eded1014b28",
                "arn:aws-cn:fsx:cn-north-1:111122223333:",
                "arn:aws:s3:::bucket",
                "arn:aws:ec2:us-west-1:111122223333:volume/x",
            ],
            &[
                "arn:aws:s3:::/bucket",
                "arn:aws::us-west-1:111122223333:x",
                "arn:aws:fsx:us-west-1:11112222333:x",
                "arn:aws:fsx:us--west:111122223333:x",
                "arn:aws:fsx:1.2.3.4:111122223333:x",
                "arn:aws:fsx:us-west-1:111122223333:/x",
                "arn:aws:fsx::111122223333:x",
                "fs-1",
                "",
            ],
        ),
    ];

    #[test]
    fn each_pattern_takes_what_it_should_and_nothing_else() {
        for (text, good, bad) in SAMPLES {
            for value in *good {
                assert!(text.pattern.matches(value), "{value:?} by {}", text.pattern.as_str());
            }
            for value in *bad {
                assert!(!text.pattern.matches(value), "{value:?} by {}", text.pattern.as_str());
            }
        }
    }

    #[test]
    fn every_pattern_is_usable() {
        for (name, text) in TEXTS {
            assert!(!text.pattern.matches("\n"), "{name}");
        }
    }

    #[test]
    fn patterns_by_hand_keep_their_published_spelling() {
        assert_eq!(ADMIN_PASSWORD.pattern.as_str(), r"^[^\u0000\u0085\u2028\u2029\r\n]{8,50}$");
        assert_eq!(KMS_KEY_ID.pattern.as_str(), "^.{1,2048}$");
    }
}
