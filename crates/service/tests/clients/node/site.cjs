// What the tests share: where the server is that test_node.py has started, and a few words for looking and refusing.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");

const endpoint = process.env.OFFSITE_ENDPOINT;

/** Where a resource of a region lies. */
const resource = (region, id) => path.join(process.env.OFFSITE_SITE, region, "resources", id);

/** Looks until there is something, and returns it. */
async function until(look) {
  for (const end = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const seen = await look();
    if (seen) return seen;
    assert.ok(Date.now() < end, "nothing came of it in time");
  }
}

/** The error that a call ends with. */
async function refusal(call) {
  const error = await call.then(
    (reply) => assert.fail(`it was not refused: ${JSON.stringify(reply)}`),
    (error) => error,
  );
  return error;
}

module.exports = { endpoint, refusal, resource, until };
