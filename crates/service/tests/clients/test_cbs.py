"""Tencent CBS with the vendor's SDK for Python: the whole life of a snapshot, and every refusal by its code."""

import concurrent.futures
import datetime
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

from tencentcloud.cbs.v20170312 import models
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.cvm.v20170312 import cvm_client
from tencentcloud.region.v20220627 import region_client

import tencent
from tencent import BEIJING, GUANGZHOU
from world import WorldTest

GIB = 1 << 30
CHINA = datetime.timezone(datetime.timedelta(hours=8))
SSD = {"Placement": {"Zone": "ap-guangzhou-3"}, "DiskChargeType": "POSTPAID_BY_HOUR", "DiskType": "CLOUD_SSD"}


class CbsTest(WorldTest):
    # Operation and code of what was refused so far, in all tests of this process.
    reached = set()

    def client(self, region=GUANGZHOU, key=None, **options):
        return tencent.client(self.world.address, region, key or self.world.tencent_key, **options)

    def stranger(self):
        """A new account: its id and its client."""
        account, key = self.world.new_account("tencent")
        return account, self.client(key=key)

    def call(self, action, _client=None, **parameters):
        request = getattr(models, f"{action}Request")()
        request.from_json_string(json.dumps(parameters))
        return getattr(_client or self.client(), action)(request)

    def refused(self, code, action, _client=None, **parameters):
        with self.assertRaises(TencentCloudSDKException) as caught:
            self.call(action, _client, **parameters)
        self.assertEqual(caught.exception.code, code, caught.exception.message)
        self.assertTrue(caught.exception.requestId)
        self.reached.add((action, code))

    def call_until_limited(self, action):
        """Calls until one is too many: twenty are accepted, and twenty more for each second. One thread alone may be slower."""
        began, limited = time.monotonic(), threading.Event()

        def accepted(_):
            client, count = self.client(), 0
            while not limited.is_set() and time.monotonic() - began < 60:
                try:
                    self.call(action, client)
                    count += 1
                except TencentCloudSDKException as refusal:
                    limited.set()
                    self.assertEqual(refusal.code, "RequestLimitExceeded", refusal.message)
            return count

        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            count = sum(pool.map(accepted, range(20)))
        self.assertTrue(limited.is_set(), f"{count} calls were accepted")
        self.assertGreaterEqual(count, 20)
        self.assertLessEqual(count, 20 + 20 * (time.monotonic() - began))

    def make_disk(self, region=GUANGZHOU, **parameters):
        (disk,) = self.call("CreateDisks", self.client(region), **{**SSD, "DiskSize": 1, **parameters}).DiskIdSet
        return disk

    def disk(self, disk, region=GUANGZHOU):
        found = self.call("DescribeDisks", self.client(region), DiskIds=[disk]).DiskSet
        return found[0] if found else None

    def ready_disk(self, region=GUANGZHOU, **parameters):
        disk = self.make_disk(region=region, **parameters)
        self.until(lambda: self.disk(disk, region).DiskState == "UNATTACHED")
        return disk

    def snapshot(self, snapshot, region=GUANGZHOU):
        found = self.call("DescribeSnapshots", self.client(region), SnapshotIds=[snapshot]).SnapshotSet
        return found[0] if found else None

    def normal(self, snapshot, region=GUANGZHOU):
        return self.until(lambda: (seen := self.snapshot(snapshot, region)) and seen.SnapshotState == "NORMAL" and seen)

    def take(self, disk, **parameters):
        snapshot = self.call("CreateSnapshot", DiskId=disk, **parameters).SnapshotId
        self.normal(snapshot)
        return snapshot

    def write(self, disk, offset, data, region=GUANGZHOU):
        with open(self.world.path(region, disk), "r+b") as image:
            image.seek(offset)
            image.write(data)


