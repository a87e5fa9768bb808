"""AWS CloudHSM v2 with boto3 and the AWS CLI: clusters, HSMs, backups, and every refusal as its own exception."""

import concurrent.futures
import contextlib
import datetime
import json
import os
import subprocess
import time
import unittest

import botocore.exceptions

from aws import EAST, IRELAND, WEST, as_dict, tags
from cloudhsm import DAY, DENIED, GOVERNMENT, INTERNAL, INVALID, LIMIT, NOT_FOUND, SERVICE, SUBNETS, CloudHsmTest
from test_policies import HSM

WEEK = datetime.timedelta(days=7)
NO_BACKUP, NO_CLUSTER, NO_HSM = "backup-aaaaaaaaaaa", "cluster-aaaaaaaaaaa", "hsm-aaaaaaaaaaa"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
EVERY = {operation for operation, _ in HSM}
TAG = "CloudHsmTagException"

# Modelled errors that are not reached here, and why.
UNREACHED = [
    # Policies deny every operation, and tags, in `test_policies.py`. Tagging that is denied has an error of its own.
    (DENIED, EVERY - {"CreateCluster"}),
    (TAG, ["CopyBackupToRegion", "CreateCluster", "TagResource", "UntagResource"]),
    # Tags are with what they are of: nothing happens to them alone.
    (TAG, ["DeleteCluster", "DescribeBackups", "DescribeClusters", "ListTags"]),
    # Filters never fail.
    (NOT_FOUND, ["DescribeBackups"]),
]


