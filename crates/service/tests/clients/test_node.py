"""The vendors' clients for Node.js: each file of `node/` runs against a world of its own."""

import os
import pathlib
import subprocess
import unittest

from world import WorldTest

FOLDER = pathlib.Path(__file__).parent / "node"


class Node(WorldTest):
    settings = WorldTest.settings + 'cloudhsm_activation = "0s"\n'

    def run_tests(self, name):
        env = {
            **self.world.env,
            "HOME": str(self.world.dir),
            "NODE_PATH": os.environ["NODE_PATH"],
            "OFFSITE_ENDPOINT": self.world.endpoint,
            "OFFSITE_SITE": str(self.world.config.parent),
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(["node", "--test", FOLDER / name], env=env, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^# pass [1-9]")

    def test_amazon_fsx(self):
        self.run_tests("fsx.test.cjs")

    def test_aws_cloudhsm(self):
        self.run_tests("cloudhsm.test.cjs")

    def test_tencent_cbs(self):
        self.run_tests("cbs.test.cjs")


if __name__ == "__main__":
    unittest.main()
