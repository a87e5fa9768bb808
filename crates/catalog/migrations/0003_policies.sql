-- Policies by which snapshots are taken on a schedule, and the resources bound to them.

-- `rules` is JSON that only the policy's API reads; `rules_since` is when they were made or last changed.
CREATE TABLE policy (
    id             TEXT   NOT NULL PRIMARY KEY,
    account        TEXT   NOT NULL,
    name           TEXT,
    rules          TEXT   NOT NULL,
    rules_since    BIGINT NOT NULL,
    activated      BIGINT NOT NULL CHECK (activated IN (0, 1)),
    permanent      BIGINT NOT NULL CHECK (permanent IN (0, 1)),
    retention_days BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    next_run_at    BIGINT
);
CREATE INDEX policy_by_account ON policy (account, created_at, id);
CREATE INDEX policy_due ON policy (next_run_at) WHERE activated = 1;

-- `due_at` is the time of a run whose snapshot of the resource has not been accepted yet.
CREATE TABLE policy_resource (
    policy_id   TEXT   NOT NULL REFERENCES policy (id) ON DELETE RESTRICT,
    resource_id TEXT   NOT NULL,
    due_at      BIGINT,
    PRIMARY KEY (policy_id, resource_id)
);
CREATE INDEX policy_resource_by_resource ON policy_resource (resource_id);
CREATE INDEX policy_resource_due ON policy_resource (due_at) WHERE due_at IS NOT NULL;
