"""The stores of a world's regions: directories, or parts of a bucket where the environment names an S3 service.

The environment has the key for that service, too, as programs for AWS expect it.
"""

import os
import uuid

SERVICE = os.environ.get("OFFSITE_TEST_S3")


def new():
    """What `offsite region add` is to be told of a region's store."""
    return ["--store", f"s3://offsite-tests/{uuid.uuid4()}?endpoint={SERVICE}"] if SERVICE else []