class Life(CbsTest):
    def test_a_snapshot_is_taken_copied_found_restored_and_deleted(self):
        disk = self.ready_disk(DiskName="root", Tags=[{"Key": "env", "Value": "prod"}])
        seen = self.disk(disk)
        self.assertEqual((seen.DiskName, seen.DiskSize, seen.DiskType), ("root", 1, "CLOUD_SSD"))
        self.assertEqual([(tag.Key, tag.Value) for tag in seen.Tags], [("env", "prod")])
        self.write(disk, 123456, b"precious")

        snapshot = self.call("CreateSnapshot", DiskId=disk, SnapshotName="day one").SnapshotId
        self.assertRegex(snapshot, "^snap-[0-9a-z]{8}$")
        taken = self.normal(snapshot)
        self.assertEqual((taken.SnapshotName, taken.DiskId, taken.DiskSize, taken.Percent), ("day one", disk, 1, 100))
        self.assertTrue(taken.IsPermanent)
        self.assertFalse(taken.CopyFromRemote)

        (result,) = self.call(
            "CopySnapshotCrossRegions", SnapshotId=snapshot, DestinationRegions=[BEIJING]
        ).SnapshotCopyResultSet
        self.assertEqual((result.DestinationRegion, result.Code, result.Message), (BEIJING, "Success", ""))
        copy = self.normal(result.SnapshotId, BEIJING)
        self.assertEqual(copy.SnapshotName, f"Copied {snapshot} from {GUANGZHOU}")
        self.assertTrue(copy.CopyFromRemote and copy.IsPermanent)
        self.assertEqual((copy.DiskId, copy.Placement.Zone), (disk, f"{BEIJING}-1"))
        self.assertIsNone(self.snapshot(result.SnapshotId), "a copy belongs to its region alone")
        self.until(lambda: self.snapshot(snapshot).CopyingToRegions == [])

        self.call("DeleteSnapshots", SnapshotIds=[snapshot])
        self.assertIsNone(self.snapshot(snapshot))
        restored = self.ready_disk(
            region=BEIJING, SnapshotId=result.SnapshotId, Placement={"Zone": f"{BEIJING}-1"}, DiskSize=None
        )
        image = self.world.path(BEIJING, restored)
        self.assertEqual(image.stat().st_size, GIB)
        with open(image, "rb") as file:
            file.seek(123456)
            self.assertEqual(file.read(8), b"precious")
        self.call("TerminateDisks", self.client(BEIJING), DiskIds=[restored])
        self.assertIsNone(self.disk(restored, BEIJING))
        self.until(lambda: not image.exists())

    def test_a_snapshot_is_rolled_back_onto_its_disk(self):
        disk = self.ready_disk()
        self.write(disk, 0, b"before")
        snapshot = self.take(disk)
        self.write(disk, 0, b"after!")
        self.call("ApplySnapshot", SnapshotId=snapshot, DiskId=disk)
        self.until(lambda: self.disk(disk).DiskState == "UNATTACHED")
        with open(self.world.path(GUANGZHOU, disk), "rb") as file:
            self.assertEqual(file.read(6), b"before")
        other = self.ready_disk()
        self.refused("InvalidParameterValue", "ApplySnapshot", SnapshotId=snapshot, DiskId=other)
        self.refused("InvalidDiskId.NotFound", "ApplySnapshot", SnapshotId=snapshot, DiskId="disk-00000000")

    def test_a_snapshot_with_a_deadline_goes_by_itself_and_one_without_stays(self):
        disk = self.ready_disk()
        passing = self.take(disk, Deadline=time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 90000)))
        seen = self.snapshot(passing)
        self.assertFalse(seen.IsPermanent)
        self.assertRegex(seen.DeadlineTime, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
        self.call("ModifySnapshotAttribute", SnapshotId=passing, SnapshotName="kept", IsPermanent=True)
        seen = self.snapshot(passing)
        self.assertEqual((seen.SnapshotName, seen.IsPermanent, seen.DeadlineTime), ("kept", True, ""))
        end = datetime.datetime.fromtimestamp(int(time.time()) + 90000, CHINA)
        self.call("ModifySnapshotAttribute", SnapshotId=passing, IsPermanent=False, Deadline=end.isoformat())
        seen = self.snapshot(passing)
        self.assertEqual((seen.IsPermanent, seen.DeadlineTime), (False, end.strftime("%Y-%m-%d %H:%M:%S")))
        self.sql(GUANGZHOU, "UPDATE backup SET expires_at = 1 WHERE id = ?", passing)
        self.until(lambda: self.snapshot(passing) is None)

    def test_pages_cover_all_and_filters_choose(self):
        disk = self.ready_disk()
        taken = [self.take(disk, SnapshotName=f"page-{number}") for number in range(5)]
        found = []
        for offset in range(0, 6, 2):
            page = self.call(
                "DescribeSnapshots",
                Filters=[{"Name": "disk-id", "Values": [disk]}],
                Offset=offset,
                Limit=2,
                Order="ASC",
            )
            self.assertEqual(page.TotalCount, 5)
            found += [snapshot.SnapshotId for snapshot in page.SnapshotSet]
        self.assertEqual(found, taken)
        by_name = self.call("DescribeSnapshots", Filters=[{"Name": "snapshot-name", "Values": ["page-3", "x"]}])
        self.assertEqual([snapshot.SnapshotId for snapshot in by_name.SnapshotSet], [taken[3]])
        self.assertEqual(self.call("DescribeSnapshots", SnapshotIds=["snap-00000000"]).TotalCount, 0)
        self.assertEqual(self.disk(disk).SnapshotCount, 5)
        overview = self.call("DescribeSnapshotOverview")
        self.assertGreaterEqual(overview.TotalNums, 5)

    def test_any_number_of_ids_can_be_asked_for(self):
        disk = self.ready_disk()
        taken = [self.take(disk), self.take(disk)]
        for count in [200, 40_000]:
            found = self.call("DescribeSnapshots", SnapshotIds=[*(f"snap-{n:08}" for n in range(count)), taken[0]])
            self.assertEqual((found.TotalCount, [seen.SnapshotId for seen in found.SnapshotSet]), (1, taken[:1]))
            found = self.call("DescribeDisks", DiskIds=[*(f"disk-{n:08}" for n in range(count)), disk])
            self.assertEqual((found.TotalCount, [seen.DiskId for seen in found.DiskSet]), (1, [disk]))

    def test_a_snapshot_is_found_by_the_state_that_it_is_shown_in(self):
        disk = self.ready_disk()
        snapshot, other = self.take(disk), self.take(disk)

        def in_state(state):
            filters = [{"Name": "disk-id", "Values": [disk]}, {"Name": "snapshot-state", "Values": [state]}]
            found = self.call("DescribeSnapshots", Filters=filters)
            self.assertEqual(found.TotalCount, len(found.SnapshotSet))
            self.assertEqual({seen.SnapshotState for seen in found.SnapshotSet} - {state}, set())
            return {seen.SnapshotId for seen in found.SnapshotSet}

        back = self.away(GUANGZHOU)
        self.call("ApplySnapshot", SnapshotId=snapshot, DiskId=disk)
        self.assertEqual((in_state("ROLLBACKING"), in_state("NORMAL")), ({snapshot}, {other}))
        back()
        self.until(lambda: self.disk(disk).DiskState == "UNATTACHED")
        self.assertEqual((in_state("ROLLBACKING"), in_state("NORMAL")), (set(), {snapshot, other}))

    def test_prepaid_disks_have_deadlines_and_are_ordered_by_them(self):
        def prepaid(months, **flag):
            paid = {"DiskChargeType": "PREPAID", "DiskChargePrepaid": {"Period": months, **flag}}
            return self.ready_disk(DiskName="paid", **paid)

        year, month = prepaid(12, RenewFlag="NOTIFY_AND_AUTO_RENEW"), prepaid(1)
        hourly = self.ready_disk(DiskName="paid")
        seen = self.disk(month)
        made, ends = (datetime.datetime.fromisoformat(time) for time in [seen.CreateTime, seen.DeadlineTime])
        self.assertEqual((ends.year * 12 + ends.month) - (made.year * 12 + made.month), 1)
        self.assertEqual(ends.time(), made.time())
        self.assertIn(made.day - ends.day, range(4))
        # One less when midnight has passed since.
        self.assertIn(seen.DifferDaysOfDeadline, range(27, 32))
        self.assertEqual(seen.RenewFlag, "NOTIFY_AND_MANUAL_RENEW")
        self.assertEqual(self.disk(year).RenewFlag, "NOTIFY_AND_AUTO_RENEW")
        seen = self.disk(hourly)
        self.assertEqual((seen.DeadlineTime, seen.DifferDaysOfDeadline, seen.RenewFlag), ("", None, ""))
        paid, ordered = [{"Name": "disk-name", "Values": ["paid"]}], [month, year, hourly]
        for order, expected in [("ASC", ordered), ("DESC", ordered[::-1])]:
            found = self.call("DescribeDisks", Filters=paid, OrderField="DEADLINE", Order=order).DiskSet
            self.assertEqual([disk.DiskId for disk in found], expected)

    def test_a_disk_is_encrypted_under_the_key_that_is_named(self):
        key = self.world.cli("kms", "create", "--region", GUANGZHOU)
        secret = {"Encrypt": "ENCRYPT", "EncryptType": "ENCRYPT_V2"}
        self.refused("InvalidParameterValue", "CreateDisks", **SSD, DiskSize=1, **secret, KmsKeyId="no-such-key")
        disk = self.ready_disk(**secret, KmsKeyId=key)
        seen = self.disk(disk)
        self.assertEqual((seen.Encrypt, seen.EncryptType, seen.KmsKeyId), (True, "ENCRYPT_V2", key))
        snapshot = self.take(disk)
        ((used,),) = self.sql(GUANGZHOU, "SELECT kms_key FROM backup WHERE id = ?", snapshot)
        self.assertEqual(used, key)
        again = self.disk(self.ready_disk(SnapshotId=snapshot))
        self.assertEqual((again.Encrypt, again.KmsKeyId), (True, self.world.kms_key(GUANGZHOU)))
        self.world.cli("kms", "disable", key, "--region", GUANGZHOU)
        self.refused("InvalidParameterValue", "CreateDisks", **SSD, DiskSize=1, **secret, KmsKeyId=key)

    def test_a_token_makes_disks_once_also_over_a_crash(self):
        wanted = {**SSD, "DiskSize": 1, "DiskCount": 3, "DiskName": "once", "ClientToken": "once"}
        first = self.call("CreateDisks", **wanted).DiskIdSet
        self.assertEqual(len(set(first)), 3)
        self.assertEqual(self.call("CreateDisks", **wanted).DiskIdSet, first)
        self.refused("InvalidParameterValue", "CreateDisks", **{**wanted, "DiskSize": 2})
        self.world.stop(9)
        self.world.start()
        self.assertEqual(self.call("CreateDisks", **wanted).DiskIdSet, first)
        self.refused("InvalidParameterValue", "CreateDisks", **{**wanted, "DiskSize": 2})
        self.assertEqual(self.call("DescribeDisks", Filters=[{"Name": "disk-name", "Values": ["once"]}]).TotalCount, 3)

    def test_a_token_is_known_whatever_has_become_of_what_its_call_named(self):
        key = self.world.cli("kms", "create", "--region", GUANGZHOU)
        wanted = {**SSD, "SnapshotId": self.take(self.ready_disk()), "DiskCount": 2, "ClientToken": "known"}
        wanted |= {"Encrypt": "ENCRYPT", "KmsKeyId": key}
        made = self.call("CreateDisks", **wanted).DiskIdSet
        self.until(lambda: all(self.disk(disk).DiskState == "UNATTACHED" for disk in made))
        self.call("DeleteSnapshots", SnapshotIds=[wanted["SnapshotId"]])
        self.world.cli("kms", "disable", key, "--region", GUANGZHOU)
        self.limited(in_arrears=True)
        self.assertEqual(self.call("CreateDisks", **wanted).DiskIdSet, made)
        self.refused("InvalidParameterValue", "CreateDisks", **{**wanted, "DiskCount": 1})
        self.refused("InvalidAccount.InsufficientBalance", "CreateDisks", **{**wanted, "ClientToken": "another"})

    def test_a_copy_that_is_cut_off_by_a_crash_is_finished_after_the_restart(self):
        disk = self.ready_disk()
        for number in range(128):
            self.write(disk, number << 20, os.urandom(1 << 20))
        snapshot = self.take(disk)
        at_once = self.slowly_into(BEIJING)
        (result,) = self.call(
            "CopySnapshotCrossRegions", SnapshotId=snapshot, DestinationRegions=[BEIJING]
        ).SnapshotCopyResultSet
        self.world.stop(9)
        at_once()
        self.assertEqual(self.sql(BEIJING, "SELECT state FROM backup WHERE id = ?", result.SnapshotId), [("COPYING",)])
        self.world.start()
        self.normal(result.SnapshotId, BEIJING)
        self.world.cli("backup", "verify", result.SnapshotId, "--read-data")


class Clients(CbsTest):
    def test_every_signature_of_the_sdk_is_accepted(self):
        for sign in ["TC3-HMAC-SHA256", "HmacSHA256", "HmacSHA1"]:
            for method in ["POST", "GET"]:
                with self.subTest(sign=sign, method=method):
                    client = self.client(sign=sign, method=method)
                    filters = [{"Name": "encrypt", "Values": ["false"]}]
                    self.assertGreaterEqual(self.call("DescribeSnapshots", client, Filters=filters).TotalCount, 0)

    def tccli(self, region, action, **parameters):
        """Runs the vendor's command line."""
        command = [pathlib.Path(sys.executable).with_name("tccli"), "cbs", action, "--region", region]
        for name, value in parameters.items():
            command += [f"--{name}", value if isinstance(value, str) else json.dumps(value)]
        env = {**self.world.env, "HOME": str(self.world.dir), "PATH": "/usr/bin:/bin"}
        return subprocess.run([*command, "--endpoint", self.world.endpoint], env=env, capture_output=True, text=True)

    def test_tccli_walks_the_life_of_a_snapshot(self):
        def tccli(*action, **parameters):
            done = self.tccli(*action, **parameters)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return json.loads(done.stdout)

        (disk,) = tccli(GUANGZHOU, "CreateDisks", **SSD, DiskSize=1)["DiskIdSet"]
        self.until(lambda: self.disk(disk).DiskState == "UNATTACHED")
        self.write(disk, 0, b"precious")
        snapshot = tccli(GUANGZHOU, "CreateSnapshot", DiskId=disk)["SnapshotId"]
        self.normal(snapshot)
        copied = tccli(GUANGZHOU, "CopySnapshotCrossRegions", SnapshotId=snapshot, DestinationRegions=[BEIJING])
        (result,) = copied["SnapshotCopyResultSet"]
        self.assertEqual(result["Code"], "Success")
        copy = result["SnapshotId"]
        self.normal(copy, BEIJING)
        (found,) = tccli(BEIJING, "DescribeSnapshots", SnapshotIds=[copy])["SnapshotSet"]
        self.assertEqual((found["DiskId"], found["CopyFromRemote"]), (disk, True))
        wanted = {**SSD, "Placement": {"Zone": f"{BEIJING}-1"}, "SnapshotId": copy}
        (restored,) = tccli(BEIJING, "CreateDisks", **wanted)["DiskIdSet"]
        self.until(lambda: self.disk(restored, BEIJING).DiskState == "UNATTACHED")
        with open(self.world.path(BEIJING, restored), "rb") as image:
            self.assertEqual(image.read(8), b"precious")
        tccli(BEIJING, "DeleteSnapshots", SnapshotIds=[copy])
        self.assertIsNone(self.snapshot(copy, BEIJING))
        refused = self.tccli(BEIJING, "DeleteSnapshots", SnapshotIds=[copy])
        self.assertEqual((refused.returncode, refused.stdout), (255, ""))
        self.assertIn(" code:InvalidSnapshotId.NotFound message:There is no snapshot ", refused.stderr)

    def test_regions_are_listed_to_the_clients_that_have_them(self):
        # The SDK has these two apart from CBS's own; it comes with tccli.
        of_cvm, of_region = (self.client(kind=kind) for kind in [cvm_client.CvmClient, region_client.RegionClient])
        request = region_client.models.DescribeRegionsRequest()
        with self.assertRaises(TencentCloudSDKException) as caught:
            of_region.DescribeRegions(request)
        self.assertEqual(caught.exception.code, "MissingParameter")
        request.Product = "cbs"
        for reply in [
            of_cvm.DescribeRegions(cvm_client.models.DescribeRegionsRequest()),
            of_region.DescribeRegions(request),
        ]:
            self.assertEqual({seen.Region for seen in reply.RegionSet}, {GUANGZHOU, BEIJING})
            self.assertEqual({seen.RegionState for seen in reply.RegionSet}, {"AVAILABLE"})
            self.assertEqual(reply.TotalCount, 2)

    def test_wrong_and_disabled_keys_are_refused_by_name(self):
        good, _ = self.world.tencent_key
        self.refused("AuthFailure.SignatureFailure", "DescribeDisks", self.client(key=(good, "wrong")))
        self.refused("AuthFailure.SecretIdNotFound", "DescribeDisks", self.client(key=("AKIDnobody", "x")))
        key = self.world.key("create", "default", "--cloud", "tencent")
        self.call("DescribeDisks", self.client(key=key))
        self.world.cli("key", "disable", key[0])
        self.refused("AuthFailure.InvalidSecretId", "DescribeDisks", self.client(key=key))


class Refusals(CbsTest):
    def test_regions_and_operations_that_are_not_there_are_named(self):
        for elsewhere in ["ap-nowhere", "us-east-1", "cn-north-1"]:
            self.refused("UnsupportedRegion", "DescribeDisks", self.client(elsewhere))
        east = {**SSD, "Placement": {"Zone": "us-east-1-1"}, "DiskSize": 1}
        self.refused("UnsupportedRegion", "CreateDisks", self.client("us-east-1"), **east)
        self.refused("UnsupportedOperation", "ResizeDisk", DiskId="disk-00000000", DiskSize=2)

    def test_listings_have_their_limits(self):
        self.refused("InvalidParameterValue", "DescribeSnapshots", Limit=101)
        self.refused("InvalidFilter", "DescribeSnapshots", Filters=[{"Name": "colour", "Values": ["red"]}])
        both = {"SnapshotIds": ["snap-00000000"], "Filters": [{"Name": "disk-id", "Values": ["x"]}]}
        self.refused("InvalidParameterValue", "DescribeSnapshots", **both)

    def test_deletion_is_all_or_nothing(self):
        snapshot = self.take(self.ready_disk())
        self.refused("InvalidSnapshotId.NotFound", "DeleteSnapshots", SnapshotIds=[snapshot, "snap-00000000"])
        self.assertIsNotNone(self.snapshot(snapshot))

    def test_a_deletion_that_failed_is_repeated(self):
        disk = self.ready_disk()
        snapshots = [self.take(disk), self.take(disk)]
        back = self.away(GUANGZHOU)
        self.refused("InternalError.ComponentError", "DeleteSnapshots", SnapshotIds=snapshots)
        self.assertEqual([self.snapshot(snapshot) for snapshot in snapshots], [None, None])
        back()
        self.call("DeleteSnapshots", SnapshotIds=snapshots)
        self.refused("InvalidSnapshotId.NotFound", "DeleteSnapshots", SnapshotIds=snapshots)


class Limits(CbsTest):
    def test_a_disk_has_sixty_four_snapshots_at_most(self):
        disk, other = self.ready_disk(), self.ready_disk()
        first, *_ = [self.take(disk) for _ in range(64)]
        self.refused("ResourceInsufficient.OverQuota", "CreateSnapshot", DiskId=disk)
        self.take(other)
        self.call("DeleteSnapshots", SnapshotIds=[first])
        self.take(disk)
        self.limited(cbs_snapshots_per_disk=1)
        self.refused("ResourceInsufficient.OverQuota", "CreateSnapshot", DiskId=other)


class Rates(CbsTest):
    settings = None

    def test_of_a_burst_of_copies_twenty_are_looked_at(self):
        (self.world.dir / "image").write_bytes(b"sector")
        disk = self.world.cli("resource", "add", str(self.world.dir / "image"), "--region", GUANGZHOU)
        wanted = {"SnapshotId": self.world.cli("backup", "create", disk), "DestinationRegions": [BEIJING]}
        # The first copy stays in progress, so that no other is accepted beside it.
        self.away(BEIJING)

        def copy(_):
            try:
                return self.call("CopySnapshotCrossRegions", **wanted).SnapshotCopyResultSet[0].Code
            except TencentCloudSDKException as refusal:
                return refusal.code

        began = time.monotonic()
        # All at once: those that are looked at take their time where disks are slow.
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            codes = list(pool.map(copy, range(100)))
        limited, seconds = codes.count("RequestLimitExceeded"), time.monotonic() - began
        self.assertEqual(codes.count("Success"), 1)
        self.assertEqual(codes.count("ResourceInUse.CopySnapshotConflict"), 99 - limited)
        self.assertTrue(limited and 20 <= 100 - limited <= 20 + 20 * seconds, (limited, seconds))
        # Each region has a second of its own; there, the snapshot is unknown.
        self.refused("InvalidSnapshotId.NotFound", "CopySnapshotCrossRegions", self.client(BEIJING),
                     **{**wanted, "DestinationRegions": [GUANGZHOU]})  # fmt: skip

    def test_the_twenty_first_call_in_a_second_is_one_too_many(self):
        self.call_until_limited("DescribeDisks")
        self.call("DescribeSnapshots")


class Arrears(CbsTest):
    def test_an_account_that_has_not_paid_makes_nothing_new(self):
        disk = self.ready_disk()
        snapshot = self.take(disk)
        restore = self.limited(in_arrears=True)
        code = "InvalidAccount.InsufficientBalance"
        self.refused(code, "CreateSnapshot", DiskId=disk)
        self.refused(code, "CopySnapshotCrossRegions", SnapshotId=snapshot, DestinationRegions=[BEIJING])
        restore()
        restore = self.limited(cbs_snapshots=1)
        self.refused("InsufficientSnapshotQuota", "CreateSnapshot", DiskId=disk)
        restore()
        self.take(disk)


if __name__ == "__main__":
    unittest.main()
