//! Amazon FSx.

use std::fs;

use aws_sdk_fsx::Client;
use aws_sdk_fsx::config::{Credentials, Region};
use aws_sdk_fsx::error::ProvideErrorMetadata;
use aws_sdk_fsx::operation::copy_backup::CopyBackupError;
use aws_sdk_fsx::operation::describe_backups::DescribeBackupsError;
use aws_sdk_fsx::types::{
    BackupLifecycle, CreateFileSystemOpenZfsConfiguration, DeleteFileSystemOpenZfsConfiguration, FileSystem,
    FileSystemLifecycle, FileSystemType, OpenZfsDeploymentType, ServiceLimit, Tag,
};

use super::super::served::Served;
use super::until;
use crate::world::{SOURCE, TARGET};

const SUBNET: &str = "subnet-0123456789abcdef0";
const UNKNOWN: &str = "backup-00000000000000000";

fn client(served: &Served, region: &'static str) -> Client {
    let [id, secret] = &served.keys.aws;
    let config = aws_sdk_fsx::Config::builder()
        .region(Region::new(region))
        .endpoint_url(format!("http://{}", served.host))
        .credentials_provider(Credentials::new(id, secret, None, None, "test"));
    Client::from_conf(config.build())
}

fn tags(prefix: &str, count: usize) -> Option<Vec<Tag>> {
    let tag = |number| Tag::builder().key(format!("{prefix}{number}")).value("v").build();
    Some((0..count).map(tag).collect())
}

async fn ready(client: &Client, made: Option<FileSystem>) -> String {
    let id = made.unwrap().file_system_id.unwrap();
    until(async || {
        let listed = client.describe_file_systems().file_system_ids(&id).send().await.unwrap();
        let state = listed.file_systems()[0].lifecycle().cloned();
        assert!(matches!(state, Some(FileSystemLifecycle::Creating | FileSystemLifecycle::Available)), "{state:?}");
        (state == Some(FileSystemLifecycle::Available)).then_some(())
    })
    .await;
    id
}

async fn file_system(client: &Client) -> String {
    let openzfs = CreateFileSystemOpenZfsConfiguration::builder()
        .deployment_type(OpenZfsDeploymentType::SingleAz1)
        .throughput_capacity(64)
        .build();
    let made = client.create_file_system().file_system_type(FileSystemType::Openzfs).storage_capacity(64);
    let made = made.subnet_ids(SUBNET).open_zfs_configuration(openzfs).send().await.unwrap();
    ready(client, made.file_system).await
}

async fn available(client: &Client, backup: &str) {
    until(async || {
        let listed = client.describe_backups().backup_ids(backup).send().await.unwrap();
        let state = listed.backups()[0].lifecycle().cloned().unwrap();
        assert!(!matches!(state, BackupLifecycle::Failed | BackupLifecycle::Deleted), "{state:?}");
        (state == BackupLifecycle::Available).then_some(())
    })
    .await;
}

async fn take(client: &Client, file_system: &str, tags: Option<Vec<Tag>>) -> String {
    let made = client.create_backup().file_system_id(file_system).set_tags(tags).send().await.unwrap();
    let backup = made.backup.unwrap().backup_id.unwrap();
    available(client, &backup).await;
    backup
}

#[tokio::test]
async fn a_backup_is_taken_copied_found_restored_and_deleted() {
    let served = Served::new();
    let [source, target] = [SOURCE, TARGET].map(|region| client(&served, region));
    let origin = file_system(&source).await;
    let path = |region: &str, id: &str| served.world.region(region).join("resources").join(id).join("file");
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(path(SOURCE, &origin), &bytes).unwrap();
    let backup = take(&source, &origin, tags("k", 1)).await;

    let copied = target.copy_backup().source_backup_id(&backup).source_region(SOURCE).copy_tags(true).send().await;
    let copied = copied.unwrap().backup.unwrap();
    assert_eq!(copied.lifecycle(), Some(&BackupLifecycle::Copying));
    let copy = copied.backup_id.unwrap();
    available(&target, &copy).await;
    let mut pages = target.describe_backups().max_results(1).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        found.extend(page.unwrap().backups.unwrap());
    }
    let [seen] = &found[..] else { panic!("one copy, not {found:?}") };
    assert_eq!((seen.backup_id(), seen.source_backup_id()), (Some(copy.as_str()), Some(backup.as_str())));
    assert_eq!((seen.size_in_bytes(), seen.tags().len()), (Some(bytes.len() as i64), 1));

    source.delete_backup().backup_id(&backup).send().await.unwrap();
    let restored = target.create_file_system_from_backup().backup_id(&copy).subnet_ids(SUBNET).send().await.unwrap();
    let restored = ready(&target, restored.file_system).await;
    assert!(fs::read(path(TARGET, &restored)).unwrap() == bytes, "other bytes came back");

    let skip = DeleteFileSystemOpenZfsConfiguration::builder().skip_final_backup(true).build();
    target.delete_file_system().file_system_id(&restored).open_zfs_configuration(skip).send().await.unwrap();
    until(async || (!path(TARGET, &restored).exists()).then_some(())).await;
    target.delete_backup().backup_id(&copy).send().await.unwrap();
    let gone = target.describe_backups().backup_ids(&copy).send().await.unwrap_err().into_service_error();
    assert!(matches!(&gone, DescribeBackupsError::BackupNotFound(_)), "{gone:?}");
}

#[tokio::test]
async fn refusals_are_the_sdks_own_errors_with_their_members() {
    use CopyBackupError as E;
    let served = Served::new();
    let [source, target] = [SOURCE, TARGET].map(|region| client(&served, region));
    let backup = take(&source, &file_system(&source).await, tags("k", 30)).await;
    let copy = || target.copy_backup().source_backup_id(&backup).source_region(SOURCE);
    let made = copy().client_request_token("once").send().await.unwrap().backup.unwrap();
    let again = copy().client_request_token("once").send().await.unwrap().backup.unwrap();
    assert_eq!(made.backup_id(), again.backup_id());

    let refusals = [
        copy().source_backup_id(UNKNOWN).send().await,
        copy().source_region("us-east-9").send().await,
        copy().kms_key_id("nonsense").send().await,
        copy().source_backup_id("x").send().await,
        copy().copy_tags(true).set_tags(tags("m", 21)).send().await,
        copy().client_request_token("once").copy_tags(true).send().await,
    ];
    let refusals = refusals.map(|refused| refused.unwrap_err().into_service_error());
    assert!(refusals.iter().all(|error| error.message().is_some_and(|message| !message.is_empty())), "{refusals:?}");
    let [unknown, region, key, bad, limit, token] = &refusals;
    assert!(matches!(unknown, E::BackupNotFound(_)), "{unknown:?}");
    assert!(matches!(region, E::InvalidRegion(_)), "{region:?}");
    assert!(matches!(key, E::InvalidDestinationKmsKey(_)), "{key:?}");
    assert!(matches!(bad, E::BadRequest(_)), "{bad:?}");
    let E::ServiceLimitExceeded(limit) = limit else { panic!("{limit:?}") };
    assert_eq!(limit.limit(), Some(&ServiceLimit::TotalUserTags));
    let E::IncompatibleParameterError(token) = token else { panic!("{token:?}") };
    assert_eq!(token.parameter(), Some("CopyTags"));
    available(&target, made.backup_id().unwrap()).await;
}
