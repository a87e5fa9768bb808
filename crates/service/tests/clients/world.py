"""A site with a running server, for tests with the vendors' own clients."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import tomllib
import unittest
import uuid

import catalogs
import keys
import stores

OFFSITE = os.environ["OFFSITE"]


class World:
    """A scratch site; its server listens on a free port.

    `settings` are lines of its configuration; without them the server makes the site when it starts, in the directory
    that it starts in, unless parts of regions are to be on other servers. `regions` are further ones, each with its partition.
    """

    def __init__(self, settings=None, regions=()):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="offsite-"))
        self.config = self.dir / "site" / "offsite.toml"
        self.identities = self.config.with_name("identities.toml")
        self.config.parent.mkdir()
        self.catalogs = catalogs.Catalogs(self)
        is_apart = catalogs.SERVERS or stores.SERVICES or keys.SERVICE
        if settings is not None or is_apart:
            self.cli("init", "--dir", self.config.parent)
            if is_apart:
                self.replace_regions()
            self.config.write_text((settings or "") + self.config.read_text())
        for region, partition in regions:
            self.add_region(region, partition)
        self.start()
        lines = (self.config.parent / "client.env").read_text().splitlines()
        self.env = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        self.aws_key = self.env["AWS_ACCESS_KEY_ID"], self.env["AWS_SECRET_ACCESS_KEY"]
        self.tencent_key = self.env["TENCENTCLOUD_SECRET_ID"], self.env["TENCENTCLOUD_SECRET_KEY"]

    def start(self, *options, **extra):
        """Starts the server and waits until it listens."""
        named = ["--config", self.config] if self.config.exists() else []
        command = [OFFSITE, *named, "serve", "--listen", "127.0.0.1:0", *options]
        self.log = open(self.dir / "log", "ab", buffering=0)
        self.server = subprocess.Popen(
            command,
            cwd=self.config.parent,
            stdout=self.log,
            stderr=subprocess.PIPE,
            env={**os.environ, "OFFSITE_LOG": "info", **extra},
        )
        for line in self.server.stderr:
            self.log.write(line)
            found = re.search(rb"listening on (https?://(\S+))", line)
            if found:
                self.endpoint, self.address = found[1].decode(), found[2].decode()
                break
        else:
            raise AssertionError(self.said())
        # What it says from here on goes to the log, so that it never waits for a reader.
        self.pump = subprocess.Popen(["cat"], stdin=self.server.stderr, stdout=self.log)
        self.server.stderr.close()

    def stop(self, how=signal.SIGTERM):
        """Ends the server; `signal.SIGKILL` as a crash would. Returns its exit status."""
        self.server.send_signal(how)
        status = self.server.wait(timeout=30)
        self.pump.wait(timeout=30)
        self.log.close()
        return status

    def close(self):
        if self.server.poll() is None:
            self.stop()
        shutil.rmtree(self.dir)
        self.catalogs.close()

    def add_region(self, region, partition):
        parts = [*self.catalogs.new(region), *stores.new(), *keys.new(region)]
        self.cli("region", "add", region, "--partition", partition, *parts)

    def replace_regions(self):
        """Makes the regions that `offsite init` has made anew, with their parts where they are to be."""
        for region in tomllib.loads(self.config.read_text())["region"]:
            name = region["name"]
            # A configuration without a region is none, so it is one after the other.
            table = rf'\[\[region\]\]\nname = "{name}"\n[^[]*'
            self.config.write_text(re.sub(table, "", self.config.read_text()))
            shutil.rmtree(self.config.parent / name)
            self.add_region(name, region["partition"])

    def cli(self, *arguments):
        """Runs a command and returns what it printed."""
        command = [OFFSITE, "--config", self.config, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def key(self, *arguments):
        """Id and secret of the access key that a command of `offsite key` prints."""
        return tuple(line.split("=", 1)[1] for line in self.cli("key", *arguments).splitlines())

    def new_account(self, cloud):
        """A new account: its id and its key."""
        name = f"account-{uuid.uuid4()}"
        return self.cli("account", "create", name), self.key("create", name, "--cloud", cloud)

    def kms_key(self, region):
        """The id of a region's default key."""
        listed = json.loads(self.cli("kms", "ls", "--region", region, "--json"))
        return next(key["id"] for key in listed if key["default"])

    def said(self):
        """What the server has logged."""
        return (self.dir / "log").read_text()

    def changes(self):
        """The successful calls that changed something, by the log: request id and operation."""
        done = r'request_id="?([-0-9a-f]{36})"?.* operation="?(?!Describe|List|Get)(\w+)"? .*code="?Success\b'
        return dict(re.findall(done, re.sub(r"\x1b\[[0-9;]*m", "", self.said())))

    def unrecorded(self):
        """Those changes of which no region has an event."""
        calls = self.changes()
        for (detail,) in self.catalogs.run_in_all("SELECT detail FROM event WHERE action LIKE '%:%'"):
            calls.pop(detail.rpartition("request ")[2], None)
        return calls

    def path(self, region, resource):
        """Where a resource lies."""
        return pathlib.Path(self.config.parent / region / "resources" / resource)


