"""A site with a running server, for tests with the vendors' own clients."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import uuid

OFFSITE = os.environ["OFFSITE"]


class World:
    """A scratch site; its server listens on a free port.

    `settings` are lines of its configuration; without them the server makes the site when it starts. `regions` are
    further ones, each with its partition.
    """

    def __init__(self, settings=None, regions=()):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="offsite-"))
        self.config = self.dir / "site" / "offsite.toml"
        self.config.parent.mkdir()
        if settings is not None:
            self.cli("init", "--dir", self.config.parent)
            self.config.write_text(settings + self.config.read_text())
        for region, partition in regions:
            self.cli("region", "add", region, "--partition", partition)
        self.start()
        lines = (self.config.parent / "client.env").read_text().splitlines()
        self.env = dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def start(self, **extra):
        """Starts the server and waits until it listens."""
        command = [OFFSITE, "--config", self.config, "serve", "--listen", "127.0.0.1:0"]
        self.log = open(self.dir / "log", "ab")
        self.server = subprocess.Popen(
            command, stdout=self.log, stderr=subprocess.PIPE, env={**os.environ, "OFFSITE_LOG": "info", **extra}
        )
        for line in self.server.stderr:
            self.log.write(line)
            found = re.search(rb"listening on (http://(\S+))", line)
            if found:
                self.endpoint, self.address = found[1].decode(), found[2].decode()
                break
        else:
            raise AssertionError((self.dir / "log").read_text())
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

    def cli(self, *arguments):
        """Runs a command and returns what it printed."""
        command = [OFFSITE, "--config", self.config, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

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

    def away(self, region):
        """Takes a region's store away, so that what is accepted stays in progress. Returns what brings it back."""
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

    def until(self, look, seconds=60):
        """Looks until there is something, and returns it."""
        end = time.monotonic() + seconds
        while True:
            seen = look()
            if seen:
                return seen
            self.assertLess(time.monotonic(), end, "nothing came of it in time")
            time.sleep(0.02)
