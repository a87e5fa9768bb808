//! One region's catalog: what exists, who is at work on it, and which packs keep which backup alive.
//!
//! The catalog is SQL and nothing else: it never touches an object store, and no transaction stays
//! open across anything but SQL. What the rest of the system leans on:
//! - every write of a worker names its [`Fence`]; one that changes no row is [`CatalogErrorKind::LostLease`];
//! - a pack row goes away only through doomed, deleting, forgotten, and never while an edge names it;
//! - every time is the database's own clock, so that machines need not agree on theirs.

mod accept;
mod backup;
mod backup_policy;
mod batch;
mod column;
mod copy_part;
mod database;
mod dialect;
mod error;
mod event;
mod gc;
mod hold;
mod intent;
mod key;
mod lease;
mod lifecycle;
mod meta;
mod pack;
mod policy;
mod resource;
mod settling;
mod share;
mod token;

pub use accept::{Accepted, Quota, Terms};
pub use backup::{BackupFilter, BackupRow};
pub use copy_part::CopyPart;
pub use database::{Catalog, Missing, sqlite_url};
pub use error::{CatalogError, CatalogErrorKind};
pub use event::EventRow;
pub use gc::{Orphan, UNKNOWN_DATA_KEY};
pub use hold::{HoldRow, RunningOut};
pub use intent::{NewPack, Standing};
pub use key::{WrappedKey, WrappedKeyRow};
pub use lease::{Fence, LeaseRequest};
pub use lifecycle::{BackupSource, NewBackup, Published, RestoredBackup};
pub use pack::PackRow;
pub use policy::{Binding, PolicyRow, ScheduledRun};
pub use resource::ResourceRow;
pub use settling::UnsettledRow;
pub use share::ShareRow;
pub use token::{Earlier, RequestToken};

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::{Catalog, Missing, backup, policy, resource, settling, sqlite_url};

    /// The keeper asks twice a second: what is not due costs nothing, however many backups there are.
    #[tokio::test]
    async fn what_is_due_is_found_along_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&sqlite_url(&folder.path().join("catalog.db")), Missing::Create).await.unwrap();
        for (sql, first) in [
            (
                &catalog.dialect().select_backups(backup::EXPIRED),
                "SEARCH backup USING INDEX backup_expiring (expires_at<?)",
            ),
            (&catalog.dialect().select_backups(backup::FAILED), "SEARCH backup USING INDEX backup_failed (service=?)"),
            (
                &catalog.dialect().select_backups(backup::IN_PROGRESS),
                "SEARCH backup USING INDEX backup_by_state (state=?)",
            ),
            (&resource::DUE.to_owned(), "SEARCH resource USING INDEX resource_due (next_backup_at<?)"),
            (&settling::UNSETTLED.to_owned(), "SEARCH resource USING INDEX resource_unsettled (state=?)"),
            (&resource::PENDING.to_owned(), "SEARCH resource USING INDEX resource_pending (pending=?)"),
            (&policy::DUE_POLICIES.to_owned(), "SEARCH policy USING INDEX policy_due (next_run_at<?)"),
            (&policy::SCHEDULED_RUNS.to_owned(), "SEARCH policy_resource USING INDEX policy_resource_due (due_at>?)"),
        ] {
            let query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
            let plan: Vec<(i64, i64, i64, String)> = catalog.read("explain").list(query).await.unwrap();
            assert_eq!(plan[0].3, first, "{plan:?}");
        }
    }
}