class Life(CloudHsmTest):
    def test_a_cluster_is_made_initialized_activated_backed_up_and_deleted(self):
        east = self.client()
        cluster = self.empty_cluster(TagList=tags({"team": "keys"}))
        self.assertRegex(cluster, "^cluster-[a-z2-7]{11}$")
        seen = self.cluster(cluster)
        self.assertEqual((seen["BackupPolicy"], seen["NetworkType"], seen["Mode"]), ("DEFAULT", "IPV4", "FIPS"))
        self.assertEqual(seen["BackupRetentionPolicy"], {"Type": "DAYS", "Value": "90"})
        self.assertEqual(seen["SubnetMapping"], {f"{EAST}a": SUBNETS[0], f"{EAST}b": SUBNETS[1]})
        self.assertEqual(as_dict(seen["TagList"]), {"team": "keys"})
        self.assertNotIn("Certificates", seen)
        self.assertNotIn("SourceBackupId", seen)

        hsm = self.add_hsm(cluster)
        seen = self.hsm(cluster, hsm)
        self.assertEqual((seen["AvailabilityZone"], seen["SubnetId"]), (f"{EAST}a", SUBNETS[0]))
        self.assertEqual((seen["ClusterId"], seen["HsmType"]), (cluster, "hsm2m.medium"))
        certificates = self.cluster(cluster)["Certificates"]
        self.assertEqual(
            set(certificates),
            {"ClusterCsr", "HsmCertificate", "AwsHardwareCertificate", "ManufacturerHardwareCertificate"},
        )
        self.assert_vouched_for(certificates)
        self.assertEqual(self.backups(cluster), [], "there is nothing to back up yet")

        signed = self.initialize(cluster)
        self.until_state(cluster, "ACTIVE", ["INITIALIZE_IN_PROGRESS", "INITIALIZED"])
        self.assertEqual(self.cluster(cluster)["Certificates"], {"ClusterCertificate": signed})
        (backup,) = self.until(lambda: self.ready_backups(cluster))
        seen = self.backup(backup)
        self.assertEqual(seen["BackupArn"], f"arn:aws:cloudhsm:{EAST}:{self.account}:backup/{backup}")
        self.assertEqual((seen["ClusterId"], seen["HsmType"], seen["Mode"]), (cluster, "hsm2m.medium", "FIPS"))
        self.assertEqual((seen["NeverExpires"], seen["TagList"]), (False, []))
        for absent in ["CopyTimestamp", "SourceRegion", "SourceBackup", "SourceCluster", "DeleteTimestamp"]:
            self.assertNotIn(absent, seen)

        # An HSM of an active cluster comes after a backup, and goes after one.
        second = self.add_hsm(cluster, "b")
        self.assertEqual(len(self.ready_backups(cluster)), 2)
        for hsm in [hsm, second]:
            self.assertEqual(east.delete_hsm(ClusterId=cluster, HsmId=hsm)["HsmId"], hsm)
            self.until(lambda: self.hsm(cluster, hsm) is None)
        self.assertEqual(len(self.ready_backups(cluster)), 4)
        self.assertEqual(self.cluster(cluster)["State"], "ACTIVE")

        gone = east.delete_cluster(ClusterId=cluster)["Cluster"]
        self.assertEqual((gone["State"], gone["StateMessage"]), ("DELETE_IN_PROGRESS", "The cluster is being deleted."))
        self.until(lambda: self.cluster(cluster) is None)
        self.assertFalse(self.world.path(EAST, cluster).exists())
        self.assertEqual(len(self.ready_backups(cluster)), 4, "backups outlive their cluster")

    def assert_vouched_for(self, certificates):
        folder = self.world.dir / "vouched"
        folder.mkdir()
        for name, text in certificates.items():
            (folder / name).write_text(text)
        for authority in ["AwsHardwareCertificate", "ManufacturerHardwareCertificate"]:
            verify = ["openssl", "verify", "-CAfile", folder / authority, folder / "HsmCertificate"]
            subprocess.run(verify, check=True, capture_output=True)
        keys = [
            subprocess.run(["openssl", *kind, "-noout", "-pubkey", "-in", folder / name], check=True, capture_output=True)
            for kind, name in [(["req", "-verify"], "ClusterCsr"), (["x509"], "HsmCertificate")]
        ]
        self.assertEqual(keys[0].stdout, keys[1].stdout)

    def test_backups_are_removed_restored_and_exempted(self):
        east = self.client()
        cluster, backup = self.active_cluster()
        exempt = east.modify_backup_attributes(BackupId=backup, NeverExpires=True)["Backup"]
        self.assertEqual((exempt["BackupId"], exempt["BackupState"], exempt["ClusterId"]), (backup, "READY", cluster))
        self.assertTrue(exempt["NeverExpires"])
        self.assertFalse(east.modify_backup_attributes(BackupId=backup, NeverExpires=False)["Backup"]["NeverExpires"])
        east.delete_backup(BackupId=backup)
        for call in [east.delete_backup, east.create_cluster, east.copy_backup_to_region, east.modify_backup_attributes]:
            parameters = {
                "delete_backup": {"BackupId": backup},
                "create_cluster": {"HsmType": "hsm2m.medium", "SubnetIds": SUBNETS, "SourceBackupId": backup},
                "copy_backup_to_region": {"BackupId": backup, "DestinationRegion": WEST},
                "modify_backup_attributes": {"BackupId": backup, "NeverExpires": True},
            }[call.__name__]
            self.refused(INVALID, call, **parameters)
        east.restore_backup(BackupId=backup)
        self.refused(INVALID, east.restore_backup, BackupId=backup)
        self.copy(backup)

    def test_a_directory_that_was_attached_is_an_active_cluster(self):
        cluster, folder = self.attach()
        (folder / "token").mkdir()
        (folder / "token" / "object").write_text("a key")
        seen = self.cluster(cluster)
        self.assertEqual((seen["State"], seen["Mode"], seen["Hsms"]), ("ACTIVE", "NON_FIPS", []))
        self.assertIn(cluster, self.cli("resource", "ls"))
        self.assertEqual(json.loads(self.cli("resource", "show", cluster, "--json"))["path"], str(folder))
        planted = self.cli("backup", "create", cluster)
        self.assertEqual(self.backup(planted)["BackupState"], "READY")
        self.assertIn(planted, self.cli("backup", "ls"))
        self.assertIn("hsm", self.cli("backup", "show", planted))
        self.assertEqual(self.cli("backup", "cat", planted, "token/object"), "a key")
        self.cli("backup", "restore", planted, str(self.world.dir / "by hand"))
        self.assertEqual((self.world.dir / "by hand" / "token" / "object").read_text(), "a key")
        restored = self.restored_cluster(planted, Mode="NON_FIPS")
        self.assertEqual((self.world.path(EAST, restored) / "token" / "object").read_text(), "a key")
        self.client().delete_cluster(ClusterId=cluster)
        self.until(lambda: self.cluster(cluster) is None)
        self.assertEqual((folder / "token" / "object").read_text(), "a key", "what was attached stays")

    def test_a_backup_of_the_command_line_knows_its_cluster(self):
        cluster = self.empty_cluster(HsmType="hsm1.medium", Mode=None)
        planted = self.cli("backup", "create", cluster)
        seen = self.backup(planted)
        self.assertEqual((seen["HsmType"], seen["Mode"], seen["ClusterId"]), ("hsm1.medium", "FIPS", cluster))
        self.refused(
            INVALID, self.client().create_cluster,
            HsmType="hsm2m.medium", Mode="NON_FIPS", SubnetIds=SUBNETS, SourceBackupId=planted,
        )  # fmt: skip
        newer = self.restored_cluster(planted)
        self.assertEqual(self.cluster(newer)["HsmType"], "hsm2m.medium")
        self.assertEqual(self.cluster(newer)["SourceBackupId"], planted)

    def test_retention_and_type_are_changed(self):
        east = self.client()
        cluster = self.empty_cluster(
            HsmType="hsm1.medium", Mode=None, BackupRetentionPolicy={"Type": "DAYS", "Value": "7"}
        )
        policy = {"Type": "DAYS", "Value": "379"}
        changed = east.modify_cluster(ClusterId=cluster, BackupRetentionPolicy=policy)["Cluster"]
        self.assertEqual((changed["BackupRetentionPolicy"], changed["State"]), (policy, "UNINITIALIZED"))
        self.refused(INVALID, east.modify_cluster, ClusterId=cluster, HsmType="hsm2m.medium")
        active, _ = self.active_cluster(HsmType="hsm1.medium", Mode=None)
        changed = east.modify_cluster(ClusterId=active, HsmType="hsm2m.medium")["Cluster"]
        self.assertEqual((changed["HsmType"], changed["State"]), ("hsm2m.medium", "MODIFY_IN_PROGRESS"))
        self.assertIn("HsmTypeRollbackExpiration", changed)
        self.until_state(active, "ACTIVE", ["MODIFY_IN_PROGRESS"])
        changed = east.modify_cluster(ClusterId=active, HsmType="hsm1.medium")["Cluster"]
        self.assertEqual((changed["HsmType"], changed["State"]), ("hsm1.medium", "ROLLBACK_IN_PROGRESS"))
        self.until_state(active, "ACTIVE", ["ROLLBACK_IN_PROGRESS"])
        self.assertNotIn("HsmTypeRollbackExpiration", self.cluster(active))
        other, _ = self.attach()
        self.refused(INVALID, east.modify_cluster, ClusterId=other, HsmType="hsm1.medium")

    def test_tags_are_written_over_listed_in_pages_and_removed(self):
        east = self.client()
        cluster, backup = self.active_cluster()
        for resource in [cluster, backup]:
            east.tag_resource(ResourceId=resource, TagList=tags({f"key{number:02}": "a" for number in range(50)}))
            east.tag_resource(ResourceId=resource, TagList=tags({"key07": "b"}))
            self.refused(LIMIT, east.tag_resource, ResourceId=resource, TagList=tags({"one more": ""}))
            pages = list(east.get_paginator("list_tags").paginate(ResourceId=resource, PaginationConfig={"PageSize": 20}))
            self.assertEqual([len(page["TagList"]) for page in pages], [20, 20, 10])
            listed = as_dict([tag for page in pages for tag in page["TagList"]])
            self.assertEqual((len(listed), listed["key07"], listed["key08"]), (50, "b", "a"))
            keys = [f"key{number:02}" for number in range(1, 50)]
            east.untag_resource(ResourceId=resource, TagKeyList=[*keys, "never there"])
            self.assertEqual(as_dict(east.list_tags(ResourceId=resource)["TagList"]), {"key00": "a"})
        self.assertEqual(as_dict(self.cluster(cluster)["TagList"]), {"key00": "a"})
        self.assertEqual(as_dict(self.backup(backup)["TagList"]), {"key00": "a"})

    def test_two_networks_give_hsms_two_addresses(self):
        cluster = self.empty_cluster(NetworkType="DUALSTACK")
        made = self.client().create_hsm(ClusterId=cluster, AvailabilityZone=f"{EAST}b", IpAddress="10.9.8.7")["Hsm"]
        self.assertEqual((made["EniIp"], made["SubnetId"]), ("10.9.8.7", SUBNETS[1]))
        self.assertIn(":", made["EniIpV6"])
        other = self.empty_cluster()
        taken = {"ClusterId": other, "AvailabilityZone": f"{EAST}a", "IpAddress": "10.9.8.7"}
        self.refused(INVALID, self.client().create_hsm, **taken)
        self.until(lambda: self.hsm(cluster, made["HsmId"])["State"] == "ACTIVE")
        by_address = self.client().delete_hsm(ClusterId=cluster, EniIp="10.9.8.7")
        self.assertEqual(by_address["HsmId"], made["HsmId"])
        self.until(lambda: self.cluster(cluster)["Hsms"] == [])
        second = self.add_hsm(cluster)
        self.client().delete_hsm(ClusterId=cluster, EniId=self.hsm(cluster, second)["EniId"])

    def test_the_aws_cli_walks_the_life_of_a_backup(self):
        cluster, folder = self.attach()
        (folder / "object").write_text("a key")
        (zone,) = self.cluster(cluster)["SubnetMapping"]
        # An HSM of an active cluster comes after a backup.
        self.aws(EAST, "create-hsm", "--cluster-id", cluster, "--availability-zone", zone)
        (backup,) = self.until(lambda: self.ready_backups(cluster))

        copied = self.aws(
            EAST, "copy-backup-to-region", "--backup-id", backup, "--destination-region", WEST,
            "--tag-list", "Key=Name,Value=dr",
        )  # fmt: skip
        self.assertEqual(copied["DestinationBackup"]["SourceBackup"], backup)
        find = ["describe-backups", "--filters", f"sourceBackupIds={backup},states=READY"]
        (copy,) = self.until(lambda: self.aws(WEST, *find)["Backups"])
        self.assertEqual(copy["TagList"], tags({"Name": "dr"}))
        self.assertTrue(self.aws(WEST, "describe-backups", "--filters", "neverExpires=true")["Backups"])
        self.assertEqual(self.aws(EAST, "describe-backups", "--shared")["Backups"], [])

        copy = copy["BackupId"]
        options = ["--hsm-type", "hsm2m.medium", "--subnet-ids", *SUBNETS]
        made = self.aws(WEST, "create-cluster", "--source-backup-id", copy, *options)["Cluster"]["ClusterId"]
        self.until_state(made, "ACTIVE", ["CREATE_IN_PROGRESS", "INITIALIZE_IN_PROGRESS"], WEST)
        self.assertEqual((self.world.path(WEST, made) / "object").read_text(), "a key")
        gone = self.aws(WEST, "delete-backup", "--backup-id", copy)["Backup"]
        self.assertEqual(gone["BackupState"], "PENDING_DELETION")
        self.aws_refused(INVALID, WEST, "delete-backup", "--backup-id", copy)
        self.assertEqual(self.aws(WEST, "restore-backup", "--backup-id", copy)["Backup"]["BackupState"], "READY")
        self.aws_refused(NOT_FOUND, EAST, "delete-backup", "--backup-id", copy)

    def test_everything_that_changes_something_is_recorded(self):
        cluster, backup = self.active_cluster()
        events = self.sql(EAST, "SELECT action, subject FROM event WHERE account = ? ORDER BY id", self.account)
        actions = [action for action, subject in events if {cluster, backup} & set(subject.split())]
        called = [f"cloudhsm:{operation}" for operation in ["CreateCluster", "CreateHsm", "InitializeCluster"]]
        self.assertEqual(actions, ["CreateResource", *called, "CreateBackup", "PublishBackup"])


