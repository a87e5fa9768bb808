// AWS CloudHSM v2 with the AWS SDK for JavaScript: from an empty cluster to one that is made of a copy of its backup, and
// refusals as the SDK's own exceptions.
"use strict";

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { test } = require("node:test");

const hsm = require("@aws-sdk/client-cloudhsm-v2");
const { endpoint, refusal, resource, until } = require("./site.cjs");

const [EAST, WEST] = ["us-east-1", "us-west-2"];
const SubnetIds = ["subnet-0123456789abcdef0"];

const client = (region) => new hsm.CloudHSMV2Client({ region, endpoint, maxAttempts: 1 });
const east = client(EAST);
const west = client(WEST);

async function cluster(from, id) {
  const Filters = { clusterIds: [id] };
  return (await from.send(new hsm.DescribeClustersCommand({ Filters }))).Clusters[0];
}

const inState = (from, id, state) =>
  until(async () => {
    const seen = await cluster(from, id);
    return seen.State === state && seen;
  });

const backups = async (from, Filters) => (await from.send(new hsm.DescribeBackupsCommand({ Filters }))).Backups;

/** What an owner makes of a cluster's request with openssl. */
function certify(csr) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "offsite-"));
  const openssl = (...parameters) => execFileSync("openssl", parameters, { cwd: folder, stdio: "pipe" });
  fs.writeFileSync(path.join(folder, "cluster.csr"), csr);
  const authority = ["-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Owner"];
  openssl("req", "-new", "-x509", "-days", "30", ...authority);
  const issuer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cluster.pem", "-days", "30"];
  openssl("x509", "-req", "-in", "cluster.csr", ...issuer);
  const [SignedCert, TrustAnchor] = ["cluster.pem", "ca.pem"].map((name) =>
    fs.readFileSync(path.join(folder, name), "utf8"),
  );
  fs.rmSync(folder, { recursive: true });
  return { SignedCert, TrustAnchor };
}

test("a cluster is made and backed up, and its backup copied, found, restored and deleted", async () => {
  const made = await east.send(new hsm.CreateClusterCommand({ HsmType: "hsm2m.medium", Mode: "FIPS", SubnetIds }));
  const ClusterId = made.Cluster.ClusterId;
  assert.ok(made.Cluster.CreateTimestamp instanceof Date);
  await inState(east, ClusterId, "UNINITIALIZED");
  const bytes = require("node:crypto").randomBytes(1 << 20);
  fs.writeFileSync(path.join(resource(EAST, ClusterId), "token"), bytes);
  await east.send(new hsm.CreateHsmCommand({ ClusterId, AvailabilityZone: `${EAST}a` }));
  const csr = await until(async () => ((await cluster(east, ClusterId)).Certificates ?? {}).ClusterCsr);
  await until(async () => (await cluster(east, ClusterId)).Hsms[0].State === "ACTIVE");
  await east.send(new hsm.InitializeClusterCommand({ ClusterId, ...certify(csr) }));
  await inState(east, ClusterId, "ACTIVE");
  const taken = await until(async () => (await backups(east, { clusterIds: [ClusterId], states: ["READY"] }))[0]);
  assert.equal(taken.NeverExpires, false);

  const { DestinationBackup } = await east.send(
    new hsm.CopyBackupToRegionCommand({
      BackupId: taken.BackupId,
      DestinationRegion: WEST,
      TagList: [{ Key: "Name", Value: "dr" }],
    }),
  );
  assert.equal(DestinationBackup.SourceBackup, taken.BackupId);
  assert.equal(DestinationBackup.SourceCluster, ClusterId);
  assert.deepEqual(DestinationBackup.CreateTimestamp, taken.CreateTimestamp);
  const sourceBackupIds = [taken.BackupId];
  assert.equal((await backups(west, { sourceBackupIds })).length, 1, "it is there before the reply");
  const copy = await until(async () => (await backups(west, { sourceBackupIds, states: ["READY"] }))[0]);
  assert.deepEqual(copy.TagList, [{ Key: "Name", Value: "dr" }]);
  assert.ok(copy.CopyTimestamp > copy.CreateTimestamp);

  const deleted = await east.send(new hsm.DeleteBackupCommand({ BackupId: taken.BackupId }));
  assert.equal(deleted.Backup.BackupState, "PENDING_DELETION");
  const days = (deleted.Backup.DeleteTimestamp - Date.now()) / (24 * 60 * 60 * 1000);
  assert.ok(6.9 < days && days < 7.1, `${days}`);
  await east.send(new hsm.RestoreBackupCommand({ BackupId: taken.BackupId }));

  const other = await west.send(
    new hsm.CreateClusterCommand({ HsmType: "hsm2m.medium", SubnetIds, SourceBackupId: copy.BackupId }),
  );
  const restored = (await inState(west, other.Cluster.ClusterId, "ACTIVE")).ClusterId;
  assert.ok(fs.readFileSync(path.join(resource(WEST, restored), "token")).equals(bytes));
  await west.send(new hsm.DeleteClusterCommand({ ClusterId: restored }));
  await until(() => !fs.existsSync(resource(WEST, restored)));
});

test("refusals are the SDK's own exceptions", async () => {
  const unknown = { BackupId: "backup-aaaaaaaaaaa" };
  for (const [call, kind] of [
    [new hsm.CopyBackupToRegionCommand({ ...unknown, DestinationRegion: WEST }), hsm.CloudHsmResourceNotFoundException],
    [new hsm.DeleteBackupCommand(unknown), hsm.CloudHsmResourceNotFoundException],
    [new hsm.CopyBackupToRegionCommand({ ...unknown, DestinationRegion: "mars" }), hsm.CloudHsmInvalidRequestException],
    [new hsm.DescribeBackupsCommand({ Filters: { colour: ["red"] } }), hsm.CloudHsmInvalidRequestException],
    [
      new hsm.InitializeClusterCommand({ ClusterId: "cluster-aaaaaaaaaaa", SignedCert: "a", TrustAnchor: "b" }),
      hsm.CloudHsmResourceNotFoundException,
    ],
  ]) {
    const error = await refusal(east.send(call));
    assert.ok(error instanceof kind, `${error.name}, not ${kind.name}: ${error.message}`);
    assert.ok(error.message);
    assert.match(error.$metadata.requestId, /^[0-9a-f-]{36}$/);
  }
});
