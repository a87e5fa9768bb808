"""What whoever runs a server looks at: whether it serves, what it counts, what it logs and what it has done."""

import json
import os
import unittest
import urllib.request

from aws import EAST, IRELAND, WEST
from test_fsx import FsxTest


class Operations(FsxTest):
    def get(self, path):
        with urllib.request.urlopen(self.world.endpoint + path, timeout=10) as reply:
            return reply.status, reply.read().decode()

    def metric(self, name, **labels):
        """The value of the line that has these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        for line in self.get("/metrics")[1].splitlines():
            key, _, value = line.rpartition(" ")
            if key.split("{")[0] == name and all(label in key for label in wanted):
                return float(value)

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

    def test_a_reply_and_its_line_in_the_log_have_one_request_id_and_no_secrets(self):
        reply = self.client().describe_backups()["ResponseMetadata"]
        refusal = self.refused("BackupNotFound", self.client().describe_backups, BackupIds=["backup-00000000000000000"])
        for metadata, code in [(reply, "Success"), (refusal["ResponseMetadata"], "BackupNotFound")]:
            found = lambda: [line for line in self.world.said().splitlines() if metadata["RequestId"] in line]
            (line,) = self.until(found)
            self.assertIn(code, line)
            self.assertIn("DescribeBackups", line)
        for name in ["AWS_SECRET_ACCESS_KEY", "TENCENTCLOUD_SECRET_KEY"]:
            self.assertNotIn(self.world.env[name], self.world.said())
        self.assertNotIn("Signature=", self.world.said())

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


if __name__ == "__main__":
    unittest.main()
