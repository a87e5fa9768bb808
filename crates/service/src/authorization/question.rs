//! Questions: who asks, for what, of which resource, under which circumstances; and how Cedar is asked them.

use std::fmt;
use std::net::IpAddr;

use catalog::{BackupRow, PolicyRow, ResourceRow};
use cedar_policy::{Context, Entities, Entity, EntityId, EntityUid, Request, RestrictedExpression};
use model::{AccountId, KmsKeyId, Region, ResourceKind};

use super::vocabulary::VOCABULARY;
use crate::config::Cloud;

/// Who asks: an access key of an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Principal {
    /// Whose key it is.
    pub(crate) account: AccountId,
    /// The key's id.
    pub(crate) key: String,
    /// Whose clients it is for.
    pub(crate) cloud: Cloud,
}

/// The types of resources, as the schema names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ResourceType {
    /// A backup of a file system or a cluster.
    Backup,
    /// A snapshot of a disk.
    Snapshot,
    /// A file system.
    FileSystem,
    /// A disk.
    Disk,
    /// A cluster of HSMs.
    Cluster,
    /// A policy by which snapshots are taken.
    AutoSnapshotPolicy,
    /// A key that data keys are wrapped with.
    KmsKey,
    /// All that an account has, or will have, in a region.
    Region,
}

impl ResourceType {
    /// The name in the schema.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "Backup",
            Self::Snapshot => "Snapshot",
            Self::FileSystem => "FileSystem",
            Self::Disk => "Disk",
            Self::Cluster => "Cluster",
            Self::AutoSnapshotPolicy => "AutoSnapshotPolicy",
            Self::KmsKey => "KmsKey",
            Self::Region => "Region",
        }
    }

    fn of(kind: ResourceKind) -> Self {
        match kind {
            ResourceKind::Lustre | ResourceKind::Windows | ResourceKind::OpenZfs => Self::FileSystem,
            ResourceKind::Disk => Self::Disk,
            ResourceKind::Hsm => Self::Cluster,
        }
    }
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Resource {
    kind: ResourceType,
    id: String,
    owner: AccountId,
    region: String,
    /// What it was taken of, or belongs to.
    part_of: Option<(ResourceType, String)>,
    tags: Vec<(String, String)>,
    /// Whether another account shares it with the one that asks. Only of backups and snapshots.
    is_shared: bool,
}

impl Resource {
    /// A thing of which nothing more is known, as there is none of that id, or none that `caller` can see. These two
    /// cases are the same, so that no decision tells one from the other.
    pub(crate) fn unknown(kind: ResourceType, id: &str, caller: &AccountId, region: &str) -> Self {
        let (id, owner, region) = (id.to_owned(), caller.clone(), region.to_owned());
        Self { kind, id, owner, region, part_of: None, tags: Vec::new(), is_shared: false }
    }

    /// All that `caller` has, or will have, in a region.
    pub(crate) fn region(region: &str, caller: &AccountId) -> Self {
        Self::unknown(ResourceType::Region, region, caller, region)
    }

    /// A key of a region, which is there for every account.
    pub(crate) fn kms_key(id: &KmsKeyId, caller: &AccountId, region: &Region) -> Self {
        Self::unknown(ResourceType::KmsKey, id.as_str(), caller, region.as_str())
    }

    /// A backup or snapshot in a region, as `caller` sees it.
    pub(crate) fn backup(row: &BackupRow, caller: &AccountId, region: &Region) -> Self {
        let part_of = ResourceType::of(row.resource_kind);
        let kind = if part_of == ResourceType::Disk { ResourceType::Snapshot } else { ResourceType::Backup };
        Self {
            part_of: Some((part_of, row.resource_id.to_string())),
            is_shared: row.account != *caller,
            ..Self::unknown(kind, row.id.as_str(), &row.account, region.as_str()).with_tags(row.tags.clone())
        }
    }

    /// A file system, disk or cluster in a region.
    pub(crate) fn of_row(row: &ResourceRow, region: &Region) -> Self {
        let kind = ResourceType::of(row.kind);
        Self::unknown(kind, row.id.as_str(), &row.account, region.as_str()).with_tags(row.tags.clone())
    }

    /// A policy by which snapshots are taken.
    pub(crate) fn snapshot_policy(row: &PolicyRow, region: &Region) -> Self {
        Self::unknown(ResourceType::AutoSnapshotPolicy, row.id.as_str(), &row.account, region.as_str())
    }

    /// The same with tags.
    pub(crate) fn with_tags(self, tags: Vec<(String, String)>) -> Self {
        Self { tags, ..self }
    }

    /// Its type.
    pub(crate) fn kind(&self) -> ResourceType {
        self.kind
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    fn entity(&self) -> Result<Entity, Unaskable> {
        let mut attributes = vec![
            ("owner".to_owned(), RestrictedExpression::new_entity_uid(uid("Account", self.owner.as_str()))),
            ("region".to_owned(), text(&self.region)),
        ];
        if matches!(self.kind, ResourceType::Backup | ResourceType::Snapshot) {
            attributes.push(("shared_with_caller".to_owned(), RestrictedExpression::new_bool(self.is_shared)));
        }
        let is_region = self.kind == ResourceType::Region;
        let region = (!is_region).then(|| uid(ResourceType::Region.as_str(), &self.region));
        let part_of = self.part_of.as_ref().map(|(kind, id)| uid(kind.as_str(), id));
        let this = uid(self.kind.as_str(), &self.id);
        Ok(Entity::new_with_tags(this, attributes, region.into_iter().chain(part_of), expressions(&self.tags))?)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ResourceType::Region => write!(f, "region {}", self.id),
            _ => write!(f, "{} in {}", self.id, self.region),
        }
    }
}

