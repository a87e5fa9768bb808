//! AWS CloudHSM v2, with a directory of tokens that is a cluster.

use std::fs;

use aws_sdk_cloudhsmv2::Client;
use aws_sdk_cloudhsmv2::config::{Credentials, Region};
use aws_sdk_cloudhsmv2::error::ProvideErrorMetadata;
use aws_sdk_cloudhsmv2::operation::copy_backup_to_region::CopyBackupToRegionError as E;
use aws_sdk_cloudhsmv2::types::{Backup, BackupState, ClusterMode, ClusterState, Tag};

use super::super::served::Served;
use super::until;
use crate::world::{SOURCE, TARGET};

fn client(served: &Served, region: &'static str) -> Client {
    let [id, secret] = &served.keys.aws;
    let config = aws_sdk_cloudhsmv2::Config::builder()
        .region(Region::new(region))
        .endpoint_url(format!("http://{}", served.host))
        .credentials_provider(Credentials::new(id, secret, None, None, "test"));
    Client::from_conf(config.build())
}

/// The copies of a backup.
async fn copies(client: &Client, backup: &str) -> Vec<Backup> {
    let asked = client.describe_backups().filters("sourceBackupIds", vec![backup.to_owned()]);
    asked.send().await.unwrap().backups.unwrap()
}

#[tokio::test]
async fn a_backup_is_copied_found_restored_and_deleted() {
    let served = Served::new();
    let [source, target] = [SOURCE, TARGET].map(|region| client(&served, region));
    let tokens = served.world.path("tokens");
    fs::create_dir(&tokens).unwrap();
    fs::write(tokens.join("token"), "a key").unwrap();
    let add = ["resource", "add", tokens.to_str().unwrap(), "--region", SOURCE, "--type", "hsm"];
    let backup = served.world.backup(&served.world.run(add).id());

    let tag = Tag::builder().key("Name").value("dr").build().unwrap();
    let copied = source.copy_backup_to_region().backup_id(&backup).destination_region(TARGET).tag_list(tag);
    let described = copied.send().await.unwrap().destination_backup.unwrap();
    assert_eq!((described.source_backup(), described.source_region()), (Some(backup.as_str()), Some(SOURCE)));
    let copy = until(async || {
        let [copy] = &copies(&target, &backup).await[..] else { panic!("there is one copy") };
        assert!(matches!(copy.backup_state(), Some(BackupState::CreateInProgress | BackupState::Ready)), "{copy:?}");
        (copy.backup_state() == Some(&BackupState::Ready)).then(|| copy.clone())
    })
    .await;
    assert_eq!((copy.tag_list()[0].key(), copy.create_timestamp()), ("Name", described.create_timestamp()));
    assert_eq!(copies(&source, &backup).await, [], "a copy belongs to its region alone");

    let made = target.create_cluster().hsm_type("hsm2m.medium").mode(ClusterMode::NonFips);
    let made = made.subnet_ids("subnet-0123456789abcdef0").source_backup_id(copy.backup_id()).send().await.unwrap();
    let cluster = made.cluster.unwrap().cluster_id.unwrap();
    until(async || {
        let seen = target.describe_clusters().filters("clusterIds", vec![cluster.clone()]).send().await.unwrap();
        (seen.clusters()[0].state() == Some(&ClusterState::Active)).then_some(())
    })
    .await;
    let restored = served.world.region(TARGET).join("resources").join(&cluster).join("token");
    assert_eq!(fs::read_to_string(&restored).unwrap(), "a key");

    let deleted = target.delete_backup().backup_id(copy.backup_id()).send().await.unwrap().backup.unwrap();
    assert_eq!(deleted.backup_state(), Some(&BackupState::PendingDeletion));
    assert!(deleted.delete_timestamp().is_some());
    target.restore_backup().backup_id(copy.backup_id()).send().await.unwrap();
}

#[tokio::test]
async fn refusals_are_the_sdks_own_errors() {
    let served = Served::new();
    let client = client(&served, SOURCE);
    let copy = || client.copy_backup_to_region().backup_id("backup-aaaaaaaaaaa").destination_region(TARGET);
    let refusals =
        [copy().send().await, copy().destination_region("mars").send().await, copy().backup_id("x").send().await];
    let refusals = refusals.map(|refused| refused.unwrap_err().into_service_error());
    assert!(refusals.iter().all(|error| error.message().is_some_and(|message| !message.is_empty())), "{refusals:?}");
    let [unknown, region, id] = &refusals;
    assert!(matches!(unknown, E::CloudHsmResourceNotFoundException(_)), "{unknown:?}");
    assert!(matches!(region, E::CloudHsmInvalidRequestException(_)), "{region:?}");
    assert!(matches!(id, E::CloudHsmInvalidRequestException(_)), "{id:?}");
}