class Contract(CloudHsmTest):
    """The acceptance list of the contract, 10.4, by its numbers."""

    def test_04_a_request_signed_for_the_name_of_the_host_is_refused(self):
        client = self.client()
        client._request_signer._signing_name = "cloudhsmv2"
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            client.describe_backups()
        self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidSignatureException")

    def test_06_unknown_members_are_ignored(self):
        client = self.client()
        add = lambda params, **_: params.update(body=b'{"Unknown": [1]}')
        client.meta.events.register("before-call.cloudhsm-v2.DescribeBackups", add)
        self.assertEqual(client.describe_backups()["Backups"], [])

    def test_16_a_copy_is_found_by_its_source_in_the_target_only(self):
        cluster, backup = self.active_cluster()
        made = self.client().copy_backup_to_region(DestinationRegion=WEST, BackupId=backup)["DestinationBackup"]
        self.assertEqual(set(made), {"CreateTimestamp", "SourceRegion", "SourceBackup", "SourceCluster"})
        self.assertEqual((made["SourceRegion"], made["SourceBackup"], made["SourceCluster"]), (EAST, backup, cluster))
        (copy,) = self.copies(backup)
        self.assertIn(copy["BackupState"], ["CREATE_IN_PROGRESS", "READY"])
        self.assertEqual((self.copies(backup, EAST), self.copies(backup, IRELAND)), ([], []))
        copy = self.until_ready(copy["BackupId"], WEST)
        self.assertNotEqual(copy["BackupId"], backup)
        self.assertEqual((copy["SourceRegion"], copy["SourceCluster"]), (EAST, cluster))
        self.assertNotIn("ClusterId", copy)
        self.assertEqual(self.backups(cluster, WEST), [], "a copy is not of the cluster of its source")
        # A copy of a copy names the one before it, and the first cluster.
        again = self.copy(copy["BackupId"], IRELAND, WEST)
        self.assertEqual((again["SourceRegion"], again["SourceBackup"]), (WEST, copy["BackupId"]))
        self.assertEqual(again["SourceCluster"], cluster)
        # The same once more is one more copy.
        self.copy(backup)
        self.assertEqual(len(self.copies(backup)), 2)

    def test_17_a_copy_was_made_when_its_source_was_and_copied_later(self):
        _, backup = self.active_cluster()
        copy = self.copy(backup)
        source = self.backup(backup)
        self.assertEqual(copy["CreateTimestamp"], source["CreateTimestamp"])
        self.assertGreater(copy["CopyTimestamp"], copy["CreateTimestamp"])
        again = self.copy(copy["BackupId"], IRELAND, WEST)
        self.assertEqual(again["CreateTimestamp"], source["CreateTimestamp"])
        self.assertGreater(again["CopyTimestamp"], copy["CopyTimestamp"])

    def test_18_tags_that_are_given_replace_those_of_the_source(self):
        _, backup = self.active_cluster()
        self.client().tag_resource(ResourceId=backup, TagList=tags({"Name": "main", "team": "keys"}))
        self.assertEqual(as_dict(self.copy(backup)["TagList"]), {"Name": "main", "team": "keys"})
        self.assertEqual(as_dict(self.copy(backup, TagList=tags({"Name": "dr"}))["TagList"]), {"Name": "dr"})

    def test_19_a_removed_backup_can_be_restored_for_seven_days(self):
        east = self.client()
        _, backup = self.active_cluster()
        before = datetime.datetime.now(datetime.timezone.utc)
        gone = east.delete_backup(BackupId=backup)["Backup"]
        self.assertEqual(gone["BackupState"], "PENDING_DELETION")
        self.assertLess(abs(gone["DeleteTimestamp"] - before - WEEK), datetime.timedelta(seconds=30))
        self.assertEqual(self.backup(backup)["DeleteTimestamp"], gone["DeleteTimestamp"])
        back = east.restore_backup(BackupId=backup)["Backup"]
        self.assertEqual(back["BackupState"], "READY")
        self.assertNotIn("DeleteTimestamp", back)
        self.assertEqual(self.backup(backup)["BackupState"], "READY")
        east.delete_backup(BackupId=backup)
        self.sql(EAST, "UPDATE backup SET expires_at = ? WHERE id = ?", int(time.time() * 1000) - 1, backup)
        self.refused(NOT_FOUND, east.restore_backup, BackupId=backup)
        self.until(lambda: self.backup(backup) is None)
        self.refused(NOT_FOUND, east.restore_backup, BackupId=backup)

    def test_20_retention_spares_the_last_the_exempt_and_copies(self):
        east = self.client()
        cluster, folder = self.attach()
        (folder / "object").write_text("a key")
        exempt, old, older, restored, last = (self.cli("backup", "create", cluster) for _ in range(5))
        east.modify_backup_attributes(BackupId=exempt, NeverExpires=True)
        copy = self.copy(old)["BackupId"]
        east.delete_backup(BackupId=restored)
        for backup, days in [(exempt, 400), (old, 91), (older, 200), (restored, 300), (last, 100)]:
            self.age(backup, days)
        self.age(copy, 400, WEST)
        east.restore_backup(BackupId=restored)
        young = self.cli("backup", "create", cluster)
        states = lambda: {seen["BackupId"]: seen["BackupState"] for seen in self.backups(cluster)}
        # 379 days are the most that a cluster can be told.
        self.client().modify_cluster(ClusterId=cluster, BackupRetentionPolicy={"Type": "DAYS", "Value": "150"})
        pending = {backup for backup, state in states().items() if state == "PENDING_DELETION"}
        self.assertEqual(pending, {older})
        self.client().modify_cluster(ClusterId=cluster, BackupRetentionPolicy={"Type": "DAYS", "Value": "90"})
        pending = {backup for backup, state in states().items() if state == "PENDING_DELETION"}
        self.assertEqual(pending, {older, old, last}, "its age counts from when a backup was restored")
        self.assertEqual(self.backup(copy, WEST)["BackupState"], "READY")
        # What the retention has removed is restored as well, and the age begins anew.
        east.restore_backup(BackupId=old)
        self.sweep(cluster)
        east = self.client()
        self.assertEqual(states()[old], "READY")
        self.assertEqual(self.backup(copy, WEST)["BackupState"], "READY")

        # The last one stays, however old; and the retention outlives the cluster.
        for backup in [exempt, old, restored]:
            east.delete_backup(BackupId=backup)
        second = self.cli("backup", "create", cluster)
        self.age(young, 80)
        self.age(second, 70)
        east.modify_cluster(ClusterId=cluster, BackupRetentionPolicy={"Type": "DAYS", "Value": "60"})
        self.assertEqual((states()[young], states()[second]), ("PENDING_DELETION", "READY"))
        east.restore_backup(BackupId=young)
        east.modify_cluster(ClusterId=cluster, BackupRetentionPolicy={"Type": "DAYS", "Value": "300"})
        east.delete_cluster(ClusterId=cluster)
        self.until(lambda: self.cluster(cluster) is None)
        self.sweep(cluster)
        self.assertEqual((states()[young], states()[second]), ("READY", "READY"))
        self.age(second, 300)
        self.sweep(cluster)
        self.assertEqual((states()[young], states()[second]), ("READY", "PENDING_DELETION"))

    def sweep(self, cluster):
        """Starts the server anew, and waits until its keeper has looked at the retention of a cluster."""
        # Clusters are looked at in the order of their ids.
        sentinel, _ = self.attach()
        while sentinel < cluster:
            sentinel, _ = self.attach()
        old, _ = (self.cli("backup", "create", sentinel) for _ in range(2))
        self.world.stop()
        self.age(old, 100)
        # As if the hour had passed for which one server's look is enough.
        self.sql(EAST, "DELETE FROM meta WHERE key = 'tidied_at'")
        self.world.start()
        self.until(lambda: self.backup(old)["BackupState"] == "PENDING_DELETION")

    def test_21_a_copy_that_failed_is_deleted_to_those_who_ask_for_it(self):
        cluster, folder = self.attach()
        (folder / "object").write_bytes(os.urandom(1 << 20))
        backup = self.cli("backup", "create", cluster)
        self.damage_packs(EAST, self.account)
        west = self.client(WEST)
        self.client().copy_backup_to_region(DestinationRegion=WEST, BackupId=backup)
        (copy,) = self.until(lambda: [seen for seen in self.copies(backup) if seen["BackupState"] == "DELETED"])
        listed = lambda **filters: [seen["BackupId"] for seen in west.describe_backups(Filters=filters)["Backups"]]
        self.assertEqual(listed(backupIds=[copy["BackupId"]]), [copy["BackupId"]])
        self.assertEqual(listed(states=["DELETED"]), [copy["BackupId"]])
        self.assertEqual((listed(), listed(neverExpires=["true"])), ([], []))
        self.refused(NOT_FOUND, west.list_tags, ResourceId=copy["BackupId"])
        # A day later nobody is told any more.
        left = "SELECT expires_at FROM backup WHERE id = ?"
        end = self.until(lambda: self.sql(WEST, left, copy["BackupId"])[0][0])
        self.assertLess(abs(end - time.time() * 1000 - DAY), 60_000)
        self.sql(WEST, "UPDATE backup SET expires_at = 1 WHERE id = ?", copy["BackupId"])
        self.until(lambda: self.copies(backup) == [])

    def test_22_a_cluster_from_a_backup_passes_through_three_states(self):
        cluster, folder = self.attach()
        # Enough to be seen on the way.
        (folder / "object").write_bytes(os.urandom(256 << 20))
        backup = self.cli("backup", "create", cluster)
        made = self.make_cluster(SourceBackupId=backup, Mode=None)
        seen, east = [], self.client()
        while not seen or seen[-1] != "ACTIVE":
            (cluster,) = east.describe_clusters(Filters={"clusterIds": [made]})["Clusters"]
            state = cluster["State"]
            if not seen or seen[-1] != state:
                seen.append(state)
        order = ["CREATE_IN_PROGRESS", "INITIALIZE_IN_PROGRESS", "ACTIVE"]
        self.assertEqual(seen, [state for state in order if state in seen])
        self.assertIn("INITIALIZE_IN_PROGRESS", seen)
        self.assertEqual((self.world.path(EAST, made) / "object").stat().st_size, 256 << 20)