class WorldTest(unittest.TestCase):
    """Tests that share one world. They ask more often than people do, so no limit of rates is in their way."""

    settings = "cbs_requests_per_second = 100000\n"
    regions = ()

    @classmethod
    def setUpClass(cls):
        cls.world = World(cls.settings, cls.regions)
        cls.addClassCleanup(cls.world.close)
        cls.addClassCleanup(cls.check_events)

    @classmethod
    def check_events(cls):
        """Whatever the tests called, an event tells of all that was changed."""
        unrecorded = cls.world.unrecorded()
        assert not unrecorded, f"calls without an event: {unrecorded}"

    def away(self, region):
        """Takes a region's store away, so that what is accepted stays in progress. Returns what brings it back."""
        self.needs_directories()
        store, aside = self.world.config.parent / region / "store", self.world.dir / f"unmounted-{uuid.uuid4()}"
        store.rename(aside)

        def back():
            while aside.exists():
                # What the server has put there meanwhile; it may do so again at any moment.
                shutil.rmtree(store, ignore_errors=True)
                with contextlib.suppress(OSError):
                    aside.rename(store)

        self.addCleanup(back)
        return back

    def needs_directories(self):
        if stores.SERVICES:
            self.skipTest("stores are in a bucket, which all tests share")

    def slowly_into(self, region):
        """Has copies into a region take longer than any test. Returns what ends that; a server learns of it when it starts."""
        text, said = self.world.config.read_text(), len(self.world.said())
        name = f'name = "{region}"\n'
        self.assertIn(name, text)
        self.world.config.write_text(text.replace(name, f'{name}bandwidth = "128KiB/s"\n'))
        self.until(lambda: "copies into the region have another bandwidth" in self.world.said()[said:])

        def at_once():
            self.world.config.write_text(text)

        self.addCleanup(at_once)
        return at_once

    def without_keys(self, region):
        """Takes a region's key file away until the test ends: what is inside is broken, and no caller's fault."""
        if keys.SERVICE:
            self.skipTest("keys are in a service, which all tests share")
        file = self.world.config.parent / region / "kms.json"
        aside = file.rename(file.with_suffix(".aside"))
        self.addCleanup(lambda: aside.exists() and aside.rename(file))

    def damage_packs(self, region, account="*"):
        """Turns a bit over in each pack of an account, or of all, that a region stores."""
        self.needs_directories()
        for pack in (self.world.config.parent / region / "store").glob(f"{account}/packs/**/*"):
            if pack.is_file():
                damaged = bytearray(pack.read_bytes())
                damaged[len(damaged) // 2] ^= 1
                pack.chmod(0o600)
                pack.write_bytes(damaged)

    def limited(self, account="", **limits):
        """Gives an account, or the first, these limits until the test ends. Returns what takes them back."""
        text = self.world.identities.read_text()
        before, own, after = text.partition(f'id = "{account}')
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in limits.items())
        after = after.replace("[[account.key]]", f"[account.limits]\n{lines}\n[[account.key]]", 1)
        self.world.identities.write_text(before + own + after)

        def restore():
            self.world.identities.write_text(text)

        self.addCleanup(restore)
        return restore

    def in_order(self, call, base, *rows):
        """Of two faults at once the first is told. Rows are those of `table`, in the contract's order."""
        for at, (first, code, changes, *members) in enumerate(rows):
            for second, _, others, *_ in rows[at + 1 :]:
                if not changes.keys() & others.keys():
                    self.table(call, {**base, **others}, (f"{first}, and {second}", code, changes, *members))

    def start_another_server(self):
        """Starts one that serves the same regions, and ends it with the test."""
        said = self.world.dir / "second.log"
        command = [OFFSITE, "--config", self.world.config, "serve", "--listen", "127.0.0.1:0"]
        with open(said, "wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.until(lambda: b"listening" in said.read_bytes())

    def sql(self, region, statement, *values):
        """Runs a statement in a region's catalog and returns the rows."""
        return self.world.catalogs.run(region, statement, values)

    def until(self, look, seconds=60):
        """Looks until there is something, and returns it."""
        end = time.monotonic() + seconds
        while True:
            seen = look()
            if seen:
                return seen
            self.assertLess(time.monotonic(), end, "nothing came of it in time")
            time.sleep(0.02)
