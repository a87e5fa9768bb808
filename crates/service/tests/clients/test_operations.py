"""What whoever runs a server looks at: whether it serves, what it counts, what it logs and what it has done."""

import json
import os
import re
import subprocess
import unittest
import urllib.error
import urllib.request

from botocore.exceptions import ClientError, SSLError
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

import catalogs
import keys
import stores
import tencent
from aws import EAST, IRELAND, WEST, client
from test_fsx import FsxTest


class OperationsTest(FsxTest):
    def get(self, path):
        try:
            with urllib.request.urlopen(self.world.endpoint + path, timeout=10) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.status, refusal.read().decode()

    def metric(self, name, **labels):
        """The value of the line that has these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        for line in self.get("/metrics")[1].splitlines():
            key, _, value = line.rpartition(" ")
            if key.split("{")[0] == name and all(label in key for label in wanted):
                return float(value)


class Operations(OperationsTest):
    def counted(self):
        """What copies have come to; it is counted once they are available."""
        names = {"copies": "copies", "moved": "copy_moved_bytes", "skipped": "copy_skipped_bytes"}
        return {short: self.metric(f"offsite_{name}_total") or 0 for short, name in names.items()}

    def test_a_server_says_that_it_runs_and_serves(self):
        self.assertEqual(self.get("/healthz"), (200, "ok\n"))
        self.assertEqual(self.get("/readyz"), (200, "ready\n"))

    def test_requests_copies_and_bytes_are_counted(self):
        file_system = self.file_system()
        (self.world.path(EAST, file_system) / "noise").write_bytes(os.urandom(1 << 20))
        first = self.take(file_system)
        before = self.counted()
        self.copy(first)
        after_first = self.until(lambda: (seen := self.counted())["copies"] > before["copies"] and seen)
        sent = after_first["moved"] - before["moved"]
        self.assertGreater(sent, 1 << 20)
        # The second has nothing that the target lacks but its own lists.
        second = self.take(file_system)
        self.copy(second)
        after_second = self.until(lambda: (seen := self.counted())["copies"] > after_first["copies"] and seen)
        self.assertLess(after_second["moved"] - after_first["moved"], 1 << 16)
        self.assertGreater(after_second["skipped"] - after_first["skipped"], 1 << 20)
        asked = {"service": "fsx", "operation": "CopyBackup", "code": "Success"}
        copies = self.metric("offsite_requests_total", **asked)
        self.copy(first)
        self.assertEqual(self.metric("offsite_requests_total", **asked), copies + 1)
        self.refused("BackupNotFound", self.client().delete_backup, BackupId="backup-00000000000000000")
        self.assertGreaterEqual(self.metric("offsite_requests_total", operation="DeleteBackup", code="BackupNotFound"), 1)
        self.assertGreater(self.metric("offsite_request_seconds_count", service="fsx"), 0)

    def test_copies_in_progress_and_their_age_are_shown(self):
        backup = self.take(self.file_system())
        back = self.away(IRELAND)
        copy = self.client(IRELAND).copy_backup(SourceBackupId=backup, SourceRegion=EAST)["Backup"]["BackupId"]
        in_ireland = {"region": IRELAND, "kind": "copy"}
        self.until(lambda: self.metric("offsite_in_progress", **in_ireland) == 1)
        self.until(lambda: self.metric("offsite_in_progress_oldest_seconds", **in_ireland) > 1)
        back()
        self.available(copy, IRELAND)
        self.until(lambda: self.metric("offsite_in_progress", **in_ireland) == 0)
        self.assertEqual(self.metric("offsite_in_progress_oldest_seconds", **in_ireland), 0)
        self.assertEqual(self.metric("offsite_work_waiting"), 0)

    def answers(self):
        """Of each API a success and a refusal: request id, operation and code."""
        hsm = client("cloudhsmv2", self.world.endpoint, EAST, self.world.aws_key)
        for aws, unknown in [
            (self.client(), {"BackupIds": ["backup-00000000000000000"]}),
            (hsm, {"Filters": {"colours": ["red"]}}),
        ]:
            yield aws.describe_backups()["ResponseMetadata"]["RequestId"], "DescribeBackups", "Success"
            with self.assertRaises(ClientError) as caught:
                aws.describe_backups(**unknown)
            refusal = caught.exception.response
            yield refusal["ResponseMetadata"]["RequestId"], "DescribeBackups", refusal["Error"]["Code"]
        cbs = tencent.client(self.world.address, tencent.GUANGZHOU, self.world.tencent_key)
        yield cbs.call_json("DescribeDisks", {})["Response"]["RequestId"], "DescribeDisks", "Success"
        with self.assertRaises(TencentCloudSDKException) as caught:
            cbs.call_json("DeleteSnapshots", {"SnapshotIds": ["snap-00000000"]})
        yield caught.exception.requestId, "DeleteSnapshots", caught.exception.code

    def test_a_reply_and_its_line_in_the_log_have_one_request_id_and_no_secrets(self):
        codes = set()
        for request, operation, code in self.answers():
            with self.subTest(operation=operation, code=code):
                found = lambda: [line for line in self.world.said().splitlines() if request in line]
                (line,) = self.until(found)
                line = re.sub(r"\x1b\[[0-9;]*m", "", line)
                for part in [f'request_id="{request}"', f'operation="{operation}"', f'code="{code}"']:
                    self.assertIn(part, line)
                codes.add(code)
        refusals = {"BackupNotFound", "CloudHsmInvalidRequestException", "InvalidSnapshotId.NotFound"}
        self.assertEqual(codes, {"Success", *refusals})
        for name in ["AWS_SECRET_ACCESS_KEY", "TENCENTCLOUD_SECRET_KEY"]:
            self.assertNotIn(self.world.env[name], self.world.said())
        self.assertNotIn("Signature=", self.world.said())

    def test_the_log_tells_what_was_changed_and_none_of_it_is_without_an_event(self):
        # What `check_events` compares when the tests of a world have ended: it must not find nothing to compare.
        file_system = self.file_system()
        made = self.client().create_backup(FileSystemId=file_system)
        request = made["ResponseMetadata"]["RequestId"]
        self.until(lambda: self.world.changes().get(request) == "CreateBackup")
        self.assertEqual(self.world.unrecorded(), {})
        self.available(made["Backup"]["BackupId"])
        # A call without an event is seen as one.
        rename = "UPDATE event SET detail = replace(detail, ?, ?) WHERE detail LIKE ?"
        self.sql(EAST, rename, "request", "lost", f"%{request}")
        self.assertEqual(self.world.unrecorded(), {request: "CreateBackup"})
        self.sql(EAST, rename, "lost", "request", f"%{request}")

    def test_what_was_done_can_be_looked_up(self):
        backup = self.take(self.file_system())
        copy = self.copy(backup)
        deleted = self.client().delete_backup(BackupId=backup)
        events = lambda region: json.loads(self.world.cli("event", "ls", "--region", region, "--json"))
        seen = [(event["action"], event["subject"]) for event in events(EAST) + events(WEST)]
        for expected in [("CreateBackup", backup), ("CopyBackup", copy), ("DeleteBackup", backup)]:
            self.assertIn(expected, seen)
        self.assertEqual(events(EAST)[0]["account"], self.account())
        # With who called, and which request it was.
        (call,) = [event for event in events(EAST) if event["action"] == "fsx:DeleteBackup" and event["subject"] == backup]
        request = deleted["ResponseMetadata"]["RequestId"]
        self.assertEqual(call["detail"], f"by {self.world.aws_key[0]} from 127.0.0.1, request {request}")
        (call,) = [event for event in events(WEST) if event["action"] == "fsx:CopyBackup" and copy in event["subject"]]
        self.assertIn(backup, call["subject"].split())
        self.assertEqual(len(self.world.cli("event", "ls", "--region", EAST, "--limit", "1").splitlines()), 2)


class Stopping(OperationsTest):
    def test_what_runs_and_what_waits_is_counted_and_given_back_when_the_server_stops(self):
        file_system = self.file_system()
        (self.world.path(EAST, file_system) / "noise").write_bytes(os.urandom(16 << 20))
        backup = self.take(file_system)
        # Eight run at once, and take two minutes, so that none has ended when the last one is asked for.
        slowly = ["copy", backup, "--to", WEST, "--bandwidth", "128KiB/s", "--detach"]
        copies = {self.world.cli(*slowly) for _ in range(10)}
        self.until(lambda: self.metric("offsite_work_waiting") == 2)
        leased = lambda: {id for (id,) in self.sql(WEST, "SELECT id FROM backup WHERE lease_owner IS NOT NULL")}
        self.assertEqual(leased(), copies)
        self.assertEqual(self.world.stop(), 0)
        self.assertEqual(leased(), set())
        self.assertEqual(self.sql(WEST, "SELECT DISTINCT state FROM backup"), [("COPYING",)])
        self.world.start()
        self.until(lambda: leased() == copies)


class Serving(OperationsTest):
    """The ways in which a server is started."""

    def restart(self, *options):
        self.world.stop()
        self.world.start(*options)

    def disks(self, key, region=tencent.GUANGZHOU):
        return tencent.client(self.world.address, region, key).call_json("DescribeDisks", {})

    def refusal(self, *asked):
        """The code of Tencent's refusal."""
        with self.assertRaises(TencentCloudSDKException) as caught:
            self.disks(*asked)
        return caught.exception.code

    def test_clients_that_trust_its_certificate_speak_tls(self):
        certificate, key = self.world.dir / "server.pem", self.world.dir / "server.key"
        made = ["-keyout", key, "-out", certificate, "-subj", "/CN=offsite", "-addext", "subjectAltName=IP:127.0.0.1"]
        openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *made]
        subprocess.run(openssl, check=True, capture_output=True)
        self.restart("--tls-cert", certificate, "--tls-key", key)
        self.assertRegex(self.world.endpoint, "^https://")
        self.assertEqual(self.client(verify=str(certificate)).describe_backups()["Backups"], [])
        with self.assertRaises(SSLError):
            self.client().describe_backups()
        self.restart()

    def test_regions_that_are_not_named_are_not_served(self):
        self.restart("--regions", f"{EAST},{tencent.GUANGZHOU}")
        self.client().describe_backups()
        self.disks(self.world.tencent_key)
        self.refused("InvalidSignatureException", self.client(WEST).describe_backups)
        self.assertEqual(self.refusal(self.world.tencent_key, tencent.BEIJING), "UnsupportedRegion")
        self.restart()
        self.client(WEST).describe_backups()

    def test_a_key_that_is_removed_is_known_no_more(self):
        (_, aws), (_, cbs) = self.world.new_account("aws"), self.world.new_account("tencent")
        self.client(key=aws).describe_backups()
        self.disks(cbs)
        for key, _ in [aws, cbs]:
            self.world.cli("key", "rm", key)
            self.assertNotIn(key, self.world.cli("key", "ls"))
        self.refused("UnrecognizedClientException", self.client(key=aws).describe_backups)
        self.assertEqual(self.refusal(cbs), "AuthFailure.SecretIdNotFound")


