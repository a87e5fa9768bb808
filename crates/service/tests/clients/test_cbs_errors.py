"""Every error that CBS documents for what is served here, reached by its real cause: cause, call, code."""

import concurrent.futures
import os
import re
import time
import unittest

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from tencent import BEIJING, GUANGZHOU
from test_cbs import SSD, CbsTest
from test_cbs_policies import DAILY, INSTANCE, PolicyTest, SharingTest

SHANGHAI = "ap-shanghai"
NO_SNAPSHOT, NO_DISK, NO_POLICY = "snap-00000000", "disk-00000000", "asp-00000000"
INTERNAL, UNPAID = "InternalError.ComponentError", "InvalidAccount.InsufficientBalance"

# The codes that the documentation of each operation lists besides the common ones. The SDK has no such lists.
MODELLED = {
    "ApplySnapshot": """
        InvalidDisk.Busy InvalidDisk.NotSupported InvalidDisk.SnapshotCreating InvalidDiskId.NotFound
        InvalidInstance.NotSupported InvalidInstanceId.NotFound InvalidParameter.DiskSizeNotMatch
        InvalidParameter.ShouldConvertSnapshotToImage InvalidParameterValue InvalidSnapshot.NotSupported
        InvalidSnapshotId.NotFound MissingParameter ResourceBusy ResourceInUse.DiskRollbacking ResourceInsufficient
        ResourceNotFound.NotFound ResourceUnavailable.NotSupported ResourceUnavailable.SnapshotCreating
        UnauthorizedOperation.MFAExpired""",
    "BindAutoSnapshotPolicy": """
        InvalidAutoSnapshotPolicyId.NotFound InvalidDisk.AlreadyBound InvalidDisk.NotSupported InvalidDiskId.NotFound
        InvalidParameterValue InvalidParameterValue.BindDiskLimitExceeded InvalidParameterValue.LimitExceeded
        MissingParameter ResourceNotFound.NotFound ResourceUnavailable.NotSupported""",
    "CopySnapshotCrossRegions": """
        InsufficientSnapshotQuota InternalError.ComponentError InvalidAccount.InsufficientBalance InvalidParameterValue
        InvalidSnapshot.NotSupported InvalidSnapshotId.NotFound ResourceBusy ResourceInUse.CopySnapshotConflict
        UnsupportedOperation.SnapshotNotSupportCopy""",
    "CreateAutoSnapshotPolicy": """
        InvalidAccount.InsufficientBalance InvalidParameterValue InvalidParameterValue.LimitExceeded
        LimitExceeded.AutoSnapshotPolicyOutOfQuota MissingParameter""",
    "CreateDisks": """
        InternalError.ComponentError InvalidAccount.InsufficientBalance InvalidInstanceId.NotFound
        InvalidParameter.DiskConfigNotSupported InvalidParameter.ProjectIdNotExist InvalidParameterValue
        InvalidParameterValue.LimitExceeded InvalidSnapshotId.NotFound LimitExceeded.InstanceAttachedDisk
        MissingParameter ResourceBusy ResourceInsufficient TradeDealConflict UnauthorizedOperation
        UnauthorizedOperation.NotCertification UnauthorizedOperation.NotHavePaymentRight
        UnauthorizedOperation.RoleNotExists""",
    "CreateSnapshot": """
        InsufficientSnapshotQuota InternalError.ComponentError InternalError.ResourceOpFailed
        InvalidAccount.InsufficientBalance InvalidDisk.Busy InvalidDisk.NotSupportSnapshot InvalidDisk.NotSupported
        InvalidDisk.SnapshotCreating InvalidDisk.TypeError InvalidDiskId.NotFound InvalidParameter.ProjectIdNotExist
        LimitExceeded.InstanceAttachedDisk MissingParameter ResourceBusy ResourceInUse ResourceInUse.DiskMigrating
        ResourceInUse.DiskRollbacking ResourceInsufficient.OverQuota ResourceNotFound.NotFound
        ResourceUnavailable.DiskSnapshotChainTooLarge ResourceUnavailable.NotSupported
        ResourceUnavailable.SnapshotCreating ResourceUnavailable.TooManyCreatingSnapshot
        UnsupportedOperation.DiskEncrypt""",
    "DeleteAutoSnapshotPolicies": """
        AuthFailure InternalError InvalidAutoSnapshotPolicyId.NotFound InvalidParameterValue
        InvalidParameterValue.LimitExceeded MissingParameter""",
    "DeleteSnapshots": """
        InvalidParameterValue InvalidSnapshot.NotSupported InvalidSnapshotId.NotFound MissingParameter ResourceBusy
        ResourceUnavailable.SnapshotCreating UnauthorizedOperation.MFAExpired UnsupportedOperation
        UnsupportedOperation.SnapHasShared UnsupportedOperation.SnapshotHasBindedImage""",
    "DescribeAutoSnapshotPolicies": "InvalidFilter InvalidParameterValue MissingParameter UnsupportedOperation",
    "DescribeDiskAssociatedAutoSnapshotPolicy": "InvalidParameterValue MissingParameter UnsupportedOperation",
    "DescribeDisks": "InvalidFilter InvalidParameterValue MissingParameter UnsupportedOperation",
    "DescribeSnapshotSharePermission": "InvalidParameter InvalidParameterValue MissingParameter",
    "DescribeSnapshots": "InvalidFilter InvalidParameterValue MissingParameter UnsupportedOperation",
    "ModifyAutoSnapshotPolicyAttribute": """
        InvalidAccount.InsufficientBalance InvalidAutoSnapshotPolicyId.NotFound InvalidParameter MissingParameter
        UnsupportedOperation.StateError""",
    "ModifySnapshotAttribute": """
        InvalidParameterValue InvalidSnapshot.NotSupported InvalidSnapshotId.NotFound MissingParameter
        UnsupportedOperation.SnapHasShared UnsupportedOperation.SnapshotHasBindedImage""",
    "ModifySnapshotsSharePermission": """
        InvalidParameter InvalidSnapshot.NotSupported InvalidSnapshotId.NotFound MissingParameter
        ResourceInsufficient.OverQuota""",
    "TerminateDisks": """
        InsufficientRefundQuota InternalError.FailQueryResource InvalidDisk.Expire InvalidParameterValue
        InvalidParameterValue.LimitExceeded MissingParameter ResourceBusy ResourceInsufficient.OverRefundQuota
        ResourceUnavailable.Expire ResourceUnavailable.NotSupportRefund ResourceUnavailable.NotSupported
        ResourceUnavailable.RepeatRefund TradeDealConflict UnsupportedOperation""",
    "UnbindAutoSnapshotPolicy": """
        InvalidAutoSnapshotPolicyId.NotFound InvalidDiskId.NotFound InvalidParameterValue MissingParameter
        ResourceUnavailable.NotSupported""",
}

