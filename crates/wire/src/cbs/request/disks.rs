//! Requests about disks that exist.

use model::Timestamp;

use super::check::{bad_value, flag, limited_names};
use super::{Checked, Operation};
use crate::cbs::CbsError;
use crate::cbs::filter::{DiskField, FilterGiven};
use crate::cbs::listing::{Listing, ListingGiven, Order, OrderField};
use crate::cbs::values::AttachMode;
use crate::tencent::reading::structure;

const DISKS_PER_TERMINATION_MAX: usize = 100;
const DISKS_PER_ATTACHMENT_MAX: usize = 10;
/// Lists disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeDisks {
    /// Which, and which page of them.
    pub listing: Listing<DiskField>,
    /// What they are ordered by.
    pub order_field: OrderField,
    /// Whether to say which policies they are bound to.
    pub return_bind_auto_snapshot_policy: bool,
}

structure! {
    /// What callers give to `DescribeDisks`.
    pub(super) DescribeDisksGiven {
        disk_ids: Option<Vec<String>> = "DiskIds",
        filters: Option<Vec<FilterGiven>> = "Filters",
        limit: Option<i64> = "Limit",
        offset: Option<i64> = "Offset",
        order_field: Option<OrderField> = "OrderField",
        order: Option<Order> = "Order",
        return_bind_auto_snapshot_policy: Option<bool> = "ReturnBindAutoSnapshotPolicy",
    }
}

impl Operation for DescribeDisks {
    type Given = DescribeDisksGiven;

    fn accept(given: DescribeDisksGiven, _now: Timestamp) -> Result<Self, CbsError> {
        let DescribeDisksGiven { disk_ids: ids, filters, limit, offset, order, .. } = given;
        Ok(Self {
            listing: Listing::of(ListingGiven { ids, filters, limit, offset, order })?,
            order_field: given.order_field.unwrap_or_default(),
            return_bind_auto_snapshot_policy: given.return_bind_auto_snapshot_policy.unwrap_or_default(),
        })
    }
}

structure! {
    /// Removes disks, all or none.
    pub TerminateDisks {
        /// One to a hundred, each once.
        disk_ids: Vec<String> = "DiskIds",
        /// 1: snapshots that are not permanent go with the disks.
        delete_snapshot: Option<i64> = "DeleteSnapshot",
    }
}

impl Checked for TerminateDisks {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        limited_names("DiskIds", &self.disk_ids, DISKS_PER_TERMINATION_MAX)?;
        flag("DeleteSnapshot", self.delete_snapshot)
    }
}

structure! {
    /// Attaches disks to an instance: scheduled snapshots are only taken of disks in use.
    pub AttachDisks {
        instance_id: String = "InstanceId",
        /// One to ten, each once.
        disk_ids: Vec<String> = "DiskIds",
        delete_with_instance: Option<bool> = "DeleteWithInstance",
        attach_mode: Option<AttachMode> = "AttachMode",
    }
}

impl Checked for AttachDisks {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        if self.instance_id.is_empty() {
            return Err(bad_value("InstanceId must not be empty."));
        }
        limited_names("DiskIds", &self.disk_ids, DISKS_PER_ATTACHMENT_MAX)
    }
}

structure! {
    /// Detaches disks.
    pub DetachDisks {
        /// One to ten, each once.
        disk_ids: Vec<String> = "DiskIds",
        /// Where they have to be attached, if given.
        instance_id: Option<String> = "InstanceId",
    }
}

impl Checked for DetachDisks {
    fn check(&self, _now: Timestamp) -> Result<(), CbsError> {
        limited_names("DiskIds", &self.disk_ids, DISKS_PER_ATTACHMENT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cbs::{Action, CbsCode, Code, Request, parse};
    use crate::tencent::Parameters;

    fn given(action: Action, body: &Value) -> Result<Request, Code> {
        let parameters = Parameters::from_json(body.to_string().as_bytes()).unwrap();
        parse(action, &parameters, Timestamp(0)).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_listing_of_disks_is_ordered_by_time_or_deadline() {
        let body = json!({ "OrderField": "DEADLINE", "ReturnBindAutoSnapshotPolicy": true });
        let Ok(Request::DescribeDisks(request)) = given(Action::DescribeDisks, &body) else { panic!("a listing") };
        assert_eq!((request.order_field, request.return_bind_auto_snapshot_policy), (OrderField::Deadline, true));
        let body = json!({ "Filters": [{ "Name": "tag:env", "Values": ["prod"] }] });
        assert!(given(Action::DescribeDisks, &body).is_ok());
    }

    #[test]
    fn one_call_takes_a_limited_number_of_disks() {
        let ids = |count: usize| (0..count).map(|i| format!("disk-{i}")).collect::<Vec<_>>();
        let too_many = Err(CbsCode::InvalidParameterValueLimitExceeded.into());
        assert_eq!(given(Action::TerminateDisks, &json!({ "DiskIds": ids(101) })), too_many);
        assert_eq!(given(Action::DetachDisks, &json!({ "DiskIds": ids(11) })), too_many);
        assert_eq!(given(Action::AttachDisks, &json!({ "InstanceId": "ins-1", "DiskIds": ids(11) })), too_many);
        assert!(given(Action::TerminateDisks, &json!({ "DiskIds": ids(100), "DeleteSnapshot": 1 })).is_ok());
    }
}
