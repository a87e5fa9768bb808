//! Requests of CloudHSM: typed, and checked against the model and the rules between members.

mod backup;
mod cluster;
mod listing;
mod policy;
mod tagging;

pub use backup::{CopyBackupToRegion, DeleteBackup, ModifyBackupAttributes, RestoreBackup};
pub use cluster::{
    BackupRetentionPolicy, CreateCluster, CreateHsm, DeleteCluster, DeleteHsm, HsmSelector, InitializeCluster,
    ModifyCluster, SourceBackup,
};
pub use listing::{DescribeBackups, DescribeClusters, ListTags, Page};
pub use policy::{DeleteResourcePolicy, GetResourcePolicy, PutResourcePolicy};
pub use tagging::{Tag, TagResource, UntagResource};

use super::error::{CloudHsmError, RequestError};
use super::operation::Operation;
use crate::aws::shape;

/// What a request has to be checked for beyond its model, without knowing anything else.
trait Check {
    fn check(&self) -> Result<(), CloudHsmError> {
        Ok(())
    }
}

macro_rules! requests {
    ($($operation:ident,)*) => {
        /// A request.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Request {
            $(#[doc = concat!("[`", stringify!($operation), "`].")] $operation($operation),)*
        }

        /// Reads the body of a request.
        ///
        /// # Errors
        /// `SerializationException` when the body is no JSON object or a member is of another type than modelled;
        /// `CloudHsmInvalidRequestException`, with a message that names them all, when members fail constraints of
        /// the model, and for anything else that is wrong with the request whatever there is in the region.
        pub fn parse(operation: Operation, body: &[u8]) -> Result<Request, RequestError> {
            match operation {
                $(Operation::$operation => {
                    let request: $operation = shape::read(body)?;
                    request.check()?;
                    Ok(Request::$operation(request))
                })*
            }
        }

        impl Request {
            /// The operation.
            pub fn operation(&self) -> Operation {
                match self {
                    $(Self::$operation(_) => Operation::$operation,)*
                }
            }
        }
    };
}

requests! {
    CopyBackupToRegion,
    CreateCluster,
    CreateHsm,
    DeleteBackup,
    DeleteCluster,
    DeleteHsm,
    DeleteResourcePolicy,
    DescribeBackups,
    DescribeClusters,
    GetResourcePolicy,
    InitializeCluster,
    ListTags,
    ModifyBackupAttributes,
    ModifyCluster,
    PutResourcePolicy,
    RestoreBackup,
    TagResource,
    UntagResource,
}

#[cfg(test)]
mod tests;