class First(OperationsTest):
    settings = None

    def test_the_first_start_makes_a_site_and_says_what_clients_need(self):
        if catalogs.SERVERS or stores.SERVICES or keys.SERVICE:
            self.skipTest("such a site is made before")
        kept = self.world.config.with_name("client.env")
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        made, *lines = self.world.said().splitlines()[:5]
        self.assertEqual(made, f"made {self.world.config}; a client needs (also in {kept}):")
        self.assertEqual(lines, kept.read_text().splitlines())
        self.assertEqual({line.partition("=")[0] for line in lines}, {f"export {name}" for name in self.world.env})
        self.world.stop()
        self.world.start()
        self.assertEqual(self.world.said().count("a client needs"), 1)


class Away(OperationsTest):
    def test_a_server_without_a_region_is_not_ready_until_one_opens(self):
        self.needs_directories()
        self.world.stop()
        stores = [path for path in self.world.config.parent.glob("*/store")]
        back = [self.away(path.parent.name) for path in stores]
        self.world.start()
        self.assertEqual(self.get("/healthz"), (200, "ok\n"))
        self.assertEqual(self.get("/readyz"), (503, "no region is open\n"))
        with self.assertRaises(ClientError) as caught:
            self.client().describe_backups()
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 503)
        self.assertGreater(len(back), 1)
        for bring in back:
            bring()
        self.until(lambda: self.get("/readyz") == (200, "ready\n"))
        self.until(lambda: self.told(self.client().describe_backups, {})[0] is None)


if __name__ == "__main__":
    unittest.main()
