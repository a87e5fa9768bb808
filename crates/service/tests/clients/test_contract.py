"""The contract's acceptance list: one test for each line about FSx and CBS, by its number.

The lines about the wire and authentication, 1 to 6, are in `../e2e/api/`; those about CloudHSM, 16 to 22, in `test_cloudhsm.py`.
"""

import base64
import os
import re
import unittest
import urllib.request
import uuid

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from aws import EAST, IRELAND, WEST, as_dict, tags
from tencent import BEIJING
from test_cbs import CbsTest
from test_fsx import DailyBackups

SHANGHAI = "ap-shanghai"


class Fsx(DailyBackups):
    def copy_fails(self, region, **wanted):
        return self.refused("ServiceLimitExceeded", self.client(region).copy_backup, **wanted)["Limit"]

    def count(self, name):
        (count,) = re.findall(rf"^{name} (\d+)", self.get("/metrics"), re.M) or ["0"]
        return int(count)

    def moved_by(self, backup, **wanted):
        """A copy, and the bytes that it has sent by the server's own count, which follows."""
        copies, moved = self.count("offsite_copies_total"), self.count("offsite_copy_moved_bytes_total")
        copy = self.copy(backup, **wanted)
        self.until(lambda: self.count("offsite_copies_total") > copies)
        return copy, self.count("offsite_copy_moved_bytes_total") - moved

    def get(self, path):
        with urllib.request.urlopen(self.world.endpoint + path, timeout=10) as reply:
            return reply.read().decode()

    def test_07_the_sixth_copy_in_progress_into_a_region_is_refused(self):
        wanted = {"SourceBackupId": self.take(self.file_system()), "SourceRegion": EAST}
        back = self.away(IRELAND)
        made = [self.client(IRELAND).copy_backup(**wanted)["Backup"]["BackupId"] for _ in range(5)]
        self.assertEqual(self.copy_fails(IRELAND, **wanted), "TOTAL_IN_PROGRESS_COPY_BACKUPS")
        self.copy(wanted["SourceBackupId"], WEST)
        back()
        self.available(made[0], IRELAND)
        self.until(lambda: all(self.backup(copy, IRELAND)["Lifecycle"] == "AVAILABLE" for copy in made))
        self.copy(wanted["SourceBackupId"], IRELAND)

    def test_08_a_token_gives_the_same_copy_in_its_present_state(self):
        wanted = {"SourceBackupId": self.take(self.file_system()), "SourceRegion": EAST}
        wanted["ClientRequestToken"] = str(uuid.uuid4())
        west = self.client(WEST)
        first = west.copy_backup(**wanted)["Backup"]
        self.assertEqual(first["Lifecycle"], "COPYING")
        self.available(first["BackupId"], WEST)
        again = west.copy_backup(**wanted)["Backup"]
        self.assertEqual((again["BackupId"], again["Lifecycle"]), (first["BackupId"], "AVAILABLE"))
        refusal = self.refused("IncompatibleParameterError", west.copy_backup, **wanted, CopyTags=True)
        self.assertEqual(refusal["Parameter"], "CopyTags")

    def test_09_tags_of_a_copy(self):
        file_system = self.file_system()
        backup = self.take(file_system, Tags=tags({"a": "1", "b": "2"}))
        tags_of = lambda **wanted: as_dict(self.backup(self.copy(backup, **wanted), WEST).get("Tags"))
        self.assertEqual(tags_of(), {})
        self.assertEqual(tags_of(CopyTags=True), {"a": "1", "b": "2"})
        self.assertEqual(tags_of(CopyTags=True, Tags=tags({"b": "3"})), {"a": "1", "b": "3"})
        self.assertEqual(tags_of(Tags=tags({"b": "3"})), {"b": "3"})
        wanted = {"SourceBackupId": self.take(file_system, Tags=tags({f"k{n}": "v" for n in range(30)}))}
        more = tags({f"m{n}": "v" for n in range(21)})
        self.assertEqual(self.copy_fails(WEST, **wanted, SourceRegion=EAST, CopyTags=True, Tags=more), "TOTAL_USER_TAGS")

    def test_10_a_source_cannot_be_deleted_while_it_is_copied(self):
        file_system = self.file_system()
        (self.world.path(EAST, file_system) / "file").write_text("kept")
        backup = self.take(file_system)
        back = self.away(IRELAND)
        copy = self.client(IRELAND).copy_backup(SourceBackupId=backup, SourceRegion=EAST)["Backup"]["BackupId"]
        refusal = self.refused("BackupBeingCopied", self.client().delete_backup, BackupId=backup)
        self.assertEqual(refusal["BackupId"], backup)
        back()
        self.available(copy, IRELAND)
        self.client().delete_backup(BackupId=backup)
        self.assertEqual(self.world.cli("backup", "cat", copy, "file"), "kept")

    def test_11_later_copies_move_only_what_the_target_lacks(self):
        file_system = self.file_system()
        folder = self.world.path(EAST, file_system)
        (folder / "first").write_bytes(os.urandom(4 << 20))
        first, full = self.moved_by(self.take(file_system))
        self.assertGreater(full, 4 << 20)
        (folder / "second").write_bytes(os.urandom(1 << 20))
        backup = self.take(file_system)
        second, little = self.moved_by(backup)
        self.assertTrue(1 << 20 < little < 2 << 20, little)
        for copy in [first, second]:
            self.client(WEST).delete_backup(BackupId=copy)
        _, little = self.moved_by(backup)
        self.assertLess(little, 1 << 18, "the packs of the deleted copies are there")
        _, little = self.moved_by(backup, KmsKeyId=self.world.cli("kms", "create", "--region", WEST))
        self.assertLess(little, 1 << 18, "another key moves no data")

    def test_13_unknown_ids_fail_filters_never_do_and_pages_make_the_whole(self):
        east, file_system = self.client(), self.file_system()
        taken = [self.take(file_system) for _ in range(5)]
        unknown = "backup-00000000000000000"
        self.refused("BackupNotFound", east.describe_backups, BackupIds=[taken[0], unknown])
        for name, value in [("file-system-id", "fs-00000000000000000"), ("volume-id", "nonsense")]:
            self.assertEqual(east.describe_backups(Filters=[{"Name": name, "Values": [value]}])["Backups"], [])
        found, more = [], {}
        while True:
            filters = [{"Name": "file-system-id", "Values": [file_system]}]
            page = east.describe_backups(Filters=filters, MaxResults=2, **more)
            found += [backup["BackupId"] for backup in page["Backups"]]
            if "NextToken" not in page:
                break
            more = {"NextToken": page["NextToken"]}
            self.assertLessEqual(len(page["NextToken"]), 255)
            self.assertEqual(len(page["NextToken"]) % 4, 0)
            base64.b64decode(page["NextToken"], validate=True)
        self.assertEqual(found, taken[::-1])

    def test_15_a_final_backup_is_taken_by_default_but_not_for_lustre(self):
        east = self.client()
        windows = {"FileSystemType": "WINDOWS", "StorageCapacity": 32, "OpenZFSConfiguration": None}
        windows["WindowsConfiguration"] = {
            "ThroughputCapacity": 8,
            "DeploymentType": "SINGLE_AZ_1",
            "ActiveDirectoryId": "d-0123456789",
        }
        lustre = {"FileSystemType": "LUSTRE", "StorageCapacity": 1200, "OpenZFSConfiguration": None}
        lustre["LustreConfiguration"] = {"DeploymentType": "PERSISTENT_1", "PerUnitStorageThroughput": 50}
        for wanted, reply, expected in [
            (windows, "WindowsResponse", True),
            ({}, "OpenZFSResponse", True),
            (lustre, "LustreResponse", False),
        ]:
            done = east.delete_file_system(FileSystemId=self.file_system(**wanted))
            self.assertEqual("FinalBackupId" in done.get(reply, {}), expected, reply)


