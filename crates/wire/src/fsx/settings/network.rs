//! Networks of file systems: which subnets go together, and how an update changes route tables.
//!
//! Whether they exist is not looked at: there is no service of networks here. Numbers that a deployment type does not
//! have are `BadRequest`; where one id is at fault, `InvalidNetworkSettings` names it.

use super::super::error::{FsxCode, FsxError};
use super::super::request::{CreateFileSystem, UpdateFileSystem};
use super::refuse;

/// As many as the model's list takes.
const ROUTE_TABLES_MAX: usize = 50;

/// In how many zones a file system is, which is in how many subnets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zones {
    /// One, as most are.
    One,
    /// Two, as deployment types that are called Multi-AZ.
    Two,
}

impl Zones {
    /// Those of a deployment type.
    pub fn of(is_multi_az: bool) -> Self {
        if is_multi_az { Self::Two } else { Self::One }
    }
}

impl CreateFileSystem {
    /// Checks that the subnets are as many as the zones, each another, and that the preferred one is among them.
    ///
    /// # Errors
    /// `BadRequest` for another number; `InvalidNetworkSettings` that names one that is given twice, or the preferred
    /// one if it is none of them.
    pub fn check_subnets(&self, zones: Zones, preferred: Option<&str>) -> Result<(), FsxError> {
        let ids = &self.subnet_ids;
        if let Some(id) = find_twice(ids) {
            return unusable_subnet(id, "is given twice");
        }
        let wanted = if zones == Zones::Two { 2 } else { 1 };
        if ids.len() != wanted {
            return refuse(format!("SubnetIds must name {wanted}, since the deployment type asks for that."));
        }
        match preferred {
            Some(id) if !ids.iter().any(|known| known == id) => {
                unusable_subnet(id, "is preferred and not in SubnetIds")
            }
            _ => Ok(()),
        }
    }

    /// Checks the subnets of a type that has to prefer one if it is in two zones.
    pub(super) fn check_preferring_subnets(&self, zones: Zones, preferred: Option<&str>) -> Result<(), FsxError> {
        self.check_subnets(zones, preferred)?;
        if zones == Zones::Two && preferred.is_none() {
            return refuse("PreferredSubnetId is required for this deployment type.");
        }
        Ok(())
    }
}

impl UpdateFileSystem {
    /// The route tables of a file system that has those of `before`, once it is updated; `None` if it keeps them.
    ///
    /// # Errors
    /// `InvalidNetworkSettings` that names one that is to go and is not there, or is to come and is; `BadRequest` for
    /// more than a description can hold.
    pub fn route_tables(&self, before: &[String]) -> Result<Option<Vec<String>>, FsxError> {
        let Some(settings) = &self.openzfs_configuration else { return Ok(None) };
        if settings.add_route_table_ids.is_none() && settings.remove_route_table_ids.is_none() {
            return Ok(None);
        }
        let mut after = before.to_vec();
        for id in settings.remove_route_table_ids.iter().flatten() {
            let Some(at) = after.iter().position(|known| known == id) else {
                return Err(unusable_route_table(id, "is not the file system's"));
            };
            after.remove(at);
        }
        after.extend(settings.add_route_table_ids.iter().flatten().cloned());
        check_route_tables(Some(&after))?;
        if after.len() > ROUTE_TABLES_MAX {
            return Err(FsxError::bad_request(format!("A file system has {ROUTE_TABLES_MAX} route tables at most.")));
        }
        Ok(Some(after))
    }
}

/// Checks that each route table is another.
pub(super) fn check_route_tables(ids: Option<&Vec<String>>) -> Result<(), FsxError> {
    match ids.and_then(|ids| find_twice(ids)) {
        Some(id) => Err(unusable_route_table(id, "is given twice")),
        None => Ok(()),
    }
}

fn find_twice(ids: &[String]) -> Option<&str> {
    ids.iter().enumerate().find(|(at, id)| ids[..*at].contains(id)).map(|(_, id)| id.as_str())
}

fn unusable_subnet(id: &str, why: &str) -> Result<(), FsxError> {
    let code = FsxCode::InvalidNetworkSettings {
        subnet_id: Some(id.to_owned()),
        security_group_id: None,
        route_table_id: None,
    };
    Err(FsxError::new(code, format!("Subnet '{id}' {why}.")))
}

fn unusable_route_table(id: &str, why: &str) -> FsxError {
    let code = FsxCode::InvalidNetworkSettings {
        subnet_id: None,
        security_group_id: None,
        route_table_id: Some(id.to_owned()),
    };
    FsxError::new(code, format!("Route table '{id}' {why}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fsx::request::Request;
    use crate::fsx::{Parsed, parse};

    const A: &str = "rtb-0123456789abcdef0";
    const B: &str = "rtb-0123456789abcdef1";

    /// The tables after an update of a file system that has A, or the one that is refused, or another error's code.
    fn after(add: &[&str], remove: &[&str]) -> Result<Option<Vec<String>>, String> {
        let settings = json!({"AddRouteTableIds": add, "RemoveRouteTableIds": remove});
        let body = json!({"FileSystemId": "fs-0123456789abcdef0", "OpenZFSConfiguration": settings});
        let Ok(Parsed::Served(Request::UpdateFileSystem(request))) =
            parse("UpdateFileSystem", body.to_string().as_bytes())
        else {
            panic!("the body is one of UpdateFileSystem");
        };
        request.route_tables(&[A.to_owned()]).map_err(|error| match error.code {
            FsxCode::InvalidNetworkSettings { route_table_id: Some(id), .. } => id,
            other => other.as_str().to_owned(),
        })
    }

    #[test]
    fn route_tables_come_once_and_go_if_they_are_there() {
        let some = |ids: &[&str]| Ok(Some(ids.iter().map(|id| (*id).to_owned()).collect()));
        assert_eq!(after(&[B], &[]), some(&[A, B]));
        assert_eq!(after(&[B], &[A]), some(&[B]));
        assert_eq!(after(&[], &[A]), some(&[]));
        assert_eq!(after(&[A], &[A]), some(&[A]));
        assert_eq!(after(&[A], &[]), Err(A.to_owned()));
        assert_eq!(after(&[B, B], &[]), Err(B.to_owned()));
        assert_eq!(after(&[], &[B]), Err(B.to_owned()));
        assert_eq!(after(&[], &[A, A]), Err(A.to_owned()));
        let fifty: Vec<String> = (0..50).map(|number| format!("rtb-{number:017x}")).collect();
        let fifty: Vec<&str> = fifty.iter().map(String::as_str).collect();
        assert_eq!(after(&fifty, &[A]), some(&fifty));
        assert_eq!(after(&fifty, &[]), Err("BadRequest".to_owned()));
    }
}
