"""Tencent CBS with the vendor's SDK for Python: scheduled snapshots, disks in use, snapshots that are shared."""

import datetime
import re
import time
import unittest

from tencent import BEIJING, GUANGZHOU
from test_cbs import CHINA, SSD, CbsTest

# Half a day away, so that a run that is made to have been due is never followed by one that has been due as well.
RUN_HOUR = (datetime.datetime.now(CHINA).hour + 12) % 24
DAILY = [{"Hour": [RUN_HOUR], "IntervalDays": 1}]
HOUR = 60 * 60 * 1000
INSTANCE, OTHER_INSTANCE = "ins-00000001", "ins-00000002"


class PolicyTest(CbsTest):
    def tearDown(self):
        # Ten are all that an account may have.
        ids = [policy.AutoSnapshotPolicyId for policy in self.policies()]
        if ids:
            self.call("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=ids)

    def policies(self, _client=None, **parameters):
        return self.call("DescribeAutoSnapshotPolicies", _client, **parameters).AutoSnapshotPolicySet

    def policy(self, policy):
        (found,) = self.policies(AutoSnapshotPolicyIds=[policy])
        return found

    def make_policy(self, **parameters):
        return self.call("CreateAutoSnapshotPolicy", **{"Policy": DAILY, **parameters}).AutoSnapshotPolicyId

    def bind(self, policy, *disks):
        self.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=list(disks))

    def attached_disk(self, **parameters):
        disk = self.ready_disk(**parameters)
        self.call("AttachDisks", InstanceId=INSTANCE, DiskIds=[disk])
        return disk

    def force(self, policy, hours_ago):
        """Makes a policy's next run have been due so long ago."""
        due = int(time.time() * 1000) - int(hours_ago * HOUR)
        self.sql(GUANGZHOU, "UPDATE policy SET next_run_at = ?, rules_since = 0 WHERE id = ?", due, policy)
        return due

    def until_claimed(self, policy):
        """Waits until the forced run is behind."""
        now = int(time.time() * 1000)
        self.until(lambda: self.sql(GUANGZHOU, "SELECT next_run_at FROM policy WHERE id = ?", policy)[0][0] > now)

    def until_run(self, policy):
        """Waits until every snapshot of the forced run is accepted."""
        self.until_claimed(policy)
        due = "SELECT COUNT(*) FROM policy_resource WHERE policy_id = ? AND due_at IS NOT NULL"
        self.until(lambda: self.sql(GUANGZHOU, due, policy) == [(0,)])

    def snapshots(self, disk, _client=None):
        filters = [{"Name": "disk-id", "Values": [disk]}]
        return self.call("DescribeSnapshots", _client, Filters=filters).SnapshotSet