class Listings(CloudHsmTest):
    def test_backups_are_filtered_paged_and_sorted(self):
        east, west = self.client(), self.client(WEST)
        cluster, folder = self.attach()
        other, _ = self.attach()
        taken = [self.cli("backup", "create", cluster) for _ in range(5)]
        apart = self.cli("backup", "create", other)
        east.delete_backup(BackupId=taken[0])
        east.modify_backup_attributes(BackupId=taken[1], NeverExpires=True)

        def found(client=east, **filters):
            return [seen["BackupId"] for seen in client.describe_backups(Filters=filters, SortAscending=True)["Backups"]]

        self.assertEqual(found(), [*taken, apart])
        self.assertEqual(found(clusterIds=[cluster]), taken)
        self.assertEqual(found(clusterIds=[cluster, other, NO_CLUSTER]), [*taken, apart])
        self.assertEqual(found(backupIds=[taken[3], apart, NO_BACKUP]), [taken[3], apart])
        self.assertEqual(found(states=["PENDING_DELETION"]), [taken[0]])
        self.assertEqual(found(states=["READY"], clusterIds=[cluster]), taken[1:])
        self.assertEqual(found(states=["CREATE_IN_PROGRESS", "DELETED"]), [])
        self.assertEqual(found(neverExpires=["TRUE"]), [taken[1]])
        self.assertEqual(found(neverExpires=["false"], clusterIds=[other]), [apart])
        for nothing in [{"backupIds": [NO_BACKUP]}, {"clusterIds": ["nonsense"]}, {"backupIds": []}, {"states": []}]:
            self.assertEqual(found(**nothing), [], nothing)
        self.assertEqual(found(backupIds=[*taken, *(f"backup-{number:0>11}".replace("0", "a") for number in range(2000))]), taken)
        for unknown in [{"ids": ["x"]}, {"BackupIds": taken}, {"states": ["ready"]}, {"neverExpires": ["yes"]}]:
            self.refused(INVALID, east.describe_backups, Filters=unknown)

        newest_first = [seen["BackupId"] for seen in east.describe_backups()["Backups"]]
        self.assertEqual(newest_first, [apart, *reversed(taken)])
        for ascending in [True, False]:
            pages = list(
                east.get_paginator("describe_backups").paginate(
                    SortAscending=ascending, Filters={"clusterIds": [cluster]}, PaginationConfig={"PageSize": 2}
                )
            )
            self.assertEqual([len(page["Backups"]) for page in pages], [2, 2, 1])
            listed = [seen["BackupId"] for page in pages for seen in page["Backups"]]
            self.assertEqual(listed, taken if ascending else taken[::-1])
        token = east.describe_backups(MaxResults=2)["NextToken"]
        self.refused(INVALID, east.describe_backups, MaxResults=2, SortAscending=True, NextToken=token)
        self.refused(INVALID, east.describe_backups, NextToken="nonsense")
        self.assertEqual(len(east.describe_backups(NextToken="")["Backups"]), 6)

        # Copies are in the order of their contents, whenever they were copied.
        copies = [self.copy(backup)["BackupId"] for backup in [taken[4], taken[1], taken[3]]]
        self.assertEqual(found(west), [copies[1], copies[2], copies[0]])
        self.assertEqual(found(west, sourceBackupIds=[taken[4], taken[1]]), [copies[1], copies[0]])
        self.assertEqual(found(west, neverExpires=["false"]), [])

    def test_clusters_are_filtered_and_paged(self):
        east = self.client()
        clusters = sorted([self.attach()[0], self.attach()[0], self.empty_cluster()])
        pages = list(east.get_paginator("describe_clusters").paginate(PaginationConfig={"PageSize": 2}))
        self.assertEqual([[seen["ClusterId"] for seen in page["Clusters"]] for page in pages], [clusters[:2], clusters[2:]])

        def found(**filters):
            return [seen["ClusterId"] for seen in east.describe_clusters(Filters=filters)["Clusters"]]

        network = self.cluster(clusters[0])["VpcId"]
        self.assertEqual(found(vpcIds=[network]), clusters)
        self.assertEqual(found(vpcIds=["vpc-00000000"]), [])
        self.assertEqual(found(clusterIds=[clusters[1], NO_CLUSTER]), [clusters[1]])
        self.assertEqual(len(found(states=["UNINITIALIZED"])), 1)
        self.refused(INVALID, east.describe_clusters, Filters={"backupIds": [NO_BACKUP]})
        self.refused(INVALID, east.describe_clusters, NextToken="nonsense")