/// What a copy is between.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Copying {
    /// Where the source is.
    pub(crate) source_region: String,
    /// Where the copy will be.
    pub(crate) target_region: String,
    /// The source's key, where there is such a source.
    pub(crate) source_key: Option<String>,
    /// The copy's key, where there is such a key.
    pub(crate) target_key: Option<String>,
}

/// Under which circumstances: what Cedar calls the context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Circumstances {
    /// Where the connection comes from.
    pub(crate) source_address: Option<IpAddr>,
    /// The tags that the request gives.
    pub(crate) request_tags: Vec<(String, String)>,
    /// The keys of tags that the request takes away.
    pub(crate) removed_tags: Vec<String>,
    /// What is copied from where to where; asked for by the actions that copy.
    pub(crate) copying: Option<Copying>,
}

/// The one entity of its type in a question.
const REQUEST_TAGS: &str = "request";

impl Circumstances {
    fn context(&self) -> Result<Context, Unaskable> {
        let keys = self.request_tags.iter().map(|(key, _)| key).chain(&self.removed_tags);
        let tags = RestrictedExpression::new_entity_uid(uid("Tags", REQUEST_TAGS));
        let mut pairs = vec![
            ("request_tags".to_owned(), tags),
            ("request_tag_keys".to_owned(), RestrictedExpression::new_set(keys.map(|key| text(key)))),
        ];
        if let Some(address) = self.source_address {
            // Of a listener for both, a client of the older protocol has a mapped address.
            let address = address.to_canonical().to_string();
            pairs.push(("source_ip".to_owned(), RestrictedExpression::new_ip(address)));
        }
        if let Some(copying) = &self.copying {
            pairs.push(("source_region".to_owned(), text(&copying.source_region)));
            pairs.push(("target_region".to_owned(), text(&copying.target_region)));
            let keys = [("source_key", &copying.source_key), ("target_key", &copying.target_key)];
            pairs.extend(keys.into_iter().filter_map(|(name, key)| Some((name.to_owned(), text(key.as_ref()?)))));
        }
        Ok(Context::from_pairs(pairs)?)
    }
}

/// Something that a call needs to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Permission {
    /// What for, e.g. `fsx::CopyBackup`.
    pub(crate) action: String,
    /// Of which thing.
    pub(crate) resource: Resource,
    /// Under which circumstances.
    pub(crate) circumstances: Circumstances,
}

impl Permission {
    /// How long the tags are that it speaks of, with something for each.
    pub(super) fn tag_bytes(&self) -> usize {
        let Circumstances { request_tags, removed_tags, .. } = &self.circumstances;
        let pairs = self.resource.tags.iter().chain(request_tags).map(|(key, value)| key.len() + value.len());
        pairs.chain(removed_tags.iter().map(String::len)).map(|bytes| bytes + 64).sum()
    }

    /// As Cedar is asked: the request, and every entity that it speaks of.
    pub(super) fn question(&self, principal: &Principal) -> Result<(Request, Entities), Unaskable> {
        let action =
            VOCABULARY.actions.get(&self.action).ok_or_else(|| Unaskable(format!("no action {}", self.action)))?;
        let account = uid("Account", principal.account.as_str());
        let attributes = [
            ("account".to_owned(), RestrictedExpression::new_entity_uid(account.clone())),
            ("cloud".to_owned(), text(principal.cloud.as_str())),
        ];
        let key = Entity::new(uid("AccessKey", &principal.key), attributes.into(), [account.clone()].into())?;
        let resource = self.resource.entity()?;
        let tags = expressions(&self.circumstances.request_tags);
        let request = Request::new(
            key.uid(),
            action.uid(),
            resource.uid(),
            self.circumstances.context()?,
            Some(&VOCABULARY.schema),
        )?;
        let entities = [
            Entity::with_uid(account),
            Entity::new_with_tags(uid("Tags", REQUEST_TAGS), [], [], tags)?,
            action.clone(),
            key,
            resource,
        ];
        Ok((request, Entities::from_entities(entities, None)?))
    }
}

/// A question that does not fit the schema, which is a fault of this program's or of what `policy check` was given.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unaskable(String);

macro_rules! unaskable {
    ($($error:ty),*) => {
        $(impl From<$error> for Unaskable {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        })*
    };
}

unaskable!(
    cedar_policy::EntityAttrEvaluationError,
    cedar_policy::ContextCreationError,
    cedar_policy::RequestValidationError,
    cedar_policy::entities_errors::EntitiesError
);

fn uid(kind: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(VOCABULARY.type_named(kind), EntityId::new(id))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn expressions(tags: &[(String, String)]) -> Vec<(String, RestrictedExpression)> {
    tags.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}
