-- What clusters of HSMs need: someone who takes each step that is due, and backups that a policy shares.

-- Whether the API that knows a resource has steps to take about it.
ALTER TABLE resource ADD COLUMN pending BIGINT NOT NULL DEFAULT 0 CHECK (pending IN (0, 1));
CREATE INDEX resource_pending ON resource (pending) WHERE pending = 1;
UPDATE resource SET pending = 1 WHERE kind = 'hsm';

-- The text of a policy that says who else may use a backup, as its owner wrote it.
CREATE TABLE backup_policy (
    backup_id TEXT NOT NULL PRIMARY KEY REFERENCES backup (id) ON DELETE RESTRICT,
    policy    TEXT NOT NULL
);