class Sharing(CloudHsmTest):
    def policy(self, *accounts, actions=("cloudhsm:DescribeBackups", "cloudhsm:CreateCluster"), effect="Allow"):
        principals = [f"arn:aws:iam::{account}:root" for account in accounts]
        statement = {"Effect": effect, "Principal": {"AWS": principals}, "Action": list(actions), "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def test_a_shared_backup_is_seen_and_used_and_nothing_else(self):
        east = self.client()
        friend, key = self.world.new_account("aws")
        _, stranger_key = self.world.new_account("aws")
        theirs, strangers = self.client(key=key), self.client(key=stranger_key)
        cluster, folder = self.attach()
        (folder / "object").write_text("a key")
        backup = self.cli("backup", "create", cluster)
        east.tag_resource(ResourceId=backup, TagList=tags({"secret": "yes"}))
        arn = self.backup(backup)["BackupArn"]
        self.assertNotIn("Policy", east.get_resource_policy(ResourceArn=arn))
        wanted = {"HsmType": "hsm2m.medium", "SubnetIds": SUBNETS}
        self.refused(DENIED, theirs.create_cluster, SourceBackupId=arn, **wanted)

        policy = self.policy(friend)
        put = east.put_resource_policy(ResourceArn=arn, Policy=policy)
        self.assertEqual((put["ResourceArn"], put["Policy"]), (arn, policy))
        self.assertEqual(east.get_resource_policy(ResourceArn=arn)["Policy"], policy)

        (seen,) = theirs.describe_backups(Shared=True)["Backups"]
        self.assertEqual((seen["BackupId"], seen["BackupArn"], seen["TagList"]), (backup, arn, []))
        self.assertEqual(theirs.describe_backups(Shared=True, Filters={"states": ["CREATE_IN_PROGRESS"]})["Backups"], [])
        self.assertEqual(theirs.describe_backups(Filters={"backupIds": [backup]})["Backups"], [])
        self.assertEqual(strangers.describe_backups(Shared=True)["Backups"], [])
        self.assertEqual(east.describe_backups(Shared=True)["Backups"], [], "one's own is not shared with oneself")
        self.refused(DENIED, strangers.create_cluster, SourceBackupId=arn, **wanted)

        self.refused(NOT_FOUND, theirs.create_cluster, SourceBackupId=backup, **wanted)
        self.refused(NOT_FOUND, theirs.copy_backup_to_region, BackupId=backup, DestinationRegion=WEST)
        self.refused(NOT_FOUND, theirs.delete_backup, BackupId=backup)
        self.refused(NOT_FOUND, theirs.modify_backup_attributes, BackupId=backup, NeverExpires=True)
        self.refused(NOT_FOUND, theirs.get_resource_policy, ResourceArn=arn)
        self.refused(NOT_FOUND, theirs.list_tags, ResourceId=backup)
        made = theirs.create_cluster(SourceBackupId=arn, **wanted)["Cluster"]
        self.assertEqual(made["SourceBackupId"], backup)
        # That it is no longer shared does not take away what was made of it.
        gone = east.delete_resource_policy(ResourceArn=arn)
        self.assertEqual((gone["ResourceArn"], gone["Policy"]), (arn, policy))
        self.assertNotIn("Policy", east.delete_resource_policy(ResourceArn=arn))
        active = {"clusterIds": [made["ClusterId"]], "states": ["ACTIVE"]}
        self.until(lambda: theirs.describe_clusters(Filters=active)["Clusters"])
        self.assertEqual((self.world.path(EAST, made["ClusterId"]) / "object").read_text(), "a key")
        self.assertEqual(theirs.describe_backups(Shared=True)["Backups"], [])
        self.refused(DENIED, theirs.create_cluster, SourceBackupId=arn, **wanted)

    def test_what_a_policy_does_not_allow_is_denied(self):
        east = self.client()
        friend, key = self.world.new_account("aws")
        theirs = self.client(key=key)
        backup = self.cli("backup", "create", self.attach()[0])
        arn = self.backup(backup)["BackupArn"]
        wanted = {"HsmType": "hsm2m.medium", "SubnetIds": SUBNETS, "SourceBackupId": arn}
        east.put_resource_policy(ResourceArn=arn, Policy=self.policy(friend, actions=["cloudhsm:DescribeBackups"]))
        self.assertEqual(len(theirs.describe_backups(Shared=True)["Backups"]), 1)
        self.refused(DENIED, theirs.create_cluster, **wanted)
        east.put_resource_policy(ResourceArn=arn, Policy=self.policy(friend, effect="Deny"))
        self.assertEqual(theirs.describe_backups(Shared=True)["Backups"], [])
        east.put_resource_policy(ResourceArn=arn, Policy=self.policy(friend))
        east.delete_backup(BackupId=backup)
        self.assertEqual(theirs.describe_backups(Shared=True)["Backups"], [], "only what is READY is shared")
        self.refused(DENIED, theirs.create_cluster, **wanted)
        for call in [east.get_resource_policy, east.delete_resource_policy]:
            self.refused(INVALID, call, ResourceArn=arn)
        self.refused(INVALID, east.put_resource_policy, ResourceArn=arn, Policy=self.policy(friend))
        # An ARN of nothing is denied as one of something is, so that nothing is learned from that.
        self.refused(DENIED, theirs.create_cluster, **{**wanted, "SourceBackupId": arn.replace(backup, NO_BACKUP)})


class Refusals(CloudHsmTest):
    def test_every_operation_refuses_by_the_cause(self):
        east = self.client()
        cluster, backup = self.active_cluster()
        empty = self.empty_cluster()
        arn = self.backup(backup)["BackupArn"]
        other_arn = arn.replace(backup, NO_BACKUP)
        policy = json.dumps({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "cloudhsm:*"}})
        new = {"HsmType": "hsm2m.medium", "Mode": "FIPS", "SubnetIds": SUBNETS}
        days = lambda value: {"BackupRetentionPolicy": {"Type": "DAYS", "Value": value}}
        add = {"ClusterId": cluster, "AvailabilityZone": f"{EAST}a"}
        certified = {"SignedCert": CERTIFICATE, "TrustAnchor": CERTIFICATE}
        copied = {"BackupId": backup, "DestinationRegion": WEST}
        for code, call, parameters in [
            (INVALID, east.copy_backup_to_region, {**copied, "BackupId": "nonsense"}),
            (INVALID, east.copy_backup_to_region, {**copied, "DestinationRegion": "US EAST"}),
            (INVALID, east.copy_backup_to_region, {**copied, "TagList": tags({"a": "1"}) * 2}),
            (INVALID, east.copy_backup_to_region, {**copied, "TagList": tags({"aws:a": "1"})}),
            (INVALID, east.copy_backup_to_region, {**copied, "TagList": tags({f"{n}": "" for n in range(51)})}),
            (INVALID, east.copy_backup_to_region, {**copied, "DestinationRegion": "eu-west-9"}),
            (INVALID, east.copy_backup_to_region, {**copied, "DestinationRegion": "cn-north-1"}),
            (INVALID, east.copy_backup_to_region, {**copied, "DestinationRegion": "ap-guangzhou"}),
            (INVALID, east.copy_backup_to_region, {**copied, "DestinationRegion": GOVERNMENT}),
            (INVALID, east.copy_backup_to_region, {**copied, "DestinationRegion": EAST}),
            # Of two faults the region's is told first, as the contract orders them.
            (INVALID, east.copy_backup_to_region, {"BackupId": NO_BACKUP, "DestinationRegion": "eu-west-9"}),
            (INVALID, east.copy_backup_to_region, {"BackupId": NO_BACKUP, "DestinationRegion": "cn-north-1"}),
            (INVALID, east.copy_backup_to_region, {"BackupId": NO_BACKUP, "DestinationRegion": EAST}),
            (NOT_FOUND, east.copy_backup_to_region, {**copied, "BackupId": NO_BACKUP}),
            (NOT_FOUND, self.client(WEST).copy_backup_to_region, {"BackupId": backup, "DestinationRegion": EAST}),
            (INVALID, east.describe_backups, {"MaxResults": 51}),
            (INVALID, east.describe_clusters, {"MaxResults": 26}),
            (INVALID, east.delete_backup, {"BackupId": "nonsense"}),
            (NOT_FOUND, east.delete_backup, {"BackupId": NO_BACKUP}),
            (INVALID, east.restore_backup, {"BackupId": backup}),
            (NOT_FOUND, east.restore_backup, {"BackupId": NO_BACKUP}),
            (INVALID, east.modify_backup_attributes, {"BackupId": "nonsense", "NeverExpires": True}),
            (NOT_FOUND, east.modify_backup_attributes, {"BackupId": NO_BACKUP, "NeverExpires": True}),
            (INVALID, east.create_cluster, {**new, "HsmType": "hsm9.large"}),
            (INVALID, east.create_cluster, {**new, "HsmType": "hsm1.medium", "Mode": "NON_FIPS"}),
            (INVALID, east.create_cluster, {"HsmType": "hsm2m.medium", "SubnetIds": SUBNETS}),
            (INVALID, east.create_cluster, {**new, "SubnetIds": SUBNETS[:1] * 2}),
            (INVALID, east.create_cluster, {**new, **days("6")}),
            (INVALID, east.create_cluster, {**new, **days("380")}),
            (INVALID, east.create_cluster, {**new, "TagList": tags({"aws:a": ""})}),
            (INVALID, east.create_cluster, {**new, "SourceBackupId": backup, "Mode": "NON_FIPS"}),
            (INVALID, east.create_cluster, {**new, "SourceBackupId": backup, "HsmType": "hsm1.medium"}),
            (NOT_FOUND, east.create_cluster, {**new, "SourceBackupId": NO_BACKUP}),
            (NOT_FOUND, east.create_cluster, {**new, "SourceBackupId": arn.replace(EAST, WEST)}),
            (DENIED, east.create_cluster, {**new, "SourceBackupId": arn.replace(self.account, "111122223333")}),
            (INVALID, east.modify_cluster, {"ClusterId": cluster}),
            (INVALID, east.modify_cluster, {"ClusterId": cluster, **days("5")}),
            (INVALID, east.modify_cluster, {"ClusterId": cluster, "HsmType": "hsm1.medium"}),
            (NOT_FOUND, east.modify_cluster, {"ClusterId": NO_CLUSTER, **days("7")}),
            (INVALID, east.delete_cluster, {"ClusterId": cluster}),
            (NOT_FOUND, east.delete_cluster, {"ClusterId": NO_CLUSTER}),
            (INVALID, east.initialize_cluster, {"ClusterId": cluster, **certified}),
            (INVALID, east.initialize_cluster, {"ClusterId": empty, **certified}),
            (INVALID, east.initialize_cluster, {"ClusterId": empty, "SignedCert": "{}", "TrustAnchor": CERTIFICATE}),
            (NOT_FOUND, east.initialize_cluster, {"ClusterId": NO_CLUSTER, **certified}),
            (INVALID, east.create_hsm, {**add, "AvailabilityZone": f"{EAST}c"}),
            (INVALID, east.create_hsm, {**add, "IpAddress": "10.0.0.256"}),
            (NOT_FOUND, east.create_hsm, {**add, "ClusterId": NO_CLUSTER}),
            (INVALID, east.delete_hsm, {"ClusterId": cluster}),
            (INVALID, east.delete_hsm, {"ClusterId": cluster, "HsmId": NO_HSM, "EniIp": "10.0.0.4"}),
            (NOT_FOUND, east.delete_hsm, {"ClusterId": cluster, "HsmId": NO_HSM}),
            (NOT_FOUND, east.delete_hsm, {"ClusterId": NO_CLUSTER, "HsmId": NO_HSM}),
            (INVALID, east.tag_resource, {"ResourceId": NO_HSM, "TagList": tags({"a": ""})}),
            (INVALID, east.tag_resource, {"ResourceId": cluster, "TagList": tags({"a": ""}) * 2}),
            (INVALID, east.tag_resource, {"ResourceId": cluster, "TagList": tags({"a!": ""})}),
            (NOT_FOUND, east.tag_resource, {"ResourceId": NO_CLUSTER, "TagList": tags({"a": ""})}),
            (NOT_FOUND, east.tag_resource, {"ResourceId": NO_BACKUP, "TagList": tags({"a": ""})}),
            (INVALID, east.untag_resource, {"ResourceId": cluster, "TagKeyList": ["aws:a"]}),
            (NOT_FOUND, east.untag_resource, {"ResourceId": NO_BACKUP, "TagKeyList": ["a"]}),
            (INVALID, east.list_tags, {"ResourceId": cluster, "MaxResults": 101}),
            (NOT_FOUND, east.list_tags, {"ResourceId": NO_CLUSTER}),
            (NOT_FOUND, east.list_tags, {"ResourceId": NO_BACKUP}),
            (INVALID, east.put_resource_policy, {}),
            (INVALID, east.put_resource_policy, {"ResourceArn": arn}),
            (INVALID, east.put_resource_policy, {"ResourceArn": arn, "Policy": "{"}),
            (INVALID, east.put_resource_policy, {"ResourceArn": arn.replace(backup, cluster), "Policy": policy}),
            (NOT_FOUND, east.put_resource_policy, {"ResourceArn": other_arn, "Policy": policy}),
            (INVALID, east.get_resource_policy, {}),
            (NOT_FOUND, east.get_resource_policy, {"ResourceArn": other_arn}),
            (NOT_FOUND, east.get_resource_policy, {"ResourceArn": arn.replace(EAST, WEST)}),
            (INVALID, east.delete_resource_policy, {}),
            (NOT_FOUND, east.delete_resource_policy, {"ResourceArn": other_arn}),
        ]:
            with self.subTest(code=code, call=call.__name__, parameters=parameters):
                self.refused(code, call, **parameters)
        self.assertEqual([seen["State"] for seen in east.describe_clusters()["Clusters"]].count("ACTIVE"), 1)

    def test_every_constraint_of_the_model(self):
        self.assert_constraints(INVALID)

    def test_all_failed_constraints_are_named_together(self):
        wanted = {"BackupId": "nonsense", "DestinationRegion": "US EAST"}
        self.assertRegex(self.refused(INVALID, self.client().copy_backup_to_region, **wanted), "^2 validation errors detected: ")

    def test_only_the_certificate_for_its_own_request_initializes_a_cluster(self):
        east = self.client()
        cluster, other = self.empty_cluster(), self.empty_cluster()
        wanted = {"ClusterId": cluster, "SignedCert": CERTIFICATE, "TrustAnchor": CERTIFICATE}
        self.assertIn("no HSM", self.refused(INVALID, east.initialize_cluster, **wanted))
        for one in [cluster, other]:
            self.add_hsm(one)
        signed, anchor = self.certificates(self.cluster(cluster)["Certificates"]["ClusterCsr"])
        foreign, _ = self.certificates(self.cluster(other)["Certificates"]["ClusterCsr"])
        for wrong in [(foreign, anchor), (anchor, anchor), (signed, signed), (signed, foreign), (CERTIFICATE, anchor)]:
            wanted = {"ClusterId": cluster, "SignedCert": wrong[0], "TrustAnchor": wrong[1]}
            self.refused(INVALID, east.initialize_cluster, **wanted)
        self.assertEqual(self.cluster(cluster)["State"], "UNINITIALIZED")
        more = {"ClusterId": cluster, "AvailabilityZone": f"{EAST}b"}
        message = self.refused(INVALID, east.create_hsm, **more)
        self.assertEqual(message, f"Cluster '{cluster}' already contains an HSM but has not yet been fully activated")
        east.initialize_cluster(ClusterId=cluster, SignedCert=signed, TrustAnchor=anchor)
        wanted = {"ClusterId": cluster, "SignedCert": signed, "TrustAnchor": anchor}
        self.refused(INVALID, east.initialize_cluster, **wanted)

    def test_a_source_in_use_is_not_removed(self):
        east = self.client()
        cluster, folder = self.attach()
        (folder / "object").write_bytes(os.urandom(1 << 20))
        backup = self.cli("backup", "create", cluster)
        # The copy cannot go on while its target's store is away.
        back = self.away(IRELAND)
        east.copy_backup_to_region(BackupId=backup, DestinationRegion=IRELAND)
        self.assertIn("copied", self.refused(INVALID, east.delete_backup, BackupId=backup))
        back()
        (copy,) = self.copies(backup, IRELAND)
        self.until_ready(copy["BackupId"], IRELAND)
        # The source is let go a moment later.
        self.until(lambda: self.told(east.delete_backup, {"BackupId": backup})[0] is None)
        self.cli("backup", "verify", copy["BackupId"], "--read-data")

    def test_another_accounts_ids_are_unknown_ids(self):
        cluster, backup = self.active_cluster()
        (hsm,) = self.cluster(cluster)["Hsms"]
        arn = self.backup(backup)["BackupArn"]
        _, key = self.world.new_account("aws")
        theirs = self.client(key=key)
        own = theirs.create_cluster(HsmType="hsm2m.medium", Mode="FIPS", SubnetIds=SUBNETS)["Cluster"]["ClusterId"]
        self.until(lambda: theirs.describe_clusters()["Clusters"][0]["State"] == "UNINITIALIZED")
        certified = {"SignedCert": CERTIFICATE, "TrustAnchor": CERTIFICATE}
        policy = json.dumps({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "cloudhsm:*"}})
        restored = {"HsmType": "hsm2m.medium", "SubnetIds": SUBNETS}
        filters = [{"backupIds": [backup]}, {"clusterIds": [cluster]}, {"sourceBackupIds": [backup]}]
        refused = [
            (theirs.copy_backup_to_region, {"BackupId": backup, "DestinationRegion": WEST}),
            (theirs.delete_backup, {"BackupId": backup}),
            (theirs.restore_backup, {"BackupId": backup}),
            (theirs.modify_backup_attributes, {"BackupId": backup, "NeverExpires": True}),
            (theirs.create_cluster, {**restored, "SourceBackupId": backup}),
            (theirs.modify_cluster, {"ClusterId": cluster, "HsmType": "hsm2m.medium"}),
            (theirs.delete_cluster, {"ClusterId": cluster}),
            (theirs.initialize_cluster, {"ClusterId": cluster, **certified}),
            (theirs.create_hsm, {"ClusterId": cluster, "AvailabilityZone": f"{EAST}a"}),
            *((theirs.delete_hsm, {"ClusterId": id, "HsmId": hsm["HsmId"]}) for id in [cluster, own]),
            *((theirs.delete_hsm, {"ClusterId": id, "EniId": hsm["EniId"]}) for id in [cluster, own]),
            *((theirs.delete_hsm, {"ClusterId": id, "EniIp": hsm["EniIp"]}) for id in [cluster, own]),
            *((theirs.tag_resource, {"ResourceId": id, "TagList": tags({"a": ""})}) for id in [cluster, backup]),
            *((theirs.untag_resource, {"ResourceId": id, "TagKeyList": ["a"]}) for id in [cluster, backup]),
            *((theirs.list_tags, {"ResourceId": id}) for id in [cluster, backup]),
            (theirs.put_resource_policy, {"ResourceArn": arn, "Policy": policy}),
            (theirs.get_resource_policy, {"ResourceArn": arn}),
            (theirs.delete_resource_policy, {"ResourceArn": arn}),
        ]
        listed = [
            *((theirs.describe_backups, {"Filters": one, "Shared": shared}) for one in filters for shared in [False, True]),
            (theirs.describe_clusters, {"Filters": {"clusterIds": [cluster]}}),
        ]
        unknown = {backup: NO_BACKUP, cluster: NO_CLUSTER, hsm["HsmId"]: NO_HSM}
        unknown |= {hsm["EniId"]: "eni-00000000", hsm["EniIp"]: "10.0.200.200"}
        holdings = lambda: [self.told(call, {}) for call in [self.client().describe_backups, self.client().describe_clusters]]
        before = holdings()
        rows = [*((NOT_FOUND, *row) for row in refused), *((None, *row) for row in listed)]
        rows.append((DENIED, theirs.create_cluster, {**restored, "SourceBackupId": arn}))
        self.assert_unknown(rows, unknown, {"SubnetIds"})
        self.assertEqual(holdings(), before)

    def test_a_region_without_the_service_says_so(self):
        for region, code in [("cn-north-1", "OptInRequired"), ("ap-guangzhou", "InvalidSignatureException")]:
            with self.assertRaises(botocore.exceptions.ClientError) as caught:
                self.client(region).describe_backups()
            self.assertEqual(caught.exception.response["Error"]["Code"], code)

    def test_a_catalog_that_is_damaged_or_away_is_the_servers_fault(self):
        east = self.client()
        cluster, backup = self.active_cluster()
        arn = self.backup(backup)["BackupArn"]
        certified = {"SignedCert": CERTIFICATE, "TrustAnchor": CERTIFICATE}
        policy = json.dumps({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "cloudhsm:*"}})
        calls = [
            (east.copy_backup_to_region, {"BackupId": backup, "DestinationRegion": WEST}),
            (east.describe_backups, {}),
            (east.delete_backup, {"BackupId": backup}),
            (east.restore_backup, {"BackupId": backup}),
            (east.modify_backup_attributes, {"BackupId": backup, "NeverExpires": True}),
            (east.create_cluster, {"HsmType": "hsm2m.medium", "SubnetIds": SUBNETS, "SourceBackupId": backup}),
            (east.describe_clusters, {}),
            (east.modify_cluster, {"ClusterId": cluster, "HsmType": "hsm2m.medium"}),
            (east.delete_cluster, {"ClusterId": cluster}),
            (east.initialize_cluster, {"ClusterId": cluster, **certified}),
            (east.create_hsm, {"ClusterId": cluster, "AvailabilityZone": f"{EAST}a"}),
            (east.delete_hsm, {"ClusterId": cluster, "HsmId": NO_HSM}),
            (east.tag_resource, {"ResourceId": cluster, "TagList": tags({"a": ""})}),
            (east.untag_resource, {"ResourceId": backup, "TagKeyList": ["a"]}),
            (east.list_tags, {"ResourceId": backup}),
            (east.put_resource_policy, {"ResourceArn": arn, "Policy": policy}),
            (east.get_resource_policy, {"ResourceArn": arn}),
            (east.delete_resource_policy, {"ResourceArn": arn}),
        ]
        tables = ["resource", "backup"]
        keys = [self.sql(EAST, f"SELECT kms_key FROM {table} WHERE account = ?", self.account)[0] for table in tables]

        def name_keys(keys):
            for table, (key,) in zip(tables, keys):
                self.sql(EAST, f"UPDATE {table} SET kms_key = ? WHERE account = ?", key, self.account)

        @contextlib.contextmanager
        def damaged():
            name_keys([["no key"]] * 2)
            try:
                yield
            finally:
                name_keys(keys)

        # One that is away may be back at the next call.
        for code, harm in [(INTERNAL, damaged()), (SERVICE, self.world.catalogs.away(EAST))]:
            with harm:
                for call, parameters in calls:
                    with self.subTest(code=code, call=call.__name__):
                        said = self.refused(code, call, **parameters)
                        self.assertNotRegex(said, "key|table|JSON", "the details stay in the log")
        self.assertEqual(self.cluster(cluster)["State"], "ACTIVE")


