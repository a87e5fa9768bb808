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

    @contextlib.contextmanager
    def away(self, region):
        """Has every question about resources and backups fail, as where a disk does not answer for a while."""
        tables = ["resource", "backup"]
        for table in tables:
            self.run(region, f"ALTER TABLE {table} RENAME TO {table}_away", ())
            self.run(region, f"CREATE VIEW {table} AS SELECT * FROM {table}_away WHERE json('no JSON')", ())
        try:
            yield
        finally:
            for table in tables:
                self.run(region, f"DROP VIEW {table}", ())
                self.run(region, f"ALTER TABLE {table}_away RENAME TO {table}", ())

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

    @contextlib.contextmanager
    def away(self, region):
        """Ends all connections to a region's database but the own one, and has it take no others for a while."""
        server = self.servers[list(self.regions).index(region) % len(SERVERS)]
        name, own = self.regions[region].info.dbname, self.regions[region].info.backend_pid
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s"
        server.execute(others, (name, own))
        try:
            yield
        finally:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

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
