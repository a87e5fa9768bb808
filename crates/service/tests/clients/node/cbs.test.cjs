// Tencent CBS with both of the vendor's SDKs for Node.js: the international one, with its models of every reply, and
// the other's client for any product.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const { test } = require("node:test");

const { Client, Models } = require("tencentcloud-sdk-nodejs-intl-en/tencentcloud/cbs").v20170312;
const Credential = require("tencentcloud-sdk-nodejs-intl-en/tencentcloud/common/credential");
const ClientProfile = require("tencentcloud-sdk-nodejs-intl-en/tencentcloud/common/profile/client_profile");
const HttpProfile = require("tencentcloud-sdk-nodejs-intl-en/tencentcloud/common/profile/http_profile");
const { CommonClient } = require("tencentcloud-sdk-nodejs-common");
const { endpoint, refusal, resource, until } = require("./site.cjs");

const [GUANGZHOU, BEIJING] = ["ap-guangzhou", "ap-beijing"];
const SIGNATURES = ["TC3-HMAC-SHA256", "HmacSHA256", "HmacSHA1"];
const [secretId, secretKey] = [process.env.TENCENTCLOUD_SECRET_ID, process.env.TENCENTCLOUD_SECRET_KEY];

/** Calls with the international SDK. */
function call(action, parameters, { region = GUANGZHOU, sign = SIGNATURES[0], method = "POST", key = secretKey } = {}) {
  const http = new HttpProfile("http://", new URL(endpoint).host, method);
  const client = new Client(new Credential(secretId, key), region, new ClientProfile(sign, http));
  const request = new Models[`${action}Request`]();
  request.from_json_string(JSON.stringify(parameters));
  return new Promise((resolve, reject) =>
    client[action](request, (error, reply) => (error ? reject(error) : resolve(reply))),
  );
}

/** Calls with the client for any product. */
function callAny(action, parameters, { region = GUANGZHOU, sign = SIGNATURES[0], method = "POST", at = endpoint } = {}) {
  const httpProfile = { protocol: "http://", endpoint: new URL(at).host, reqMethod: method };
  const profile = { signMethod: sign, httpProfile };
  const client = new CommonClient("", "2017-03-12", { credential: { secretId, secretKey }, region, profile });
  return client.request(action, parameters);
}

const disk = async (id, region) => (await call("DescribeDisks", { DiskIds: [id] }, { region })).DiskSet[0];

async function readyDisk(region, more) {
  const made = await call(
    "CreateDisks",
    {
      Placement: { Zone: `${region}-3` },
      DiskChargeType: "POSTPAID_BY_HOUR",
      DiskType: "CLOUD_SSD",
      ...more,
    },
    { region },
  );
  const [id] = made.DiskIdSet;
  await until(async () => (await disk(id, region)).DiskState === "UNATTACHED");
  return id;
}

const normal = (id, region) =>
  until(async () => {
    const [seen] = (await call("DescribeSnapshots", { SnapshotIds: [id] }, { region })).SnapshotSet;
    return seen && seen.SnapshotState === "NORMAL" && seen;
  });

test("a snapshot is taken, copied, found, restored and deleted", async () => {
  const source = await readyDisk(GUANGZHOU, { DiskSize: 1 });
  const bytes = require("node:crypto").randomBytes(1 << 20);
  const image = fs.openSync(resource(GUANGZHOU, source), "r+");
  fs.writeSync(image, bytes, 0, bytes.length, 123456);
  fs.closeSync(image);

  const taken = (await call("CreateSnapshot", { DiskId: source, SnapshotName: "day one" })).SnapshotId;
  const seen = await normal(taken, GUANGZHOU);
  assert.deepEqual([seen.SnapshotName, seen.DiskId, seen.Percent, seen.IsPermanent], ["day one", source, 100, true]);
  const copied = await call("CopySnapshotCrossRegions", { SnapshotId: taken, DestinationRegions: [BEIJING] });
  assert.match(copied.RequestId, /^[0-9a-f-]{36}$/);
  const [result] = copied.SnapshotCopyResultSet;
  assert.deepEqual([result.DestinationRegion, result.Code], [BEIJING, "Success"]);
  const copy = await normal(result.SnapshotId, BEIJING);
  assert.ok(copy.CopyFromRemote);
  await until(async () => {
    const [source] = (await call("DescribeSnapshots", { SnapshotIds: [taken] })).SnapshotSet;
    return source.CopyingToRegions.length === 0;
  });

  await call("DeleteSnapshots", { SnapshotIds: [taken] });
  assert.equal((await call("DescribeSnapshots", { SnapshotIds: [taken] })).TotalCount, 0);
  const restored = await readyDisk(BEIJING, { SnapshotId: result.SnapshotId });
  const read = Buffer.alloc(bytes.length);
  const target = fs.openSync(resource(BEIJING, restored), "r");
  fs.readSync(target, read, 0, read.length, 123456);
  fs.closeSync(target);
  assert.ok(read.equals(bytes));
  await call("TerminateDisks", { DiskIds: [restored] }, { region: BEIJING });
  await until(() => !fs.existsSync(resource(BEIJING, restored)));
  await call("DeleteSnapshots", { SnapshotIds: [result.SnapshotId] }, { region: BEIJING });
});

test("both SDKs are believed, however they sign and whatever they call the server", async () => {
  for (const sign of SIGNATURES) {
    for (const method of ["POST", "GET"]) {
      const parameters = { Filters: [{ Name: "encrypt", Values: ["false"] }], Limit: 1 };
      const typed = await call("DescribeSnapshots", parameters, { sign, method });
      assert.ok(typed.TotalCount >= 0, `${sign} ${method}`);
      const local = endpoint.replace("127.0.0.1", "localhost");
      for (const at of [endpoint, local]) {
        const any = await callAny("DescribeSnapshots", parameters, { sign, method, at });
        assert.ok(any.TotalCount >= 0, `${sign} ${method} ${at}`);
      }
    }
  }
});

test("refusals have their codes and request ids", async () => {
  const copy = (parameters, options) => call("CopySnapshotCrossRegions", parameters, options);
  const wanted = { SnapshotId: "snap-00000000", DestinationRegions: [BEIJING] };
  for (const [refused, code] of [
    [() => copy(wanted), "InvalidSnapshotId.NotFound"],
    [() => copy({ SnapshotId: "snap-00000000" }), "MissingParameter"],
    [() => copy({ ...wanted, DestinationRegions: ["us-east-1"] }), "InvalidParameterValue"],
    [() => copy(wanted, { key: "wrong" }), "AuthFailure.SignatureFailure"],
    [() => copy(wanted, { region: "ap-nowhere" }), "UnsupportedRegion"],
    [() => callAny("CopySnapshotCrossRegions", wanted), "InvalidSnapshotId.NotFound"],
    [() => callAny("CopySnapshotCrossRegions", { ...wanted, Colour: "red" }), "UnknownParameter"],
    [() => callAny("MakeCoffee", {}), "InvalidAction"],
  ]) {
    const error = await refusal(refused());
    assert.equal(error.code, code, error.message);
    assert.match(error.requestId, /^[0-9a-f-]{36}$/);
  }
});
