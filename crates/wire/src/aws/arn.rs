//! Amazon Resource Names: how AWS names resources across services, regions and accounts.

use std::fmt;
use std::str::FromStr;

/// A name of the form `arn:<partition>:<service>:<region>:<account>:<resource>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arn {
    /// `aws`, `aws-cn` or `aws-us-gov`, among others.
    pub partition: String,
    /// The service as in signatures, e.g. `cloudhsm`.
    pub service: String,
    /// The region; empty for services without regions.
    pub region: String,
    /// The account, twelve digits; empty for some services.
    pub account: String,
    /// All that follows, e.g. `backup/backup-0a3364eded1014b28`.
    pub resource: String,
}

/// A text that is no ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form arn:partition:service:region:account:resource")]
pub struct InvalidArn;

impl Arn {
    /// The kind and the id of the resource: what is before its first slash, and what is behind it.
    pub fn kind_and_id(&self) -> Option<(&str, &str)> {
        self.resource.split_once('/').filter(|(kind, id)| !kind.is_empty() && !id.is_empty())
    }
}

impl FromStr for Arn {
    type Err = InvalidArn;

    fn from_str(text: &str) -> Result<Self, InvalidArn> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = parts[..] else { return Err(InvalidArn) };
        if partition.is_empty() || service.is_empty() || resource.is_empty() {
            return Err(InvalidArn);
        }
        let [partition, service, region] = [partition, service, region].map(str::to_owned);
        Ok(Self { partition, service, region, account: account.to_owned(), resource: resource.to_owned() })
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// One account's names in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace<'a> {
    /// The partition of the region.
    pub partition: &'a str,
    /// The region.
    pub region: &'a str,
    /// The account.
    pub account: &'a str,
}

impl Namespace<'_> {
    /// `file-system/fs-…` of FSx.
    pub fn fsx_file_system(&self, id: &str) -> String {
        self.name("fsx", "file-system", id)
    }

    /// Under which name clients reach a file system of FSx. China's regions are in a domain of their own.
    pub fn fsx_dns_name(&self, id: &str) -> String {
        let domain = if self.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("{id}.fsx.{}.{domain}", self.region)
    }

    /// `backup/backup-…` of FSx.
    pub fn fsx_backup(&self, id: &str) -> String {
        self.name("fsx", "backup", id)
    }

    /// `backup/backup-…` of CloudHSM.
    pub fn cloudhsm_backup(&self, id: &str) -> String {
        self.name("cloudhsm", "backup", id)
    }

    /// `key/<uuid>` of KMS.
    pub fn kms_key(&self, id: &str) -> String {
        self.name("kms", "key", id)
    }

    /// Whether a name is one of these, whatever its service.
    pub fn contains(&self, arn: &Arn) -> bool {
        (arn.partition.as_str(), arn.region.as_str(), arn.account.as_str())
            == (self.partition, self.region, self.account)
    }

    fn name(&self, service: &str, kind: &str, id: &str) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:{service}:{region}:{account}:{kind}/{id}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: Namespace<'_> = Namespace { partition: "aws", region: "us-west-1", account: "111122223333" };

    #[test]
    fn each_kind_of_resource_has_its_form() {
        let names = [
            (HERE.fsx_file_system("fs-1"), "arn:aws:fsx:us-west-1:111122223333:file-system/fs-1"),
            (HERE.fsx_backup("backup-0"), "arn:aws:fsx:us-west-1:111122223333:backup/backup-0"),
            (HERE.cloudhsm_backup("backup-a"), "arn:aws:cloudhsm:us-west-1:111122223333:backup/backup-a"),
            (HERE.kms_key("0f0e"), "arn:aws:kms:us-west-1:111122223333:key/0f0e"),
        ];
        for (name, text) in names {
            assert_eq!(name, text);
            assert!(HERE.contains(&text.parse().unwrap()));
        }
    }

    #[test]
    fn a_file_system_is_in_the_domain_of_its_partition() {
        assert_eq!(HERE.fsx_dns_name("fs-1"), "fs-1.fsx.us-west-1.amazonaws.com");
        let china = Namespace { partition: "aws-cn", region: "cn-north-1", ..HERE };
        assert_eq!(china.fsx_dns_name("fs-1"), "fs-1.fsx.cn-north-1.amazonaws.com.cn");
        let government = Namespace { partition: "aws-us-gov", region: "us-gov-west-1", ..HERE };
        assert_eq!(government.fsx_dns_name("fs-1"), "fs-1.fsx.us-gov-west-1.amazonaws.com");
    }

    #[test]
    fn kind_and_id_are_told_apart() {
        let parts = |text: &str| text.parse::<Arn>().unwrap().kind_and_id().map(|(k, i)| (k.to_owned(), i.to_owned()));
        assert_eq!(parts("arn:aws:kms:eu-west-1:1:alias/aws/fsx"), Some(("alias".to_owned(), "aws/fsx".to_owned())));
        assert_eq!(parts("arn:aws:s3:::bucket"), None);
        assert_eq!(parts("arn:aws:s3:::bucket/"), None);
    }

    #[test]
    fn what_lacks_a_part_is_no_arn() {
        for text in
            ["", "arn", "arn:aws:fsx:us-west-1:111122223333", "arn:aws:fsx:r:1:", "ARN:aws:fsx:r:1:x", "arn::fsx:r:1:x"]
        {
            assert_eq!(text.parse::<Arn>(), Err(InvalidArn), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_can_be_read_is_written_the_same(text in "(arn)?[a-z0-9:/é-]*") {
            if let Ok(arn) = text.parse::<Arn>() {
                prop_assert_eq!(arn.to_string(), text);
            }
        }
    }
}
