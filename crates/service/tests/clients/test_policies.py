"""Cedar policies, with boto3 and the Tencent SDK: each operation denied in its API's own words, and copies by halves."""

import json
import pathlib
import shutil
import subprocess
import unittest

import botocore.exceptions
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

import aws
import tencent
from aws import EAST, IRELAND, WEST
from tencent import BEIJING, GUANGZHOU
from world import OFFSITE, WorldTest

PERMIT = "permit (principal, action, resource);\n"
DENIED, CBS_DENIED = "AccessDeniedException", "AuthFailure.UnauthorizedOperation"
HSM_DENIED, TAG_DENIED = "CloudHsmAccessDeniedException", "CloudHsmTagException"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
GONE = "backup-00000000000000000"
SUBNET = "subnet-0123456789abcdef0"

# Operation, parameters. Names in braces stand for what the tests have made.
FSX = [
    ("CopyBackup", {"SourceBackupId": "{backup}", "SourceRegion": EAST}),
    ("CreateBackup", {"FileSystemId": "{file_system}"}),
    ("DescribeBackups", {}),
    ("DescribeBackups", {"BackupIds": ["{backup}"]}),
    ("DeleteBackup", {"BackupId": "{backup}"}),
    (
        "CreateFileSystem",
        {
            "FileSystemType": "OPENZFS",
            "StorageCapacity": 64,
            "SubnetIds": [SUBNET],
            "OpenZFSConfiguration": {"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64},
        },
    ),
    ("CreateFileSystemFromBackup", {"BackupId": "{backup}", "SubnetIds": [SUBNET]}),
    ("DescribeFileSystems", {}),
    ("UpdateFileSystem", {"FileSystemId": "{file_system}", "StorageCapacity": 128}),
    ("DeleteFileSystem", {"FileSystemId": "{file_system}"}),
    ("TagResource", {"ResourceARN": "{arn}", "Tags": [{"Key": "a", "Value": "b"}]}),
    ("UntagResource", {"ResourceARN": "{arn}", "TagKeys": ["a"]}),
    ("ListTagsForResource", {"ResourceARN": "{arn}"}),
    ("DescribeVolumes", {}),
    ("DescribeStorageVirtualMachines", {}),
]

HSM = [
    ("CopyBackupToRegion", {"BackupId": "{hsm_backup}", "DestinationRegion": WEST}),
    ("CreateCluster", {"HsmType": "hsm2m.medium", "SubnetIds": [SUBNET], "Mode": "FIPS"}),
    ("CreateHsm", {"ClusterId": "{cluster}", "AvailabilityZone": f"{EAST}a"}),
    ("DeleteBackup", {"BackupId": "{hsm_backup}"}),
    ("DeleteCluster", {"ClusterId": "{cluster}"}),
    ("DeleteHsm", {"ClusterId": "{cluster}", "HsmId": "hsm-aaaaaaaaaaa"}),
    ("DeleteResourcePolicy", {"ResourceArn": "{hsm_arn}"}),
    ("DescribeBackups", {}),
    ("DescribeClusters", {}),
    ("GetResourcePolicy", {"ResourceArn": "{hsm_arn}"}),
    ("InitializeCluster", {"ClusterId": "{cluster}", "SignedCert": CERTIFICATE, "TrustAnchor": CERTIFICATE}),
    ("ListTags", {"ResourceId": "{cluster}"}),
    ("ModifyBackupAttributes", {"BackupId": "{hsm_backup}", "NeverExpires": True}),
    ("ModifyCluster", {"ClusterId": "{cluster}", "BackupRetentionPolicy": {"Type": "DAYS", "Value": "7"}}),
    ("PutResourcePolicy", {"ResourceArn": "{hsm_arn}", "Policy": "[POLICY]"}),
    ("RestoreBackup", {"BackupId": "{hsm_backup}"}),
    ("TagResource", {"ResourceId": "{hsm_backup}", "TagList": [{"Key": "a", "Value": "b"}]}),
    ("UntagResource", {"ResourceId": "{cluster}", "TagKeyList": ["a"]}),
]

CBS = [
    ("CopySnapshotCrossRegions", {"DestinationRegions": [BEIJING], "SnapshotId": "{snapshot}"}),
    ("CreateSnapshot", {"DiskId": "{disk}"}),
    ("DescribeSnapshots", {}),
    ("DescribeSnapshotOverview", {}),
    ("DescribeSnapshotSharePermission", {"SnapshotId": "{snapshot}"}),
    ("DeleteSnapshots", {"SnapshotIds": ["{snapshot}"]}),
    ("ModifySnapshotAttribute", {"SnapshotId": "{snapshot}", "SnapshotName": "x"}),
    ("ModifySnapshotsSharePermission", {"SnapshotIds": ["{snapshot}"], "AccountIds": ["{other}"], "Permission": "SHARE"}),
    ("ApplySnapshot", {"SnapshotId": "{snapshot}", "DiskId": "{disk}"}),
    (
        "CreateDisks",
        {
            "Placement": {"Zone": f"{GUANGZHOU}-3"},
            "DiskChargeType": "POSTPAID_BY_HOUR",
            "DiskType": "CLOUD_PREMIUM",
            "DiskSize": 10,
        },
    ),
    ("DescribeDisks", {}),
    ("TerminateDisks", {"DiskIds": ["{disk}"]}),
    ("AttachDisks", {"InstanceId": "ins-12345678", "DiskIds": ["{disk}"]}),
    ("DetachDisks", {"DiskIds": ["{disk}"]}),
    ("CreateAutoSnapshotPolicy", {"Policy": [{"DayOfWeek": [1], "Hour": [1]}]}),
    ("DescribeAutoSnapshotPolicies", {}),
    ("DescribeDiskAssociatedAutoSnapshotPolicy", {"DiskId": "{disk}"}),
    ("ModifyAutoSnapshotPolicyAttribute", {"AutoSnapshotPolicyId": "{policy}", "IsPermanent": True}),
    ("DeleteAutoSnapshotPolicies", {"AutoSnapshotPolicyIds": ["{policy}"]}),
    ("BindAutoSnapshotPolicy", {"AutoSnapshotPolicyId": "{policy}", "DiskIds": ["{disk}"]}),
    ("UnbindAutoSnapshotPolicy", {"AutoSnapshotPolicyId": "{policy}", "DiskIds": ["{disk}"]}),
]


def forbid(action, scope="resource", when=""):
    return f'@id("no")\nforbid (principal, action == Action::"{action}", {scope}){when};\n'


class Policies(WorldTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        world = cls.world
        cls.policies = pathlib.Path(world.config.parent / "policies")
        shutil.copy(cls.policies / "default.cedar", world.dir)
        folder = world.dir / "files"
        folder.mkdir()
        (folder / "file").write_text("precious")
        (world.dir / "disk.img").write_bytes(b"sector" * 1000)
        file_system = world.cli("resource", "add", folder, "--region", EAST)
        disk = world.cli("resource", "add", world.dir / "disk.img", "--region", GUANGZHOU)
        world.cli("account", "create", "other")
        accounts = json.loads(world.cli("account", "ls", "--json"))
        cls.account, cls.other = [account["id"] for account in accounts]
        cls.names = {
            "file_system": file_system,
            "backup": world.cli("backup", "create", file_system, "--tag", "env=prod"),
            "disk": disk,
            "snapshot": world.cli("backup", "create", disk, "--tag", "env=prod"),
            "other": cls.other,
        }
        (world.dir / "tokens").mkdir()
        cluster = world.cli("resource", "add", world.dir / "tokens", "--region", EAST, "--type", "hsm")
        cls.names["cluster"] = cluster
        cls.names["hsm_backup"] = world.cli("backup", "create", cluster, "--tag", "env=prod")
        cls.names["hsm_arn"] = f"arn:aws:cloudhsm:{EAST}:{cls.account}:backup/{cls.names['hsm_backup']}"
        cls.names["arn"] = f"arn:aws:fsx:{EAST}:{cls.account}:backup/{cls.names['backup']}"
        made = cls.cbs("CreateAutoSnapshotPolicy", {"Policy": [{"DayOfWeek": [1], "Hour": [1]}]})
        cls.names["policy"] = made["AutoSnapshotPolicyId"]

    def fsx(self, operation, parameters, region=EAST, key=None, service="fsx"):
        client = aws.client(service, self.world.endpoint, region, key or self.world.aws_key)
        return client._make_api_call(operation, self.filled(parameters))

    @classmethod
    def cbs(cls, operation, parameters, region=GUANGZHOU):
        client = tencent.client(cls.world.address, region, cls.world.tencent_key)
        return client.call_json(operation, cls.filled(parameters))["Response"]

    @classmethod
    def filled(cls, value):
        if isinstance(value, dict):
            return {name: cls.filled(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [cls.filled(inner) for inner in value]
        return value.format(**cls.names) if isinstance(value, str) else value

    def fsx_code(self, operation, parameters, region=EAST, **more):
        try:
            self.fsx(operation, parameters, region, **more)
        except botocore.exceptions.ClientError as error:
            self.last = error.response
            return error.response["Error"]["Code"]

    def cbs_code(self, operation, parameters, region=GUANGZHOU):
        try:
            self.cbs(operation, parameters, region)
        except TencentCloudSDKException as error:
            self.last = error
            return error.code

    def decide(self, text):
        """Lets these policies decide, and returns once the server does."""
        staged = self.policies / ".staged"
        staged.write_text(text)
        before = self.world.said().count("policies were taken over")
        staged.rename(self.policies / "default.cedar")

        def look():
            self.fsx_code("DescribeVolumes", {})
            return self.world.said().count("policies were taken over") > before

        self.until(look)

    def hsm_code(self, operation, parameters, **more):
        return self.fsx_code(operation, parameters, service="cloudhsmv2", **more)

    def copy_cbs(self, *targets):
        return self.cbs_code("CopySnapshotCrossRegions", {"DestinationRegions": list(targets), "SnapshotId": "{snapshot}"})

    def copy_fsx(self, backup="{backup}", region=WEST, **more):
        return self.fsx_code("CopyBackup", {"SourceBackupId": backup, "SourceRegion": EAST, **more}, region)


class Denials(Policies):
    def test_every_operation_is_denied_in_its_apis_own_words(self):
        self.decide(PERMIT + 'forbid (principal, action in [Action::"fsx", Action::"cloudhsm", Action::"cbs"], resource);\n')
        for operation, parameters in FSX:
            with self.subTest(operation):
                self.assertEqual(self.fsx_code(operation, parameters), DENIED)
                error = self.last["Error"]
                self.assertRegex(error["Message"], f"^You are not authorized to perform fsx:{operation} on .*{EAST}")
                self.assertNotIn("cedar", error["Message"])
                self.assertEqual(self.last["ResponseMetadata"]["HTTPStatusCode"], 400)
        for operation, parameters in HSM:
            with self.subTest(operation):
                if operation == "PutResourcePolicy":
                    parameters = {**parameters, "Policy": self.share()}
                code = TAG_DENIED if operation in ("TagResource", "UntagResource") else HSM_DENIED
                self.assertEqual(self.hsm_code(operation, parameters), code)
                self.assertIn(f"to perform cloudhsm:{operation} on ", self.last["Error"]["Message"])
        for operation, parameters in CBS:
            with self.subTest(operation):
                self.assertEqual(self.cbs_code(operation, parameters), CBS_DENIED)
                self.assertIn(f"cbs:{operation}", self.last.message)
        # The table has a row for every action that there is.
        schema = self.world.cli("policy", "schema")
        for service, rows in [("fsx", FSX), ("cloudhsm", HSM), ("cbs", CBS)]:
            known = {line.split("::")[1].split('"')[0] for line in schema.splitlines() if line.startswith(f'action "{service}::')}
            self.assertEqual({row[0] for row in rows}, known)

    def share(self):
        """A resource policy, whose braces are no names."""
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": self.other},
            "Action": ["cloudhsm:DescribeBackups", "cloudhsm:CreateCluster"],
            "Resource": self.names["hsm_arn"],
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return policy.replace("{", "{{").replace("}", "}}")

    def test_what_is_shared_is_for_policies_too(self):
        self.decide(PERMIT)
        self.assertIsNone(self.hsm_code("PutResourcePolicy", {"ResourceArn": "{hsm_arn}", "Policy": self.share()}))
        made = {"HsmType": "hsm2m.medium", "SubnetIds": [SUBNET], "SourceBackupId": "{hsm_arn}", "Mode": "NON_FIPS"}
        shared = "when { resource is Backup && resource.shared_with_caller }"
        self.decide(PERMIT + forbid("cloudhsm::CreateCluster", when=shared))
        self.assertEqual(self.hsm_code("CreateCluster", made, key=self.other_key()), HSM_DENIED)
        self.assertIn("You are not authorized to perform", self.last["Error"]["Message"])
        self.decide("permit (principal, action, resource) when { resource.owner == principal.account };\n")
        self.assertEqual(self.hsm_code("CreateCluster", made, key=self.other_key()), HSM_DENIED)
        self.decide((self.world.dir / "default.cedar").read_text())
        self.assertIsNone(self.hsm_code("CreateCluster", made, key=self.other_key()))

    def test_an_operation_that_alone_is_denied_leaves_the_others(self):
        self.decide(PERMIT + forbid("fsx::DescribeBackups") + forbid("cbs::DescribeDisks").replace('"no"', '"nor"'))
        self.assertEqual(self.fsx_code("DescribeBackups", {}), DENIED)
        self.assertEqual(self.cbs_code("DescribeDisks", {}), CBS_DENIED)
        self.assertIsNone(self.fsx_code("DescribeFileSystems", {}))
        self.assertIsNone(self.cbs_code("DescribeSnapshots", {}))

    def test_a_file_system_with_a_last_backup_is_deleted_only_by_who_may_back_it_up(self):
        folder = self.world.dir / "doomed"
        folder.mkdir()
        doomed = self.world.cli("resource", "add", folder, "--region", EAST, "--type", "lustre")
        keep = {"FileSystemId": doomed, "LustreConfiguration": {"SkipFinalBackup": False}}
        for scope in [f'resource == FileSystem::"{doomed}"', f'resource == Region::"{EAST}"']:
            with self.subTest(scope):
                self.decide(PERMIT + forbid("fsx::CreateBackup", scope))
                self.assertEqual(self.fsx_code("DeleteFileSystem", keep), DENIED)
                self.assertIn("fsx:CreateBackup", self.last["Error"]["Message"])
        # Without one, nothing is backed up.
        self.assertIsNone(self.fsx_code("DeleteFileSystem", {"FileSystemId": doomed}))

    def test_a_denial_does_not_tell_what_exists(self):
        self.decide(PERMIT + forbid("fsx::DeleteBackup"))
        self.assertEqual(self.fsx_code("DeleteBackup", {"BackupId": GONE}), DENIED)
        gone = self.last["Error"]["Message"].replace(GONE, "X")
        backup = self.names["backup"]
        self.assertEqual(self.fsx_code("DeleteBackup", {"BackupId": backup}), DENIED)
        self.assertEqual(self.last["Error"]["Message"].replace(backup, "X"), gone)
        other = self.other_key()
        self.assertEqual(self.fsx_code("DeleteBackup", {"BackupId": backup}, key=other), DENIED)
        self.assertEqual(self.last["Error"]["Message"].replace(backup, "X"), gone)
        # Whatever is permitted, another account's is not there.
        self.decide(PERMIT)
        self.assertEqual(self.fsx_code("DeleteBackup", {"BackupId": backup}, key=other), "BackupNotFound")

    def other_key(self):
        keys = json.loads(self.world.cli("key", "ls", "--json"))
        (key,) = [key["id"] for key in keys if key["account"] == self.other and key["cloud"] == "aws"]
        return self.world.key("show", key)

    def test_policies_tell_keys_and_accounts_apart(self):
        own, _ = self.world.aws_key
        self.decide(f'permit (principal == AccessKey::"{own}", action, resource);\n')
        self.assertIsNone(self.fsx_code("DescribeBackups", {}))
        self.assertEqual(self.fsx_code("DescribeBackups", {}, key=self.other_key()), DENIED)
        self.decide(f'permit (principal in Account::"{self.other}", action in Action::"read", resource);\n')
        self.assertEqual(self.fsx_code("DescribeBackups", {}), DENIED)
        self.assertIsNone(self.fsx_code("DescribeBackups", {}, key=self.other_key()))

    def test_tags_and_addresses_decide(self):
        prod = 'when { resource.hasTag("env") && resource.getTag("env") == "prod" }'
        self.decide(PERMIT + forbid("fsx::DeleteBackup", when=prod) + forbid("cbs::DeleteSnapshots", when=prod).replace('"no"', '"nor"'))
        self.assertEqual(self.fsx_code("DeleteBackup", {"BackupId": "{backup}"}), DENIED)
        self.assertEqual(self.cbs_code("DeleteSnapshots", {"SnapshotIds": ["{snapshot}"]}), CBS_DENIED)
        test = self.world.cli("backup", "create", self.names["file_system"], "--tag", "env=test")
        self.assertIsNone(self.fsx_code("DeleteBackup", {"BackupId": test}))
        self.decide(PERMIT + forbid("fsx::TagResource", when='when { context.request_tag_keys.contains("env") }'))
        tag = lambda key: {"ResourceARN": "{arn}", "Tags": [{"Key": key, "Value": "x"}]}
        self.assertEqual(self.fsx_code("TagResource", tag("env")), DENIED)
        self.assertIsNone(self.fsx_code("TagResource", tag("team")))
        self.decide(PERMIT + forbid("fsx::DescribeBackups", when='when { context has source_ip && context.source_ip.isLoopback() }'))
        self.assertEqual(self.fsx_code("DescribeBackups", {}), DENIED)

    def test_a_new_thing_gets_no_tags_from_who_may_not_tag(self):
        self.decide(PERMIT + forbid("fsx::TagResource", f'resource in Region::"{WEST}"'))
        given = [{"Key": "a", "Value": "b"}]
        self.assertEqual(self.copy_fsx(Tags=given), DENIED)
        self.assertIn("fsx:TagResource", self.last["Error"]["Message"])
        self.assertEqual(self.copy_fsx(CopyTags=True), DENIED)
        self.assertIsNone(self.copy_fsx())


class Copies(Policies):
    def test_an_fsx_copy_needs_source_target_and_both_keys(self):
        east, west = self.world.kms_key(EAST), self.world.kms_key(WEST)
        for policy, code in [
            (forbid("fsx::CopyBackup", f'resource == Backup::"{self.names["backup"]}"'), DENIED),
            (forbid("fsx::CopyBackup", f'resource in FileSystem::"{self.names["file_system"]}"'), DENIED),
            (forbid("fsx::CopyBackup", f'resource == Region::"{WEST}"'), DENIED),
            (forbid("fsx::CopyBackup", when=f'when {{ context.source_region == "{EAST}" }}'), DENIED),
            (forbid("fsx::CopyBackup", when=f'when {{ context.target_region == "{WEST}" }}'), DENIED),
            (forbid("fsx::CopyBackup", when=f'when {{ context has source_key && context.source_key == "{east}" }}'), DENIED),
            (forbid("fsx::CopyBackup", when=f'when {{ context has target_key && context.target_key == "{west}" }}'), DENIED),
            (forbid("kms::Decrypt", f'resource == KmsKey::"{east}"'), "InvalidSourceKmsKey"),
            (forbid("kms::Encrypt", f'resource == KmsKey::"{west}"'), "InvalidDestinationKmsKey"),
        ]:
            with self.subTest(policy):
                self.decide(PERMIT + policy)
                self.assertEqual(self.copy_fsx(), code)
                self.assertEqual(self.fsx("DescribeBackups", {}, WEST)["Backups"], [])
        # The other way round nothing is in the way.
        self.decide(PERMIT + forbid("kms::Encrypt", f'resource == KmsKey::"{east}"') + forbid("kms::Decrypt", f'resource == KmsKey::"{west}"').replace('"no"', '"nor"'))
        self.assertIsNone(self.copy_fsx())

    def test_a_cbs_copy_needs_source_every_target_and_the_keys(self):
        south, north = self.world.kms_key(GUANGZHOU), self.world.kms_key(BEIJING)
        action = "cbs::CopySnapshotCrossRegions"
        for policy in [
            forbid(action, f'resource == Snapshot::"{self.names["snapshot"]}"'),
            forbid(action, f'resource == Region::"{BEIJING}"'),
            forbid(action, when=f'when {{ context.target_region == "{BEIJING}" }}'),
            forbid("kms::Decrypt", f'resource == KmsKey::"{south}"'),
            forbid("kms::Encrypt", f'resource == KmsKey::"{north}"'),
        ]:
            with self.subTest(policy):
                self.decide(PERMIT + policy)
                self.assertEqual(self.copy_cbs(BEIJING), CBS_DENIED)
                self.assertEqual(self.cbs("DescribeSnapshots", {}, BEIJING)["TotalCount"], 0)
        self.decide(PERMIT)
        self.assertIsNone(self.copy_cbs(BEIJING))

    def test_a_cloudhsm_copy_needs_source_target_both_keys_and_tags(self):
        east, west = self.world.kms_key(EAST), self.world.kms_key(WEST)
        action, copy = "cloudhsm::CopyBackupToRegion", {"BackupId": "{hsm_backup}", "DestinationRegion": WEST}
        for policy, code in [
            (forbid(action, f'resource == Backup::"{self.names["hsm_backup"]}"'), HSM_DENIED),
            (forbid(action, f'resource in Cluster::"{self.names["cluster"]}"'), HSM_DENIED),
            (forbid(action, f'resource == Region::"{WEST}"'), HSM_DENIED),
            (forbid(action, when=f'when {{ context.target_region == "{WEST}" }}'), HSM_DENIED),
            (forbid("kms::Decrypt", f'resource == KmsKey::"{east}"'), HSM_DENIED),
            (forbid("kms::Encrypt", f'resource == KmsKey::"{west}"'), HSM_DENIED),
            (forbid("cloudhsm::TagResource", f'resource == Region::"{WEST}"'), TAG_DENIED),
            (forbid("cloudhsm::UntagResource", f'resource == Region::"{WEST}"'), TAG_DENIED),
        ]:
            with self.subTest(policy):
                self.decide(PERMIT + policy)
                self.assertEqual(self.hsm_code("CopyBackupToRegion", copy), code)
                listed = self.fsx("DescribeBackups", {}, WEST, service="cloudhsmv2")["Backups"]
                self.assertEqual(listed, [])
        self.decide(PERMIT + forbid("kms::Encrypt", f'resource == KmsKey::"{east}"'))
        self.assertIsNone(self.hsm_code("CopyBackupToRegion", copy))
        create = {"HsmType": "hsm2m.medium", "SubnetIds": [SUBNET], "Mode": "FIPS"}
        self.assertEqual(self.hsm_code("CreateCluster", create), HSM_DENIED)
        self.decide(PERMIT + forbid("cloudhsm::TagResource"))
        tagged = {**create, "TagList": [{"Key": "a", "Value": "b"}]}
        self.assertEqual(self.hsm_code("CreateCluster", tagged), TAG_DENIED)
        self.assertEqual(self.fsx("DescribeClusters", {}, service="cloudhsmv2")["Clusters"][0]["ClusterId"], self.names["cluster"])

    def test_what_is_made_of_a_backup_needs_its_key(self):
        self.decide(PERMIT + 'forbid (principal, action == Action::"kms::Decrypt", resource);\n')
        made = {"BackupId": "{backup}", "SubnetIds": [SUBNET]}
        self.assertEqual(self.fsx_code("CreateFileSystemFromBackup", made), "BadRequest")
        self.assertEqual(self.cbs_code("ApplySnapshot", {"SnapshotId": "{snapshot}", "DiskId": "{disk}"}), CBS_DENIED)
        (create,) = [parameters for operation, parameters in CBS if operation == "CreateDisks"]
        self.assertEqual(self.cbs_code("CreateDisks", {**create, "SnapshotId": "{snapshot}"}), "UnauthorizedOperation")
        self.decide(PERMIT + 'forbid (principal, action == Action::"kms::Encrypt", resource);\n')
        self.assertEqual(self.cbs_code("CreateDisks", create), "UnauthorizedOperation")
        (create,) = [parameters for operation, parameters in FSX if operation == "CreateFileSystem"]
        self.assertEqual(self.fsx_code("CreateFileSystem", create), "BadRequest")

    def test_snapshots_go_with_their_disk_only_where_both_may_go(self):
        (create,) = [parameters for operation, parameters in CBS if operation == "CreateDisks"]
        self.decide(PERMIT)
        (disk,) = self.cbs("CreateDisks", {**create, "DeleteSnapshot": 1})["DiskIdSet"]
        state = lambda: self.cbs("DescribeDisks", {"DiskIds": [disk]})["DiskSet"][0]["DiskState"]
        self.until(lambda: state() == "UNATTACHED")
        deadline = "2036-01-01T00:00:00+08:00"
        snapshot = self.cbs("CreateSnapshot", {"DiskId": disk, "Deadline": deadline})["SnapshotId"]
        seen = lambda: self.cbs("DescribeSnapshots", {"SnapshotIds": [snapshot]})["SnapshotSet"][0]["SnapshotState"]
        self.until(lambda: seen() == "NORMAL")
        self.decide(PERMIT + forbid("cbs::DeleteSnapshots"))
        self.assertEqual(self.cbs_code("TerminateDisks", {"DiskIds": [disk]}), CBS_DENIED)
        self.assertEqual((state(), seen()), ("UNATTACHED", "NORMAL"))


class Files(Policies):
    def test_a_broken_file_opens_nothing_and_a_restart_names_it(self):
        self.decide(PERMIT + forbid("fsx::DescribeBackups"))
        broken = self.policies / "broken.cedar"
        before = self.world.said().count("the policies are not taken over")
        broken.write_text('permit (principal, action, resource);\nforbid (principal, action == Action::"fsx::Nonsense", resource);\n')

        def look():
            self.assertEqual(self.fsx_code("DescribeBackups", {}), DENIED)
            return self.world.said().count("the policies are not taken over") > before

        self.until(look)
        for _ in range(5):
            self.assertEqual(self.fsx_code("DescribeBackups", {}), DENIED)
        self.assertEqual(self.world.said().count("the policies are not taken over"), before + 1, "it is said once")
        self.assertIsNone(self.fsx_code("DescribeFileSystems", {}))
        command = [OFFSITE, "--config", self.world.config]
        for arguments in [["serve", "--listen", "127.0.0.1:0"], ["policy", "validate"]]:
            done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1)
            self.assertIn("broken.cedar, line 2: ", done.stderr)
            self.assertIn("fsx::Nonsense", done.stderr)
        # The directory being away opens nothing, either.
        away = self.policies.with_name("away")
        self.policies.rename(away)
        self.assertEqual(self.fsx_code("DescribeBackups", {}), DENIED)
        done = subprocess.run([*command, "serve", "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"the directory of policies is not there: {self.policies}", done.stderr)
        away.rename(self.policies)
        broken.unlink()
        self.decide(PERMIT)
        self.assertIsNone(self.fsx_code("DescribeBackups", {}))

    def test_a_denial_is_logged_with_the_id_of_its_request_and_recorded(self):
        self.decide(PERMIT + forbid("fsx::DeleteBackup"))
        # One that no other test asks about: a denial is recorded once a minute.
        backup = "backup-0123456789abcdef0"
        self.assertEqual(self.fsx_code("DeleteBackup", {"BackupId": backup}), DENIED)
        request = self.last["ResponseMetadata"]["RequestId"]
        for _ in range(3):
            self.assertEqual(self.fsx_code("DeleteBackup", {"BackupId": backup}), DENIED)
        denied = self.until(lambda: [line for line in self.world.said().splitlines() if request in line and "denied" in line])
        for word in ["fsx::DeleteBackup", backup, "default.cedar: no", self.account]:
            self.assertIn(word, denied[0])
        self.assertNotIn(self.world.env["AWS_SECRET_ACCESS_KEY"], self.world.said())
        (event,) = json.loads(self.world.cli("event", "ls", "--region", EAST, "--limit", "1", "--json"))
        seen = (event["account"], event["action"], event["subject"])
        self.assertEqual(seen, (self.account, "Deny", backup))
        self.assertIn(request, event["detail"])

    def check(self, *arguments):
        command = [OFFSITE, "--config", self.world.config, "policy", "check", "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout or "null"), done.stderr

    def test_a_decision_is_explained(self):
        prod = 'when { resource.hasTag("env") && resource.getTag("env") == "prod" }'
        self.decide(PERMIT + forbid("fsx::DeleteBackup", when=prod) + forbid("fsx::CopyBackup", when='when { context.target_region like "eu-*" }').replace('"no"', '"abroad"'))
        key, backup = self.world.env["AWS_ACCESS_KEY_ID"], self.names["backup"]
        delete = ["--principal", key, "--action", "fsx::DeleteBackup", "--resource", backup]
        status, said, _ = self.check(*delete)
        self.assertEqual(status, 1)
        self.assertEqual((said["action"], said["resource"]), ("fsx::DeleteBackup", {"type": "Backup", "id": backup}))
        expected = {"principal": key, "account": self.account, "allowed": False, "policies": ["default.cedar: no"], "errors": []}
        self.assertEqual(said["decisions"], [expected])
        status, said, _ = self.check("--principal", "default", "--action", "fsx::DescribeBackups", "--resource", EAST)
        self.assertEqual((status, said["decisions"][0]["policies"]), (0, ["default.cedar: policy 1"]))
        copy = ["--principal", self.account, "--action", "fsx::CopyBackup", "--resource", backup, "--context"]
        self.assertEqual(self.check(*copy, f"target_region={IRELAND}")[0], 1)
        self.assertEqual(self.check(*copy, f"target_region={WEST}")[0], 0)
        for arguments, message in [
            (["--principal", key, "--action", "fsx::CopyBackup", "--resource", backup], "is not given"),
            (["--principal", key, "--action", "fsx::Copybackup", "--resource", backup], "fsx::CopyBackup"),
            (["--principal", key, "--action", "fsx::DeleteBackup", "--resource", GONE], f"can see no {GONE}"),
            (["--principal", key, "--action", "fsx::DeleteBackup", "--resource", EAST], "is a Region"),
            (["--principal", "nobody", "--action", "fsx::DeleteBackup", "--resource", backup], "no access key or account"),
            (["--principal", "other", "--action", "fsx::DeleteBackup", "--resource", backup], "can see no"),
            ([*delete, "--context", "colour=red"], "no circumstance colour"),
            ([*delete, "--context", "source_ip=home"], "is not an address"),
        ]:
            with self.subTest(message):
                status, said, errors = self.check(*arguments)
                self.assertEqual((status, said), (1, None))
                self.assertIn(message, errors)


class Default(WorldTest):
    def test_a_site_from_before_policies_goes_on_as_it_was(self):
        site = self.world.config
        text = "".join(line for line in site.read_text().splitlines(True) if not line.startswith("policies"))
        site.write_text(text)
        for file in (site.parent / "policies").iterdir():
            file.unlink()
        (site.parent / "policies").rmdir()
        self.world.stop()
        self.world.start()
        check = ["policy", "check", "--principal", "default", "--action", "fsx::DescribeBackups", "--resource", EAST]
        self.assertIn("built-in: own", self.world.cli(*check))


if __name__ == "__main__":
    unittest.main()
