"""The keys of a world's regions: key files, or a key service where the environment names one.

The environment has credentials for that service, too, as programs for AWS expect them.
"""

import os
import uuid

SERVICE = os.environ.get("OFFSITE_TEST_KMS")


def new(region):
    """What `offsite region add` is to be told of a region's keys, which it shares with other worlds but for the default."""
    return ["--kms", f"awskms://?endpoint={SERVICE}&region={region}&alias={uuid.uuid4()}"] if SERVICE else []
