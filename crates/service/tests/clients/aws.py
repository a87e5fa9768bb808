"""What the tests of AWS's services have in common: clients as boto3 makes them, and refusals."""

import json
import os
import pathlib
import subprocess
import sys

import boto3
import botocore.exceptions
from botocore.config import Config

import aws_model
from world import WorldTest

EAST, WEST, IRELAND = "us-east-1", "us-west-2", "eu-west-1"


def client(service, endpoint, region, key):
    """A client that asks once, whatever the answer."""
    key_id, secret = key
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=64),
    )


def tags(pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def as_dict(listed):
    return {tag["Key"]: tag["Value"] for tag in listed or []}


class AwsTest(WorldTest):
    """Tests of one service, with an account's `key` or the first's. Each reply is held against its model."""

    service = key = None

    def client(self, region=EAST, key=None):
        made = client(self.service, self.world.endpoint, region, key or self.key or self.world.aws_key)
        aws_model.check_replies(made)
        return made

    def aws(self, region, *arguments):
        """Runs the AWS CLI for the service, and returns its reply."""
        command = [pathlib.Path(sys.executable).with_name("aws"), "--endpoint-url", self.world.endpoint]
        options = ["--region", region, "--output", "json", self.service, *arguments]
        key_id, secret = self.key or self.world.aws_key
        keys = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}
        env = {**keys, "HOME": str(self.world.dir), "PATH": os.environ["PATH"], "AWS_PAGER": ""}
        done = subprocess.run(command + options, env=env, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def refused(self, code, call, **parameters):
        """Calls, and returns the refusal, which is what typed clients can catch if the model has it."""
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**parameters)
        error, asked = caught.exception, getattr(call, "__self__", None) or self.client()
        self.assertEqual(error.response["Error"]["Code"], code, error)
        modelled = {shape.error_code for shape in asked.meta.service_model.error_shapes}
        self.assertEqual(type(error).__name__, code if code in modelled else "ClientError")
        self.assertTrue(error.response["Error"]["Message"])
        self.assertTrue(error.response["ResponseMetadata"]["RequestId"])
        status = 500 if "Internal" in code else 400
        self.assertEqual(error.response["ResponseMetadata"]["HTTPStatusCode"], status)
        return error.response