class Limits(CloudHsmTest):
    def at_once(self, count, call):
        """Calls so often at the same time; what was accepted, and the codes of what was not."""

        def one(number):
            try:
                return call(number), None
            except botocore.exceptions.ClientError as error:
                return None, error.response["Error"]["Code"]

        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            outcomes = list(pool.map(one, range(count)))
        return [made for made, code in outcomes if code is None], [code for _, code in outcomes if code]

    def test_of_many_clusters_at_once_four_are_made(self):
        east = self.client()
        wanted = {"HsmType": "hsm2m.medium", "Mode": "FIPS", "SubnetIds": SUBNETS}
        made, refused = self.at_once(20, lambda _: east.create_cluster(**wanted)["Cluster"]["ClusterId"])
        self.assertEqual((len(made), set(refused)), (4, {INVALID}))
        self.assertEqual({seen["ClusterId"] for seen in east.describe_clusters()["Clusters"]}, set(made))
        # Of those that were refused nothing is left.
        folders = self.world.config.parent / EAST / "resources"
        rows = {id for (id,) in self.sql(EAST, "SELECT id FROM resource")}
        self.assertLessEqual({path.name for path in folders.iterdir() if path.is_dir()}, rows)
        # Another region has places of its own, and a place is free again once a cluster is gone.
        self.empty_cluster(WEST)
        self.until_state(made[0], "UNINITIALIZED", ["CREATE_IN_PROGRESS"])
        east.delete_cluster(ClusterId=made[0])
        self.until(lambda: self.cluster(made[0]) is None)
        self.make_cluster()

    def test_of_many_hsms_at_once_six_are_made(self):
        east = self.client()
        first, second = self.attach()[0], self.attach()[0]
        (zone,) = self.cluster(first)["SubnetMapping"]

        def add(number):
            return east.create_hsm(ClusterId=[first, second][number % 2], AvailabilityZone=zone)["Hsm"]

        made, refused = self.at_once(16, add)
        self.assertEqual((len(made), set(refused)), (6, {INVALID}))
        self.assertEqual(len({hsm["EniIp"] for hsm in made}), 6)
        count = lambda: sum(len(self.cluster(cluster)["Hsms"]) for cluster in [first, second])
        self.assertEqual(count(), 6)
        states = lambda: {hsm["State"] for one in [first, second] for hsm in self.cluster(one)["Hsms"]}
        self.until(lambda: states() == {"ACTIVE"})
        # Each has come with a backup.
        self.assertEqual(len(self.ready_backups(first)) + len(self.ready_backups(second)), 6)
        (cluster,) = {hsm["ClusterId"] for hsm in made if hsm["HsmId"] == made[0]["HsmId"]}
        gone, refused = self.at_once(8, lambda _: east.delete_hsm(ClusterId=cluster, HsmId=made[0]["HsmId"]))
        self.assertEqual((len(gone), set(refused)), (1, {INVALID}))
        self.until(lambda: count() == 5)

    def test_limits_are_an_accounts_own(self):
        self.limited(self.account, cloudhsm_clusters=1, cloudhsm_hsms_per_cluster=2)
        cluster, _ = self.attach()
        wanted = {"HsmType": "hsm2m.medium", "Mode": "FIPS", "SubnetIds": SUBNETS}
        self.assertIn("1 clusters", self.refused(INVALID, self.client().create_cluster, **wanted))
        for _ in range(2):
            self.client().create_hsm(ClusterId=cluster, AvailabilityZone=f"{EAST}a")
        more = {"ClusterId": cluster, "AvailabilityZone": f"{EAST}a"}
        self.assertIn("2 HSMs", self.refused(INVALID, self.client().create_hsm, **more))

    def test_a_cluster_is_not_both_removed_and_grown(self):
        east = self.client()
        for _ in range(8):
            cluster = self.empty_cluster()
            calls = [
                lambda: east.create_hsm(ClusterId=cluster, AvailabilityZone=f"{EAST}a"),
                lambda: east.delete_cluster(ClusterId=cluster),
            ]
            accepted, refused = self.at_once(2, lambda number: calls[number]())
            self.assertEqual((len(accepted), refused[0] in (INVALID, NOT_FOUND)), (1, True), refused)
            if "Hsm" in accepted[0]:
                hsm = accepted[0]["Hsm"]["HsmId"]
                self.until(lambda: self.hsm(cluster, hsm)["State"] == "ACTIVE")
                east.delete_hsm(ClusterId=cluster, HsmId=hsm)
                self.until(lambda: self.cluster(cluster)["Hsms"] == [])
                east.delete_cluster(ClusterId=cluster)
            self.until(lambda: self.cluster(cluster) is None)


