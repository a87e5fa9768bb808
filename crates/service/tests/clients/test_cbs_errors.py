"""The errors of CBS, each reached by its real cause: cause, call, code. `test_cbs_policies.py` has those of policies and shares.

Not reached, as there is nothing here that they could be about: machine images, projects, disk migration, refunds,
multi-factor authentication, instances other than by their ids.
"""

import concurrent.futures
import os
import unittest

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from tencent import BEIJING, GUANGZHOU
from test_cbs import SSD, CbsTest

SHANGHAI = "ap-shanghai"
NO_SNAPSHOT, NO_DISK = "snap-00000000", "disk-00000000"


class Errors(CbsTest):
    regions = [(SHANGHAI, "tencent")]

    def table(self, action, base, *rows, client=None):
        for cause, code, changes in rows:
            with self.subTest(action=action, cause=cause):
                wanted = {name: value for name, value in {**base, **changes}.items() if value is not None}
                self.refused(code, action, client, **wanted)

    def stuck_snapshot(self):
        """A disk, a snapshot of it that stays in progress, and what lets it end."""
        disk = self.ready_disk()
        self.write(disk, 0, b"x")
        back = self.away(GUANGZHOU)
        return disk, self.call("CreateSnapshot", DiskId=disk).SnapshotId, back

    def test_copy_snapshot_cross_regions(self):
        snapshot = self.take(self.ready_disk())
        wanted = {"SnapshotId": snapshot, "DestinationRegions": [BEIJING]}
        secret = self.take(self.ready_disk(Encrypt="ENCRYPT"))
        value = "InvalidParameterValue"
        self.table(
            "CopySnapshotCrossRegions",
            wanted,
            ("no destinations", "MissingParameter", {"DestinationRegions": None}),
            ("no snapshot", "MissingParameter", {"SnapshotId": None}),
            ("an empty list", value, {"DestinationRegions": []}),
            ("one destination twice", value, {"DestinationRegions": [BEIJING, BEIJING]}),
            ("an empty name", value, {"DestinationRegions": [""]}),
            ("a long name", value, {"SnapshotName": "x" * 61}),
            ("an unknown destination", value, {"DestinationRegions": ["ap-nowhere"]}),
            ("a destination of another partition", value, {"DestinationRegions": ["us-east-1"]}),
            ("the region that is called", value, {"DestinationRegions": [GUANGZHOU]}),
            ("one good and one bad", value, {"DestinationRegions": [BEIJING, GUANGZHOU]}),
            ("an unknown snapshot", "InvalidSnapshotId.NotFound", {"SnapshotId": NO_SNAPSHOT}),
            ("no snapshot's id", "InvalidSnapshotId.NotFound", {"SnapshotId": "nonsense"}),
            ("an encrypted one", "UnsupportedOperation.SnapshotNotSupportCopy", {"SnapshotId": secret}),
        )
        account, theirs = self.stranger()
        shared = {"SnapshotIds": [snapshot], "AccountIds": [account], "Permission": "SHARE"}
        self.call("ModifySnapshotsSharePermission", **shared)
        row = ("another account's, which is shared", "InvalidSnapshot.NotSupported", {})
        self.table("CopySnapshotCrossRegions", wanted, row, client=theirs)
        _, stuck, back = self.stuck_snapshot()
        self.table("CopySnapshotCrossRegions", wanted, ("one in progress", "ResourceBusy", {"SnapshotId": stuck}))
        back()
        self.normal(stuck)
        self.limited(in_arrears=True)
        self.table("CopySnapshotCrossRegions", wanted, ("not paid", "InvalidAccount.InsufficientBalance", {}))

    def test_copies_that_one_destination_refuses(self):
        snapshot = self.take(self.ready_disk())
        wanted = {"SnapshotId": snapshot, "DestinationRegions": [BEIJING, SHANGHAI]}
        back = self.away(BEIJING)
        (first,) = self.call("CopySnapshotCrossRegions", **{**wanted, "DestinationRegions": [BEIJING]}).SnapshotCopyResultSet
        busy, good = self.call("CopySnapshotCrossRegions", **wanted).SnapshotCopyResultSet
        self.assertEqual((busy.Code, busy.SnapshotId), ("ResourceInUse.CopySnapshotConflict", ""))
        self.assertEqual(good.Code, "Success")
        back()
        self.normal(first.SnapshotId, BEIJING)
        self.normal(good.SnapshotId, SHANGHAI)
        # One snapshot in Shanghai is all that there may be.
        self.call("DeleteSnapshots", self.client(BEIJING), SnapshotIds=[first.SnapshotId])
        self.limited(cbs_snapshots=1)
        good, full = self.call("CopySnapshotCrossRegions", **wanted).SnapshotCopyResultSet
        self.assertEqual((good.Code, full.Code), ("Success", "InsufficientSnapshotQuota"))
        self.normal(good.SnapshotId, BEIJING)
        every = ("all are refused", "InsufficientSnapshotQuota", {})
        self.table("CopySnapshotCrossRegions", wanted, every)

    def test_of_copies_at_once_into_one_destination_one_is_accepted(self):
        snapshot = self.take(self.ready_disk())
        back = self.away(BEIJING)

        def copy(_):
            try:
                wanted = {"SnapshotId": snapshot, "DestinationRegions": [BEIJING]}
                (result,) = self.call("CopySnapshotCrossRegions", **wanted).SnapshotCopyResultSet
                return result.SnapshotId
            except TencentCloudSDKException as refusal:
                self.assertEqual(refusal.code, "ResourceInUse.CopySnapshotConflict")

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            (made,) = [made for made in pool.map(copy, range(20)) if made]
        back()
        self.normal(made, BEIJING)

    def test_copies_into_a_region_whose_keys_are_gone(self):
        snapshot = self.take(self.ready_disk())
        self.without_keys(BEIJING)
        wanted = {"SnapshotId": snapshot, "DestinationRegions": [BEIJING]}
        self.refused("InternalError.ComponentError", "CopySnapshotCrossRegions", **wanted)

    def test_create_snapshot(self):
        disk = self.ready_disk()
        self.table(
            "CreateSnapshot",
            {"DiskId": disk},
            ("nothing to take one of", "MissingParameter", {"DiskId": None}),
            ("an unknown disk", "InvalidDiskId.NotFound", {"DiskId": NO_DISK}),
            ("a deadline that is near", "InvalidParameterValue", {"Deadline": "2022-01-08T09:47:55+00:00"}),
            ("an instant snapshot", "UnsupportedOperation", {"LocalSnap": True}),
        )
        busy, stuck, back = self.stuck_snapshot()
        self.table("CreateSnapshot", {"DiskId": busy}, ("one is being made", "InvalidDisk.SnapshotCreating", {}))
        snapshot_rows = [("it is being made", "ResourceUnavailable.SnapshotCreating", {})]
        self.table("DeleteSnapshots", {"SnapshotIds": [stuck]}, *snapshot_rows)
        self.table("ApplySnapshot", {"SnapshotId": stuck, "DiskId": busy}, *snapshot_rows)
        self.table("TerminateDisks", {"DiskIds": [busy]}, ("its snapshot is being made", "ResourceBusy", {}))
        back()
        self.normal(stuck)
        restore = self.limited(in_arrears=True)
        self.table("CreateSnapshot", {"DiskId": disk}, ("not paid", "InvalidAccount.InsufficientBalance", {}))
        restore()
        self.limited(cbs_snapshots=0)
        self.table("CreateSnapshot", {"DiskId": disk}, ("no places", "InsufficientSnapshotQuota", {}))

    def test_rollback(self):
        disk, other = self.ready_disk(), self.ready_disk()
        self.write(disk, 0, b"before")
        snapshot = self.take(disk)
        wanted = {"SnapshotId": snapshot, "DiskId": disk}
        self.table(
            "ApplySnapshot",
            wanted,
            ("an unknown snapshot", "InvalidSnapshotId.NotFound", {"SnapshotId": NO_SNAPSHOT}),
            ("an unknown disk", "InvalidDiskId.NotFound", {"DiskId": NO_DISK}),
            ("another disk", "InvalidParameterValue", {"DiskId": other}),
        )
        with open(self.world.path(GUANGZHOU, disk), "r+b") as image:
            image.truncate(2 << 30)
        back = self.away(GUANGZHOU)
        self.call("ApplySnapshot", **wanted)
        self.assertEqual(self.disk(disk).DiskState, "ROLLBACKING")
        self.table("ApplySnapshot", wanted, ("one is running", "ResourceInUse.DiskRollbacking", {}))
        self.table("CreateSnapshot", {"DiskId": disk}, ("one is running", "ResourceInUse.DiskRollbacking", {}))
        self.table("TerminateDisks", {"DiskIds": [disk]}, ("one is running", "ResourceBusy", {}))
        back()
        self.until(lambda: self.disk(disk).DiskState == "UNATTACHED")

    def test_a_disk_that_was_resized_is_not_rolled_back(self):
        image = self.world.dir / "image"
        with open(image, "wb") as file:
            file.truncate(1 << 30)
        disk = self.world.cli("resource", "add", str(image), "--region", GUANGZHOU)
        wanted = {"DiskId": disk, "SnapshotId": self.take(disk)}
        os.truncate(image, 2 << 30)
        self.refused("InvalidParameter.DiskSizeNotMatch", "ApplySnapshot", **wanted)
        os.truncate(image, 1 << 30)
        self.call("ApplySnapshot", **wanted)
        self.until(lambda: self.disk(disk).DiskState == "UNATTACHED")

    def test_disks(self):
        self.table(
            "CreateDisks",
            {**SSD, "DiskSize": 1},
            ("no place", "MissingParameter", {"Placement": None}),
            ("no size", "MissingParameter", {"DiskSize": None}),
            ("an unknown type", "InvalidParameterValue", {"DiskType": "CLOUD_TAPE"}),
            ("too many", "InvalidParameterValue.LimitExceeded", {"DiskCount": 21}),
            ("a zone of another region", "InvalidParameter.DiskConfigNotSupported", {"Placement": {"Zone": "ap-beijing-1"}}),
            ("an unknown snapshot", "InvalidSnapshotId.NotFound", {"SnapshotId": NO_SNAPSHOT}),
            ("an unknown instance", "InvalidInstanceId.NotFound", {"AutoMountConfiguration": {"InstanceId": ["ins-00000000"]}}),
        )
        self.table(
            "DescribeDisks",
            {},
            ("a large page", "InvalidParameterValue", {"Limit": 101}),
            ("an unknown filter", "InvalidFilter", {"Filters": [{"Name": "colour", "Values": ["red"]}]}),
        )
        self.table(
            "TerminateDisks",
            {},
            ("no ids", "MissingParameter", {}),
            ("101 ids", "InvalidParameterValue.LimitExceeded", {"DiskIds": [f"disk-{n:08}" for n in range(101)]}),
            ("an unknown disk", "InvalidParameterValue", {"DiskIds": [NO_DISK]}),
        )

    def test_snapshots(self):
        snapshot = self.take(self.ready_disk())
        value = "InvalidParameterValue"
        self.table(
            "ModifySnapshotAttribute",
            {"SnapshotId": snapshot},
            ("nothing to change", "MissingParameter", {}),
            ("an unknown snapshot", "InvalidSnapshotId.NotFound", {"SnapshotId": NO_SNAPSHOT, "SnapshotName": "x"}),
            ("a long name", value, {"SnapshotName": "x" * 61}),
            ("for ever and until a day", value, {"IsPermanent": True, "Deadline": "2030-01-08T09:47:55+00:00"}),
            ("a deadline that has passed", value, {"IsPermanent": False, "Deadline": "2022-01-08T09:47:55+00:00"}),
        )
        self.table("DeleteSnapshots", {}, ("no ids", "MissingParameter", {}))
        account, theirs = self.stranger()
        self.call("ModifySnapshotsSharePermission", SnapshotIds=[snapshot], AccountIds=[account], Permission="SHARE")
        shared = ("it is shared", "UnsupportedOperation.SnapHasShared", {})
        self.table("DeleteSnapshots", {"SnapshotIds": [snapshot]}, shared)
        borrowed = ("it is another's", "InvalidSnapshot.NotSupported", {})
        self.table("DeleteSnapshots", {"SnapshotIds": [snapshot]}, borrowed, client=theirs)
        self.table("ModifySnapshotAttribute", {"SnapshotId": snapshot, "SnapshotName": "x"}, borrowed, client=theirs)


if __name__ == "__main__":
    unittest.main()
