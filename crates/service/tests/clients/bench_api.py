"""Requests a second and their times, of offsite with a million backups in its catalog and of moto's server.

moto keeps its backups in memory and copies the whole list for every page, so it is asked twice: with as many backups,
and with a thousand.

`cargo xtask bench --api` runs this. Each request is signed once and sent again and again by wrk, which is far faster
than either server; the signature is good for five minutes.
"""

import http.client
import json
import pathlib
import resource
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import aws
from world import World

BACKUPS = 1_000_000
MOTO_BACKUPS = [1_000, BACKUPS]
FAR_PAGE = 10_000
CONNECTIONS = [1, 16, 128]
SECONDS = 5
REGION, TARGET = "us-east-1", "us-west-2"

# Sends one request for ever, and at the end prints what came of it as JSON.
SCRIPT = """
wrk.method = "POST"
wrk.body = {body}
{headers}
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function init(args) refused = 0 end
function response(status, headers, body) if status ~= 200 then refused = refused + 1 end end
function done(summary, latency, requests)
  local refused = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do refused = refused + thread:get("refused") end
  io.write(string.format(
    '{{"requests": %d, "refused": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}}\\n', summary.requests, refused,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


class Site:
    """A server and who asks it."""

    def __init__(self, endpoint, key_id, secret):
        self.endpoint, self.credentials = endpoint, Credentials(key_id, secret)

    def client(self, region=REGION):
        key = self.credentials.access_key, self.credentials.secret_key
        return aws.client("fsx", self.endpoint, region, key)

    def signed(self, operation, parameters, region=REGION):
        """Headers and body of a request."""
        body = json.dumps(parameters)
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AWSSimbaAPIService_v20180301.{operation}",
        }
        request = AWSRequest("POST", self.endpoint + "/", data=body, headers=headers)
        SigV4Auth(self.credentials, "fsx", region).add_auth(request)
        return dict(request.headers), body

    def call(self, operation, parameters):
        headers, body = self.signed(operation, parameters)
        connection = http.client.HTTPConnection(self.endpoint.removeprefix("http://"))
        connection.request("POST", "/", body, headers)
        reply = connection.getresponse()
        text = reply.read()
        assert reply.status == 200, text
        return json.loads(text)

    def far_token(self):
        """The token of a page deep inside the list."""
        page = {}
        for _ in range(FAR_PAGE - 1):
            reply = self.call("DescribeBackups", {"MaxResults": 50, **page})
            page = {"NextToken": reply["NextToken"]}
        return page["NextToken"]


def make_backup(site):
    client = site.client()
    settings = {"DeploymentType": "SINGLE_AZ_1", "ThroughputCapacity": 64}
    wanted = {"FileSystemType": "OPENZFS", "StorageCapacity": 64, "SubnetIds": ["subnet-0123456789abcdef0"]}
    file_system = client.create_file_system(**wanted, OpenZFSConfiguration=settings)["FileSystem"]["FileSystemId"]
    ready = lambda: client.describe_file_systems(FileSystemIds=[file_system])["FileSystems"][0]["Lifecycle"]
    wait(lambda: ready() == "AVAILABLE")
    backup = client.create_backup(FileSystemId=file_system)["Backup"]["BackupId"]
    wait(lambda: client.describe_backups(BackupIds=[backup])["Backups"][0]["Lifecycle"] == "AVAILABLE")
    return file_system, backup


def wait(look):
    while not look():
        time.sleep(0.02)


def fill(catalog, backup):
    """A million rows beside that of a backup, each with an id and a time of its own."""
    with sqlite3.connect(catalog, timeout=60) as database:
        columns = [column for _, column, *_ in database.execute("PRAGMA table_info(backup)")]
        own = {"id": "printf('backup-%017x', n)", "created_at": "created_at + n"}
        database.execute(
            f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {BACKUPS - 1}) "
            f"INSERT INTO backup ({', '.join(columns)}) "
            f"SELECT {', '.join(own.get(column, column) for column in columns)} FROM numbers, backup WHERE id = ?",
            [backup],
        )


def open_offsite():
    world = World("cbs_requests_per_second = 1000000\n")
    limits = "\n[account.limits]\nfsx_copies_in_progress = 10000000\nfsx_user_backups = 10000000\n"
    world.identities.write_text(world.identities.read_text() + limits)
    _, backup = make_backup(Site(world.endpoint, *world.aws_key))
    world.stop()
    fill(world.config.parent / REGION / "catalog.db", backup)
    world.start(OFFSITE_LOG="warn")
    return world, Site(world.endpoint, *world.aws_key), backup


def serve_moto(port, backups):
    """Runs moto's server with so many backups in its memory: a million calls would take hours."""
    import moto.server
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.fsx.models import fsx_backends

    # The account of a key that moto has never seen.
    backend = fsx_backends[DEFAULT_ACCOUNT_ID][REGION]
    # Of a file system, only the id is looked at.
    backend.file_systems["fs-0123abcd"] = None
    # The ids that moto draws have 32 bits, so of a million some come twice, and take the place of their first.
    while len(backend.backups) < backups:
        backend.create_backup("fs-0123abcd", None, None, None)
    moto.server.main(["-H", "127.0.0.1", "-p", str(port)])