# Not reached, and why: operation and codes.
UNREACHED = [
    # Nothing is bought, paid for in advance, refunded or run out.
    ("CreateDisks", "TradeDealConflict"),
    ("CreateDisks", "UnauthorizedOperation.NotCertification UnauthorizedOperation.NotHavePaymentRight"),
    ("TerminateDisks", "InsufficientRefundQuota InvalidDisk.Expire ResourceInsufficient.OverRefundQuota"),
    ("TerminateDisks", "ResourceUnavailable.Expire ResourceUnavailable.NotSupportRefund"),
    ("TerminateDisks", "ResourceUnavailable.RepeatRefund TradeDealConflict"),
    # Keys are no persons: no second factor, and no role that a service takes on. Policies deny with a common code.
    ("ApplySnapshot", "UnauthorizedOperation.MFAExpired"),
    ("CreateDisks", "UnauthorizedOperation UnauthorizedOperation.RoleNotExists"),
    ("DeleteAutoSnapshotPolicies", "AuthFailure"),
    ("DeleteSnapshots", "UnauthorizedOperation.MFAExpired"),
    # There are no projects, any number is one.
    ("CreateDisks", "InvalidParameter.ProjectIdNotExist"),
    ("CreateSnapshot", "InvalidParameter.ProjectIdNotExist"),
    # There are no machine images.
    ("ApplySnapshot", "InvalidParameter.ShouldConvertSnapshotToImage"),
    ("DeleteSnapshots", "UnsupportedOperation.SnapshotHasBindedImage"),
    ("ModifySnapshotAttribute", "UnsupportedOperation.SnapshotHasBindedImage"),
    # There are no instances, only their ids.
    ("ApplySnapshot", "InvalidInstance.NotSupported InvalidInstanceId.NotFound"),
    ("CreateDisks", "LimitExceeded.InstanceAttachedDisk"),
    ("CreateSnapshot", "LimitExceeded.InstanceAttachedDisk"),
    # Every disk is one that can have snapshots and policies, encrypted or not; none migrates.
    ("ApplySnapshot", "InvalidDisk.NotSupported ResourceUnavailable.NotSupported"),
    ("BindAutoSnapshotPolicy", "InvalidDisk.NotSupported ResourceUnavailable.NotSupported"),
    ("CreateSnapshot", "InvalidDisk.NotSupportSnapshot InvalidDisk.NotSupported InvalidDisk.TypeError"),
    ("CreateSnapshot", "ResourceInUse.DiskMigrating ResourceUnavailable.DiskSnapshotChainTooLarge"),
    ("CreateSnapshot", "ResourceUnavailable.NotSupported UnsupportedOperation.DiskEncrypt"),
    ("UnbindAutoSnapshotPolicy", "ResourceUnavailable.NotSupported"),
    # Every state allows these; no id of a disk is refused where its policies are listed.
    ("DeleteSnapshots", "UnsupportedOperation"),
    ("DescribeAutoSnapshotPolicies", "UnsupportedOperation"),
    ("DescribeDiskAssociatedAutoSnapshotPolicy", "InvalidParameterValue UnsupportedOperation"),
    ("DescribeDisks", "UnsupportedOperation"),
    ("DescribeSnapshots", "UnsupportedOperation"),
    ("ModifyAutoSnapshotPolicyAttribute", "UnsupportedOperation.StateError"),
    ("TerminateDisks", "UnsupportedOperation"),
    # Another code of the list says it more precisely.
    ("ApplySnapshot", "InvalidDisk.SnapshotCreating ResourceNotFound.NotFound"),
    ("BindAutoSnapshotPolicy", "ResourceNotFound.NotFound"),
    ("CreateSnapshot", "ResourceBusy ResourceInUse ResourceNotFound.NotFound"),
    ("CreateSnapshot", "ResourceUnavailable.SnapshotCreating ResourceUnavailable.TooManyCreatingSnapshot"),
    # What is broken inside is InternalError.ComponentError, and a file system that is full shows later.
    ("ApplySnapshot", "ResourceInsufficient"),
    ("CreateDisks", "ResourceInsufficient"),
    ("CreateSnapshot", "InternalError.ResourceOpFailed"),
    ("DeleteAutoSnapshotPolicies", "InternalError"),
    ("TerminateDisks", "InternalError.FailQueryResource"),
    # Only between two calls at the same moment.
    ("ApplySnapshot", "ResourceBusy"),
]


