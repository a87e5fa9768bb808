"""Amazon FSx with boto3 and the AWS CLI: the whole life of a backup, every refusal as its own exception."""

import base64
import concurrent.futures
import os
import threading
import time
import unittest
import uuid

import botocore.exceptions

from aws import EAST, IRELAND, WEST, AwsTest, as_dict, client, tags

SUBNET = "subnet-0123456789abcdef0"


class FsxTest(AwsTest):
    service = "fsx"

    def file_system(self, region=EAST, **parameters):
        wanted = {
            "FileSystemType": "OPENZFS",
            "StorageCapacity": 64,
            "SubnetIds": [SUBNET],
            "OpenZFSConfiguration": {"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64},
            **parameters,
        }
        wanted = {name: value for name, value in wanted.items() if value is not None}
        made = self.client(region).create_file_system(**wanted)["FileSystem"]
        self.assertEqual(made["Lifecycle"], "CREATING")
        return self.ready(made["FileSystemId"], region)["FileSystemId"]

    def ready(self, file_system, region=EAST):
        client = self.client(region)

        def look():
            (seen,) = client.describe_file_systems(FileSystemIds=[file_system])["FileSystems"]
            self.assertIn(seen["Lifecycle"], ["CREATING", "AVAILABLE"], seen)
            return seen if seen["Lifecycle"] == "AVAILABLE" else None

        return self.until(look)

    def in_state(self, state, file_system):
        (seen,) = self.client().describe_file_systems(FileSystemIds=[file_system])["FileSystems"]
        return seen if seen["Lifecycle"] == state else None

    def backup(self, backup, region=EAST):
        (seen,) = self.client(region).describe_backups(BackupIds=[backup])["Backups"]
        return seen

    def available(self, backup, region=EAST):
        def look():
            seen = self.backup(backup, region)
            self.assertIn(seen["Lifecycle"], ["CREATING", "PENDING", "TRANSFERRING", "COPYING", "AVAILABLE"], seen)
            return seen if seen["Lifecycle"] == "AVAILABLE" else None

        return self.until(look)

    def take(self, file_system, region=EAST, **parameters):
        made = self.client(region).create_backup(FileSystemId=file_system, **parameters)["Backup"]
        self.assertEqual((made["Lifecycle"], made["Type"], made["ProgressPercent"]), ("CREATING", "USER_INITIATED", 0))
        return self.available(made["BackupId"], region)["BackupId"]

    def copy(self, backup, region=WEST, source=EAST, **parameters):
        copied = self.client(region).copy_backup(SourceBackupId=backup, SourceRegion=source, **parameters)["Backup"]
        return self.available(copied["BackupId"], region)["BackupId"]

    def account(self):
        return self.world.cli("account", "ls").splitlines()[1].split()[0]


class Life(FsxTest):
    def test_a_backup_is_taken_copied_found_restored_and_deleted(self):
        file_system = self.file_system(Tags=tags({"team": "storage"}))
        folder = self.world.path(EAST, file_system)
        (folder / "some").mkdir()
        (folder / "some" / "file").write_text("precious")
        east, west = self.client(), self.client(WEST)

        backup = self.take(file_system, Tags=tags({"day": "one"}))
        seen = self.backup(backup)
        account = self.account()
        self.assertRegex(backup, "^backup-[0-9a-f]{17}$")
        self.assertEqual(seen["ResourceARN"], f"arn:aws:fsx:{EAST}:{account}:backup/{backup}")
        self.assertEqual((seen["OwnerId"], seen["ResourceType"]), (account, "FILE_SYSTEM"))
        self.assertEqual(as_dict(seen["Tags"]), {"day": "one"})
        self.assertEqual(seen["FileSystem"]["FileSystemId"], file_system)
        self.assertEqual(seen["FileSystem"]["OpenZFSConfiguration"]["DeploymentType"], "SINGLE_AZ_1")
        self.assertEqual(seen["SizeInBytes"], len("precious"))

        copied = west.copy_backup(SourceBackupId=backup, SourceRegion=EAST)["Backup"]
        self.assertEqual((copied["Lifecycle"], copied["Type"], copied["ProgressPercent"]), ("COPYING", "USER_INITIATED", 0))
        self.assertEqual((copied["SourceBackupId"], copied["SourceBackupRegion"]), (backup, EAST))
        self.assertRegex(copied["KmsKeyId"], f"^arn:aws:kms:{WEST}:{account}:key/")
        self.assertNotIn("Tags", copied)
        copy = self.available(copied["BackupId"], WEST)
        self.assertEqual(copy["FileSystem"]["ResourceARN"], f"arn:aws:fsx:{EAST}:{account}:file-system/{file_system}")

        gone = east.delete_backup(BackupId=backup)
        self.assertEqual((gone["BackupId"], gone["Lifecycle"]), (backup, "DELETED"))
        self.refused("BackupNotFound", east.describe_backups, BackupIds=[backup])
        restored = west.create_file_system_from_backup(BackupId=copy["BackupId"], SubnetIds=[SUBNET])["FileSystem"]
        self.ready(restored["FileSystemId"], WEST)
        path = self.world.path(WEST, restored["FileSystemId"]) / "some" / "file"
        self.assertEqual(path.read_text(), "precious")

        done = west.delete_file_system(
            FileSystemId=restored["FileSystemId"], OpenZFSConfiguration={"SkipFinalBackup": True}
        )
        self.assertEqual(done["Lifecycle"], "DELETING")
        listed = lambda: [seen["FileSystemId"] for seen in west.describe_file_systems()["FileSystems"]]
        self.until(lambda: restored["FileSystemId"] not in listed())
        self.assertFalse(path.exists())
        self.refused("FileSystemNotFound", west.describe_file_systems, FileSystemIds=[restored["FileSystemId"]])

    def test_a_backup_and_its_copy_tell_the_directory_that_was_joined(self):
        managed = {"DomainName": "example.com", "UserName": "u", "Password": "p", "DnsIps": ["10.0.0.1"]}
        for directory, told in [
            ({"ActiveDirectoryId": "d-0123456789"}, {"ActiveDirectoryId": "d-0123456789"}),
            ({"SelfManagedActiveDirectoryConfiguration": managed}, {"DomainName": "example.com"}),
            ({}, None),
        ]:
            windows = {"FileSystemType": "WINDOWS", "StorageCapacity": 32, "OpenZFSConfiguration": None}
            backup = self.take(self.file_system(**windows, WindowsConfiguration={"ThroughputCapacity": 8, **directory}))
            copy = self.backup(self.copy(backup), WEST)
            for seen in [self.backup(backup), copy]:
                self.assertEqual(seen.get("DirectoryInformation"), told)
        self.assertNotIn("DirectoryInformation", self.backup(self.take(self.file_system())))

    def test_a_directory_that_was_attached_is_a_file_system(self):
        folder = self.world.dir / "attached"
        folder.mkdir()
        (folder / "file").write_text("bytes")
        file_system = self.world.cli("resource", "add", str(folder), "--region", EAST, "--type", "lustre")
        (seen,) = self.client().describe_file_systems(FileSystemIds=[file_system])["FileSystems"]
        self.assertEqual((seen["FileSystemType"], seen["Lifecycle"]), ("LUSTRE", "AVAILABLE"))
        backup = self.take(file_system)
        self.assertEqual(self.backup(self.copy(backup), WEST)["FileSystem"]["FileSystemType"], "LUSTRE")
        self.client().delete_file_system(FileSystemId=file_system)
        self.assertEqual((folder / "file").read_text(), "bytes")

    def test_a_backup_of_the_command_line_is_listed_and_copied(self):
        file_system = self.file_system()
        backup = self.world.cli("backup", "create", file_system, "-q")
        self.assertEqual(self.backup(backup)["FileSystem"]["FileSystemId"], file_system)
        self.copy(backup)

    def test_what_the_command_line_leaves_to_a_server_is_done(self):
        file_system = self.file_system()
        backup = self.world.cli("backup", "create", file_system, "--detach")
        self.available(backup)
        copy = self.world.cli("copy", backup, "--to", WEST, "--detach")
        self.assertEqual(self.available(copy, WEST)["SourceBackupId"], backup)

    def test_a_copy_that_is_cut_off_by_a_crash_is_finished_after_the_restart(self):
        file_system = self.file_system()
        (self.world.path(EAST, file_system) / "noise").write_bytes(os.urandom(128 << 20))
        backup = self.take(file_system)
        at_once = self.slowly_into(WEST)
        copied = self.client(WEST).copy_backup(SourceBackupId=backup, SourceRegion=EAST)["Backup"]["BackupId"]
        self.world.stop(9)
        at_once()
        self.assertEqual(self.sql(WEST, "SELECT state FROM backup WHERE id = ?", copied), [("COPYING",)])
        self.world.start()
        self.available(copied, WEST)
        self.world.cli("backup", "verify", copied, "--read-data")

    def test_a_server_that_is_told_to_stop_ends_well_and_gives_its_work_back(self):
        file_system = self.file_system()
        (self.world.path(EAST, file_system) / "noise").write_bytes(os.urandom(64 << 20))
        backup = self.client().create_backup(FileSystemId=file_system)["Backup"]["BackupId"]
        self.assertEqual(self.world.stop(), 0)
        self.world.start()
        self.available(backup)


class Tags(FsxTest):
    def test_tags_of_a_copy_merge_and_the_requests_win(self):
        file_system = self.file_system()
        backup = self.take(file_system, Tags=tags({"a": "1", "b": "2"}))
        plain = self.backup(self.copy(backup), WEST)
        self.assertNotIn("Tags", plain)
        merged = self.backup(self.copy(backup, CopyTags=True, Tags=tags({"b": "3", "c": "4"})), WEST)
        self.assertEqual(as_dict(merged["Tags"]), {"a": "1", "b": "3", "c": "4"})
        many = self.take(file_system, Tags=tags({f"k{n}": "v" for n in range(30)}))
        more = tags({f"m{n}": "v" for n in range(21)})
        west = self.client(WEST)
        refusal = self.refused(
            "ServiceLimitExceeded", west.copy_backup, SourceBackupId=many, SourceRegion=EAST, CopyTags=True, Tags=more
        )
        self.assertEqual(refusal["Limit"], "TOTAL_USER_TAGS")
        west.copy_backup(SourceBackupId=many, SourceRegion=EAST, CopyTags=True, Tags=more[:20])

    def test_a_backup_inherits_tags_only_where_its_file_system_says_so(self):
        configuration = {"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64, "CopyTagsToBackups": True}
        file_system = self.file_system(OpenZFSConfiguration=configuration, Tags=tags({"team": "storage"}))
        self.assertEqual(as_dict(self.backup(self.take(file_system))["Tags"]), {"team": "storage"})
        explicit = self.take(file_system, Tags=tags({"x": "y"}))
        self.assertEqual(as_dict(self.backup(explicit)["Tags"]), {"x": "y"})

    def test_resources_are_tagged_untagged_and_listed(self):
        east = self.client()
        file_system = self.file_system()
        backup = self.backup(self.take(file_system))["ResourceARN"]
        (seen,) = east.describe_file_systems(FileSystemIds=[file_system])["FileSystems"]
        for arn in [backup, seen["ResourceARN"]]:
            self.assertEqual(east.list_tags_for_resource(ResourceARN=arn)["Tags"], [])
            east.tag_resource(ResourceARN=arn, Tags=tags({"a": "1", "b": "2"}))
            east.tag_resource(ResourceARN=arn, Tags=tags({"b": "3"}))
            east.untag_resource(ResourceARN=arn, TagKeys=["a", "nothing"])
            self.assertEqual(as_dict(east.list_tags_for_resource(ResourceARN=arn)["Tags"]), {"b": "3"})
            fifty = tags({f"k{n}": "v" for n in range(50)})
            self.refused("BadRequest", east.tag_resource, ResourceARN=arn, Tags=fifty)
            self.refused("BadRequest", east.tag_resource, ResourceARN=arn, Tags=tags({"aws:x": "y"}))
        self.refused("ResourceNotFound", east.list_tags_for_resource, ResourceARN=backup[:-17] + "0" * 17)
        other = backup.replace(":fsx:", ":s3:")
        self.refused("NotServiceResourceError", east.list_tags_for_resource, ResourceARN=other)
        kind = backup.replace(":backup/", ":association/")
        self.refused("ResourceDoesNotSupportTagging", east.list_tags_for_resource, ResourceARN=kind)

    def test_of_tags_that_come_at_once_as_many_are_taken_as_there_may_be(self):
        east, file_system = self.client(), self.file_system()
        backup = self.backup(self.take(file_system))["ResourceARN"]
        for arn in [backup, self.ready(file_system)["ResourceARN"]]:

            def tag(number):
                given = {f"{number}-{n}": "v" for n in range(10)}
                try:
                    east.tag_resource(ResourceARN=arn, Tags=tags(given))
                except botocore.exceptions.ClientError as refusal:
                    self.assertEqual(refusal.response["Error"]["Code"], "BadRequest")
                    return {}
                return given

            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                taken = {key: value for given in pool.map(tag, range(20)) for key, value in given.items()}
            self.assertEqual(len(taken), 50)
            self.assertEqual(as_dict(east.list_tags_for_resource(ResourceARN=arn)["Tags"]), taken)

    def test_a_backup_that_is_removed_while_it_is_tagged_is_unknown(self):
        east, file_system = self.client(), self.file_system()
        arn = self.backup(self.take(file_system))["ResourceARN"]
        gone = threading.Event()

        def tag(number):
            while not gone.is_set():
                try:
                    east.tag_resource(ResourceARN=arn, Tags=tags({"by": str(number)}))
                except botocore.exceptions.ClientError as refusal:
                    return refusal.response["Error"]["Code"]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            told = [pool.submit(tag, number) for number in range(8)]
            try:
                east.delete_backup(BackupId=arn.rpartition("/")[2])
                # Each is told so by its next call.
                codes = {answer.result(timeout=60) for answer in told}
            finally:
                gone.set()
        self.assertEqual(codes, {"ResourceNotFound"})


class Idempotency(FsxTest):
    def test_the_same_token_and_parameters_give_the_same_backup(self):
        file_system = self.file_system()
        token = str(uuid.uuid4())
        east = self.client()
        first = east.create_backup(FileSystemId=file_system, ClientRequestToken=token)["Backup"]["BackupId"]
        self.available(first)
        again = east.create_backup(FileSystemId=file_system, ClientRequestToken=token)["Backup"]
        self.assertEqual((again["BackupId"], again["Lifecycle"]), (first, "AVAILABLE"))
        refusal = self.refused(
            "IncompatibleParameterError",
            east.create_backup,
            FileSystemId=file_system,
            ClientRequestToken=token,
            Tags=tags({"a": "b"}),
        )
        self.assertEqual(refusal["Parameter"], "Tags")

        west = self.client(WEST)
        wanted = {"SourceBackupId": first, "SourceRegion": EAST, "ClientRequestToken": token}
        copy = west.copy_backup(**wanted)["Backup"]["BackupId"]
        self.assertEqual(west.copy_backup(CopyTags=False, **wanted)["Backup"]["BackupId"], copy)
        refusal = self.refused("IncompatibleParameterError", west.copy_backup, CopyTags=True, **wanted)
        self.assertEqual(refusal["Parameter"], "CopyTags")
        self.available(copy, WEST)
        self.world.stop(9)
        self.world.start()
        self.assertEqual(self.client(WEST).copy_backup(**wanted)["Backup"]["BackupId"], copy)

    def test_tokens_are_known_after_a_crash(self):
        file_system = self.file_system()
        backup = self.take(file_system)
        settings = {"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64}
        new = {"FileSystemType": "OPENZFS", "StorageCapacity": 64, "SubnetIds": [SUBNET], "OpenZFSConfiguration": settings}
        change = {"OpenZFSConfiguration": {"AutomaticBackupRetentionDays": 3}}
        rows = [
            ("create_backup", {"FileSystemId": file_system}, "Backup", "BackupId", {"Tags": tags({"a": "b"})}),
            ("create_file_system", new, "FileSystem", "FileSystemId", {"StorageCapacity": 128}),
            (
                "create_file_system_from_backup",
                {"BackupId": backup, "SubnetIds": [SUBNET]},
                "FileSystem",
                "FileSystemId",
                {"StorageCapacity": 128},
            ),
            ("update_file_system", {"FileSystemId": file_system, **change}, "FileSystem", "FileSystemId", {"StorageCapacity": 128}),
        ]
        calls = [(*row, str(uuid.uuid4())) for row in rows]
        ask = lambda name, wanted, token: getattr(self.client(), name)(**wanted, ClientRequestToken=token)
        first = [ask(name, wanted, token)[kind][id] for name, wanted, kind, id, _, token in calls]
        self.world.stop(9)
        self.world.start()
        for (name, wanted, kind, id, other, token), made in zip(calls, first):
            with self.subTest(name):
                self.assertEqual(ask(name, wanted, token)[kind][id], made)
                call = getattr(self.client(), name)
                asked = {**wanted, **other, "ClientRequestToken": token}
                refusal = self.refused("IncompatibleParameterError", call, **asked)
                self.assertEqual(refusal["Parameter"], *other)
        self.available(first[0])

    def test_two_hundred_calls_at_once_with_one_token_make_one_backup(self):
        count, file_system = 200, self.file_system()
        east, west = (self.client(region, max_pool_connections=count) for region in (EAST, WEST))
        backup = self.take(file_system)
        of_file_system = [{"Name": "file-system-id", "Values": [file_system]}]
        for client, call, before, wanted in [
            (east, east.create_backup, [backup], {"FileSystemId": file_system}),
            (west, west.copy_backup, [], {"SourceBackupId": backup, "SourceRegion": EAST}),
        ]:
            wanted["ClientRequestToken"] = str(uuid.uuid4())
            # None asks before all are there to ask.
            ready = threading.Barrier(count, timeout=60)

            def ask(_):
                ready.wait()
                return call(**wanted)["Backup"]["BackupId"]

            with self.subTest(call=call.__name__), concurrent.futures.ThreadPoolExecutor(count) as pool:
                (made,) = set(pool.map(ask, range(count)))
                listed = [seen["BackupId"] for seen in client.describe_backups(Filters=of_file_system)["Backups"]]
                self.assertEqual(sorted(listed), sorted([*before, made]))

    def test_a_deletion_that_is_repeated_says_the_same(self):
        east = self.client()
        file_system = self.file_system()
        backup, other = self.take(file_system), self.take(file_system)
        token = str(uuid.uuid4())
        first = east.delete_backup(BackupId=backup, ClientRequestToken=token)
        again = east.delete_backup(BackupId=backup, ClientRequestToken=token)
        self.assertEqual((first["BackupId"], first["Lifecycle"]), (again["BackupId"], again["Lifecycle"]))
        refusal = self.refused(
            "IncompatibleParameterError", east.delete_backup, BackupId=other, ClientRequestToken=token
        )
        self.assertEqual(refusal["Parameter"], "BackupId")
        self.refused("BackupNotFound", east.delete_backup, BackupId=backup)

    def test_changes_and_deletions_that_are_repeated_at_once_are_made_once(self):
        keep = {"FinalBackupTags": tags({"last": "one"})}
        file_system, doomed = self.file_system(), self.file_system()
        (self.world.path(EAST, doomed) / "file").write_text("x")
        backup = self.take(file_system)
        for name, wanted in [
            ("update_file_system", {"FileSystemId": file_system, "StorageCapacity": 128}),
            ("delete_backup", {"BackupId": backup}),
            ("delete_file_system", {"FileSystemId": doomed, "OpenZFSConfiguration": keep}),
            ("delete_file_system", {"FileSystemId": file_system, "OpenZFSConfiguration": {"SkipFinalBackup": True}}),
        ]:
            with self.subTest(name):
                token, answers = str(uuid.uuid4()), []
                # Twice, as a client does that has not had the reply.
                for _ in range(2):
                    call = getattr(self.client(), name)
                    ask = lambda _: call(**wanted, ClientRequestToken=token)
                    with concurrent.futures.ThreadPoolExecutor(50) as pool:
                        answers += pool.map(ask, range(50))
                for answer in answers:
                    del answer["ResponseMetadata"]
                    answer.pop("FileSystem", None)
                self.assertEqual(answers, answers[:1] * 100)
        seen = self.client().describe_backups()["Backups"]
        (last,) = [backup for backup in seen if backup["FileSystem"]["FileSystemId"] == doomed]
        self.available(last["BackupId"])

    def test_a_deletion_that_failed_half_way_goes_on_when_it_is_repeated(self):
        backup = self.take(self.file_system())
        wanted = {"BackupId": backup, "ClientRequestToken": str(uuid.uuid4())}
        back = self.away(EAST)
        self.refused("InternalServerError", self.client().delete_backup, **wanted)
        back()
        self.client().delete_backup(**wanted)
        self.assertEqual(self.sql(EAST, "SELECT state FROM backup WHERE id = ?", backup), [])

    def test_a_last_backup_is_found_again_after_a_crash(self):
        file_system = self.file_system()
        wanted = {"FileSystemId": file_system, "ClientRequestToken": str(uuid.uuid4())}
        back = self.away(EAST)
        made = self.client().delete_file_system(**wanted)["OpenZFSResponse"]["FinalBackupId"]
        self.world.stop(9)
        back()
        # As a crash leaves it that comes between the last backup and the rest.
        self.sql(EAST, "UPDATE resource SET state = 'AVAILABLE' WHERE id = ?", file_system)
        self.world.start()
        again = self.client().delete_file_system(**wanted)
        self.assertEqual((again["OpenZFSResponse"]["FinalBackupId"], again["Lifecycle"]), (made, "DELETING"))
        self.available(made)
        listed = lambda: [seen["FileSystemId"] for seen in self.client().describe_file_systems()["FileSystems"]]
        self.until(lambda: file_system not in listed())

    def test_a_file_system_is_not_deleted_while_its_backup_is_made(self):
        file_system = self.file_system()
        back = self.away(EAST)
        backup = self.client().create_backup(FileSystemId=file_system)["Backup"]["BackupId"]
        self.refused("BadRequest", self.client().delete_file_system, FileSystemId=file_system)
        back()
        self.available(backup)


class Limits(FsxTest):
    settings = "cbs_requests_per_second = 100000\n"

    def test_of_fifty_copies_at_once_five_are_accepted(self):
        file_system = self.file_system()
        (self.world.path(EAST, file_system) / "noise").write_bytes(os.urandom(32 << 20))
        backup = self.take(file_system)
        ireland, east = self.client(IRELAND), self.client()
        # While the target's store is away, what was accepted stays in progress.
        back = self.away(IRELAND)

        def copy(_):
            try:
                return ireland.copy_backup(SourceBackupId=backup, SourceRegion=EAST)["Backup"]["BackupId"]
            except botocore.exceptions.ClientError as refusal:
                self.assertEqual(refusal.response["Error"]["Code"], "ServiceLimitExceeded")
                self.assertEqual(refusal.response["Limit"], "TOTAL_IN_PROGRESS_COPY_BACKUPS")

        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            accepted = [made for made in pool.map(copy, range(50)) if made]
        self.assertEqual(len(accepted), 5)
        self.refused("BackupBeingCopied", east.delete_backup, BackupId=backup)
        # Another region has places of its own.
        self.copy(backup)
        back()
        for made in accepted:
            self.available(made, IRELAND)
            self.world.cli("backup", "verify", made, "--read-data")
        self.copy(backup, IRELAND)
        east.delete_backup(BackupId=backup)
        self.assertEqual(self.backup(accepted[0], IRELAND)["Lifecycle"], "AVAILABLE")

    def test_two_accounts_have_five_copies_each(self):
        accounts = []
        for _ in range(2):
            _, self.key = self.world.new_account("aws")
            wanted = {"SourceBackupId": self.take(self.file_system()), "SourceRegion": EAST}
            accounts.append((self.client(IRELAND), wanted))
        back = self.away(IRELAND)
        made = [(client, client.copy_backup(**wanted)["Backup"]["BackupId"]) for _ in range(5) for client, wanted in accounts]
        for client, wanted in accounts:
            refusal = self.refused("ServiceLimitExceeded", client.copy_backup, **wanted)
            self.assertEqual(refusal["Limit"], "TOTAL_IN_PROGRESS_COPY_BACKUPS")
        back()
        for client, copy in made:
            look = lambda: client.describe_backups(BackupIds=[copy])["Backups"][0]["Lifecycle"] == "AVAILABLE"
            self.until(look)

    def test_pages_cover_all_and_tokens_are_plain_base64(self):
        file_system = self.file_system()
        taken = {self.take(file_system) for _ in range(7)}
        east, found, token = self.client(), [], None
        filters = [{"Name": "file-system-id", "Values": [file_system]}]
        while True:
            more = {"NextToken": token} if token else {}
            page = east.describe_backups(Filters=filters, MaxResults=2, **more)
            self.assertLessEqual(len(page["Backups"]), 2)
            found += [backup["BackupId"] for backup in page["Backups"]]
            token = page.get("NextToken")
            if not token:
                break
            self.assertLessEqual(len(token), 255)
            base64.b64decode(token, validate=True)
            self.refused("BadRequest", east.describe_backups, MaxResults=2, NextToken=token)
        self.assertEqual(len(found), 7)
        self.assertEqual(set(found), taken)
        created = [self.backup(backup)["CreationTime"] for backup in found]
        self.assertEqual(created, sorted(created, reverse=True))

    def test_filters_choose_and_never_fail(self):
        file_system = self.file_system()
        backup = self.take(file_system)
        east = self.client()

        def found(**filters):
            given = [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
            return [backup["BackupId"] for backup in east.describe_backups(Filters=given)["Backups"]]

        self.assertEqual(found(file_system_id=[file_system]), [backup])
        self.assertEqual(found(file_system_id=[file_system], backup_type=["AUTOMATIC"]), [])
        self.assertEqual(found(file_system_id=[file_system], file_system_type=["OPENZFS", "LUSTRE"]), [backup])
        self.assertEqual(found(file_system_id=["fs-00000000000000000", "nonsense"]), [])
        self.assertEqual(found(volume_id=["fsvol-01234567890abcdef"]), [])
        (folder := self.world.dir / "tokens").mkdir()
        cluster = self.world.cli("resource", "add", folder, "--region", EAST, "--type", "hsm")
        self.world.cli("backup", "create", cluster, "-q")
        self.assertEqual(found(file_system_id=[cluster]), [], "it is another service's")
        self.assertEqual(found(file_system_id=[cluster, file_system]), [backup])
        self.refused("BadRequest", found, data_repository_type=["x"])


class Refusals(FsxTest):
    def test_a_copy_is_under_the_key_that_is_asked_for(self):
        key = self.world.cli("kms", "create", "--region", WEST)
        arn = f"arn:aws:kms:{WEST}:{self.account()}:key/{key}"
        copy = self.copy(self.take(self.file_system()), KmsKeyId=arn)
        self.assertEqual(self.backup(copy, WEST)["KmsKeyId"], arn)

    def test_all_failed_constraints_are_named_together(self):
        refusal = self.refused(
            "BadRequest", self.client().create_file_system, FileSystemType="ZFS", SubnetIds=["subnet-XYZXYZXYZ"]
        )
        self.assertRegex(refusal["Error"]["Message"], "^2 validation errors detected: ")

    def test_what_is_not_served_says_so(self):
        east = self.client()
        mapping, served = east.meta.method_to_api_mapping, self.served()
        others = {method: name for method, name in mapping.items() if name not in served}
        self.assertEqual(len(others), 34)
        lenient = client("fsx", self.world.endpoint, EAST, self.key or self.world.aws_key, parameter_validation=False)
        for method, name in others.items():
            with self.subTest(name):
                errors = {error.error_code for error in east.meta.service_model.operation_model(name).error_shapes}
                code = "UnsupportedOperation" if "UnsupportedOperation" in errors else "BadRequest"
                self.refused(code, getattr(lenient, method))
        self.assertEqual(east.describe_volumes()["Volumes"], [])
        self.assertEqual(east.describe_storage_virtual_machines()["StorageVirtualMachines"], [])

    def test_another_accounts_ids_are_unknown_ids(self):
        file_system = self.file_system()
        backup = self.take(file_system)
        (seen,) = self.client().describe_file_systems(FileSystemIds=[file_system])["FileSystems"]
        arns = [self.backup(backup)["ResourceARN"], seen["ResourceARN"]]
        _, key = self.world.new_account("aws")
        theirs, theirs_west = self.client(key=key), self.client(WEST, key)
        no_backup, no_file_system, nothing = "BackupNotFound", "FileSystemNotFound", "ResourceNotFound"
        mine = {"Filters": [{"Name": "file-system-id", "Values": [file_system]}]}
        rows = [
            (no_backup, theirs.describe_backups, {"BackupIds": [backup]}),
            (None, theirs.describe_backups, mine),
            (no_backup, theirs.delete_backup, {"BackupId": backup}),
            (no_backup, theirs_west.copy_backup, {"SourceBackupId": backup, "SourceRegion": EAST}),
            (no_backup, theirs.create_file_system_from_backup, {"BackupId": backup, "SubnetIds": [SUBNET]}),
            (no_file_system, theirs.describe_file_systems, {"FileSystemIds": [file_system]}),
            (no_file_system, theirs.create_backup, {"FileSystemId": file_system}),
            (no_file_system, theirs.update_file_system, {"FileSystemId": file_system, "StorageCapacity": 128}),
            (no_file_system, theirs.delete_file_system, {"FileSystemId": file_system}),
            *((nothing, theirs.list_tags_for_resource, {"ResourceARN": arn}) for arn in arns),
            *((nothing, theirs.tag_resource, {"ResourceARN": arn, "Tags": tags({"a": "b"})}) for arn in arns),
            *((nothing, theirs.untag_resource, {"ResourceARN": arn, "TagKeys": ["a"]}) for arn in arns),
            (None, theirs.describe_volumes, mine),
            (None, theirs.describe_storage_virtual_machines, mine),
        ]
        unknown = {backup: "backup-00000000000000000", file_system: "fs-00000000000000000"}
        holdings = lambda: [self.told(call, {}) for call in [self.client().describe_backups, self.client().describe_file_systems]]
        before = holdings()
        networks_and_keys = {"SubnetIds", "SecurityGroupIds", "KmsKeyId"}
        self.assert_unknown(rows, unknown, {*networks_and_keys, "VolumeId", "VolumeIds", "StorageVirtualMachineIds"})
        self.assertEqual(holdings(), before)
        self.assertEqual(theirs.describe_backups()["Backups"], [])
        self.assertEqual(theirs.describe_file_systems()["FileSystems"], [])


class FileSystems(FsxTest):
    def test_a_final_backup_is_taken_by_default_but_not_for_lustre(self):
        east = self.client()
        file_system = self.file_system()
        (self.world.path(EAST, file_system) / "file").write_text("last words")
        reply = east.delete_file_system(FileSystemId=file_system)
        final = reply["OpenZFSResponse"]["FinalBackupId"]
        self.available(final)
        self.until(lambda: not self.world.path(EAST, file_system).exists())
        self.assertEqual(self.world.cli("backup", "cat", final, "file"), "last words")
        lustre = self.file_system(
            FileSystemType="LUSTRE",
            StorageCapacity=1200,
            OpenZFSConfiguration=None,
            LustreConfiguration={"DeploymentType": "PERSISTENT_1", "PerUnitStorageThroughput": 50},
        )
        self.assertNotIn("FinalBackupId", east.delete_file_system(FileSystemId=lustre).get("LustreResponse", {}))

    def test_a_file_system_whose_last_backup_failed_can_go_without_one(self):
        file_system = self.file_system()
        folder = self.world.path(EAST, file_system)
        aside = folder.rename(folder.with_name(f"{file_system} aside"))
        self.client().delete_file_system(FileSystemId=file_system)
        self.until(lambda: self.in_state("MISCONFIGURED", file_system))
        aside.rename(folder)
        self.client().delete_file_system(FileSystemId=file_system, OpenZFSConfiguration={"SkipFinalBackup": True})
        self.until(lambda: not folder.exists())

    def test_backup_settings_are_updated(self):
        east = self.client()
        file_system = self.file_system()
        changed = east.update_file_system(
            FileSystemId=file_system,
            OpenZFSConfiguration={"AutomaticBackupRetentionDays": 7, "DailyAutomaticBackupStartTime": "05:00"},
        )["FileSystem"]
        self.assertEqual(changed["Lifecycle"], "AVAILABLE")
        configuration = self.ready(file_system)["OpenZFSConfiguration"]
        self.assertEqual(configuration["AutomaticBackupRetentionDays"], 7)
        self.assertEqual(configuration["DailyAutomaticBackupStartTime"], "05:00")
        self.refused("MissingFileSystemConfiguration", east.update_file_system, FileSystemId=file_system)

    def test_an_update_keeps_what_it_does_not_name(self):
        lustre = {"DeploymentType": "PERSISTENT_2", "PerUnitStorageThroughput": 125, "AutomaticBackupRetentionDays": 7}
        directory = {"DomainName": "example.com", "UserName": "old", "Password": "p", "DnsIps": ["10.0.0.1"]}
        disks = {"Mode": "USER_PROVISIONED", "Iops": 3000}
        for kind, capacity, name, settings, member, nested, change in [
            (
                "LUSTRE", 1200, "LustreConfiguration", lustre,
                "MetadataConfiguration", {"Mode": "USER_PROVISIONED", "Iops": 1500}, {"Iops": 3000},
            ),
            (
                "WINDOWS", 32, "WindowsConfiguration", {"ThroughputCapacity": 32},
                "SelfManagedActiveDirectoryConfiguration", directory, {"UserName": "new", "Password": "q"},
            ),
            (
                "OPENZFS", 64, "OpenZFSConfiguration", {"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64},
                "DiskIopsConfiguration", disks, {"Iops": 6000},
            ),
        ]:
            with self.subTest(kind):
                parameters = {"OpenZFSConfiguration": None, name: {**settings, member: nested}}
                file_system = self.file_system(FileSystemType=kind, StorageCapacity=capacity, **parameters)
                before = self.ready(file_system)
                self.client().update_file_system(FileSystemId=file_system, **{name: {member: change}})
                after = self.ready(file_system)
                wanted = {**before[name][member], **change}
                wanted.pop("Password", None)
                self.assertEqual(after, {**before, name: {**before[name], member: wanted}})

    def test_a_lustre_file_system_has_a_mount_name_of_its_own(self):
        lustre = {"FileSystemType": "LUSTRE", "StorageCapacity": 1200, "OpenZFSConfiguration": None}
        persistent = {"DeploymentType": "PERSISTENT_1", "PerUnitStorageThroughput": 50}
        first = self.file_system(**lustre, LustreConfiguration=persistent)
        restored = self.client().create_file_system_from_backup(BackupId=self.take(first), SubnetIds=[SUBNET])
        second = restored["FileSystem"]["FileSystemId"]
        mount_name = lambda file_system: self.ready(file_system)["LustreConfiguration"]["MountName"]
        names = [mount_name(file_system) for file_system in [first, second]]
        for name in names:
            self.assertRegex(name, "^[0-9a-f]{8}$")
        self.assertNotEqual(*names)
        self.client().update_file_system(FileSystemId=first, StorageCapacity=2400)
        self.assertEqual(mount_name(first), names[0])
        self.assertEqual(mount_name(self.file_system(**lustre, LustreConfiguration={"DeploymentType": "SCRATCH_1"})), "fsx")

    def test_metadata_settings_change_only_where_there_are_some(self):
        lustre = {"DeploymentType": "PERSISTENT_2", "PerUnitStorageThroughput": 125}
        parameters = {"OpenZFSConfiguration": None, "LustreConfiguration": lustre}
        file_system = self.file_system(FileSystemType="LUSTRE", StorageCapacity=1200, **parameters)
        change = {"MetadataConfiguration": {"Iops": 3000}}
        update = self.client().update_file_system
        self.refused("BadRequest", update, FileSystemId=file_system, LustreConfiguration=change)


class DailyBackups(FsxTest):
    """Their times are moved in the catalog, as a day is long."""

    # Half a day away, so that one that is made to be due is never followed by one that is due by itself.
    START = time.strftime("%H:%M", time.gmtime(time.time() + 12 * 3600))

    def due(self, file_system, when):
        self.sql(EAST, "UPDATE resource SET next_backup_at = ? WHERE id = ?", int(when * 1000), file_system)

    def next_due(self, file_system):
        ((due,),) = self.sql(EAST, "SELECT next_backup_at FROM resource WHERE id = ?", file_system)
        return due and due / 1000

    def automatic(self, file_system):
        filters = [{"Name": "file-system-id", "Values": [file_system]}, {"Name": "backup-type", "Values": ["AUTOMATIC"]}]
        return self.client().describe_backups(Filters=filters)["Backups"]

    def daily(self, days=7, **parameters):
        settings = {
            "DeploymentType": "SINGLE_AZ_1",
            "ThroughputCapacity": 64,
            "AutomaticBackupRetentionDays": days,
            "DailyAutomaticBackupStartTime": self.START,
        }
        return self.file_system(OpenZFSConfiguration={**settings, **parameters})

    def retain(self, file_system, days):
        settings = {"AutomaticBackupRetentionDays": days}
        self.client().update_file_system(FileSystemId=file_system, OpenZFSConfiguration=settings)

    def take_daily(self, file_system):
        known = {seen["BackupId"] for seen in self.automatic(file_system)}
        self.due(file_system, time.time() - 60)
        fresh = lambda: [s for s in self.automatic(file_system) if s["BackupId"] not in known]
        (made,) = self.until(fresh)
        return self.available(made["BackupId"])

    def test_one_is_taken_when_its_window_opens_and_the_next_is_a_day_later(self):
        file_system = self.daily(CopyTagsToBackups=True)
        self.client().tag_resource(
            ResourceARN=self.ready(file_system)["ResourceARN"], Tags=tags({"team": "storage"})
        )
        opening = self.next_due(file_system)
        self.assertEqual(time.strftime("%H:%M:%S", time.gmtime(opening)), f"{self.START}:00")
        self.assertTrue(0 < opening - time.time() <= 86400, opening)
        made = self.take_daily(file_system)
        self.assertEqual((made["Type"], as_dict(made["Tags"])), ("AUTOMATIC", {"team": "storage"}))
        self.assertEqual(self.until(lambda: self.next_due(file_system) == opening and opening), opening)
        self.assertEqual(len(self.automatic(file_system)), 1)

    def test_one_that_was_missed_is_made_up_for_within_a_day_and_not_after_it(self):
        file_system = self.daily()
        self.world.stop()
        self.due(file_system, time.time() - 23 * 3600)
        self.world.start()
        self.until(lambda: len(self.automatic(file_system)) == 1)
        self.until(lambda: self.next_due(file_system) > time.time())
        self.due(file_system, time.time() - 25 * 3600)
        self.until(lambda: self.next_due(file_system) > time.time())
        self.assertEqual(len(self.automatic(file_system)), 1)

    def test_settings_say_whether_and_when(self):
        file_system = self.daily(days=0)
        self.assertIsNone(self.next_due(file_system))
        settings = {"AutomaticBackupRetentionDays": 3, "DailyAutomaticBackupStartTime": "22:15"}
        self.client().update_file_system(FileSystemId=file_system, OpenZFSConfiguration=settings)
        self.assertEqual(self.next_due(file_system) % 86400, 22 * 3600 + 15 * 60)
        self.retain(file_system, 0)
        self.assertIsNone(self.next_due(file_system))

    def test_12_the_copy_of_an_automatic_backup_is_user_initiated_and_stays(self):
        file_system = self.daily()
        (self.world.path(EAST, file_system) / "file").write_text("kept")
        automatic = self.take_daily(file_system)["BackupId"]
        copy, beside = self.copy(automatic), self.copy(automatic, EAST)
        for backup, region in [(copy, WEST), (beside, EAST)]:
            self.assertEqual(self.backup(backup, region)["Type"], "USER_INITIATED")
        self.sql(EAST, "UPDATE backup SET created_at = 0 WHERE id IN (?, ?)", automatic, beside)
        self.retain(file_system, 1)
        self.until(lambda: not self.automatic(file_system))
        self.client().delete_file_system(
            FileSystemId=file_system, OpenZFSConfiguration={"SkipFinalBackup": True}
        )
        self.until(lambda: not self.world.path(EAST, file_system).exists())
        for backup, region in [(copy, WEST), (beside, EAST)]:
            self.assertEqual(self.backup(backup, region)["Lifecycle"], "AVAILABLE")
            self.assertEqual(self.world.cli("backup", "cat", backup, "file"), "kept")

    def test_14_a_lower_retention_removes_automatic_backups_beyond_it_and_nothing_else(self):
        file_system = self.daily(days=30)
        old, young = (self.take_daily(file_system)["BackupId"] for _ in range(2))
        mine = self.take(file_system)
        ten_days_ago = int((time.time() - 10 * 86400) * 1000)
        self.sql(EAST, "UPDATE backup SET created_at = ? WHERE id IN (?, ?)", ten_days_ago, old, mine)
        self.retain(file_system, 11)
        self.assertEqual({seen["BackupId"] for seen in self.automatic(file_system)}, {old, young})
        self.retain(file_system, 9)
        self.assertEqual([seen["BackupId"] for seen in self.automatic(file_system)], [young])
        self.assertEqual(self.backup(mine)["Lifecycle"], "AVAILABLE")

    def test_a_description_that_cannot_be_read_removes_nothing(self):
        file_system = self.daily()
        backup = self.take_daily(file_system)["BackupId"]
        ((kept,),) = self.sql(EAST, "SELECT attributes FROM resource WHERE id = ?", file_system)
        keep = lambda text: self.sql(EAST, "UPDATE resource SET attributes = ? WHERE id = ?", text, file_system)
        keep('{"FileSystemType": "ZFS"}')
        settings = {"AutomaticBackupRetentionDays": 3}
        update = self.client().update_file_system
        self.refused("InternalServerError", update, FileSystemId=file_system, OpenZFSConfiguration=settings)
        self.refused("InternalServerError", self.client().describe_file_systems, FileSystemIds=[file_system])
        # It hides none of the others.
        listed = self.client().get_paginator("describe_file_systems").paginate().build_full_result()["FileSystems"]
        (shown,) = [seen for seen in listed if seen["FileSystemId"] == file_system]
        self.assertEqual(shown["Lifecycle"], "MISCONFIGURED")
        self.assertTrue(shown["FailureDetails"]["Message"])
        self.refused("InternalServerError", self.client().delete_file_system, FileSystemId=file_system)
        self.assertEqual([seen["BackupId"] for seen in self.automatic(file_system)], [backup])
        keep(kept)
        self.retain(file_system, 3)
        self.assertEqual([seen["BackupId"] for seen in self.automatic(file_system)], [backup])

    def test_nothing_goes_with_a_file_system_whose_last_backup_fails(self):
        file_system = self.daily()
        folder = self.world.path(EAST, file_system)
        (folder / "file").write_text("last words")
        automatic = self.take_daily(file_system)["BackupId"]
        before = self.ready(file_system)
        aside = folder.rename(folder.with_name(f"{file_system} aside"))
        wanted = {"FileSystemId": file_system, "ClientRequestToken": str(uuid.uuid4())}
        deleted = self.client().delete_file_system(**wanted)
        failed = deleted["OpenZFSResponse"]["FinalBackupId"]
        kept = self.until(lambda: self.in_state("MISCONFIGURED", file_system))
        self.assertEqual(self.backup(failed)["Lifecycle"], "FAILED")
        self.assertIn("The last backup failed", kept.pop("FailureDetails")["Message"])
        self.assertEqual(kept, {**before, "Lifecycle": "MISCONFIGURED"})
        self.assertEqual([seen["BackupId"] for seen in self.automatic(file_system)], [automatic])
        # The same call again, perhaps a late one, is for a backup that there is not.
        self.refused("BadRequest", self.client().delete_file_system, **wanted)
        self.assertTrue(self.in_state("MISCONFIGURED", file_system))
        aside.rename(folder)
        self.retain(file_system, 6)
        self.assertNotIn("FailureDetails", self.ready(file_system))
        deleted = self.client().delete_file_system(FileSystemId=file_system)
        last = deleted["OpenZFSResponse"]["FinalBackupId"]
        self.available(last)
        self.until(lambda: not folder.exists())
        self.assertEqual(self.world.cli("backup", "cat", last, "file"), "last words")
        self.until(lambda: not self.automatic(file_system))

    def test_they_go_when_their_retention_ends_and_with_their_file_system(self):
        file_system = self.daily(days=2)
        expired, last = (self.take_daily(file_system)["BackupId"] for _ in range(2))
        self.sql(EAST, "UPDATE backup SET expires_at = 1 WHERE id = ?", expired)
        self.until(lambda: [seen["BackupId"] for seen in self.automatic(file_system)] == [last])
        self.client().delete_file_system(FileSystemId=file_system)
        self.until(lambda: not self.automatic(file_system))
        filters = [{"Name": "file-system-id", "Values": [file_system]}]
        (final,) = self.client().describe_backups(Filters=filters)["Backups"]
        self.assertEqual(final["Type"], "USER_INITIATED")


class Authentication(FsxTest):
    def test_wrong_unknown_and_disabled_keys_are_told_apart(self):
        good, _ = self.world.aws_key
        self.refused("InvalidSignatureException", self.client(key=(good, "wrong")).describe_backups)
        self.refused("UnrecognizedClientException", self.client(key=("AKIANOBODY", "x")).describe_backups)
        key = self.world.key("create", "default", "--cloud", "aws")
        self.client(key=key).describe_backups()
        self.world.cli("key", "disable", key[0])
        self.refused("UnrecognizedClientException", self.client(key=key).describe_backups)
        for elsewhere in ["mars-north-1", "ap-guangzhou"]:
            refusal = self.refused("InvalidSignatureException", self.client(elsewhere).describe_backups)
            self.assertEqual(refusal["Error"]["Message"], "Credential should be scoped to a valid region.")
        self.client("cn-north-1").describe_backups()

    def test_the_aws_cli_walks_the_life_of_a_backup(self):
        file_system = self.file_system()
        (self.world.path(EAST, file_system) / "file").write_text("precious")
        backup = self.aws(EAST, "create-backup", "--file-system-id", file_system)["Backup"]["BackupId"]
        self.available(backup)
        copy = self.aws(WEST, "copy-backup", "--source-backup-id", backup, "--source-region", EAST, "--copy-tags")
        copy = copy["Backup"]["BackupId"]
        self.available(copy, WEST)
        listed = self.aws(WEST, "describe-backups", "--backup-ids", copy)["Backups"]
        self.assertEqual(listed[0]["SourceBackupId"], backup)
        restored = self.aws(WEST, "create-file-system-from-backup", "--backup-id", copy, "--subnet-ids", SUBNET)
        restored = self.ready(restored["FileSystem"]["FileSystemId"], WEST)["FileSystemId"]
        self.assertEqual((self.world.path(WEST, restored) / "file").read_text(), "precious")
        self.assertEqual(self.aws(WEST, "delete-backup", "--backup-id", copy)["Lifecycle"], "DELETED")
        self.aws_refused("BackupNotFound", WEST, "describe-backups", "--backup-ids", copy)
        self.aws_refused("BackupNotFound", WEST, "copy-backup", "--source-backup-id", copy, "--source-region", EAST)


if __name__ == "__main__":
    unittest.main()