def open_moto(backups):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # In a process of its own, like offsite.
    command = [sys.executable, "-c", f"import bench_api; bench_api.serve_moto({port}, {backups})"]
    folder = pathlib.Path(__file__).parent
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_up():
        assert server.poll() is None, "moto ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait(is_up)
    return server, Site(f"http://127.0.0.1:{port}", "AKIAIOSFODNN7EXAMPLE", "secret")


def moto_with(backups):
    return f"moto, {backups:,} backups"


def measure(site, operation, parameters, connections, region=REGION):
    headers, body = site.signed(operation, parameters, region)
    # wrk writes this one itself.
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(body=json.dumps(body), headers="\n".join(lines)))
        script.flush()
        threads = min(2, connections)
        # A late answer is none that was refused: with a million backups, moto takes seconds for one of many.
        timing = [f"-d{SECONDS}s", "--timeout", "60s"]
        command = ["wrk", f"-t{threads}", f"-c{connections}", *timing, "-s", script.name, site.endpoint + "/"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def resident_bytes(pid):
    pages = pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def main(output=None):
    samples, rates, memory = [], {}, {}

    def row(name, server, *request, **options):
        for connections in CONNECTIONS:
            sample = measure(*request, connections, **options)
            rate = rates[server, name, connections] = sample["requests"] / sample["seconds"]
            samples.append({"row": name, "server": server, "connections": connections, "per_second": rate, **sample})
            times = f"{sample['p50_ms']:9.2f} {sample['p99_ms']:9.2f} {sample['refused']:8}"
            print(f"{name:29} {server:23} {connections:11} {rate:12.0f} {times}", flush=True)

    print(f"{'':29} {'server':23} {'connections':>11} {'requests/s':>12} {'p50 ms':>9} {'p99 ms':>9} {'refused':>8}")
    near, far = "DescribeBackups, page 1", f"DescribeBackups, page {FAR_PAGE}"
    page = {"MaxResults": 50}
    for backups in MOTO_BACKUPS:
        server, moto = open_moto(backups)
        try:
            assert len(moto.call("DescribeBackups", page)["Backups"]) == 50
            row(near, moto_with(backups), moto, "DescribeBackups", page)
            memory[moto_with(backups)] = resident_bytes(server.pid)
        finally:
            server.kill()
            server.wait()
    world, site, backup = open_offsite()
    try:
        assert len(site.call("DescribeBackups", page)["Backups"]) == 50
        row(near, "offsite", site, "DescribeBackups", page)
        row(far, "offsite", site, "DescribeBackups", {**page, "NextToken": site.far_token()})
        copy = {"SourceBackupId": backup, "SourceRegion": REGION}
        row("CopyBackup, accepted", "offsite", site, "CopyBackup", copy, region=TARGET)
        memory["offsite"] = resident_bytes(world.server.pid)
    finally:
        world.close()
    print("memory at the end:", "; ".join(f"{server}: {bytes >> 20} MiB" for server, bytes in memory.items()))
    for connections in CONNECTIONS:
        ours = rates["offsite", near, connections]
        ratios = (
            f"{ours / rates[moto_with(backups), near, connections]:.1f} x {moto_with(backups)}"
            for backups in MOTO_BACKUPS
        )
        depth = rates["offsite", far, connections] / ours
        print(f"{connections} connections: {'; '.join(ratios)}; page {FAR_PAGE} at {depth:.2f} of page 1's rate")
    if output:
        pathlib.Path(output).write_text(json.dumps(samples, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