def pairs(listed):
    return {(operation, code) for operation, codes in listed for code in codes.split()}


def days_ahead(days):
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + days * 24 * 3600))


class ErrorsTest(CbsTest):
    def table(self, action, base, *rows, client=None):
        for cause, code, changes in rows:
            with self.subTest(action=action, cause=cause):
                wanted = {name: value for name, value in {**base, **changes}.items() if value is not None}
                self.refused(code, action, client, **wanted)

    def listing(self, action):
        """What every listing refuses."""
        filter = lambda **given: {"Filters": [{"Name": "colour", **given}]}
        self.table(
            action,
            {},
            ("a large page", "InvalidParameterValue", {"Limit": 101}),
            ("an unknown filter", "InvalidFilter", filter(Values=["red"])),
            ("a filter without values", "MissingParameter", filter()),
        )


class Errors(ErrorsTest):
    regions = [(SHANGHAI, "tencent")]

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
        self.table("CopySnapshotCrossRegions", wanted, ("not paid", UNPAID, {}))

    def test_a_copy_tells_the_first_fault(self):
        snapshot = self.take(self.ready_disk())
        wanted = {"SnapshotId": snapshot, "DestinationRegions": [BEIJING]}
        secret = self.take(self.ready_disk(Encrypt="ENCRYPT"))
        self.limited(cbs_snapshots=0, in_arrears=True)
        self.in_order(
            "CopySnapshotCrossRegions",
            wanted,
            ("no snapshot", "MissingParameter", {"SnapshotId": None}),
            ("no destinations", "MissingParameter", {"DestinationRegions": None}),
            ("a long name", "InvalidParameterValue", {"SnapshotName": "x" * 61}),
            ("an unknown destination", "InvalidParameterValue", {"DestinationRegions": ["ap-nowhere"]}),
            ("an unknown snapshot", "InvalidSnapshotId.NotFound", {"SnapshotId": NO_SNAPSHOT}),
            ("an encrypted one", "UnsupportedOperation.SnapshotNotSupportCopy", {"SnapshotId": secret}),
            ("no places", "InsufficientSnapshotQuota", {}),
            ("not paid", UNPAID, {}),
        )

    def test_copies_that_one_destination_refuses(self):
        snapshot = self.take(self.ready_disk())
        wanted = {"SnapshotId": snapshot, "DestinationRegions": [BEIJING, SHANGHAI]}
        back = self.away(BEIJING)
        (first,) = self.call("CopySnapshotCrossRegions", **{**wanted, "DestinationRegions": [BEIJING]}).SnapshotCopyResultSet
        busy, good = self.call("CopySnapshotCrossRegions", **wanted).SnapshotCopyResultSet
        self.assertEqual((busy.Code, busy.SnapshotId), ("ResourceInUse.CopySnapshotConflict", ""))
        self.assertEqual(good.Code, "Success")
        again = {**wanted, "DestinationRegions": [BEIJING]}
        self.table("CopySnapshotCrossRegions", again, ("the only one is busy", busy.Code, {}))
        self.table("DeleteSnapshots", {"SnapshotIds": [snapshot]}, ("it is being copied", "ResourceBusy", {}))
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

    def test_what_is_made_in_a_region_whose_keys_are_gone(self):
        disk = self.ready_disk()
        snapshot = self.take(disk)
        for region in [GUANGZHOU, BEIJING]:
            self.without_keys(region)
        for action, wanted in [
            ("CopySnapshotCrossRegions", {"SnapshotId": snapshot, "DestinationRegions": [BEIJING]}),
            ("CreateDisks", {**SSD, "DiskSize": 1}),
            ("CreateSnapshot", {"DiskId": disk}),
        ]:
            self.table(action, wanted, ("no keys", INTERNAL, {}))

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
        self.table("CreateDisks", {**SSD, "SnapshotId": stuck}, ("it is being made", "ResourceBusy", {}))
        back()
        self.normal(stuck)
        back = self.away(GUANGZHOU)
        filling = self.make_disk(SnapshotId=stuck)
        self.table("CreateSnapshot", {"DiskId": filling}, ("the disk is being filled", "InvalidDisk.Busy", {}))
        back()
        self.until(lambda: self.disk(filling).DiskState == "UNATTACHED")
        restore = self.limited(in_arrears=True)
        self.table("CreateSnapshot", {"DiskId": disk}, ("not paid", UNPAID, {}))
        restore()
        restore = self.limited(cbs_snapshots=0)
        self.table("CreateSnapshot", {"DiskId": disk}, ("no places", "InsufficientSnapshotQuota", {}))
        restore()
        self.limited(cbs_snapshots_per_disk=0)
        self.table("CreateSnapshot", {"DiskId": disk}, ("none of this disk", "ResourceInsufficient.OverQuota", {}))

    def test_rollback(self):
        disk, other = self.ready_disk(), self.ready_disk()
        self.write(disk, 0, b"before")
        snapshot = self.take(disk)
        wanted = {"SnapshotId": snapshot, "DiskId": disk}
        self.table(
            "ApplySnapshot",
            wanted,
            ("no snapshot", "MissingParameter", {"SnapshotId": None}),
            ("no disk", "MissingParameter", {"DiskId": None}),
            ("an unknown snapshot", "InvalidSnapshotId.NotFound", {"SnapshotId": NO_SNAPSHOT}),
            ("an unknown disk", "InvalidDiskId.NotFound", {"DiskId": NO_DISK}),
            ("another disk", "InvalidParameterValue", {"DiskId": other}),
        )
        account, theirs = self.stranger()
        self.call("ModifySnapshotsSharePermission", SnapshotIds=[snapshot], AccountIds=[account], Permission="SHARE")
        row = ("another account's, which is shared", "InvalidSnapshot.NotSupported", {})
        self.table("ApplySnapshot", wanted, row, client=theirs)
        self.call("AttachDisks", InstanceId=INSTANCE, DiskIds=[disk])
        self.table("ApplySnapshot", wanted, ("the disk is in use", "InvalidDisk.Busy", {}))
        in_use = ("it is in use", "ResourceUnavailable.NotSupported", {})
        self.table("TerminateDisks", {"DiskIds": [disk]}, in_use)
        self.call("DetachDisks", DiskIds=[disk])
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
        self.limited(in_arrears=True)
        self.table("CreateDisks", {**SSD, "DiskSize": 1}, ("not paid", UNPAID, {}))
        self.listing("DescribeDisks")
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
        self.table(
            "DeleteSnapshots",
            {},
            ("no ids", "MissingParameter", {}),
            ("an empty list", value, {"SnapshotIds": []}),
            ("one that is unknown", "InvalidSnapshotId.NotFound", {"SnapshotIds": [snapshot, NO_SNAPSHOT]}),
        )
        self.listing("DescribeSnapshots")
        account, theirs = self.stranger()
        self.call("ModifySnapshotsSharePermission", SnapshotIds=[snapshot], AccountIds=[account], Permission="SHARE")
        shared = ("it is shared", "UnsupportedOperation.SnapHasShared", {})
        self.table("DeleteSnapshots", {"SnapshotIds": [snapshot]}, shared)
        ending = {"SnapshotId": snapshot, "IsPermanent": False, "Deadline": days_ahead(2)}
        self.table("ModifySnapshotAttribute", ending, shared)
        borrowed = ("it is another's", "InvalidSnapshot.NotSupported", {})
        self.table("DeleteSnapshots", {"SnapshotIds": [snapshot]}, borrowed, client=theirs)
        self.table("ModifySnapshotAttribute", {"SnapshotId": snapshot, "SnapshotName": "x"}, borrowed, client=theirs)


