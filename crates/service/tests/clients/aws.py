"""What the tests of AWS's services have in common: clients as boto3 makes them, and refusals."""

import json
import os
import pathlib
import re
import subprocess
import sys

import boto3
import botocore.exceptions
from botocore.config import Config

import aws_constraints
import aws_model
from world import WorldTest

EAST, WEST, IRELAND = "us-east-1", "us-west-2", "eu-west-1"


def client(service, endpoint, region, key, verify=None, **config):
    """A client that asks once, whatever the answer."""
    key_id, secret = key
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        verify=verify,
        config=Config(**{"retries": {"total_max_attempts": 1}, "max_pool_connections": 64, **config}),
    )


def tags(pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def as_dict(listed):
    return {tag["Key"]: tag["Value"] for tag in listed or []}


class AwsTest(WorldTest):
    """Tests of one service, with an account's `key` or the first's. Each reply is held against its model."""

    service = key = None
    # Service, operation and code of what was refused so far, in all tests of this process.
    reached = set()

    def client(self, region=EAST, key=None, **options):
        made = client(self.service, self.world.endpoint, region, key or self.key or self.world.aws_key, **options)
        aws_model.check_replies(made)
        return made

    def aws(self, region, *arguments):
        """Runs the AWS CLI for the service, and returns its reply, if it has one."""
        done = self.run_aws(region, arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout or "null")

    def aws_refused(self, code, region, *arguments):
        """Runs the AWS CLI for what is refused: it names the code and the operation, and fails."""
        done = self.run_aws(region, arguments)
        self.assertEqual((done.returncode, done.stdout), (255, ""), done.stderr)
        operation = arguments[0].title().replace("-", "")
        self.assertRegex(done.stderr, rf"^\nAn error occurred \({code}\) when calling the {operation} operation: \S")

    def run_aws(self, region, arguments):
        command = [pathlib.Path(sys.executable).with_name("aws"), "--endpoint-url", self.world.endpoint]
        options = ["--region", region, "--output", "json", self.service, *arguments]
        key_id, secret = self.key or self.world.aws_key
        keys = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}
        env = {**keys, "HOME": str(self.world.dir), "PATH": os.environ["PATH"], "AWS_PAGER": ""}
        return subprocess.run(command + options, env=env, capture_output=True, text=True)

    def refused(self, code, call, **parameters):
        """Calls, and returns the refusal, which is what typed clients can catch if the model has it."""
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**parameters)
        error, asked = caught.exception, getattr(call, "__self__", None) or self.client()
        self.assertEqual(error.response["Error"]["Code"], code, error)
        modelled = {shape.error_code for shape in asked.meta.service_model.error_shapes}
        self.assertEqual(type(error).__name__, code if code in modelled else "ClientError")
        operation = asked.meta.method_to_api_mapping.get(call.__name__)
        if operation and code in modelled:
            own = asked.meta.service_model.operation_model(operation).error_shapes
            self.assertIn(code, {shape.error_code for shape in own}, operation)
        self.assertTrue(error.response["Error"]["Message"])
        self.assertTrue(error.response["ResponseMetadata"]["RequestId"])
        status = 500 if "Internal" in code else 400
        self.assertEqual(error.response["ResponseMetadata"]["HTTPStatusCode"], status)
        self.reached.add((self.service, operation, code))
        return error.response

    def served(self):
        """The operations of the service that are served, with their models."""
        model = self.client().meta.service_model
        names = re.findall(rf'^action "{model.signing_name}::(\w+)"', self.world.cli("policy", "schema"), re.M)
        return {name: model.operation_model(name) for name in names}

    def assert_constraints(self, code):
        """The server itself checks each constraint that the model has for a request: of the clients, few do."""
        trusting, served = self.client(parameter_validation=False), self.served()
        rows = [(name, *row) for name, model in served.items() for row in aws_constraints.violations(model.input_shape)]
        self.assertGreater(len(rows), 100)
        for name, what, parameters in rows:
            with self.subTest(name + what):
                with self.assertRaises(botocore.exceptions.ClientError) as caught:
                    trusting._make_api_call(name, parameters)
                error = caught.exception.response["Error"]
                self.assertEqual(error["Code"], code, error)
                # Where it is the length that is wrong, the form may be, too.
                self.assertRegex(error["Message"], "^[12] validation errors? detected: Value ")
                # What FSx says ends after 256 characters, which may be those of the value.
                if len(error["Message"]) < 256:
                    self.assertIn("Member must" + what.partition(" must")[2], error["Message"])

    def assert_all_reached(self, unreached):
        """Every error that the model has for what is served was met by now, but for those of `unreached`: code, operations."""
        modelled = {(name, error.error_code) for name, model in self.served().items() for error in model.error_shapes}
        reached = {(operation, code) for service, operation, code in self.reached if service == self.service}
        self.assertEqual(modelled - reached, {(operation, code) for code, operations in unreached for operation in operations})

    def told(self, call, parameters):
        """The code of a refusal, if it is one, and all that the answer says."""
        try:
            code, said = None, call(**parameters)
        except botocore.exceptions.ClientError as error:
            code, said = error.response["Error"]["Code"], error.response
        return code, json.dumps({**said, "ResponseMetadata": None}, default=str, sort_keys=True)

    def assert_unknown(self, rows, unknown, of_nobody):
        """Asks about another account's ids: to the letter, the answer is that to the id which stands for each in `unknown`.

        A row is the code of the refusal if there is one, the call and its parameters. Every operation that is served has one
        for each member that the model calls an id, but for those `of_nobody`.
        """
        asked, ids = set(), "|".join(map(re.escape, unknown))
        swapped = lambda text: re.sub(ids, lambda id: unknown[id[0]], text)
        for code, call, parameters in rows:
            with self.subTest(call=call.__name__, parameters=parameters):
                found, said = self.told(call, parameters)
                self.assertEqual(found, code, said)
                self.assertEqual(swapped(said), self.told(call, json.loads(swapped(json.dumps(parameters))))[1])
            asked |= {(call.__self__.meta.method_to_api_mapping[call.__name__], member) for member in parameters}
        named = [(action, member) for action, model in self.served().items() for member in model.input_shape.members]
        of_ids = {row for row in named if re.search("(Ids?|Ip|Arn|ARN|Filters)$", row[1]) and row[1] not in of_nobody}
        self.assertIn(("DeleteBackup", "BackupId"), of_ids)
        self.assertEqual(of_ids - asked, set())
