//! Requests of CBS: one checked structure for each operation that is served.
//!
//! A request that exists has passed every check that needs neither the caller's resources nor the
//! service's settings. Members keep the names of the API; `None` stands for a member that was not given.

mod check;
mod create_disks;
mod disks;
mod policies;
mod snapshots;

use model::Timestamp;

use super::{Action, CbsError};
use crate::tencent::{Parameter, Parameters};

pub use create_disks::{AutoMountConfiguration, CreateDisks, DiskChargePrepaid, Placement};
pub use disks::{AttachDisks, DescribeDisks, DetachDisks, TerminateDisks};
pub use policies::{
    BindAutoSnapshotPolicy, CreateAutoSnapshotPolicy, DeleteAutoSnapshotPolicies, DescribeAutoSnapshotPolicies,
    DescribeDiskAssociatedAutoSnapshotPolicy, ModifyAutoSnapshotPolicyAttribute, UnbindAutoSnapshotPolicy,
};
pub use snapshots::{
    ApplySnapshot, CopySnapshotCrossRegions, CreateSnapshot, DeleteSnapshots, DescribeSnapshotOverview,
    DescribeSnapshotSharePermission, DescribeSnapshots, ModifySnapshotAttribute, ModifySnapshotsSharePermission,
};

/// How a request comes out of what was given.
trait Operation: Sized {
    /// The parameters, read but not checked.
    type Given: Parameter;

    /// Checks values and combinations at the time `now`.
    fn accept(given: Self::Given, now: Timestamp) -> Result<Self, CbsError>;
}

/// An operation whose request is what was given.
trait Checked: Parameter {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        Ok(())
    }
}

impl<T: Checked> Operation for T {
    type Given = T;

    fn accept(given: T, now: Timestamp) -> Result<T, CbsError> {
        given.check(now).map(|()| given)
    }
}

macro_rules! requests {
    ($($name:ident($kind:ty),)*) => {
        /// A request whose parameters are in order.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Request {
            $(#[doc = concat!("`", stringify!($name), "`.")] $name($kind),)*
        }

        impl Request {
            /// The operation that is asked for.
            pub fn action(&self) -> Action {
                match self {
                    $(Self::$name(_) => Action::$name,)*
                }
            }
        }

        /// Makes a checked request of an operation's parameters. `now` is what deadlines are held against.
        ///
        /// # Errors
        /// The first of these that there is: `UnknownParameter`, `InvalidParameter` for a wrong type or form,
        /// `MissingParameter`, then `InvalidParameterValue` or a code of the operation.
        pub fn parse(action: Action, parameters: &Parameters, now: Timestamp) -> Result<Request, CbsError> {
            match action {
                $(Action::$name => {
                    let request = <$name as Operation>::accept(parameters.read()?, now)?;
                    Ok(Request::$name(request.into()))
                })*
            }
        }
    };
}

requests! {
    ApplySnapshot(ApplySnapshot),
    AttachDisks(AttachDisks),
    BindAutoSnapshotPolicy(BindAutoSnapshotPolicy),
    CopySnapshotCrossRegions(CopySnapshotCrossRegions),
    CreateAutoSnapshotPolicy(CreateAutoSnapshotPolicy),
    CreateDisks(Box<CreateDisks>),
    CreateSnapshot(CreateSnapshot),
    DeleteAutoSnapshotPolicies(DeleteAutoSnapshotPolicies),
    DeleteSnapshots(DeleteSnapshots),
    DescribeAutoSnapshotPolicies(DescribeAutoSnapshotPolicies),
    DescribeDiskAssociatedAutoSnapshotPolicy(DescribeDiskAssociatedAutoSnapshotPolicy),
    DescribeDisks(DescribeDisks),
    DescribeSnapshotOverview(DescribeSnapshotOverview),
    DescribeSnapshotSharePermission(DescribeSnapshotSharePermission),
    DescribeSnapshots(DescribeSnapshots),
    DetachDisks(DetachDisks),
    ModifyAutoSnapshotPolicyAttribute(ModifyAutoSnapshotPolicyAttribute),
    ModifySnapshotAttribute(ModifySnapshotAttribute),
    ModifySnapshotsSharePermission(ModifySnapshotsSharePermission),
    TerminateDisks(TerminateDisks),
    UnbindAutoSnapshotPolicy(UnbindAutoSnapshotPolicy),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;
    use crate::tencent::CommonCode;

    /// Any JSON, with the names that requests know more often than chance would have them.
    fn any_json() -> impl Strategy<Value = Value> {
        let name = prop_oneof![
            prop::sample::select(vec![
                "DiskId",
                "SnapshotId",
                "DiskIds",
                "SnapshotIds",
                "Filters",
                "Name",
                "Values",
                "Policy",
                "Hour",
                "Limit",
                "Offset",
                "Placement",
                "Zone",
                "Deadline",
                "DestinationRegions",
                "AutoSnapshotPolicyId",
                "IntervalDays",
                "DayOfWeek",
                "Tags",
                "Key",
                "Value",
            ])
            .prop_map(str::to_owned),
            ".{0,4}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (0..40i64).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            let members = prop::collection::vec((name.clone(), inner.clone()), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                members.prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    #[test]
    fn no_operation_ignores_an_unknown_parameter() {
        let parameters = Parameters::from_json(br#"{"ClientRequestToken":"x"}"#).unwrap();
        for action in Action::ALL {
            let refusal = parse(*action, &parameters, Timestamp(0)).unwrap_err();
            assert_eq!(refusal.code, CommonCode::UnknownParameter.into(), "{action}");
        }
    }

    proptest! {
        #[test]
        fn any_json_is_a_request_or_refused(body in any_json(), now: i64) {
            if let Ok(parameters) = Parameters::from_json(body.to_string().as_bytes()) {
                for action in Action::ALL {
                    drop(parse(*action, &parameters, Timestamp(now)));
                }
            }
        }

        #[test]
        fn any_pairs_are_a_request_or_refused(
            pairs in prop::collection::vec(
                ("(Filters|DiskIds|Limit|Policy)(\\.[0-2]){0,2}(\\.(Name|Values|Hour))?", ".{0,5}"),
                0..6,
            ),
        ) {
            let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            if let Ok(parameters) = Parameters::from_pairs(pairs) {
                for action in Action::ALL {
                    drop(parse(*action, &parameters, Timestamp(0)));
                }
            }
        }
    }
}