class Policies(PolicyTest):
    def test_a_policy_is_made_shown_changed_and_removed(self):
        made = self.call("CreateAutoSnapshotPolicy", Policy=DAILY, AutoSnapshotPolicyName="nightly")
        policy = made.AutoSnapshotPolicyId
        self.assertRegex(policy, "^asp-[0-9a-z]{8}$")
        # That hour in China, within a day.
        self.assertRegex(made.NextTriggerTime, rf"^\d{{4}}-\d\d-\d\d {RUN_HOUR:02}:00:00$")
        first = datetime.datetime.fromisoformat(made.NextTriggerTime + "+08:00")
        self.assertTrue(0 < (first.timestamp() - time.time()) <= 24 * 3600, made.NextTriggerTime)
        seen = self.policy(policy)
        self.assertEqual((seen.AutoSnapshotPolicyName, seen.AutoSnapshotPolicyState), ("nightly", "NORMAL"))
        self.assertEqual((seen.IsActivated, seen.IsPermanent, seen.RetentionDays), (True, False, 7))
        self.assertEqual((seen.Policy[0].Hour, seen.Policy[0].IntervalDays), ([RUN_HOUR], 1))
        self.assertEqual((seen.DiskIdSet, seen.NextTriggerTime), ([], made.NextTriggerTime))

        change = {"AutoSnapshotPolicyId": policy}
        self.call(
            "ModifyAutoSnapshotPolicyAttribute",
            **change,
            AutoSnapshotPolicyName="weekly",
            IsActivated=False,
            IsPermanent=True,
            Policy=[{"Hour": [4, 16], "DayOfWeek": [0]}],
        )
        seen = self.policy(policy)
        self.assertEqual((seen.AutoSnapshotPolicyName, seen.IsActivated, seen.IsPermanent), ("weekly", False, True))
        self.assertEqual((seen.Policy[0].Hour, seen.Policy[0].DayOfWeek), ([4, 16], [0]))
        self.assertEqual(seen.NextTriggerTime, "", "what is switched off does not run")
        both = {**change, "IsPermanent": True, "RetentionDays": 3}
        self.refused("InvalidParameter", "ModifyAutoSnapshotPolicyAttribute", **both)
        self.refused("InvalidParameter", "ModifyAutoSnapshotPolicyAttribute", **change, RetentionDays=3)
        self.call("ModifyAutoSnapshotPolicyAttribute", **change, IsActivated=True, IsPermanent=False, RetentionDays=3)
        seen = self.policy(policy)
        self.assertEqual((seen.IsActivated, seen.IsPermanent, seen.RetentionDays), (True, False, 3))
        self.assertRegex(seen.NextTriggerTime, r" (04|16):00:00$")

        both = {"AutoSnapshotPolicyIds": [policy, "asp-00000000"]}
        self.refused("InvalidAutoSnapshotPolicyId.NotFound", "DeleteAutoSnapshotPolicies", **both)
        self.policy(policy)
        self.call("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])
        self.assertEqual(self.policies(AutoSnapshotPolicyIds=[policy]), [])
        self.refused("InvalidAutoSnapshotPolicyId.NotFound", "ModifyAutoSnapshotPolicyAttribute", **change, IsActivated=True)

    def test_a_dry_run_only_tells_the_time(self):
        reply = self.call("CreateAutoSnapshotPolicy", Policy=DAILY, DryRun=True)
        self.assertEqual(reply.AutoSnapshotPolicyId, "")
        self.assertRegex(reply.NextTriggerTime, f" {RUN_HOUR:02}:00:00$")
        self.assertEqual(self.policies(), [])

    def test_listings_have_filters_and_pages(self):
        made = [self.make_policy(AutoSnapshotPolicyName=f"p{number}") for number in range(3)]
        page = self.call("DescribeAutoSnapshotPolicies", Limit=2, Offset=1, Order="ASC")
        self.assertEqual(page.TotalCount, 3)
        self.assertEqual([policy.AutoSnapshotPolicyId for policy in page.AutoSnapshotPolicySet], made[1:])
        by_name = self.policies(Filters=[{"Name": "auto-snapshot-policy-name", "Values": ["p1"]}])
        self.assertEqual([policy.AutoSnapshotPolicyId for policy in by_name], [made[1]])
        by_state = self.policies(Filters=[{"Name": "auto-snapshot-policy-state", "Values": ["NORMAL"]}])
        self.assertEqual(len(by_state), 3)
        self.refused("InvalidFilter", "DescribeAutoSnapshotPolicies", Filters=[{"Name": "zone", "Values": ["x"]}])

    def test_disks_are_bound_and_taken_off(self):
        policy, other = self.make_policy(), self.make_policy()
        disk, second = self.ready_disk(), self.ready_disk()
        self.bind(policy, disk, second)
        self.bind(other, disk)
        self.assertEqual(self.policy(policy).DiskIdSet, sorted([disk, second]))
        found = self.call("DescribeDiskAssociatedAutoSnapshotPolicy", DiskId=disk)
        self.assertEqual({seen.AutoSnapshotPolicyId for seen in found.AutoSnapshotPolicySet}, {policy, other})
        self.assertEqual([seen.DiskIdSet for seen in found.AutoSnapshotPolicySet], [[], []])
        (shown,) = self.call("DescribeDisks", DiskIds=[disk], ReturnBindAutoSnapshotPolicy=True).DiskSet
        self.assertEqual(set(shown.AutoSnapshotPolicyIds), {policy, other})
        self.assertIsNone(self.disk(disk).AutoSnapshotPolicyIds)

        again = {"AutoSnapshotPolicyId": policy, "DiskIds": [disk]}
        self.refused("InvalidDisk.AlreadyBound", "BindAutoSnapshotPolicy", **again)
        for code, changed in [
            ("InvalidDiskId.NotFound", {"DiskIds": ["disk-00000000"]}),
            ("InvalidDiskId.NotFound", {"DiskIds": ["nonsense"]}),
            ("InvalidAutoSnapshotPolicyId.NotFound", {"AutoSnapshotPolicyId": "asp-00000000"}),
            ("InvalidAutoSnapshotPolicyId.NotFound", {"AutoSnapshotPolicyId": "nonsense"}),
        ]:
            self.refused(code, "BindAutoSnapshotPolicy", **{**again, **changed})
        # One that is not bound is passed over.
        self.call("UnbindAutoSnapshotPolicy", AutoSnapshotPolicyId=other, DiskIds=[disk, second])
        self.assertEqual(self.policy(other).DiskIdSet, [])
        self.call("UnbindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, InstanceIds=[INSTANCE])
        self.refused("MissingParameter", "UnbindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy)
        self.call("TerminateDisks", DiskIds=[second])
        self.until(lambda: self.policy(policy).DiskIdSet == [disk])


class Runs(PolicyTest):
    def test_a_run_takes_a_snapshot_of_each_disk_in_use(self):
        policy = self.make_policy(RetentionDays=3)
        used, also_used, idle = self.attached_disk(), self.attached_disk(), self.ready_disk()
        self.write(used, 4096, b"scheduled")
        self.bind(policy, used, also_used, idle)
        self.force(policy, hours_ago=0.5)
        self.until_run(policy)
        self.assertRegex(self.policy(policy).NextTriggerTime, f" {RUN_HOUR:02}:00:00$")
        (snapshot,) = self.snapshots(used)
        self.assertEqual(snapshot.SnapshotName, f"auto_{used}")
        self.assertEqual(snapshot.AutoSnapshotPolicyId, policy)
        self.assertFalse(snapshot.IsPermanent)
        made, deadline = (
            datetime.datetime.fromisoformat(text) for text in [snapshot.CreateTime, snapshot.DeadlineTime]
        )
        self.assertLess(abs((deadline - made).total_seconds() - 3 * 24 * 3600), 5)
        self.assertEqual(len(self.snapshots(also_used)), 1)
        self.assertEqual(self.snapshots(idle), [], "a disk that is not in use is passed over")

        self.normal(snapshot.SnapshotId)
        restored = self.ready_disk(SnapshotId=snapshot.SnapshotId, DiskSize=None)
        with open(self.world.path(GUANGZHOU, restored), "rb") as image:
            image.seek(4096)
            self.assertEqual(image.read(9), b"scheduled")
        # Removing the policy, or the disk, leaves its snapshots.
        self.call("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])
        self.call("DetachDisks", DiskIds=[used])
        self.call("TerminateDisks", DiskIds=[used])
        self.until(lambda: not self.world.path(GUANGZHOU, used).exists())
        self.normal(snapshot.SnapshotId)

    def test_permanent_snapshots_have_no_deadline_and_a_copy_is_no_policys(self):
        policy, disk = self.make_policy(IsPermanent=True), self.attached_disk()
        self.bind(policy, disk)
        self.force(policy, hours_ago=0.1)
        self.until_run(policy)
        (snapshot,) = self.snapshots(disk)
        self.assertEqual((snapshot.IsPermanent, snapshot.DeadlineTime), (True, ""))
        self.normal(snapshot.SnapshotId)
        copied = self.call("CopySnapshotCrossRegions", SnapshotId=snapshot.SnapshotId, DestinationRegions=[BEIJING])
        copy = self.normal(copied.SnapshotCopyResultSet[0].SnapshotId, BEIJING)
        self.assertIsNone(copy.AutoSnapshotPolicyId)

    def test_two_policies_that_are_due_at_once_both_take_their_snapshot(self):
        disk = self.attached_disk()
        policies = [self.make_policy(), self.make_policy()]
        for policy in policies:
            self.bind(policy, disk)
        for policy in policies:
            self.force(policy, hours_ago=0.1)
        for policy in policies:
            self.until_run(policy)
        taken = {snapshot.AutoSnapshotPolicyId for snapshot in self.snapshots(disk)}
        self.assertEqual(taken, set(policies))

    def test_a_run_is_taken_once_however_often_the_server_is_killed(self):
        policy = self.make_policy()
        disks = [self.attached_disk() for _ in range(4)]
        self.bind(policy, *disks)
        self.world.stop(9)
        due = self.force(policy, hours_ago=0.5)
        self.world.start()
        self.world.stop(9)
        self.world.start()
        self.until_claimed(policy)
        self.world.stop(9)
        self.world.start()
        self.until_run(policy)
        # As a crash right after a snapshot is accepted leaves it.
        self.sql(GUANGZHOU, "UPDATE policy_resource SET due_at = ? WHERE policy_id = ?", due, policy)
        self.until_run(policy)
        for disk in disks:
            self.assertEqual(len(self.snapshots(disk)), 1)
            self.normal(self.snapshots(disk)[0].SnapshotId)

    def test_two_servers_take_a_run_once(self):
        policy, disk = self.make_policy(), self.attached_disk()
        self.bind(policy, disk)
        self.start_another_server()
        for round in range(1, 4):
            self.force(policy, hours_ago=round / 10)
            self.until_run(policy)
            self.until(lambda: all(snapshot.SnapshotState == "NORMAL" for snapshot in self.snapshots(disk)))
            self.assertEqual(len(self.snapshots(disk)), round)

    def test_a_run_that_was_missed_for_longer_than_an_interval_is_passed_over(self):
        policy, disk = self.make_policy(), self.attached_disk()
        self.bind(policy, disk)
        self.force(policy, hours_ago=50)
        self.until_run(policy)
        self.assertEqual(self.snapshots(disk), [])

    def test_what_is_switched_off_or_not_paid_for_does_not_run(self):
        policy, disk = self.make_policy(IsActivated=False), self.attached_disk()
        self.bind(policy, disk)
        self.force(policy, hours_ago=0.1)
        owing = self.make_policy()
        self.bind(owing, disk)
        self.limited(in_arrears=True)
        self.assertEqual(self.policy(owing).AutoSnapshotPolicyState, "ISOLATED")
        self.refused("InvalidAccount.InsufficientBalance", "CreateAutoSnapshotPolicy", Policy=DAILY)
        self.force(owing, hours_ago=0.1)
        self.until_run(owing)
        self.assertEqual(self.snapshots(disk), [])


class Attaching(PolicyTest):
    def test_a_disk_is_attached_and_detached(self):
        disk, second = self.ready_disk(), self.ready_disk()
        self.call("AttachDisks", InstanceId=INSTANCE, DiskIds=[disk, second], DeleteWithInstance=True)
        seen = self.disk(disk)
        self.assertEqual((seen.DiskState, seen.Attached, seen.InstanceType), ("ATTACHED", True, "CVM"))
        self.assertEqual((seen.InstanceId, seen.InstanceIdList), (INSTANCE, [INSTANCE]))
        self.assertTrue(seen.DeleteWithInstance)
        found = self.call("DescribeDisks", Filters=[{"Name": "instance-id", "Values": [INSTANCE]}]).DiskSet
        self.assertLessEqual({disk, second}, {found.DiskId for found in found})

        there = {"InstanceId": OTHER_INSTANCE, "DiskIds": [disk]}
        self.refused("ResourceUnavailable.Attached", "AttachDisks", **there)
        self.refused("InvalidParameterValue", "DetachDisks", **there)
        self.call("DetachDisks", DiskIds=[disk], InstanceId=INSTANCE)
        seen = self.disk(disk)
        self.assertEqual((seen.DiskState, seen.Attached, seen.InstanceIdList), ("UNATTACHED", False, []))
        self.assertEqual((seen.InstanceId, seen.LastAttachInsId), ("", INSTANCE))
        self.assertFalse(seen.DeleteWithInstance)
        # All or none: the second is still attached, the first no longer.
        self.refused("ResourceUnavailable.Attached", "AttachDisks", InstanceId=INSTANCE, DiskIds=[disk, second])
        self.assertEqual(self.disk(disk).DiskState, "UNATTACHED")
        self.refused("UnsupportedOperation.StateError", "DetachDisks", DiskIds=[second, disk])
        self.assertEqual(self.disk(second).DiskState, "ATTACHED")

    def test_ids_that_are_not_there_are_named(self):
        disk = self.ready_disk()
        self.refused("InvalidInstanceId.NotFound", "AttachDisks", InstanceId="nonsense", DiskIds=[disk])
        for unknown in ["disk-00000000", "nonsense", "fs-0123456789abcdef0"]:
            self.refused("InvalidDiskId.NotFound", "AttachDisks", InstanceId=INSTANCE, DiskIds=[disk, unknown])
            self.refused("InvalidDiskId.NotFound", "DetachDisks", DiskIds=[unknown])
        many = {"InstanceId": INSTANCE, "DiskIds": [f"disk-{number:08}" for number in range(11)]}
        self.refused("InvalidParameterValue.LimitExceeded", "AttachDisks", **many)

    def test_a_shareable_disk_is_at_several_instances(self):
        disk = self.ready_disk(Shareable=True)
        for instance in [INSTANCE, OTHER_INSTANCE]:
            self.call("AttachDisks", InstanceId=instance, DiskIds=[disk])
        self.assertEqual(self.disk(disk).InstanceIdList, [INSTANCE, OTHER_INSTANCE])
        self.call("DetachDisks", DiskIds=[disk], InstanceId=INSTANCE)
        seen = self.disk(disk)
        self.assertEqual((seen.DiskState, seen.InstanceIdList), ("ATTACHED", [OTHER_INSTANCE]))
        self.call("DetachDisks", DiskIds=[disk])
        self.assertEqual(self.disk(disk).DiskState, "UNATTACHED")

    def test_a_disk_in_use_is_neither_removed_nor_rolled_back(self):
        disk, idle = self.attached_disk(), self.ready_disk()
        snapshot = self.take(disk)
        self.refused("ResourceUnavailable.NotSupported", "TerminateDisks", DiskIds=[idle, disk])
        self.assertIsNotNone(self.disk(idle))
        self.refused("InvalidDisk.Busy", "ApplySnapshot", SnapshotId=snapshot, DiskId=disk)
        self.call("DetachDisks", DiskIds=[disk])
        self.call("ApplySnapshot", SnapshotId=snapshot, DiskId=disk)
        self.until(lambda: self.disk(disk).DiskState == "UNATTACHED")
        self.assertEqual(self.disk(disk).LastAttachInsId, INSTANCE)
        self.call("TerminateDisks", DiskIds=[idle, disk])


class SharingTest(CbsTest):
    def share(self, snapshot, *accounts, permission="SHARE"):
        self.call(
            "ModifySnapshotsSharePermission",
            SnapshotIds=[snapshot],
            AccountIds=list(accounts),
            Permission=permission,
        )

    def owner(self):
        """The id of the account that the tests are of."""
        identities = self.world.identities
        return re.search(r'id = "(\d{12})"', identities.read_text())[1]

    def shares(self, snapshot):
        found = self.call("DescribeSnapshotSharePermission", SnapshotId=snapshot).SharePermissionSet
        return [share.AccountId for share in found]


class Sharing(SharingTest):
    def test_a_shared_snapshot_makes_disks_for_others_and_nothing_else(self):
        disk = self.ready_disk()
        self.write(disk, 8192, b"for you")
        snapshot = self.take(disk, SnapshotName="gift", Tags=[{"Key": "secret", "Value": "yes"}])
        account, theirs = self.stranger()
        self.share(snapshot, account)
        self.assertEqual(self.shares(snapshot), [account])
        own = self.snapshot(snapshot)
        self.assertEqual((own.SnapshotType, own.ShareReference), ("PRIVATE_SNAPSHOT", 1))
        self.assertRegex(own.TimeStartShare, r"^\d{4}-\d\d-\d\d$")

        listed = self.call("DescribeSnapshots", theirs)
        self.assertEqual((listed.TotalCount, listed.SnapshotSet[0].SnapshotId), (1, snapshot))
        seen = listed.SnapshotSet[0]
        self.assertEqual((seen.SnapshotType, seen.SnapshotName, seen.SnapshotState), ("SHARED_SNAPSHOT", "gift", "NORMAL"))
        self.assertEqual((seen.Tags, seen.ShareReference), ([], 0))
        for kind, count in [("SHARED_SNAPSHOT", 1), ("PRIVATE_SNAPSHOT", 0)]:
            filters = [{"Name": "snapshot-type", "Values": [kind]}]
            self.assertEqual(self.call("DescribeSnapshots", theirs, Filters=filters).TotalCount, count)
        self.assertEqual(self.call("DescribeSnapshots", theirs, SnapshotIds=[snapshot]).TotalCount, 1)

        no = "InvalidSnapshot.NotSupported"
        self.refused(no, "CopySnapshotCrossRegions", theirs, SnapshotId=snapshot, DestinationRegions=[BEIJING])
        self.refused(no, "DeleteSnapshots", theirs, SnapshotIds=[snapshot])
        self.refused(no, "ModifySnapshotAttribute", theirs, SnapshotId=snapshot, SnapshotName="mine")
        self.refused(no, "ApplySnapshot", theirs, SnapshotId=snapshot, DiskId=disk)
        further = {"SnapshotIds": [snapshot], "AccountIds": [self.owner()], "Permission": "SHARE"}
        self.refused(no, "ModifySnapshotsSharePermission", theirs, **further)
        self.refused("InvalidParameterValue", "DescribeSnapshotSharePermission", theirs, SnapshotId=snapshot)

        wanted = {**SSD, "SnapshotId": snapshot}
        (made,) = self.call("CreateDisks", theirs, **wanted).DiskIdSet
        # That it is no longer shared does not take away what was made of it.
        self.share(snapshot, account, permission="CANCEL")
        self.until(lambda: self.call("DescribeDisks", theirs, DiskIds=[made]).DiskSet[0].DiskState == "UNATTACHED")
        with open(self.world.path(GUANGZHOU, made), "rb") as image:
            image.seek(8192)
            self.assertEqual(image.read(7), b"for you")
        self.assertIsNone(self.disk(made), "the disk is the receiver's alone")
        self.assertEqual(self.call("DescribeSnapshots", theirs).TotalCount, 0)
        self.refused("InvalidSnapshotId.NotFound", "CreateDisks", theirs, **wanted)
        self.assertEqual(self.shares(snapshot), [])
        self.assertEqual((self.snapshot(snapshot).ShareReference, self.snapshot(snapshot).TimeStartShare), (0, ""))

    def test_what_is_shared_stays(self):
        snapshot = self.take(self.ready_disk())
        account, _ = self.stranger()
        self.share(snapshot, account)
        self.refused("UnsupportedOperation.SnapHasShared", "DeleteSnapshots", SnapshotIds=[snapshot])
        soon = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 90000))
        ending = {"SnapshotId": snapshot, "IsPermanent": False, "Deadline": soon}
        self.refused("UnsupportedOperation.SnapHasShared", "ModifySnapshotAttribute", **ending)
        self.call("ModifySnapshotAttribute", SnapshotId=snapshot, SnapshotName="renamed")
        self.share(snapshot, account, permission="CANCEL")
        self.call("DeleteSnapshots", SnapshotIds=[snapshot])

    def test_pages_hold_own_and_shared_snapshots_in_order(self):
        account, theirs = self.stranger()
        disk = self.ready_disk()
        taken = [self.take(disk) for _ in range(3)]
        self.share(taken[1], account)
        (mine,) = self.call("CreateDisks", theirs, **SSD, DiskSize=1).DiskIdSet
        self.until(lambda: self.call("DescribeDisks", theirs, DiskIds=[mine]).DiskSet[0].DiskState == "UNATTACHED")
        own = self.call("CreateSnapshot", theirs, DiskId=mine).SnapshotId
        pages = [self.call("DescribeSnapshots", theirs, Limit=1, Offset=number) for number in range(3)]
        self.assertEqual([page.TotalCount for page in pages], [2, 2, 2])
        listed = [snapshot.SnapshotId for page in pages for snapshot in page.SnapshotSet]
        self.assertEqual(listed, [own, taken[1]])


if __name__ == "__main__":
    unittest.main()
