//! Operations on the policies of backups.

use super::super::error::CloudHsmError;
use super::super::policy::ResourcePolicy;
use super::super::scalar::{POLICY, RESOURCE_ARN};
use super::Check;
use crate::aws::arn::Arn;
use crate::aws::shape::structure;

// The model lets every member be absent, but no answer could be given then.
structure! {
    /// Shares a backup, or changes with whom.
    PutResourcePolicy {
        resource_arn: String = "ResourceArn" => &RESOURCE_ARN,
        /// JSON.
        policy: String = "Policy" => &POLICY,
    }

    /// Shows with whom a backup is shared.
    GetResourcePolicy {
        resource_arn: String = "ResourceArn" => &RESOURCE_ARN,
    }

    /// No longer shares a backup.
    DeleteResourcePolicy {
        resource_arn: String = "ResourceArn" => &RESOURCE_ARN,
    }
}

macro_rules! names_a_backup {
    ($($name:ident)*) => {$(
        impl $name {
            /// The ARN of the backup.
            ///
            /// # Errors
            /// `CloudHsmInvalidRequestException` when it is of something else, which cannot have a policy.
            pub fn backup_arn(&self) -> Result<Arn, CloudHsmError> {
                backup_arn(&self.resource_arn)
            }
        }
    )*};
}
names_a_backup!(PutResourcePolicy GetResourcePolicy DeleteResourcePolicy);

impl PutResourcePolicy {
    /// The policy, understood.
    ///
    /// # Errors
    /// `CloudHsmInvalidRequestException` when it is not JSON, no policy, or one that this service cannot follow.
    pub fn parsed_policy(&self) -> Result<ResourcePolicy, CloudHsmError> {
        self.policy
            .parse()
            .map_err(|error| CloudHsmError::invalid(format!("The resource policy is not valid: {error}.")))
    }
}

fn backup_arn(text: &str) -> Result<Arn, CloudHsmError> {
    let arn = text.parse::<Arn>().ok().filter(|arn| matches!(arn.kind_and_id(), Some(("backup", _))));
    arn.ok_or_else(|| CloudHsmError::invalid("Only backups can have a resource policy."))
}

impl Check for PutResourcePolicy {
    fn check(&self) -> Result<(), CloudHsmError> {
        self.backup_arn()?;
        self.parsed_policy().map(drop)
    }
}

impl Check for GetResourcePolicy {
    fn check(&self) -> Result<(), CloudHsmError> {
        self.backup_arn().map(drop)
    }
}

impl Check for DeleteResourcePolicy {
    fn check(&self) -> Result<(), CloudHsmError> {
        self.backup_arn().map(drop)
    }
}
