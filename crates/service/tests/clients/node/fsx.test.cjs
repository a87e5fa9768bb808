// Amazon FSx with the AWS SDK for JavaScript: the whole life of a backup, and refusals as the SDK's own exceptions.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { test } = require("node:test");

const fsx = require("@aws-sdk/client-fsx");
const { endpoint, refusal, resource, until } = require("./site.cjs");

const [EAST, WEST, IRELAND] = ["us-east-1", "us-west-2", "eu-west-1"];
const SubnetIds = ["subnet-0123456789abcdef0"];
const UNKNOWN = "backup-00000000000000000";

const client = (region, more) => new fsx.FSxClient({ region, endpoint, maxAttempts: 1, ...more });
const east = client(EAST);
const west = client(WEST);

const tags = (count, prefix) => Array.from({ length: count }, (_, at) => ({ Key: `${prefix}${at}`, Value: "v" }));

async function fileSystem() {
  const made = await east.send(
    new fsx.CreateFileSystemCommand({
      FileSystemType: "OPENZFS",
      StorageCapacity: 64,
      SubnetIds,
      OpenZFSConfiguration: { DeploymentType: "SINGLE_AZ_1", ThroughputCapacity: 64 },
    }),
  );
  assert.equal(made.FileSystem.Lifecycle, "CREATING");
  assert.ok(made.FileSystem.CreationTime instanceof Date);
  return (await fileSystemReady(east, made.FileSystem.FileSystemId)).FileSystemId;
}

const fileSystemReady = (from, id) =>
  until(async () => {
    const [seen] = (await from.send(new fsx.DescribeFileSystemsCommand({ FileSystemIds: [id] }))).FileSystems;
    assert.ok(["CREATING", "AVAILABLE"].includes(seen.Lifecycle), seen.Lifecycle);
    return seen.Lifecycle === "AVAILABLE" && seen;
  });

const available = (from, id) =>
  until(async () => {
    const [seen] = (await from.send(new fsx.DescribeBackupsCommand({ BackupIds: [id] }))).Backups;
    assert.ok(["CREATING", "TRANSFERRING", "COPYING", "AVAILABLE"].includes(seen.Lifecycle), seen.Lifecycle);
    return seen.Lifecycle === "AVAILABLE" && seen;
  });

async function backup(FileSystemId, more) {
  const made = await east.send(new fsx.CreateBackupCommand({ FileSystemId, ...more }));
  return (await available(east, made.Backup.BackupId)).BackupId;
}

test("a backup is taken, copied, found, restored and deleted", async () => {
  const id = await fileSystem();
  const bytes = require("node:crypto").randomBytes(3 << 20);
  fs.mkdirSync(path.join(resource(EAST, id), "some"));
  fs.writeFileSync(path.join(resource(EAST, id), "some", "file"), bytes);
  const taken = await backup(id, { Tags: [{ Key: "day", Value: "one" }] });

  const copied = await west.send(
    new fsx.CopyBackupCommand({ SourceBackupId: taken, SourceRegion: EAST, CopyTags: true }),
  );
  assert.equal(copied.Backup.Lifecycle, "COPYING");
  assert.match(copied.$metadata.requestId, /^[0-9a-f-]{36}$/);
  const copy = await available(west, copied.Backup.BackupId);
  assert.equal(copy.SourceBackupId, taken);
  assert.equal(copy.SizeInBytes, bytes.length);
  assert.deepEqual(copy.Tags, [{ Key: "day", Value: "one" }]);

  const listed = [];
  for await (const page of fsx.paginateDescribeBackups({ client: west, pageSize: 1 }, {})) listed.push(...page.Backups);
  assert.ok(listed.some((seen) => seen.BackupId === copy.BackupId));

  const deleted = await east.send(new fsx.DeleteBackupCommand({ BackupId: taken }));
  assert.equal(deleted.Lifecycle, "DELETED");
  const made = await west.send(new fsx.CreateFileSystemFromBackupCommand({ BackupId: copy.BackupId, SubnetIds }));
  const restored = (await fileSystemReady(west, made.FileSystem.FileSystemId)).FileSystemId;
  assert.ok(fs.readFileSync(path.join(resource(WEST, restored), "some", "file")).equals(bytes));

  const OpenZFSConfiguration = { SkipFinalBackup: true };
  await west.send(new fsx.DeleteFileSystemCommand({ FileSystemId: restored, OpenZFSConfiguration }));
  await until(() => !fs.existsSync(resource(WEST, restored)));
  await west.send(new fsx.DeleteBackupCommand({ BackupId: copy.BackupId }));
  const gone = await refusal(west.send(new fsx.DescribeBackupsCommand({ BackupIds: [copy.BackupId] })));
  assert.ok(gone instanceof fsx.BackupNotFound, gone);
});