class Keeping(CloudHsmTest):
    """What goes on by itself, also over crashes."""

    def test_a_daily_backup_is_taken_once_by_two_servers(self):
        cluster, _ = self.attach()
        soon = self.sql(EAST, "SELECT next_backup_at FROM resource WHERE id = ?", cluster)[0][0]
        self.assertLess(abs(soon - time.time() * 1000 - DAY), 60_000)
        self.start_another_server()
        for round in range(1, 4):
            self.make_daily_due(cluster)
            self.until_daily_taken(cluster)
            self.until(lambda: self.ready_backups(cluster))
            self.assertEqual(len(self.backups(cluster)), round)

    def test_a_daily_backup_is_taken_once_however_often_the_server_is_killed(self):
        cluster, _ = self.attach()
        self.world.stop(9)
        self.make_daily_due(cluster)
        for _ in range(3):
            self.world.start()
            self.world.stop(9)
        self.world.start()
        self.until_daily_taken(cluster)
        self.until(lambda: self.ready_backups(cluster))
        # As a crash right after a backup is accepted leaves it.
        self.world.stop(9)
        (token,) = self.sql(EAST, "SELECT token FROM request_token WHERE account = ?", self.account)[0]
        at = datetime.datetime.fromtimestamp(int(token.split("/")[-1]) / 1000, datetime.UTC)
        due = {"daily": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        attributes = json.dumps({**self.attributes(cluster), "owed": [due]})
        self.sql(EAST, "UPDATE resource SET pending = 1, attributes = ? WHERE id = ?", attributes, cluster)
        self.world.start()
        self.until_daily_taken(cluster)
        self.assertEqual(len(self.backups(cluster)), 1)

    def test_clusters_that_are_not_active_have_no_daily_backup(self):
        cluster = self.empty_cluster()
        self.assertEqual(self.sql(EAST, "SELECT next_backup_at FROM resource WHERE id = ?", cluster), [(None,)])
        active, backup = self.active_cluster()
        self.make_daily_due(active)
        self.until(lambda: len(self.ready_backups(active)) == 2)

    def test_a_server_killed_in_the_middle_of_a_backup_goes_on(self):
        cluster, folder = self.attach()
        (folder / "object").write_bytes(os.urandom(256 << 20))
        (zone,) = self.cluster(cluster)["SubnetMapping"]
        self.client().create_hsm(ClusterId=cluster, AvailabilityZone=zone)
        states = "SELECT state FROM backup WHERE account = ?"
        self.until(lambda: self.sql(EAST, states, self.account))
        self.world.stop(9)
        self.assertEqual(self.sql(EAST, states, self.account), [("CREATING",)])
        # As if another server were at work on it, so that it does not end while that is looked at.
        lease = "UPDATE backup SET lease_owner = 'another', lease_expires_at = ? WHERE account = ?"
        self.sql(EAST, lease, int(time.time() * 1000) + DAY, self.account)
        self.world.start()
        (hsm,) = self.cluster(cluster)["Hsms"]
        self.assertEqual(hsm["State"], "CREATE_IN_PROGRESS", "it waits for its backup")
        self.assertEqual(self.cluster(cluster)["State"], "UPDATE_IN_PROGRESS")
        self.sql(EAST, lease, 0, self.account)
        self.until(lambda: self.cluster(cluster)["Hsms"][0]["State"] == "ACTIVE")
        (backup,) = self.ready_backups(cluster)
        self.cli("backup", "verify", backup, "--read-data")

    def test_a_server_killed_in_the_middle_of_a_copy_goes_on(self):
        cluster, folder = self.attach()
        (folder / "object").write_bytes(os.urandom(256 << 20))
        backup = self.cli("backup", "create", cluster)
        at_once = self.slowly_into(WEST)
        self.client().copy_backup_to_region(DestinationRegion=WEST, BackupId=backup)
        self.world.stop(9)
        at_once()
        states = "SELECT state FROM backup WHERE account = ?"
        self.assertEqual(self.sql(WEST, states, self.account), [("COPYING",)])
        self.world.start()
        (copy,) = self.copies(backup)
        self.until_ready(copy["BackupId"], WEST)
        self.cli("backup", "verify", copy["BackupId"], "--read-data")

    def test_a_cluster_comes_to_life_over_kills_at_every_step(self):
        def kill():
            self.world.stop(9)
            self.world.start()

        cluster = self.make_cluster()
        kill()
        self.until_state(cluster, "UNINITIALIZED", ["CREATE_IN_PROGRESS"])
        hsm = self.client().create_hsm(ClusterId=cluster, AvailabilityZone=f"{EAST}a")["Hsm"]["HsmId"]
        kill()
        self.until(lambda: self.hsm(cluster, hsm)["State"] == "ACTIVE")
        self.initialize(cluster)
        kill()
        self.until_state(cluster, "ACTIVE", ["INITIALIZE_IN_PROGRESS", "INITIALIZED"])
        kill()
        (backup,) = self.until(lambda: self.ready_backups(cluster))
        restored = self.make_cluster(SourceBackupId=backup)
        kill()
        self.until_state(restored, "ACTIVE", ["CREATE_IN_PROGRESS", "INITIALIZE_IN_PROGRESS"])
        self.client().delete_hsm(ClusterId=cluster, HsmId=hsm)
        kill()
        self.until(lambda: self.cluster(cluster)["Hsms"] == [])
        self.assertEqual(len(self.ready_backups(cluster)), 2)
        self.client().delete_cluster(ClusterId=cluster)
        kill()
        self.until(lambda: self.cluster(cluster) is None)
        self.assertEqual(len(self.ready_backups(cluster)), 2)

    def test_an_hsm_stays_when_its_backup_fails(self):
        cluster, folder = self.attach()
        zone = next(iter(self.cluster(cluster)["SubnetMapping"]))
        hsm = self.add_hsm_in(cluster, zone)
        folder.rename(folder.with_name(f"{folder.name} away"))
        self.client().delete_hsm(ClusterId=cluster, HsmId=hsm)
        self.until(lambda: self.hsm(cluster, hsm)["State"] == "ACTIVE")
        self.assertIn("The backup of the cluster failed", self.hsm(cluster, hsm)["StateMessage"])
        gone = self.client().describe_backups(Filters={"clusterIds": [cluster], "states": ["DELETED"]})["Backups"]
        self.assertEqual(len(gone), 1)
        folder.with_name(f"{folder.name} away").rename(folder)
        self.client().delete_hsm(ClusterId=cluster, HsmId=hsm)
        self.until(lambda: self.cluster(cluster)["Hsms"] == [])

    def add_hsm_in(self, cluster, zone):
        made = self.client().create_hsm(ClusterId=cluster, AvailabilityZone=zone)["Hsm"]["HsmId"]
        self.until(lambda: self.hsm(cluster, made)["State"] == "ACTIVE")
        return made

    def test_no_secret_is_in_a_row_a_reply_or_the_log(self):
        cluster = self.empty_cluster()
        self.add_hsm(cluster)
        key = (self.world.path(EAST, cluster) / "cluster.key").read_text()
        self.assertIn("PRIVATE KEY", key)
        self.assertEqual((self.world.path(EAST, cluster) / "cluster.key").stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.world.path(EAST, "hardware.json").stat().st_mode & 0o777, 0o600)
        said = json.dumps(self.cluster(cluster), default=str)
        said += "".join(text for (text,) in self.sql(EAST, "SELECT attributes FROM resource"))
        said += self.world.said()
        self.assertNotIn("PRIVATE", said)
        self.assertNotIn(key.splitlines()[1], said)


class Away(CloudHsmTest):
    """A world of its own: one of its regions cannot be opened."""

    def test_a_target_that_cannot_be_reached_is_a_fault_of_the_service(self):
        self.needs_directories()
        cluster, _ = self.attach()
        backup = self.cli("backup", "create", cluster)
        west = self.world.config.parent / WEST
        self.world.stop()
        west.rename(west.with_name("aside"))
        self.world.start()
        self.refused(SERVICE, self.client().copy_backup_to_region, BackupId=backup, DestinationRegion=WEST)
        west.with_name("aside").rename(west)
        self.world.stop()
        self.world.start()
        self.copy(backup)


class Model(CloudHsmTest):
    def all_modelled_errors_were_reached(self):
        self.assert_all_reached(UNREACHED)


def load_tests(_loader, tests, _pattern):
    """Of the whole file: the model is looked at when all its tables have been gone through."""
    tests.addTest(Model("all_modelled_errors_were_reached"))
    return tests


if __name__ == "__main__":
    unittest.main()
