"""The catalogs of a world's regions: files of SQLite, or databases of PostgreSQL where the environment names servers.

The environment does so in the variable that the tests of `crates/catalog` know as well: it has the address of a database
whose user may make others, or of two with a space between them, which the regions take in turn. A statement is written once,
for both kinds, with `?` for each value.
"""

import contextlib
import os
import sqlite3
import urllib.parse
import uuid

SERVERS = os.environ.get("OFFSITE_TEST_POSTGRES", "").split()


class Files:
    def __init__(self, world):
        self.world = world

    def new(self, _region):
        """What `offsite region add` is to be told of a region's catalog."""
        return []

    def run(self, region, statement, values):
        """Runs a statement in a region's catalog and returns the rows."""
        return self.run_in(self.world.config.parent / region / "catalog.db", statement, values)

    def run_in_all(self, statement):
        # A region that a test has lost lies elsewhere.
        files = [*self.world.dir.glob("*/catalog.db"), *self.world.config.parent.glob("*/catalog.db")]
        return [row for file in files for row in self.run_in(file, statement)]

    def run_in(self, file, statement, values=()):
        with contextlib.closing(sqlite3.connect(file, timeout=30)) as catalog, catalog:
            return catalog.execute(statement, values).fetchall()

    def close(self):
        """Leaves nothing behind, once the world's servers have ended."""


class Databases:
    """Each region has a database of its own."""

    def __init__(self, world):
        self.world, self.servers, self.regions = world, [self.connect(server) for server in SERVERS], {}

    def new(self, region):
        name, turn = f"offsite_{uuid.uuid4().hex}", len(self.regions) % len(SERVERS)
        self.servers[turn].execute(f"CREATE DATABASE {name}")
        address = urllib.parse.urlsplit(SERVERS[turn])._replace(path=f"/{name}").geturl()
        self.regions[region] = self.connect(address)
        return ["--catalog", address]

    def run(self, region, statement, values=()):
        done = self.regions[region].execute(statement.replace("%", "%%").replace("?", "%s"), values)
        return done.fetchall() if done.description else []

    def run_in_all(self, statement):
        return [row for region in self.regions for row in self.run(region, statement)]

    def close(self):
        names = [connection.info.dbname for connection in self.regions.values()]
        for connection in self.regions.values():
            connection.close()
        for server in self.servers:
            for name in names:
                # A server that was killed may have left connections that have not noticed.
                server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            server.close()

    def connect(self, address):
        # Whoever has no server need not have this.
        import psycopg

        return psycopg.connect(address, autocommit=True)


# Where they are, in this run.
Catalogs = Databases if SERVERS else Files
