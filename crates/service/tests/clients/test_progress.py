"""Work that was accepted: how far it is shows while it runs, and why it failed where it did."""

import os
import unittest

from aws import EAST, IRELAND, WEST
from tencent import BEIJING, GUANGZHOU
from test_cbs import CbsTest
from test_fsx import FsxTest

MIB = 1 << 20


class Fsx(FsxTest):
    def noise(self, file_system, mebibytes):
        (self.world.path(EAST, file_system) / "noise").write_bytes(os.urandom(mebibytes * MIB))

    def percents(self, backup, region=EAST):
        """What is shown of a backup until it is there."""
        shown, client = [], self.client(region)

        def look():
            (seen,) = client.describe_backups(BackupIds=[backup])["Backups"]
            shown.append(seen.get("ProgressPercent"))
            return seen["Lifecycle"] == "AVAILABLE"

        self.until(look)
        self.assertIsNone(shown.pop(), "nothing is in progress any more")
        return shown

    def failed(self, backup, region=EAST):
        """What is said of a backup once it has failed."""
        seen = self.until(lambda: (seen := self.backup(backup, region))["Lifecycle"] == "FAILED" and seen)
        self.assertNotIn("ProgressPercent", seen)
        return seen["FailureDetails"]["Message"]

    def test_how_far_a_copy_is_shows(self):
        file_system = self.file_system()
        self.noise(file_system, 16)
        copy = self.world.cli("copy", self.take(file_system), "--to", WEST, "--bandwidth", "2MiB/s", "--detach")
        shown = self.percents(copy, WEST)
        self.assertEqual(shown, sorted(shown))
        self.assertGreater(len(set(shown) & set(range(1, 100))), 5)
        self.assertLess(shown[-1], 100)

    def test_how_far_a_first_backup_is_shows(self):
        file_system = self.file_system()
        self.noise(file_system, 192)
        shown = self.percents(self.client().create_backup(FileSystemId=file_system)["Backup"]["BackupId"])
        self.assertTrue(set(shown) & set(range(1, 100)), shown)
        self.assertLess(max(shown), 100)

    def test_how_far_a_backup_is_shows_by_the_one_before_it(self):
        file_system = self.file_system()
        self.noise(file_system, 128)
        self.take(file_system)
        self.noise(file_system, 128)
        shown = self.percents(self.client().create_backup(FileSystemId=file_system)["Backup"]["BackupId"])
        self.assertTrue(set(shown) & set(range(1, 100)), shown)
        self.assertLess(max(shown), 100)

    def test_a_copy_is_accepted_before_a_byte_of_it_can_land(self):
        file_system = self.file_system()
        self.noise(file_system, 1)
        backup = self.take(file_system)
        stores = [self.away(region) for region in (IRELAND, EAST)]
        copied = self.client(IRELAND).copy_backup(SourceBackupId=backup, SourceRegion=EAST)["Backup"]
        self.assertEqual((copied["Lifecycle"], copied["ProgressPercent"]), ("COPYING", 0))
        for back in stores:
            back()
        self.available(copied["BackupId"], IRELAND)

    def test_a_backup_of_what_is_gone_has_failed_and_says_why(self):
        folder = self.world.dir / "attached"
        folder.mkdir()
        file_system = self.world.cli("resource", "add", str(folder), "--region", EAST, "--type", "openzfs")
        folder.rename(folder.with_name("elsewhere"))
        backup = self.client().create_backup(FileSystemId=file_system)["Backup"]["BackupId"]
        self.assertIn("No such file or directory", self.failed(backup))
        self.client().delete_backup(BackupId=backup)
        folder.with_name("elsewhere").rename(folder)
        self.take(file_system)

    def test_a_copy_of_what_is_damaged_has_failed_and_says_why(self):
        file_system = self.file_system()
        self.noise(file_system, 1)
        backup = self.take(file_system)
        self.damage_packs(EAST)
        copy = self.client(WEST).copy_backup(SourceBackupId=backup, SourceRegion=EAST)["Backup"]["BackupId"]
        self.assertRegex(self.failed(copy, WEST), f"^pack .* cannot be read from {EAST}: .*; needed by noise$")
        self.client(WEST).delete_backup(BackupId=copy)
        self.refused("BackupNotFound", self.client(WEST).describe_backups, BackupIds=[copy])


class Cbs(CbsTest):
    def percents(self, snapshot, state, region=GUANGZHOU):
        """What is shown of a snapshot while it is in that state."""
        shown, client = [], self.client(region)

        def look():
            (seen,) = self.call("DescribeSnapshots", client, SnapshotIds=[snapshot]).SnapshotSet
            if seen.SnapshotState == state:
                shown.append(seen.Percent)
            return seen.SnapshotState == "NORMAL" and seen

        self.assertEqual(self.until(look).Percent, 100)
        return shown

    def noisy_disk(self, mebibytes):
        """A disk that begins and goes on with noise, with a hole between."""
        disk = self.ready_disk()
        self.write(disk, 0, os.urandom(MIB))
        self.write(disk, 512 * MIB, os.urandom(mebibytes * MIB))
        return disk

    def test_how_far_a_copy_is_shows(self):
        snapshot = self.take(self.noisy_disk(16))
        copy = self.world.cli("copy", snapshot, "--to", BEIJING, "--bandwidth", "2MiB/s", "--detach")
        shown = self.percents(copy, "COPYING_FROM_REMOTE", BEIJING)
        self.assertEqual(shown, sorted(shown))
        self.assertGreater(len(set(shown) & set(range(1, 100))), 5)

    def test_a_copy_of_what_is_damaged_goes_and_leaves_its_source(self):
        snapshot = self.take(self.noisy_disk(1))
        self.damage_packs(GUANGZHOU)
        # The copy goes on once its target's store is there.
        back = self.away(BEIJING)
        wanted = {"SnapshotId": snapshot, "DestinationRegions": [BEIJING]}
        (result,) = self.call("CopySnapshotCrossRegions", **wanted).SnapshotCopyResultSet
        self.assertEqual(result.Code, "Success")
        self.assertEqual(self.snapshot(snapshot).CopyingToRegions, [BEIJING])
        back()
        # There is no state for what has failed (contract, 7.3).
        self.until(lambda: self.snapshot(result.SnapshotId, BEIJING) is None)
        self.until(lambda: self.snapshot(snapshot).CopyingToRegions == [])
        self.assertEqual(self.snapshot(snapshot).SnapshotState, "NORMAL")
        self.refused("InvalidSnapshotId.NotFound", "DeleteSnapshots", self.client(BEIJING), SnapshotIds=[result.SnapshotId])

    def test_how_far_a_snapshot_is_shows(self):
        snapshot = self.call("CreateSnapshot", DiskId=self.noisy_disk(128)).SnapshotId
        shown = self.percents(snapshot, "CREATING")
        self.assertTrue(set(shown) & set(range(1, 100)), shown)
        self.assertLess(max(shown), 100)


if __name__ == "__main__":
    unittest.main()
