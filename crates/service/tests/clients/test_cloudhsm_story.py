"""The story of a lost region with SoftHSM2: a key that was made in one region signs in another, from a copy."""

import os
import pathlib
import subprocess
import unittest

from aws import EAST, WEST
from cloudhsm import CloudHsmTest

LIBRARIES = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so", "/usr/lib64/pkcs11/libsofthsm2.so"]


class Story(CloudHsmTest):
    # Long enough to show that the token is what activates the cluster.
    settings = 'cloudhsm_activation = "10m"\n'

    def softhsm(self, folder, *command):
        """Runs a command whose tokens lie in `folder`."""
        config = self.world.dir / f"{folder.name}.conf"
        config.write_text(f"directories.tokendir = {folder}\nobjectstore.backend = file\n")
        done = subprocess.run(
            command, env={**os.environ, "SOFTHSM2_CONF": str(config)}, cwd=self.world.dir, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def pkcs11(self, folder, *arguments):
        (library, *_) = [path for path in LIBRARIES if pathlib.Path(path).exists()]
        self.softhsm(folder, "pkcs11-tool", "--module", library, "--token-label", "vault", *arguments)

    def test_a_key_outlives_its_region(self):
        cluster = self.empty_cluster()
        folder = self.world.path(EAST, cluster)
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
        pins = ["--so-pin", "87654321", "--pin", "123456"]
        self.softhsm(folder, "softhsm2-util", "--init-token", "--free", "--label", "vault", *pins)
        login = ["--login", "--pin", "123456"]
        key = ["--id", "01"]
        self.pkcs11(folder, *login, "--keypairgen", "--key-type", "rsa:2048", "--label", "signing", *key)
        self.pkcs11(folder, "--read-object", "--type", "pubkey", *key, "--output-file", "public.der")

        self.add_hsm(cluster)
        signed = self.initialize(cluster)
        self.until_state(cluster, "ACTIVE", ["INITIALIZE_IN_PROGRESS", "INITIALIZED"])
        (backup,) = self.until(lambda: self.ready_backups(cluster))
        self.client().copy_backup_to_region(DestinationRegion=WEST, BackupId=backup)
        west = self.client(WEST)
        copied = lambda: west.describe_backups(Filters={"sourceBackupIds": [backup], "states": ["READY"]})["Backups"]
        (copy,) = self.until(copied)

        # The region is lost.
        self.world.stop()
        (self.world.config.parent / EAST).rename(self.world.dir / "lost")
        self.world.start()
        restored = self.restored_cluster(copy["BackupId"], WEST)
        self.assertEqual(self.cluster(restored, WEST)["Certificates"], {"ClusterCertificate": signed})
        (self.world.dir / "message").write_text("signed in the west")
        sign = ["--sign", "--mechanism", "SHA256-RSA-PKCS", *key, "--input-file", "message", "--output-file", "signature"]
        self.pkcs11(self.world.path(WEST, restored), *login, *sign)
        verify = ["openssl", "dgst", "-sha256", "-verify", "public.der", "-keyform", "DER", "-signature", "signature"]
        done = subprocess.run([*verify, "message"], cwd=self.world.dir, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout.strip()), (0, "Verified OK"), done.stderr)
        (self.world.dir / "message").write_text("signed in the east")
        self.assertNotEqual(subprocess.run([*verify, "message"], cwd=self.world.dir, capture_output=True).returncode, 0)


if __name__ == "__main__":
    unittest.main()
