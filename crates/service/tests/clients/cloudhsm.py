"""What the tests of AWS CloudHSM have in common: a world, an account of their own, and clusters on the way."""

import json
import subprocess
import time
import uuid

from aws import EAST, WEST, AwsTest

GOVERNMENT = "us-gov-west-1"
SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
DAY = 24 * 60 * 60 * 1000

INVALID = "CloudHsmInvalidRequestException"
NOT_FOUND = "CloudHsmResourceNotFoundException"
DENIED = "CloudHsmAccessDeniedException"
LIMIT = "CloudHsmResourceLimitExceededException"
SERVICE = "CloudHsmServiceException"
INTERNAL = "CloudHsmInternalFailureException"


class CloudHsmTest(AwsTest):
    """Each test has an account of its own, as an account may have but four clusters."""

    service = "cloudhsmv2"
    # Nobody makes a token in most of these tests: clusters are activated without.
    settings = 'cloudhsm_activation = "0s"\n'

    def setUp(self):
        self.account, self.key = self.world.new_account("aws")

    def cli(self, *arguments):
        """Runs a command of the operator for the account of the test."""
        return self.world.cli("--account", self.account, *arguments)

    def refused(self, code, call, **parameters):
        """Calls, and returns what the refusal says."""
        return super().refused(code, call, **parameters)["Error"]["Message"]

    # Clusters

    def cluster(self, cluster, region=EAST):
        found = self.client(region).describe_clusters(Filters={"clusterIds": [cluster]})["Clusters"]
        return found[0] if found else None

    def until_state(self, cluster, state, on_the_way, region=EAST):
        """Waits for a state of a cluster; it passes through no others than those on the way."""

        def look():
            seen = self.cluster(cluster, region)
            self.assertIn(seen["State"], [*on_the_way, state], seen)
            return seen if seen["State"] == state else None

        return self.until(look)

    def make_cluster(self, region=EAST, **parameters):
        wanted = {"HsmType": "hsm2m.medium", "Mode": "FIPS", "SubnetIds": SUBNETS, **parameters}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        made = self.client(region).create_cluster(**wanted)["Cluster"]
        self.assertEqual((made["State"], made["Hsms"]), ("CREATE_IN_PROGRESS", []))
        return made["ClusterId"]

    def empty_cluster(self, region=EAST, **parameters):
        cluster = self.make_cluster(region, **parameters)
        self.until_state(cluster, "UNINITIALIZED", ["CREATE_IN_PROGRESS"], region)
        return cluster

    def restored_cluster(self, backup, region=EAST, **parameters):
        cluster = self.make_cluster(region, SourceBackupId=backup, **parameters)
        self.until_state(cluster, "ACTIVE", ["CREATE_IN_PROGRESS", "INITIALIZE_IN_PROGRESS"], region)
        return cluster

    def hsm(self, cluster, hsm, region=EAST):
        found = [seen for seen in self.cluster(cluster, region)["Hsms"] if seen["HsmId"] == hsm]
        return found[0] if found else None

    def add_hsm(self, cluster, zone="a", region=EAST):
        made = self.client(region).create_hsm(ClusterId=cluster, AvailabilityZone=region + zone)["Hsm"]
        self.assertEqual(made["State"], "CREATE_IN_PROGRESS")
        self.until(lambda: self.hsm(cluster, made["HsmId"], region)["State"] == "ACTIVE")
        return made["HsmId"]

    def certificates(self, csr):
        """What an owner makes of a signing request with openssl: its certificate and that of the authority."""
        folder = self.world.dir / str(uuid.uuid4())
        folder.mkdir()
        (folder / "cluster.csr").write_text(csr)

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

        openssl("req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                "-subj", "/CN=Customer CA", "-days", "3652")  # fmt: skip
        openssl("x509", "-req", "-in", "cluster.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", "cluster.pem", "-days", "3652")  # fmt: skip
        return (folder / "cluster.pem").read_text(), (folder / "ca.pem").read_text()

    def initialize(self, cluster, region=EAST):
        csr = self.cluster(cluster, region)["Certificates"]["ClusterCsr"]
        signed, anchor = self.certificates(csr)
        reply = self.client(region).initialize_cluster(ClusterId=cluster, SignedCert=signed, TrustAnchor=anchor)
        self.assertEqual(reply["State"], "INITIALIZE_IN_PROGRESS")
        return signed

    def active_cluster(self, region=EAST, **parameters):
        """An active cluster with one HSM, and the backup of its activation."""
        cluster = self.empty_cluster(region, **parameters)
        self.add_hsm(cluster, region=region)
        self.initialize(cluster, region)
        self.until_state(cluster, "ACTIVE", ["INITIALIZE_IN_PROGRESS", "INITIALIZED"], region)
        (backup,) = self.until(lambda: self.ready_backups(cluster, region))
        return cluster, backup

    def attach(self, region=EAST):
        """A directory that the command line registers: an active cluster without HSMs. Its id and its path."""
        folder = self.world.dir / str(uuid.uuid4())
        folder.mkdir()
        cluster = self.cli("resource", "add", str(folder), "--region", region, "--type", "hsm")
        self.until(lambda: self.sql(region, "SELECT next_backup_at FROM resource WHERE id = ?", cluster)[0][0])
        return cluster, folder

    # Backups

    def backup(self, backup, region=EAST):
        found = self.client(region).describe_backups(Filters={"backupIds": [backup]})["Backups"]
        return found[0] if found else None

    def backups(self, cluster, region=EAST):
        """Those of a cluster, oldest first."""
        found = self.client(region).describe_backups(Filters={"clusterIds": [cluster]}, SortAscending=True)
        return found["Backups"]

    def ready_backups(self, cluster, region=EAST):
        """The ids of a cluster's backups once all of them are ready."""
        found = self.backups(cluster, region)
        ready = all(backup["BackupState"] == "READY" for backup in found)
        return [backup["BackupId"] for backup in found] if ready else []

    def until_ready(self, backup, region=EAST):
        def look():
            seen = self.backup(backup, region)
            self.assertIn(seen["BackupState"], ["CREATE_IN_PROGRESS", "READY"], seen)
            return seen if seen["BackupState"] == "READY" else None

        return self.until(look)

    def copy(self, backup, target=WEST, source=EAST, **parameters):
        """Copies a backup and returns the copy once it is ready."""
        before = {seen["BackupId"] for seen in self.copies(backup, target)}
        self.client(source).copy_backup_to_region(DestinationRegion=target, BackupId=backup, **parameters)
        (made,) = [seen for seen in self.copies(backup, target) if seen["BackupId"] not in before]
        return self.until_ready(made["BackupId"], target)

    def copies(self, backup, region=WEST):
        return self.client(region).describe_backups(Filters={"sourceBackupIds": [backup]})["Backups"]

    def age(self, backup, days, region=EAST):
        """Makes a backup so many days older."""
        self.sql(region, "UPDATE backup SET created_at = created_at - ? WHERE id = ?", days * DAY, backup)

    def make_daily_due(self, cluster, region=EAST):
        due = int(time.time() * 1000) - 1000
        self.sql(region, "UPDATE resource SET next_backup_at = ? WHERE id = ?", due, cluster)

    def until_daily_taken(self, cluster, region=EAST):
        now = int(time.time() * 1000)
        self.until(lambda: self.sql(region, "SELECT next_backup_at FROM resource WHERE id = ?", cluster)[0][0] > now)
        self.until(lambda: not self.attributes(cluster, region)["owed"])

    def attributes(self, cluster, region=EAST):
        """What the catalog keeps of a cluster for this API alone."""
        ((text,),) = self.sql(region, "SELECT attributes FROM resource WHERE id = ?", cluster)
        return json.loads(text)
