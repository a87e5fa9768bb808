"""The stores of a world's regions: directories, or parts of buckets where the environment names S3 services.

It names one, or two with a space between them, which regions take in turn. It has the key for them, too, as programs for AWS
expect it.
"""

import itertools
import os
import uuid

SERVICES = os.environ.get("OFFSITE_TEST_S3", "").split()

turns = itertools.cycle(SERVICES)


def new():
    """What `offsite region add` is to be told of a region's store."""
    return ["--store", f"s3://offsite-tests/{uuid.uuid4()}?endpoint={next(turns)}"] if SERVICES else []
