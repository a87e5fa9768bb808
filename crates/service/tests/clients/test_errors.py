"""Every error that FSx models for what is served here, reached by its real cause: cause, call, code, further members."""

import datetime
import json
import time
import unittest
import unittest.mock
import uuid

import botocore.auth
from botocore.exceptions import ClientError

from aws import EAST, IRELAND, WEST, client, tags
from test_fsx import SUBNET, FsxTest

OTHER_SUBNET, TABLE = "subnet-1123456789abcdef0", "rtb-0123456789abcdef0"
NOBODY, NO_BACKUP = "fs-00000000000000000", "backup-00000000000000000"
LUSTRE = {"FileSystemType": "LUSTRE", "StorageCapacity": 1200, "SubnetIds": [SUBNET]}
PERSISTENT = {"DeploymentType": "PERSISTENT_1", "PerUnitStorageThroughput": 50}
OPENZFS = {"FileSystemType": "OPENZFS", "StorageCapacity": 64, "SubnetIds": [SUBNET]}
SETTINGS = {"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64}
NETWORK, DIRECTORY = "InvalidNetworkSettings", "ActiveDirectoryError"

# Not reached, and why.
UNREACHED = [
    # Filters never fail (contract, 9.11).
    ("FileSystemNotFound", ["DescribeBackups"]),
    ("VolumeNotFound", ["DescribeBackups"]),
]


class ErrorsTest(FsxTest):
    def table(self, call, base, *rows):
        for cause, code, changes, *members in rows:
            with self.subTest(cause=cause):
                wanted = {name: value for name, value in {**base, **changes}.items() if value is not None}
                refusal = self.refused(code, call, **wanted)
                for name, value in dict(*members).items():
                    self.assertEqual(refusal[name], value, cause)


class Errors(ErrorsTest):
    def stuck_backup(self, region=EAST):
        """A backup that stays in progress, and what lets it end."""
        file_system = self.file_system(region)
        (self.world.path(region, file_system) / "file").write_text("x")
        back = self.away(region)
        backup = self.client(region).create_backup(FileSystemId=file_system)["Backup"]["BackupId"]
        return file_system, backup, back

    def used(self, call, **wanted):
        """A token that was used with these parameters."""
        token = str(uuid.uuid4())
        call(ClientRequestToken=token, **wanted)
        return {"ClientRequestToken": token}

    def test_copy_backup(self):
        west, backup = self.client(WEST), self.take(self.file_system(), Tags=tags({f"k{n}": "v" for n in range(30)}))
        wanted = {"SourceBackupId": backup, "SourceRegion": EAST}
        used = self.used(west.copy_backup, **wanted)
        cold = self.file_system(
            StorageCapacity=None,
            StorageType="INTELLIGENT_TIERING",
            SubnetIds=[SUBNET, SUBNET.replace("0", "1")],
            OpenZFSConfiguration={
                "DeploymentType": "MULTI_AZ_1",
                "ThroughputCapacity": 160,
                "PreferredSubnetId": SUBNET,
            },
        )
        limit = "ServiceLimitExceeded"
        self.table(
            west.copy_backup,
            wanted,
            ("an id of another form", "BadRequest", {"SourceBackupId": "backup-XYZXYZXYZ"}),
            ("a region of another form", "BadRequest", {"SourceRegion": "US EAST"}),
            ("a long token", "BadRequest", {"ClientRequestToken": "x" * 64}),
            ("a tag twice", "BadRequest", {"Tags": tags({"a": "1"}) * 2}),
            ("a tag of AWS's own", "BadRequest", {"Tags": tags({"aws:a": "1"})}),
            ("a token of other parameters", "IncompatibleParameterError", {**used, "CopyTags": True}, {"Parameter": "CopyTags"}),
            ("an unknown region", "InvalidRegion", {"SourceRegion": "us-east-9"}),
            ("a region of another partition", "InvalidRegion", {"SourceRegion": "cn-north-1"}),
            ("a region of another cloud", "InvalidRegion", {"SourceRegion": "ap-guangzhou"}),
            ("an unknown backup", "BackupNotFound", {"SourceBackupId": NO_BACKUP}),
            ("a backup of another region", "BackupNotFound", {"SourceRegion": IRELAND}),
            ("an intelligent tier", "UnsupportedOperation", {"SourceBackupId": self.take(cold)}),
            ("no key's name", "InvalidDestinationKmsKey", {"KmsKeyId": "nonsense"}),
            ("an unknown key", "InvalidDestinationKmsKey", {"KmsKeyId": str(uuid.uuid4())}),
            (
                "30 and 21 tags",
                limit,
                {"CopyTags": True, "Tags": tags({f"m{n}": "v" for n in range(21)})},
                {"Limit": "TOTAL_USER_TAGS"},
            ),
        )
        restore = self.limited(fsx_copies_in_progress=0)
        self.table(west.copy_backup, wanted, ("no places", limit, {}, {"Limit": "TOTAL_IN_PROGRESS_COPY_BACKUPS"}))
        restore()
        self.limited(fsx_user_backups=0)
        self.table(west.copy_backup, wanted, ("no backups", limit, {}, {"Limit": "TOTAL_USER_INITIATED_BACKUPS"}))

    def test_copy_backup_tells_the_first_fault(self):
        west, backup = self.client(WEST), self.take(self.file_system(), Tags=tags({f"k{n}": "v" for n in range(30)}))
        wanted = {"SourceBackupId": backup, "SourceRegion": EAST}
        used, limit = self.used(west.copy_backup, **wanted), "ServiceLimitExceeded"
        _, stuck, back = self.stuck_backup()
        self.limited(fsx_copies_in_progress=0, fsx_user_backups=0)
        self.in_order(
            west.copy_backup,
            wanted,
            ("a long token", "BadRequest", {"ClientRequestToken": "x" * 64}),
            ("a tag of AWS's own", "BadRequest", {"Tags": tags({"aws:a": "1"})}),
            ("a token of other parameters", "IncompatibleParameterError", {**used, "CopyTags": True}),
            ("an unknown region", "InvalidRegion", {"SourceRegion": "us-east-9"}),
            ("an unknown backup", "BackupNotFound", {"SourceBackupId": NO_BACKUP}),
            ("a backup in progress", "SourceBackupUnavailable", {"SourceBackupId": stuck}),
            ("an unknown key", "InvalidDestinationKmsKey", {"KmsKeyId": str(uuid.uuid4())}),
            (
                "30 and 21 tags",
                limit,
                {"CopyTags": True, "Tags": tags({f"m{n}": "v" for n in range(21)})},
                {"Limit": "TOTAL_USER_TAGS"},
            ),
            ("no places", limit, {}, {"Limit": "TOTAL_IN_PROGRESS_COPY_BACKUPS"}),
            ("no backups", limit, {}, {"Limit": "TOTAL_USER_INITIATED_BACKUPS"}),
        )
        back()
        self.available(stuck)

    def test_copy_backup_of_keys_and_states(self):
        west, backup = self.client(WEST), self.take(self.file_system())
        wanted = {"SourceBackupId": backup, "SourceRegion": EAST}
        key = self.world.kms_key(EAST)
        self.world.cli("kms", "disable", key, "--region", EAST)
        self.table(west.copy_backup, wanted, ("the source's key is disabled", "InvalidSourceKmsKey", {}))
        self.world.cli("kms", "enable", key, "--region", EAST)
        fresh = self.world.cli("kms", "create", "--region", WEST)
        self.world.cli("kms", "disable", fresh, "--region", WEST)
        self.table(west.copy_backup, wanted, ("a disabled key", "InvalidDestinationKmsKey", {"KmsKeyId": fresh}))
        _, stuck, back = self.stuck_backup()
        state = ("a backup in progress", "SourceBackupUnavailable", {"SourceBackupId": stuck}, {"BackupId": stuck})
        self.table(west.copy_backup, wanted, state)
        back()
        self.available(stuck)
        self.without_keys(WEST)
        self.table(west.copy_backup, wanted, ("the target's key file is gone", "InternalServerError", {}))

    def test_copy_backup_of_what_some_regions_lack(self):
        windows = {"FileSystemType": "WINDOWS", "StorageCapacity": 32, "OpenZFSConfiguration": None}
        windows["SubnetIds"] = [SUBNET, SUBNET.replace("0", "1")]
        settings = {"DeploymentType": "MULTI_AZ_1", "ThroughputCapacity": 8, "PreferredSubnetId": SUBNET}
        wide = self.take(self.file_system(**windows, WindowsConfiguration={**settings, "ActiveDirectoryId": "d-0123456789"}))
        plain = self.take(self.file_system())
        self.world.stop()
        text = self.world.config.read_text()
        for region, flag in [(WEST, "no_windows_multi_az"), (IRELAND, "opt_in")]:
            text = text.replace(f'name = "{region}"\n', f'name = "{region}"\n{flag} = true\n')
        self.world.config.write_text(text)
        self.world.start()
        wanted = {"SourceRegion": EAST}
        row = ("several zones", "IncompatibleRegionForMultiAZ", {"SourceBackupId": wide})
        self.table(self.client(WEST).copy_backup, wanted, row)
        row = ("an opt-in region", "UnsupportedOperation", {"SourceBackupId": plain})
        self.table(self.client(IRELAND).copy_backup, wanted, row)
        self.copy(plain, WEST)
        self.world.stop()
        self.world.config.write_text(text.replace("opt_in = true\n", "").replace("no_windows_multi_az = true\n", ""))
        self.world.start()
        self.copy(wide, WEST)
        self.copy(plain, IRELAND)

    def test_create_backup(self):
        east, file_system = self.client(), self.file_system()
        used = self.used(east.create_backup, FileSystemId=file_system)
        scratch = self.ready(east.create_file_system(**LUSTRE)["FileSystem"]["FileSystemId"])["FileSystemId"]
        linked = self.file_system(
            **{**LUSTRE, "OpenZFSConfiguration": None},
            LustreConfiguration={**PERSISTENT, "ImportPath": "s3://bucket/prefix"},
        )
        other = {**used, "FileSystemId": scratch}
        self.table(
            east.create_backup,
            {"FileSystemId": file_system},
            ("nothing to back up", "BadRequest", {"FileSystemId": None}),
            ("a file system and a volume", "BadRequest", {"VolumeId": "fsvol-01234567890abcdef"}),
            ("a scratch file system", "UnsupportedOperation", {"FileSystemId": scratch}),
            ("a file system that is linked to a bucket", "UnsupportedOperation", {"FileSystemId": linked}),
            ("an unknown file system", "FileSystemNotFound", {"FileSystemId": NOBODY}),
            ("an unknown volume", "VolumeNotFound", {"FileSystemId": None, "VolumeId": "fsvol-01234567890abcdef"}),
            ("a token of other parameters", "IncompatibleParameterError", other, {"Parameter": "FileSystemId"}),
        )
        busy, stuck, back = self.stuck_backup()
        self.table(east.create_backup, {"FileSystemId": busy}, ("one is being made", "BackupInProgress", {}))
        back()
        self.available(stuck)
        restore = self.limited(fsx_user_backups=0)
        full = ("no places", "ServiceLimitExceeded", {}, {"Limit": "TOTAL_USER_INITIATED_BACKUPS"})
        self.table(east.create_backup, {"FileSystemId": file_system}, full)
        final = ("the last backup would be one too many", "ServiceLimitExceeded", {})
        self.table(east.delete_file_system, {"FileSystemId": file_system}, final)
        restore()
        self.without_keys(EAST)
        broken = ("the key file is gone", "InternalServerError", {})
        self.table(east.create_backup, {"FileSystemId": file_system}, broken)

    def test_backups_of_a_file_system_whose_key_is_disabled(self):
        east, place = self.client(), ["--region", EAST]
        key = self.world.cli("kms", "create", *place)
        wanted = {"FileSystemId": self.file_system(KmsKeyId=key)}
        self.world.cli("kms", "disable", key, *place)
        disabled = ("its key is disabled", "BadRequest", {})
        self.table(east.create_backup, wanted, disabled)
        self.table(east.delete_file_system, wanted, disabled)
        self.assertEqual(self.ready(wanted["FileSystemId"])["Lifecycle"], "AVAILABLE")
        self.world.cli("kms", "enable", key, *place)
        self.take(wanted["FileSystemId"])

    def test_describe_and_delete_backups(self):
        east, west = self.client(), self.client(WEST)
        file_system = self.file_system()
        backup, other = self.take(file_system), self.take(file_system)
        self.table(
            east.describe_backups,
            {},
            ("an unknown backup", "BackupNotFound", {"BackupIds": [backup, NO_BACKUP]}),
            ("a filter of a cache", "BadRequest", {"Filters": [{"Name": "data-repository-type", "Values": ["x"]}]}),
            ("a token of another making", "BadRequest", {"NextToken": "AAAA"}),
        )
        self.table(
            east.delete_backup,
            {"BackupId": backup},
            ("an id of another form", "BadRequest", {"BackupId": "backup-XYZXYZXYZ"}),
            ("an unknown backup", "BackupNotFound", {"BackupId": NO_BACKUP}),
        )
        back = self.away(IRELAND)
        copy = self.client(IRELAND).copy_backup(SourceBackupId=backup, SourceRegion=EAST)["Backup"]["BackupId"]
        copied = ("it is being copied", "BackupBeingCopied", {}, {"BackupId": backup})
        self.table(east.delete_backup, {"BackupId": backup}, copied)
        back()
        self.available(copy, IRELAND)
        _, stuck, back = self.stuck_backup()
        self.table(east.delete_backup, {"BackupId": stuck}, ("it is being made", "BackupInProgress", {}))
        made = east.create_file_system_from_backup(BackupId=backup, SubnetIds=[SUBNET])["FileSystem"]["FileSystemId"]
        restored = ("it is being restored", "BackupRestoring", {}, {"FileSystemId": made})
        self.table(east.delete_backup, {"BackupId": backup}, restored)
        back()
        self.available(stuck)
        self.ready(made)
        used = self.used(east.delete_backup, BackupId=other)
        token = ("a token of other parameters", "IncompatibleParameterError", used, {"Parameter": "BackupId"})
        self.table(east.delete_backup, {"BackupId": backup}, token)

    def test_create_file_system(self):
        east = self.client()
        zfs = {**OPENZFS, "OpenZFSConfiguration": SETTINGS}
        lustre = lambda **settings: {**LUSTRE, "OpenZFSConfiguration": None, "LustreConfiguration": {**PERSISTENT, **settings}}
        used = self.used(east.create_file_system, **zfs)
        windows = {"FileSystemType": "WINDOWS", "OpenZFSConfiguration": None}
        self.table(
            east.create_file_system,
            zfs,
            ("an unknown type", "BadRequest", {"FileSystemType": "ZFS"}),
            ("a type that is not offered", "BadRequest", {"FileSystemType": "ONTAP"}),
            ("an odd capacity", "BadRequest", {**LUSTRE, "OpenZFSConfiguration": None, "StorageCapacity": 1300}),
            ("no configuration", "MissingFileSystemConfiguration", {"OpenZFSConfiguration": None}),
            ("no configuration of Windows", "MissingFileSystemConfiguration", windows),
            ("another type's configuration", "BadRequest", {"LustreConfiguration": PERSISTENT}),
            ("an odd throughput", "InvalidPerUnitStorageThroughput", lustre(PerUnitStorageThroughput=60)),
            ("an import from elsewhere", "InvalidImportPath", lustre(ImportPath="http://bucket")),
            ("an export alone", "InvalidExportPath", lustre(ExportPath="s3://bucket")),
            ("two subnets for one zone", "BadRequest", {"SubnetIds": [SUBNET, OTHER_SUBNET]}),
            ("a subnet twice", NETWORK, {"SubnetIds": [SUBNET] * 2}, {"InvalidSubnetId": SUBNET}),
            (
                "a preferred subnet that is not given",
                NETWORK,
                {"OpenZFSConfiguration": {**SETTINGS, "PreferredSubnetId": OTHER_SUBNET}},
                {"InvalidSubnetId": OTHER_SUBNET},
            ),
            (
                "a route table twice",
                NETWORK,
                {"OpenZFSConfiguration": {**SETTINGS, "RouteTableIds": [TABLE] * 2}},
                {"InvalidRouteTableId": TABLE},
            ),
            ("a token of other parameters", "IncompatibleParameterError", {**used, "StorageCapacity": 128}),
        )
        restore = self.limited(fsx_file_systems=0)
        count = {"Limit": "FILE_SYSTEM_COUNT"}
        self.table(east.create_file_system, zfs, ("one too many", "ServiceLimitExceeded", {}, count))
        restore()

    def test_storage_that_an_account_may_have(self):
        account, self.key = self.world.new_account("aws")
        east, zfs = self.client(), {**OPENZFS, "OpenZFSConfiguration": SETTINGS}
        first, second = (self.file_system(StorageCapacity=500) for _ in range(2))
        backup = self.take(first)
        # 500 GiB each, and 500 more.
        self.limited(account, fsx_storage_gib=1500)
        full = "ServiceLimitExceeded", {}, {"Limit": "TOTAL_STORAGE"}
        self.table(east.create_file_system, {**zfs, "StorageCapacity": 501}, ("a GiB too many", *full))
        self.table(
            east.update_file_system,
            {"FileSystemId": first, "StorageCapacity": 1001},
            ("grown by a GiB too many", *full),
            ("an unknown file system", "FileSystemNotFound", {"FileSystemId": NOBODY}),
        )
        east.update_file_system(FileSystemId=first, StorageCapacity=1000)
        restored = {"BackupId": backup, "SubnetIds": [SUBNET]}
        self.table(east.create_file_system_from_backup, restored, ("restored beyond it", *full))
        # Other types have theirs.
        east.create_file_system(**LUSTRE)
        east.delete_file_system(FileSystemId=second, OpenZFSConfiguration={"SkipFinalBackup": True})
        self.until(lambda: second not in [fs["FileSystemId"] for fs in east.describe_file_systems()["FileSystems"]])
        east.create_file_system(**{**zfs, "StorageCapacity": 500})

    def test_create_file_system_from_backup(self):
        east, backup = self.client(), self.take(self.file_system())
        wanted = {"BackupId": backup, "SubnetIds": [SUBNET]}
        used = self.used(east.create_file_system_from_backup, **wanted)
        lustre, newer = (
            self.take(
                self.file_system(
                    **LUSTRE, OpenZFSConfiguration=None, LustreConfiguration=PERSISTENT, FileSystemTypeVersion=version
                )
            )
            for version in ["2.10", "2.12"]
        )
        self.table(
            east.create_file_system_from_backup,
            wanted,
            ("an unknown backup", "BackupNotFound", {"BackupId": NO_BACKUP}),
            ("another type's configuration", "BadRequest", {"LustreConfiguration": PERSISTENT}),
            ("a smaller capacity", "BadRequest", {"StorageCapacity": 32}),
            ("two subnets for one zone", "BadRequest", {"SubnetIds": [SUBNET, OTHER_SUBNET]}),
            ("a subnet twice", NETWORK, {"SubnetIds": [SUBNET] * 2}, {"InvalidSubnetId": SUBNET}),
            (
                "a preferred subnet that is not given",
                NETWORK,
                {"OpenZFSConfiguration": {**SETTINGS, "PreferredSubnetId": OTHER_SUBNET}},
                {"InvalidSubnetId": OTHER_SUBNET},
            ),
            ("a token of other parameters", "IncompatibleParameterError", {**used, "StorageCapacity": 128}),
            (
                "another deployment type",
                "BadRequest",
                {"OpenZFSConfiguration": {"DeploymentType": "SINGLE_AZ_2", "ThroughputCapacity": 160}},
            ),
            (
                "an odd throughput",
                "InvalidPerUnitStorageThroughput",
                {"BackupId": lustre, "LustreConfiguration": {**PERSISTENT, "PerUnitStorageThroughput": 60}},
            ),
            ("a version before the backup's", "BadRequest", {"BackupId": newer, "FileSystemTypeVersion": "2.10"}),
            ("a version that there is not", "BadRequest", {"BackupId": newer, "FileSystemTypeVersion": "2.16"}),
            ("a version of what has none", "BadRequest", {"FileSystemTypeVersion": "2.15"}),
        )
        made = east.create_file_system_from_backup(**{**wanted, "BackupId": newer}, FileSystemTypeVersion="2.15")
        self.assertEqual(made["FileSystem"]["FileSystemTypeVersion"], "2.15")
        self.limited(fsx_file_systems=0)
        count = ("one too many", "ServiceLimitExceeded", {}, {"Limit": "FILE_SYSTEM_COUNT"})
        self.table(east.create_file_system_from_backup, wanted, count)

    def test_a_backup_on_another_type_of_storage(self):
        none = {"OpenZFSConfiguration": None}
        lustre = {**LUSTRE, **none, "StorageCapacity": 7200, "LustreConfiguration": PERSISTENT}
        windows = lambda gib, kind: self.take(
            self.file_system(
                FileSystemType="WINDOWS",
                StorageCapacity=gib,
                WindowsConfiguration={"DeploymentType": kind, "ThroughputCapacity": 8, "ActiveDirectoryId": "d-0123456789"},
                **none,
            )
        )
        backup, wide = self.take(self.file_system(**lustre)), windows(2000, "SINGLE_AZ_2")
        make, bad = self.client().create_file_system_from_backup, "BadRequest"
        wanted = {"BackupId": backup, "SubnetIds": [SUBNET], "StorageType": "HDD"}
        slow = {**PERSISTENT, "PerUnitStorageThroughput": 40, "DriveCacheType": "NONE"}
        self.table(
            make,
            wanted,
            ("disks without their throughput", "MissingFileSystemConfiguration", {}),
            ("disks with the throughput of flash", "BadRequest", {"LustreConfiguration": PERSISTENT}),
            ("a tier that it cannot have", bad, {"StorageType": "INTELLIGENT_TIERING", "LustreConfiguration": PERSISTENT}),
            ("a small one on disks", bad, {"BackupId": windows(1999, "SINGLE_AZ_2")}),
            ("a deployment type without disks", bad, {"BackupId": windows(2000, "SINGLE_AZ_1")}),
            ("OpenZFS on disks", bad, {"BackupId": self.take(self.file_system(StorageCapacity=2000))}),
            ("Windows on a tier", bad, {"BackupId": wide, "StorageType": "INTELLIGENT_TIERING"}),
        )
        made = make(**wanted, LustreConfiguration=slow)["FileSystem"]
        self.assertEqual((made["StorageType"], made["LustreConfiguration"]["PerUnitStorageThroughput"]), ("HDD", 40))
        self.assertEqual(make(**{**wanted, "BackupId": wide})["FileSystem"]["StorageType"], "HDD")

    def test_a_backup_is_on_flash_where_nothing_else_is_said(self):
        none, make = {"OpenZFSConfiguration": None}, self.client().create_file_system_from_backup
        slow = {**PERSISTENT, "PerUnitStorageThroughput": 40, "DriveCacheType": "READ"}
        disks = {**LUSTRE, **none, "StorageCapacity": 7200, "StorageType": "HDD", "LustreConfiguration": slow}
        backup = self.take(self.file_system(**disks))
        two_zones = {"DeploymentType": "MULTI_AZ_1", "ThroughputCapacity": 160, "PreferredSubnetId": SUBNET}
        tier = {"StorageType": "INTELLIGENT_TIERING", "StorageCapacity": None, "SubnetIds": [SUBNET, OTHER_SUBNET]}
        cold = {"BackupId": self.take(self.file_system(**tier, OpenZFSConfiguration=two_zones)), "SubnetIds": tier["SubnetIds"]}
        wanted, kept = {"BackupId": backup, "SubnetIds": [SUBNET]}, {"AutomaticBackupRetentionDays": 1}
        self.table(
            make,
            wanted,
            ("disks without what flash is to perform", "MissingFileSystemConfiguration", {}),
            ("flash with the throughput of disks", "InvalidPerUnitStorageThroughput", {"LustreConfiguration": kept}),
            ("flash with a cache", "BadRequest", {"LustreConfiguration": {**PERSISTENT, "DriveCacheType": "READ"}}),
            ("a tier without the capacity of flash", "BadRequest", cold),
            ("a tier on too little flash", "BadRequest", {**cold, "StorageCapacity": 63}),
        )
        made = make(**wanted, LustreConfiguration=PERSISTENT)["FileSystem"]
        self.assertEqual((made["StorageType"], made["LustreConfiguration"]["PerUnitStorageThroughput"]), ("SSD", 50))
        self.assertNotIn("DriveCacheType", made["LustreConfiguration"])
        made = make(**wanted, StorageType="HDD")["FileSystem"]
        self.assertEqual((made["StorageType"], made["LustreConfiguration"]["DriveCacheType"]), ("HDD", "READ"))
        made = make(**cold, StorageCapacity=64)["FileSystem"]
        self.assertEqual((made["StorageType"], made["StorageCapacity"]), ("SSD", 64))
        self.assertNotIn("StorageCapacity", make(**cold, StorageType="INTELLIGENT_TIERING")["FileSystem"])

    def test_two_zones_of_a_backup_ask_for_two_subnets(self):
        settings = {"DeploymentType": "MULTI_AZ_1", "ThroughputCapacity": 160, "PreferredSubnetId": SUBNET}
        wide = self.file_system(SubnetIds=[SUBNET, OTHER_SUBNET], OpenZFSConfiguration=settings)
        wanted, make = {"BackupId": self.take(wide)}, self.client().create_file_system_from_backup
        self.table(
            make,
            wanted,
            ("one subnet for two zones", "BadRequest", {"SubnetIds": [SUBNET]}),
            ("a subnet twice", NETWORK, {"SubnetIds": [SUBNET] * 2}, {"InvalidSubnetId": SUBNET}),
        )
        # What the backup preferred holds where it can.
        for subnets, preferred in [([OTHER_SUBNET, SUBNET], SUBNET), ([OTHER_SUBNET, SUBNET.replace("0", "2")], None)]:
            made = make(**wanted, SubnetIds=subnets)["FileSystem"]["OpenZFSConfiguration"]
            self.assertEqual(made.get("PreferredSubnetId"), preferred)

    def test_directories_are_those_of_the_account_where_it_lists_them(self):
        east, other = self.client(), "d-aaaaaaaaaa"
        settings = {"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 8, "ActiveDirectoryId": other}
        windows = {"FileSystemType": "WINDOWS", "StorageCapacity": 32, "SubnetIds": [SUBNET], "WindowsConfiguration": settings}
        backup = self.take(self.file_system(**windows, OpenZFSConfiguration=None))
        identities = self.world.config.parent / "identities.toml"
        text = identities.read_text()
        name = 'name = "default"\n'
        identities.write_text(text.replace(name, f'{name}active_directories = ["d-0123456789"]\n', 1))
        self.addCleanup(lambda: identities.write_text(text))
        refused = (DIRECTORY, {}, {"ActiveDirectoryId": other, "Type": "DOMAIN_NOT_FOUND"})
        self.table(east.create_file_system, windows, ("a directory of nobody", *refused))
        restore = {"BackupId": backup, "SubnetIds": [SUBNET]}
        self.table(east.create_file_system_from_backup, restore, ("the backup's directory is gone", *refused))
        own = {**windows, "WindowsConfiguration": {**settings, "ActiveDirectoryId": "d-0123456789"}}
        east.create_file_system(**own)
        managed = {"DomainName": "example.com", "UserName": "u", "Password": "p", "DnsIps": ["10.0.0.1"]}
        for directory, shown in [
            ({"ActiveDirectoryId": "d-0123456789"}, "d-0123456789"),
            ({"SelfManagedActiveDirectoryConfiguration": managed}, None),
        ]:
            asked = {"ThroughputCapacity": 8, **directory}
            made = east.create_file_system_from_backup(**restore, WindowsConfiguration=asked)["FileSystem"]
            self.assertEqual(made["WindowsConfiguration"].get("ActiveDirectoryId"), shown)

    def test_file_systems(self):
        east, file_system, other = self.client(), self.file_system(), self.file_system()
        unknown = ("an unknown file system", "FileSystemNotFound", {"FileSystemId": NOBODY})
        self.table(
            east.describe_file_systems,
            {},
            ("an unknown file system", "FileSystemNotFound", {"FileSystemIds": [NOBODY]}),
            ("a token of another making", "BadRequest", {"NextToken": "AAAA"}),
        )
        settings = {"OpenZFSConfiguration": {"AutomaticBackupRetentionDays": 3}}
        used = self.used(east.update_file_system, FileSystemId=file_system, **settings)
        self.table(
            east.update_file_system,
            {"FileSystemId": file_system, **settings},
            unknown,
            ("nothing to change", "MissingFileSystemConfiguration", {"OpenZFSConfiguration": None}),
            ("another type's configuration", "BadRequest", {"LustreConfiguration": {"AutomaticBackupRetentionDays": 3}}),
            ("a little more", "BadRequest", {"StorageCapacity": 65}),
            ("more than there is", "BadRequest", {"StorageCapacity": 524289}),
            ("an odd throughput", "BadRequest", {"OpenZFSConfiguration": {"ThroughputCapacity": 100}}),
            ("storage that it cannot have", "BadRequest", {"StorageType": "HDD"}),
            ("a version of what has none", "BadRequest", {"FileSystemTypeVersion": "2.15"}),
            (
                "a route table that it does not have",
                NETWORK,
                {"OpenZFSConfiguration": {"RemoveRouteTableIds": [TABLE]}},
                {"InvalidRouteTableId": TABLE},
            ),
            ("a token of other parameters", "IncompatibleParameterError", {**used, "StorageCapacity": 128}),
        )
        keep = lambda days: {"OpenZFSConfiguration": None, "LustreConfiguration": {"AutomaticBackupRetentionDays": days}}
        scratch = {"FileSystemId": self.ready(east.create_file_system(**LUSTRE)["FileSystem"]["FileSystemId"])["FileSystemId"]}
        self.table(
            east.update_file_system,
            scratch,
            ("backups of what has none", "UnsupportedOperation", keep(1)),
            ("what does not grow", "UnsupportedOperation", {"StorageCapacity": 2400}),
        )
        east.update_file_system(**scratch, LustreConfiguration={"AutomaticBackupRetentionDays": 0})
        lustre = {"FileSystemId": self.file_system(**LUSTRE, OpenZFSConfiguration=None, LustreConfiguration=PERSISTENT)}
        self.table(
            east.update_file_system,
            lustre,
            ("a capacity between two steps", "BadRequest", {"StorageCapacity": 3600}),
            ("an odd throughput", "BadRequest", {"LustreConfiguration": {"PerUnitStorageThroughput": 125}}),
            ("a version that there is not", "BadRequest", {"FileSystemTypeVersion": "2.11"}),
            ("the version that it has", "BadRequest", {"FileSystemTypeVersion": "2.10"}),
        )
        faster = {"StorageCapacity": 2400, "LustreConfiguration": {"PerUnitStorageThroughput": 200}}
        seen = east.update_file_system(**lustre, **faster, FileSystemTypeVersion="2.12")["FileSystem"]
        self.assertEqual((seen["StorageCapacity"], seen["FileSystemTypeVersion"]), (2400, "2.12"))
        self.assertEqual(seen["LustreConfiguration"]["PerUnitStorageThroughput"], 200)
        row = ("the version that it had", "BadRequest", {"FileSystemTypeVersion": "2.10"})
        self.table(east.update_file_system, lustre, row)
        tables = lambda **change: east.update_file_system(FileSystemId=file_system, OpenZFSConfiguration=change)
        tables(AddRouteTableIds=[TABLE])
        twice = {"OpenZFSConfiguration": {"AddRouteTableIds": [TABLE]}}
        row = ("a route table that it has", NETWORK, twice, {"InvalidRouteTableId": TABLE})
        self.table(east.update_file_system, {"FileSystemId": file_system}, row)
        seen = tables(RemoveRouteTableIds=[TABLE])["FileSystem"]["OpenZFSConfiguration"]
        self.assertEqual(seen.get("RouteTableIds", []), [])
        used = self.used(east.delete_file_system, FileSystemId=other, OpenZFSConfiguration={"SkipFinalBackup": True})
        self.table(
            east.delete_file_system,
            {"FileSystemId": file_system},
            unknown,
            ("another type's configuration", "BadRequest", {"LustreConfiguration": {"SkipFinalBackup": True}}),
            ("a token of other parameters", "IncompatibleParameterError", used),
        )

    def test_tagging(self):
        east = self.client()
        arn = self.backup(self.take(self.file_system()))["ResourceARN"]
        unknown, kind = arn[:-17] + "0" * 17, arn.replace(":backup/", ":association/")
        bucket = "arn:aws:s3:::bucket"
        rows = [
            ("no ARN", "BadRequest", {"ResourceARN": "nonsense"}),
            ("an unknown backup", "ResourceNotFound", {"ResourceARN": unknown}, {"ResourceARN": unknown}),
            ("what has no tags", "ResourceDoesNotSupportTagging", {"ResourceARN": kind}, {"ResourceARN": kind}),
            ("another service's", "NotServiceResourceError", {"ResourceARN": bucket}, {"ResourceARN": bucket}),
        ]
        self.table(east.list_tags_for_resource, {"ResourceARN": arn}, *rows)
        self.table(east.untag_resource, {"ResourceARN": arn, "TagKeys": ["a"]}, *rows)
        more = ("51 tags", "BadRequest", {"Tags": tags({f"k{n}": "v" for n in range(51)})})
        self.table(east.tag_resource, {"ResourceARN": arn, "Tags": tags({"a": "b"})}, *rows, more)

    def test_every_constraint_of_the_model(self):
        self.assert_constraints("BadRequest")

    def test_volumes_and_virtual_machines(self):
        east, form = self.client(), "an id of another form"
        volumes, machines = ([f"{kind}-{id}" for id in ("X" * 17, "0" * 17)] for kind in ["fsvol", "svm"])
        self.table(
            east.describe_volumes,
            {},
            (form, "BadRequest", {"VolumeIds": volumes}),
            ("an unknown volume", "VolumeNotFound", {"VolumeIds": volumes[1:]}),
        )
        self.table(
            east.describe_storage_virtual_machines,
            {},
            (form, "BadRequest", {"StorageVirtualMachineIds": machines}),
            ("an unknown machine", "StorageVirtualMachineNotFound", {"StorageVirtualMachineIds": machines[1:]}),
        )

    def test_what_is_broken_inside_is_the_servers_fault(self):
        account, self.key = self.world.new_account("aws")
        east, file_system = self.client(), self.file_system()
        backup = self.take(file_system)
        arn, one = self.backup(backup)["ResourceARN"], {"FileSystemId": file_system}
        folder = self.world.path(EAST, "")
        aside = folder.rename(folder.with_name("aside"))
        folder.write_text("no directory")
        row = ("file systems have no place", "InternalServerError", {**OPENZFS, "OpenZFSConfiguration": SETTINGS})
        self.table(east.create_file_system, {}, row)
        folder.unlink()
        aside.rename(folder)
        for table in ["resource", "backup"]:
            self.sql(EAST, f"UPDATE {table} SET kms_key = 'no key' WHERE account = ?", account)
        for call, wanted in [
            (self.client(WEST).copy_backup, {"SourceBackupId": backup, "SourceRegion": EAST}),
            (east.create_backup, one),
            (east.describe_backups, {}),
            (east.delete_backup, {"BackupId": backup}),
            (east.create_file_system_from_backup, {"BackupId": backup, "SubnetIds": [SUBNET]}),
            (east.describe_file_systems, {}),
            (east.update_file_system, {**one, "StorageCapacity": 128}),
            (east.delete_file_system, one),
            (east.tag_resource, {"ResourceARN": arn, "Tags": tags({"a": "b"})}),
            (east.untag_resource, {"ResourceARN": arn, "TagKeys": ["a"]}),
            (east.list_tags_for_resource, {"ResourceARN": arn}),
            (east.describe_volumes, {}),
            (east.describe_storage_virtual_machines, {}),
        ]:
            with self.subTest(call=call.__name__):
                refusal = self.refused("InternalServerError", call, **wanted)
                self.assertNotIn("key", refusal["Error"]["Message"], "the details stay in the log")


class Rates(ErrorsTest):
    """A second holds two calls of FSx and one of CloudHSM."""

    settings = "fsx_requests_per_second = 2\ncloudhsm_requests_per_second = 1\n"

    def answers(self, call, times=20, **parameters):
        """The codes of so many calls, and how many seconds they took."""
        began, codes = time.monotonic(), []
        for _ in range(times):
            try:
                call(**parameters)
                codes.append("Success")
            except ClientError as refusal:
                codes.append(refusal.response["Error"]["Code"])
        return codes, time.monotonic() - began

    def test_calls_beyond_the_rate_are_throttled(self):
        east = self.client()
        codes, seconds = self.answers(east.describe_file_systems)
        self.assertEqual(codes[:2], ["Success"] * 2)
        self.assertLessEqual(codes.count("Success"), 2 + 2 * seconds)
        self.assertEqual(set(codes), {"Success", "ThrottlingException"})
        # One bucket for all operations, and it is asked before what a request says is looked at.
        codes, _ = self.answers(east.describe_backups, BackupIds=["nonsense-123"])
        self.assertIn("ThrottlingException", codes)
        refusal = self.until(lambda: self.throttled(east.describe_file_systems))
        self.assertEqual(refusal["Error"]["Message"], "Rate exceeded")
        self.assertEqual(refusal["ResponseMetadata"]["HTTPStatusCode"], 400)
        # Other regions, and the other service, have buckets of their own; strangers have none.
        self.client(WEST).describe_file_systems()
        hsm = client("cloudhsmv2", self.world.endpoint, EAST, self.world.aws_key)
        codes, seconds = self.answers(hsm.describe_clusters)
        self.assertLessEqual(codes.count("Success"), 1 + seconds)
        self.assertEqual((codes[0], set(codes)), ("Success", {"Success", "ThrottlingException"}))
        stranger = self.client(key=("AKIAAAAAAAAAAAAAAAAA", "x"))
        self.assertEqual(set(self.answers(stranger.describe_file_systems)[0]), {"UnrecognizedClientException"})
        # What an account's own limits say goes before.
        self.limited(fsx_requests_per_second=1000)
        self.assertEqual(set(self.answers(east.describe_file_systems)[0]), {"Success"})
        (listed,) = json.loads(self.world.cli("account", "ls", "--json"))
        self.assertEqual(listed["limits"]["fsx_requests_per_second"], 1000)

    def throttled(self, call):
        try:
            call()
        except ClientError as refusal:
            return refusal.response


class Clocks(ErrorsTest):
    settings = 'aws_clock_skew = "15m"\n'

    def test_the_window_is_what_the_configuration_says(self):
        now = botocore.auth.get_current_datetime
        for minutes, refused in [(14, None), (-14, None), (16, "not yet current"), (-16, "expired")]:
            with self.subTest(minutes=minutes):
                shifted = lambda: now() + datetime.timedelta(minutes=minutes)
                with unittest.mock.patch("botocore.auth.get_current_datetime", shifted):
                    if not refused:
                        self.client().describe_file_systems()
                        continue
                    refusal = self.refused("InvalidSignatureException", self.client().describe_file_systems)
                self.assertRegex(refusal["Error"]["Message"], f"^Signature {refused}: .* 15 min[.][)]$")


class Model(ErrorsTest):
    def all_modelled_errors_were_reached(self):
        # Those of work in progress are reached with a store that is away.
        self.needs_directories()
        self.assert_all_reached(UNREACHED)


def load_tests(_loader, tests, _pattern):
    """Of the whole file: the model is looked at when all its tables have been gone through."""
    tests.addTest(Model("all_modelled_errors_were_reached"))
    return tests


if __name__ == "__main__":
    unittest.main()
