"""Another account's ids of CBS behave as ids that there are not: every operation, with every member that holds ids.

The members come from the SDK's own request models, so that one which has no row here is a failure.
"""

import json
import re
import unittest

from tencentcloud.cbs.v20170312 import models
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from tencent import BEIJING, GUANGZHOU
from test_cbs import SSD, CbsTest
from test_cbs_policies import DAILY

NO_SNAPSHOT, NO_DISK = "InvalidSnapshotId.NotFound", "InvalidDiskId.NotFound"
NO_POLICY = "InvalidAutoSnapshotPolicyId.NotFound"
VALUE = "InvalidParameterValue"

# Operation, member, the refusal's code if there is one, what else is asked. Names in braces are the caller's own.
ROWS = [
    ("ApplySnapshot", "SnapshotId", NO_SNAPSHOT, {"DiskId": "{disk}"}),
    ("ApplySnapshot", "DiskId", NO_DISK, {"SnapshotId": "{snapshot}"}),
    ("AttachDisks", "DiskIds", NO_DISK, {"InstanceId": "{instance}"}),
    ("BindAutoSnapshotPolicy", "AutoSnapshotPolicyId", NO_POLICY, {"DiskIds": ["{disk}"]}),
    ("BindAutoSnapshotPolicy", "DiskIds", NO_DISK, {"AutoSnapshotPolicyId": "{policy}"}),
    ("CopySnapshotCrossRegions", "SnapshotId", NO_SNAPSHOT, {"DestinationRegions": [BEIJING]}),
    ("CreateDisks", "SnapshotId", NO_SNAPSHOT, SSD),
    ("CreateSnapshot", "DiskId", NO_DISK, {}),
    ("DeleteAutoSnapshotPolicies", "AutoSnapshotPolicyIds", NO_POLICY, {}),
    ("DeleteSnapshots", "SnapshotIds", NO_SNAPSHOT, {}),
    ("DescribeAutoSnapshotPolicies", "AutoSnapshotPolicyIds", None, {}),
    ("DescribeAutoSnapshotPolicies", "Filters.auto-snapshot-policy-id", None, {}),
    ("DescribeDiskAssociatedAutoSnapshotPolicy", "DiskId", None, {}),
    ("DescribeDisks", "DiskIds", None, {}),
    ("DescribeDisks", "Filters.disk-id", None, {}),
    ("DescribeDisks", "Filters.instance-id", None, {}),
    ("DescribeSnapshotSharePermission", "SnapshotId", VALUE, {}),
    ("DescribeSnapshots", "SnapshotIds", None, {}),
    ("DescribeSnapshots", "Filters.snapshot-id", None, {}),
    ("DescribeSnapshots", "Filters.disk-id", None, {}),
    ("DetachDisks", "DiskIds", NO_DISK, {}),
    ("DetachDisks", "InstanceId", VALUE, {"DiskIds": ["{attached}"]}),
    ("ModifyAutoSnapshotPolicyAttribute", "AutoSnapshotPolicyId", NO_POLICY, {"IsActivated": False}),
    ("ModifySnapshotAttribute", "SnapshotId", NO_SNAPSHOT, {"SnapshotName": "mine"}),
    ("ModifySnapshotsSharePermission", "SnapshotIds", NO_SNAPSHOT, {"AccountIds": ["{third}"], "Permission": "SHARE"}),
    ("TerminateDisks", "DiskIds", VALUE, {}),
    ("UnbindAutoSnapshotPolicy", "AutoSnapshotPolicyId", NO_POLICY, {"DiskIds": ["{disk}"]}),
    ("UnbindAutoSnapshotPolicy", "DiskIds", None, {"AutoSnapshotPolicyId": "{policy}"}),
    ("UnbindAutoSnapshotPolicy", "InstanceIds", None, {"AutoSnapshotPolicyId": "{policy}"}),
    # Last, as they are accepted: any id of an instance is the caller's to use.
    ("CreateDisks", "AutoMountConfiguration.InstanceId", None, {**SSD, "DiskSize": 1}),
    ("AttachDisks", "InstanceId", None, {"DiskIds": ["{disk}"]}),
]

# Ids of what no account has here: other accounts themselves, regions' keys, and services that are not served.
NOBODYS = {"AccountId", "KmsKeyId", "DiskBackupId", "ProjectId", "CageId", "CdcId", "DedicatedClusterId", "ClusterGroupId"}


def id_members(model):
    """The paths to the members of a request that hold ids, the names of filters among them."""
    for name, member in vars(model).items():
        if not isinstance(member, property):
            continue
        kind = re.search(r":rtype: .*?(\w+)`?\n", member.__doc__)[1]
        if name == "Filters":
            yield from (f"Filters.{name}" for name in re.findall(r"<li>([a-z-]+-id)\b", member.__doc__))
        elif hasattr(models, kind):
            yield from (f"{name}.{inner}" for inner in id_members(getattr(models, kind)))
        elif re.search("Ids?$", name):
            yield name


