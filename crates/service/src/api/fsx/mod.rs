//! Amazon FSx: file systems and their backups, one file per group of operations.
//!
//! A file system is a resource whose bytes are a directory. What FSx knows of one beside that is a description in
//! its row, and a backup keeps the description as it was.

mod backup_view;
mod copy_backup;
mod create_backup;
mod create_file_system;
mod daily;
mod delete_backup;
mod delete_file_system;
mod describe_backups;
mod file_system_view;
mod file_systems;
mod keys;
mod permissions;
mod removal;
mod tagging;
mod volumes;

use catalog::{BackupRow, CatalogErrorKind, Earlier, RequestToken, ResourceRow};
use engine::{EngineError, RegionContext};
use model::{BackupId, BackupState, ResourceId, ResourceKind, ResourceState, Service};
use serde_json::Value;
use wire::aws::json::{Empty, success};
use wire::fsx::request::{Request, Tag};
use wire::fsx::words::{FileSystemType, ServiceLimit};
use wire::fsx::{FsxCode, FsxError, Parsed, idempotency, parse};
use wire::http::Reply;

use super::{Call, Trace};

pub(crate) use removal::tend_removals;

/// Answers a call.
pub(super) async fn answer(call: &Call, operation: &str, body: &[u8], trace: &mut Trace) -> Reply {
    let answered = match parse(operation, body) {
        Ok(Parsed::Served(request)) => run(call, request).await,
        Ok(Parsed::NotServed(other)) => Err(other.error()),
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(reply) => {
            "Success".clone_into(&mut trace.code);
            reply
        }
        Err(refusal) => {
            refusal.code.as_str().clone_into(&mut trace.code);
            refusal.reply(&call.request_id)
        }
    }
}

async fn run(call: &Call, request: Request) -> Result<Reply, FsxError> {
    let asked_about = permissions::check(call, &request).await?;
    let action = format!("fsx::{}", request.operation());
    let (id, token) = (&call.request_id, token_of(call, &request));
    let reply = match request {
        Request::CopyBackup(request) => success(&copy_backup::copy(call, request, token).await?, id),
        Request::CreateBackup(request) => success(&create_backup::create(call, request, token).await?, id),
        Request::DescribeBackups(request) => success(&describe_backups::describe(call, &request).await?, id),
        Request::DeleteBackup(request) => success(&delete_backup::delete(call, &request, token.as_ref()).await?, id),
        Request::CreateFileSystem(request) => success(&create_file_system::create(call, *request, token).await?, id),
        Request::CreateFileSystemFromBackup(request) => {
            success(&create_file_system::create_from_backup(call, *request, token).await?, id)
        }
        Request::DescribeFileSystems(request) => success(&file_systems::describe(call, &request).await?, id),
        Request::UpdateFileSystem(request) => success(&file_systems::update(call, &request, token.as_ref()).await?, id),
        Request::DeleteFileSystem(request) => success(&delete_file_system::delete(call, &request, token).await?, id),
        Request::TagResource(request) => success(&tagging::tag(call, &request).await?, id),
        Request::UntagResource(request) => success(&tagging::untag(call, &request).await?, id),
        Request::ListTagsForResource(request) => success(&tagging::list(call, &request).await?, id),
        Request::DescribeVolumes(request) => success(&volumes::describe(call, &request).await?, id),
        Request::DescribeStorageVirtualMachines(request) => {
            success(&volumes::describe_machines(call, &request).await?, id)
        }
    };
    call.record(&action, asked_about, &reply).await;
    Ok(reply)
}

/// The token of a request that has one, with what it is asked for.
fn token_of(call: &Call, request: &Request) -> Option<RequestToken> {
    let operation = request.operation();
    Some(RequestToken {
        operation: format!("fsx::{operation}"),
        token: request.client_request_token()?.to_owned(),
        parameters: request.parameters(call.ctx.region.as_str()).to_string(),
        outlives_subject: operation.starts_with("Delete"),
    })
}

/// Refuses a call that repeats a token with other parameters.
fn check_same(earlier: &Earlier, token: Option<&RequestToken>) -> Result<(), FsxError> {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let now = token.map(|token| read(&token.parameters)).unwrap_or_default();
    idempotency::check_same(&read(&earlier.parameters), &now)
}

impl Call {
    /// What the token was used for before, with the same parameters.
    async fn find_earlier(&self, token: Option<&RequestToken>) -> Result<Option<Earlier>, FsxError> {
        let Some(token) = token else { return Ok(None) };
        let found = self.ctx.catalog.find_token(&self.account.id, token).await.map_err(internal)?;
        let Some(earlier) = found else { return Ok(None) };
        check_same(&earlier, Some(token))?;
        Ok(Some(earlier))
    }