test("refusals are the SDK's own exceptions, with their members", async () => {
  const id = await fileSystem();
  const taken = await backup(id, { Tags: tags(30, "k") });
  const copy = (more) =>
    west.send(new fsx.CopyBackupCommand({ SourceBackupId: taken, SourceRegion: EAST, ...more }));
  const ClientRequestToken = "once";
  const first = (await copy({ ClientRequestToken })).Backup.BackupId;
  assert.equal((await copy({ ClientRequestToken })).Backup.BackupId, first);
  for (const [call, kind, members] of [
    [() => copy({ SourceBackupId: UNKNOWN }), fsx.BackupNotFound, {}],
    [() => copy({ SourceRegion: "us-east-9" }), fsx.InvalidRegion, {}],
    [() => copy({ KmsKeyId: "nonsense" }), fsx.InvalidDestinationKmsKey, {}],
    [() => copy({ CopyTags: true, Tags: tags(21, "m") }), fsx.ServiceLimitExceeded, { Limit: "TOTAL_USER_TAGS" }],
    [() => copy({ ClientRequestToken, CopyTags: true }), fsx.IncompatibleParameterError, { Parameter: "CopyTags" }],
    [() => copy({ SourceBackupId: "x" }), fsx.BadRequest, {}],
    [
      () => east.send(new fsx.DescribeFileSystemsCommand({ FileSystemIds: ["fs-00000000000000000"] })),
      fsx.FileSystemNotFound,
      {},
    ],
    [() => east.send(new fsx.CreateVolumeCommand({ VolumeType: "ONTAP", Name: "x" })), fsx.UnsupportedOperation, {}],
  ]) {
    const error = await refusal(call());
    assert.ok(error instanceof kind, `${error.name}, not ${kind.name}: ${error.message}`);
    assert.equal(error.$fault, "client");
    assert.equal(error.$metadata.httpStatusCode, 400);
    assert.ok(error.message);
    for (const [name, value] of Object.entries(members)) assert.equal(error[name], value);
  }
  await available(west, first);
});

test("a sixth copy into a region exceeds the limit, and the source is held meanwhile", async (t) => {
  const store = path.join(process.env.OFFSITE_SITE, IRELAND, "store");
  if (!fs.existsSync(store)) {
    t.skip("stores are in a bucket, which all tests share");
    return;
  }
  const taken = await backup(await fileSystem());
  const ireland = client(IRELAND);
  // While the target's store is away, what was accepted stays in progress.
  fs.renameSync(store, `${store}-away`);
  const copies = await Promise.allSettled(
    Array.from({ length: 6 }, () =>
      ireland.send(new fsx.CopyBackupCommand({ SourceBackupId: taken, SourceRegion: EAST })),
    ),
  );
  const [refused, ...others] = copies.filter((copy) => copy.status === "rejected").map((copy) => copy.reason);
  assert.deepEqual(others, []);
  assert.ok(refused instanceof fsx.ServiceLimitExceeded, refused);
  assert.equal(refused.Limit, "TOTAL_IN_PROGRESS_COPY_BACKUPS");
  const held = await refusal(east.send(new fsx.DeleteBackupCommand({ BackupId: taken })));
  assert.ok(held instanceof fsx.BackupBeingCopied, held);
  assert.equal(held.BackupId, taken);
  // The server may put something in its place at any moment.
  await until(() => {
    try {
      fs.rmSync(store, { recursive: true, force: true });
      fs.renameSync(`${store}-away`, store);
      return true;
    } catch (error) {
      if (error.code !== "ENOTEMPTY") throw error;
    }
  });
  for (const copy of copies.filter((copy) => copy.status === "fulfilled"))
    await available(ireland, copy.value.Backup.BackupId);
});

test("a wrong secret and an unknown key are told apart", async () => {
  const asked = (accessKeyId, secretAccessKey) => {
    const stranger = client(EAST, { credentials: { accessKeyId, secretAccessKey } });
    return refusal(stranger.send(new fsx.DescribeBackupsCommand({})));
  };
  assert.equal((await asked(process.env.AWS_ACCESS_KEY_ID, "wrong")).name, "InvalidSignatureException");
  assert.equal((await asked("AKIANOBODY", "x")).name, "UnrecognizedClientException");
});