class Policies(ErrorsTest, PolicyTest):
    def test_create_auto_snapshot_policy(self):
        value = "InvalidParameterValue"
        self.table(
            "CreateAutoSnapshotPolicy",
            {"Policy": DAILY},
            ("no rules", "MissingParameter", {"Policy": None}),
            ("an empty list", value, {"Policy": []}),
            ("an hour that no day has", value, {"Policy": [{"Hour": [24], "DayOfWeek": [0]}]}),
            ("no day", value, {"Policy": [{"Hour": [3]}]}),
            ("days of what stays", value, {"IsPermanent": True, "RetentionDays": 7}),
            ("a long name", value, {"AutoSnapshotPolicyName": "x" * 61}),
            ("101 rules", "InvalidParameterValue.LimitExceeded", {"Policy": DAILY * 101}),
        )
        for _ in range(10):
            self.make_policy()
        row = ("the eleventh", "LimitExceeded.AutoSnapshotPolicyOutOfQuota", {})
        self.table("CreateAutoSnapshotPolicy", {"Policy": DAILY}, row)
        self.call("CreateAutoSnapshotPolicy", self.client(BEIJING), Policy=DAILY)
        self.limited(in_arrears=True)
        self.table("CreateAutoSnapshotPolicy", {"Policy": DAILY}, ("not paid", UNPAID, {}))

    def test_policies_that_are_there(self):
        policy = self.make_policy()
        unknown, value = "InvalidAutoSnapshotPolicyId.NotFound", "InvalidParameterValue"
        self.listing("DescribeAutoSnapshotPolicies")
        wanted = {"AutoSnapshotPolicyId": policy, "AutoSnapshotPolicyName": "nightly"}
        self.table(
            "ModifyAutoSnapshotPolicyAttribute",
            wanted,
            ("no policy", "MissingParameter", {"AutoSnapshotPolicyId": None}),
            ("an unknown policy", unknown, {"AutoSnapshotPolicyId": NO_POLICY}),
            ("days of what stays", "InvalidParameter", {"IsPermanent": True, "RetentionDays": 3}),
        )
        self.table(
            "DeleteAutoSnapshotPolicies",
            {},
            ("no ids", "MissingParameter", {}),
            ("an empty list", value, {"AutoSnapshotPolicyIds": []}),
            ("an unknown policy", unknown, {"AutoSnapshotPolicyIds": [policy, NO_POLICY]}),
            ("101 ids", f"{value}.LimitExceeded", {"AutoSnapshotPolicyIds": [f"asp-{n:08}" for n in range(101)]}),
        )
        self.limited(in_arrears=True)
        self.table("ModifyAutoSnapshotPolicyAttribute", wanted, ("not paid", UNPAID, {}))

    def test_bindings(self):
        policy = self.make_policy()
        disks = [disk for _ in range(5) for disk in self.call("CreateDisks", **SSD, DiskSize=1, DiskCount=20).DiskIdSet]
        self.bind(policy, *disks[:80])
        both = [
            ("no policy", "MissingParameter", {"AutoSnapshotPolicyId": None}),
            ("no disks", "MissingParameter", {"DiskIds": None}),
            ("an empty list", "InvalidParameterValue", {"DiskIds": []}),
            ("an unknown policy", "InvalidAutoSnapshotPolicyId.NotFound", {"AutoSnapshotPolicyId": NO_POLICY}),
            ("no disk's id", "InvalidDiskId.NotFound", {"DiskIds": ["nonsense"]}),
        ]
        wanted = {"AutoSnapshotPolicyId": policy, "DiskIds": disks[80:81]}
        self.table(
            "BindAutoSnapshotPolicy",
            wanted,
            *both,
            ("an unknown disk", "InvalidDiskId.NotFound", {"DiskIds": [NO_DISK]}),
            ("one that is bound", "InvalidDisk.AlreadyBound", {"DiskIds": disks[:1]}),
            ("the eighty-first", "InvalidParameterValue.BindDiskLimitExceeded", {}),
            ("81 in one call", "InvalidParameterValue.LimitExceeded", {"DiskIds": disks[:81]}),
        )
        self.table("UnbindAutoSnapshotPolicy", wanted, *both)
        self.table("DescribeDiskAssociatedAutoSnapshotPolicy", {}, ("no disk", "MissingParameter", {}))