    /// What the token was used for while a call was looked at that is to be refused; else the refusal stands. What
    /// failed here is no refusal: its token may be its own.
    async fn earlier_or(&self, token: Option<&RequestToken>, refusal: FsxError) -> Result<Earlier, FsxError> {
        if refusal.code == FsxCode::InternalServerError {
            return Err(refusal);
        }
        self.find_earlier(token).await?.ok_or(refusal)
    }

    /// The caller's backup of that id.
    async fn load_backup(&self, id: &str) -> Result<BackupRow, FsxError> {
        self.find_backup(&self.ctx, id).await?.ok_or_else(|| backup_not_found(id))
    }

    /// The caller's backup of that id in a region.
    async fn find_backup(&self, ctx: &RegionContext, id: &str) -> Result<Option<BackupRow>, FsxError> {
        let Ok(id) = id.parse::<BackupId>() else { return Ok(None) };
        let found = ctx.catalog.find_backup(&self.account.id, &id).await.map_err(internal)?;
        Ok(found.filter(is_listed))
    }

    /// The caller's file system of that id.
    async fn load_file_system(&self, id: &str) -> Result<ResourceRow, FsxError> {
        self.find_file_system(id).await?.ok_or_else(|| file_system_not_found(id))
    }

    /// Changes any of the caller's file systems, seen together, and takes the call's token for the one that is named.
    async fn edit_file_systems<T: Send>(
        &self,
        token: Option<(&RequestToken, &str)>,
        edit: impl FnOnce(&mut [ResourceRow]) -> Result<T, FsxError> + Send,
    ) -> Result<T, FsxError> {
        let edited = self.ctx.catalog.edit_resources_of(&self.account.id, Service::Fsx, token, edit).await;
        edited.map_err(|error| match error.kind {
            // Nobody reads this: the call is answered as the one that was made before.
            CatalogErrorKind::Conflict => FsxError::bad_request("The call was made before."),
            _ => internal(error),
        })?
    }

    async fn find_file_system(&self, id: &str) -> Result<Option<ResourceRow>, FsxError> {
        let Ok(id) = id.parse::<ResourceId>() else { return Ok(None) };
        let found = self.ctx.catalog.find_resource(&self.account.id, &id).await.map_err(internal)?;
        Ok(found.filter(|row| row.kind.service() == Service::Fsx))
    }
}

/// Whether callers see a backup.
fn is_listed(row: &BackupRow) -> bool {
    row.resource_kind.service() == Service::Fsx && row.state != BackupState::Deleting
}

/// Refuses what needs a file system that is there and at rest.
fn check_at_rest(row: &ResourceRow) -> Result<(), FsxError> {
    match row.state {
        ResourceState::Available => Ok(()),
        state => Err(FsxError::bad_request(format!("File system '{}' is {}.", row.id, state.as_str()))),
    }
}

/// The kind of resource that a type of file system is, if it is served.
fn kind_of(kind: FileSystemType) -> Option<ResourceKind> {
    match kind {
        FileSystemType::Windows => Some(ResourceKind::Windows),
        FileSystemType::Lustre => Some(ResourceKind::Lustre),
        FileSystemType::OpenZfs => Some(ResourceKind::OpenZfs),
        FileSystemType::Ontap => None,
    }
}

fn backup_not_found(id: &str) -> FsxError {
    FsxError::new(FsxCode::BackupNotFound, format!("Backup '{id}' does not exist."))
}

fn file_system_not_found(id: &str) -> FsxError {
    FsxError::new(FsxCode::FileSystemNotFound, format!("File system '{id}' does not exist."))
}

fn volume_not_found(id: &str) -> FsxError {
    FsxError::new(FsxCode::VolumeNotFound, format!("Volume '{id}' does not exist."))
}

fn limit_exceeded(limit: ServiceLimit) -> FsxError {
    let message = format!("The limit {} of this account is reached.", limit.as_str());
    FsxError::new(FsxCode::ServiceLimitExceeded { limit }, message)
}

/// Tags as rows hold them.
fn as_pairs(tags: &[Tag]) -> Vec<(String, String)> {
    tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
}

/// Tags as requests and replies have them.
fn as_tags(pairs: &[(String, String)]) -> Vec<Tag> {
    pairs.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// The tags of a description, which is silent where there are none.
fn shown_tags(pairs: &[(String, String)]) -> Option<Vec<Tag>> {
    (!pairs.is_empty()).then(|| as_tags(pairs))
}

/// What went wrong below; the details stay in the log.
fn internal(error: impl Into<EngineError>) -> FsxError {
    let error = error.into();
    tracing::error!(kind = ?error.kind(), error = engine::describe(&error), "a request failed");
    FsxError::internal()
}

/// The reply of operations that have nothing to say.
const DONE: Empty = Empty {};