def kind_of(member):
    """What a member is the id of: `SnapshotId` of `SnapshotIds` and of `Filters.snapshot-id`."""
    name = member.split(".")[-1]
    return "".join(word.title() for word in name.split("-")) if "-" in name else name.removesuffix("s")


def naming(action, member, id):
    """The part of a request that names an id in a member."""
    first, _, inner = member.partition(".")
    if first == "Filters":
        return {"Filters": [{"Name": inner, "Values": [id]}]}
    if inner:
        return {first: {inner: [id]}}
    listed = "list of str" in getattr(getattr(models, f"{action}Request"), member).__doc__
    return {member: [id] if listed else id}


class Ids(CbsTest):
    def make(self, instance, client):
        """One of each kind of thing, as an account's client makes them; all are settled."""
        disk, attached = self.call("CreateDisks", client, **SSD, DiskSize=1, DiskCount=2, Shareable=True).DiskIdSet
        disks = lambda: self.call("DescribeDisks", client, DiskIds=[disk, attached]).DiskSet
        self.until(lambda: all(seen.DiskState == "UNATTACHED" for seen in disks()))
        snapshot = self.call("CreateSnapshot", client, DiskId=attached).SnapshotId
        taken = lambda: self.call("DescribeSnapshots", client, SnapshotIds=[snapshot]).SnapshotSet[0]
        self.until(lambda: taken().SnapshotState == "NORMAL")
        policy = self.call("CreateAutoSnapshotPolicy", client, Policy=DAILY).AutoSnapshotPolicyId
        self.call("BindAutoSnapshotPolicy", client, AutoSnapshotPolicyId=policy, DiskIds=[attached])
        self.call("AttachDisks", client, InstanceId=instance, DiskIds=[attached])
        return {"disk": disk, "attached": attached, "snapshot": snapshot, "policy": policy, "instance": instance}

    def said(self, client, action, parameters):
        reply = client.call_json(action, parameters)["Response"]
        return json.dumps({**reply, "RequestId": None}, sort_keys=True)

    def answer(self, client, action, member, id, more):
        """The code of a refusal and what is said, without the id that was asked about."""
        try:
            code, text = None, self.said(client, action, {**naming(action, member, id), **more})
        except TencentCloudSDKException as refusal:
            self.assertTrue(refusal.requestId)
            code, text = refusal.code, refusal.message
        # What is made has an id of its own each time.
        text = re.sub(r"disk-\w{8}", "", text) if action == "CreateDisks" else text
        return code, text.replace(id, "")

    def holdings(self, *clients):
        """All that clients are shown when they name nothing."""
        actions = ["DescribeDisks", "DescribeSnapshots", "DescribeAutoSnapshotPolicies", "DescribeSnapshotOverview"]
        return "".join(self.said(client, action, {}) for client in clients for action in actions)

    def test_another_accounts_ids_are_unknown_ids(self):
        first = self.make("ins-00000001", self.client())
        (_, theirs), (third, _) = self.stranger(), self.stranger()
        own = {**self.make("ins-00000002", theirs), "third": third}
        ids = {
            "SnapshotId": (first["snapshot"], "snap-00000000"),
            "DiskId": (first["attached"], "disk-00000000"),
            "AutoSnapshotPolicyId": (first["policy"], "asp-00000000"),
            "InstanceId": (first["instance"], "ins-00000000"),
        }
        owners = self.client(GUANGZHOU), self.client(BEIJING)
        before, shown = self.holdings(*owners), self.holdings(theirs)
        for id, _ in ids.values():
            self.assertIn(id, before)
            self.assertNotIn(id, shown)
        for action, member, code, more in ROWS:
            with self.subTest(action=action, member=member):
                more = json.loads(re.sub(r"\{(\w+)\}", lambda name: own[name[1]], json.dumps(more)))
                another, nobodys = ids[kind_of(member)]
                told = self.answer(theirs, action, member, another, more)
                self.assertEqual(told[0], code, told)
                self.assertEqual(told, self.answer(theirs, action, member, nobodys, more))
                if action.startswith("Describe"):
                    self.assertNotEqual(told, self.answer(self.client(), action, member, another, more), "the owner sees it")
        self.assertEqual(self.holdings(*owners), before)

    def test_every_operation_and_id_member_has_its_row(self):
        schema = self.world.cli("policy", "schema")
        served = re.findall(r'^action "cbs::(\w+)"', schema, re.M)
        self.assertIn("CopySnapshotCrossRegions", served)
        members = {(action, member) for action in served for member in id_members(getattr(models, f"{action}Request"))}
        self.assertEqual({row[:2] for row in ROWS}, {pair for pair in members if kind_of(pair[1]) not in NOBODYS})


if __name__ == "__main__":
    unittest.main()