class Shares(ErrorsTest, SharingTest):
    def test_shares(self):
        snapshot, system = self.take(self.ready_disk()), self.take(self.ready_disk(), DiskUsage="SYSTEM_DISK")
        identities = self.world.identities
        text = identities.read_text()
        self.addCleanup(identities.write_text, text)
        accounts = [str(500000000000 + number) for number in range(51)]
        tables = "".join(f'\n[[account]]\nid = "{account}"\nname = "share {account}"\n' for account in accounts)
        identities.write_text(text + tables)
        self.share(snapshot, *accounts[:50])
        self.share(snapshot, *accounts[:50])
        self.table(
            "ModifySnapshotsSharePermission",
            {"SnapshotIds": [snapshot], "AccountIds": accounts[50:], "Permission": "SHARE"},
            ("the fifty-first", "ResourceInsufficient.OverQuota", {}),
            *((f"no {name}", "MissingParameter", {name: None}) for name in ["SnapshotIds", "AccountIds", "Permission"]),
            ("an unknown account", "InvalidParameter", {"AccountIds": ["400000000000"]}),
            ("no account's id", "InvalidParameter", {"AccountIds": ["nobody"]}),
            ("the owner", "InvalidParameter", {"AccountIds": [self.owner()]}),
            ("an unknown snapshot", "InvalidSnapshotId.NotFound", {"SnapshotIds": [NO_SNAPSHOT]}),
            ("a system disk's", "InvalidSnapshot.NotSupported", {"SnapshotIds": [system]}),
        )
        self.assertEqual(len(self.shares(snapshot)), 50)
        self.table(
            "DescribeSnapshotSharePermission",
            {},
            ("no snapshot", "MissingParameter", {}),
            ("no text", "InvalidParameter", {"SnapshotId": 1}),
            ("an unknown snapshot", "InvalidParameterValue", {"SnapshotId": NO_SNAPSHOT}),
        )


class Model(ErrorsTest):
    def all_documented_errors_were_reached(self):
        served = set(re.findall(r'^action "cbs::(\w+)"', self.world.cli("policy", "schema"), re.M))
        # Of these three, no errors are documented.
        self.assertEqual(served - set(MODELLED), {"AttachDisks", "DescribeSnapshotOverview", "DetachDisks"})
        self.assertEqual(pairs(MODELLED.items()) - self.reached, pairs(UNREACHED))


def load_tests(_loader, tests, _pattern):
    """Of the whole file: the lists are looked at when all tables have been gone through."""
    tests.addTest(Model("all_documented_errors_were_reached"))
    return tests


if __name__ == "__main__":
    unittest.main()