class Cbs(CbsTest):
    regions = [(SHANGHAI, "tencent")]

    def copy_to(self, snapshot, *regions, **wanted):
        copied = self.call("CopySnapshotCrossRegions", SnapshotId=snapshot, DestinationRegions=list(regions), **wanted)
        return copied.SnapshotCopyResultSet

    def test_23_several_destinations_give_an_entry_each_in_order(self):
        snapshot = self.take(self.ready_disk())
        regions = [SHANGHAI, BEIJING]
        results = self.copy_to(snapshot, *regions)
        self.assertEqual([result.DestinationRegion for result in results], regions)
        self.assertEqual([result.Code for result in results], ["Success"] * 2)
        self.assertEqual(len({result.SnapshotId for result in results} | {snapshot}), 3)
        for result in results:
            self.normal(result.SnapshotId, result.DestinationRegion)

    def test_24_states_of_a_replica_and_of_its_source(self):
        disk = self.ready_disk()
        for number in range(64):
            self.write(disk, number << 20, os.urandom(1 << 20))
        snapshot = self.take(disk)
        back = self.away(BEIJING)
        (result,) = self.copy_to(snapshot, BEIJING)
        replica = self.snapshot(result.SnapshotId, BEIJING)
        self.assertEqual((replica.SnapshotState, replica.CopyFromRemote), ("COPYING_FROM_REMOTE", True))
        source = self.snapshot(snapshot)
        self.assertEqual((source.SnapshotState, source.CopyingToRegions), ("NORMAL", [BEIJING]))
        back()
        order, seen = ["COPYING_FROM_REMOTE", "CHECKING_COPIED", "NORMAL"], []

        def look():
            seen.append(self.snapshot(result.SnapshotId, BEIJING).SnapshotState)
            return seen[-1] == "NORMAL"

        self.until(look)
        self.assertEqual(seen, sorted(seen, key=order.index))
        self.until(lambda: self.snapshot(snapshot).CopyingToRegions == [])

    def test_25_a_second_copy_to_a_busy_destination_is_a_conflict(self):
        snapshot = self.take(self.ready_disk())
        back = self.away(BEIJING)
        (first,) = self.copy_to(snapshot, BEIJING)
        conflict = "ResourceInUse.CopySnapshotConflict"
        self.refused(conflict, "CopySnapshotCrossRegions", SnapshotId=snapshot, DestinationRegions=[BEIJING])
        good, busy = self.copy_to(snapshot, SHANGHAI, BEIJING)
        self.assertEqual((good.Code, busy.Code, busy.SnapshotId), ("Success", conflict, ""))
        self.assertTrue(busy.Message)
        back()
        self.normal(first.SnapshotId, BEIJING)
        (third,) = self.copy_to(snapshot, BEIJING)
        self.normal(third.SnapshotId, BEIJING)

    def test_26_deletion_is_all_or_nothing(self):
        disk = self.ready_disk()
        kept, busy = self.take(disk), self.take(disk)
        back = self.away(BEIJING)
        (copy,) = self.copy_to(busy, BEIJING)
        self.refused("ResourceBusy", "DeleteSnapshots", SnapshotIds=[kept, busy])
        self.refused("InvalidSnapshotId.NotFound", "DeleteSnapshots", SnapshotIds=[kept, "snap-00000000"])
        self.assertIsNotNone(self.snapshot(kept))
        back()
        self.normal(copy.SnapshotId, BEIJING)
        self.call("DeleteSnapshots", SnapshotIds=[kept, busy])
        self.assertEqual(self.call("DescribeSnapshots", SnapshotIds=[kept, busy]).TotalCount, 0)

    def test_27_limits_of_listings(self):
        self.refused("InvalidParameterValue", "DescribeSnapshots", Limit=101)
        disk = self.ready_disk()
        for _ in range(3):
            self.take(disk)
        page = self.call("DescribeSnapshots", Filters=[{"Name": "disk-id", "Values": [disk]}], Limit=1)
        self.assertEqual((page.TotalCount, len(page.SnapshotSet)), (3, 1))
        unknown = self.call("DescribeSnapshots", SnapshotIds=["snap-00000000"])
        self.assertEqual((unknown.TotalCount, unknown.SnapshotSet), (0, []))

    def test_28_a_disk_is_made_of_a_replica_once_it_is_normal(self):
        snapshot = self.take(self.ready_disk())
        back = self.away(BEIJING)
        (result,) = self.copy_to(snapshot, BEIJING)
        wanted = {"Placement": {"Zone": f"{BEIJING}-1"}, "SnapshotId": result.SnapshotId, "DiskSize": None}
        with self.assertRaises(TencentCloudSDKException) as caught:
            self.make_disk(region=BEIJING, **wanted)
        self.assertEqual(caught.exception.code, "ResourceBusy")
        back()
        self.normal(result.SnapshotId, BEIJING)
        self.ready_disk(region=BEIJING, **wanted)


class Rates(CbsTest):
    settings = None

    def test_29_the_twenty_first_request_in_a_second_is_refused(self):
        self.call_until_limited("DescribeSnapshots")
        self.call("DescribeDisks")


def load_tests(loader, _tests, _pattern):
    """The tests of this file alone: those that its classes inherit run in their own."""
    suite = unittest.TestSuite()
    for case in [Fsx, Cbs, Rates]:
        names = [name for name in loader.getTestCaseNames(case) if re.match(r"test_\d\d_", name)]
        suite.addTests(case(name) for name in names)
    return suite


if __name__ == "__main__":
    unittest.main()
