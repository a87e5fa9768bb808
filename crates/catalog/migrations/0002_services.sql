-- What the cloud APIs ask of backups and resources beyond what the command line does.

-- Which API a backup belongs to (fsx, cloudhsm, cbs), so that each lists its own along an index; who asked for it;
-- what only that API knows of it, as JSON; and when it goes by itself.
ALTER TABLE backup ADD COLUMN service TEXT NOT NULL DEFAULT 'fsx';
ALTER TABLE backup ADD COLUMN origin TEXT NOT NULL DEFAULT 'USER' CHECK (origin IN ('USER', 'AUTOMATIC'));
ALTER TABLE backup ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
ALTER TABLE backup ADD COLUMN expires_at BIGINT;
CREATE INDEX backup_expiring ON backup (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX backup_failed ON backup (service) WHERE state = 'FAILED';
UPDATE backup SET service = CASE resource_kind WHEN 'disk' THEN 'cbs' WHEN 'hsm' THEN 'cloudhsm' ELSE 'fsx' END;
CREATE INDEX backup_by_service ON backup (account, service, created_at, id);
CREATE INDEX backup_by_source ON backup (account, source_backup) WHERE source_backup IS NOT NULL;

ALTER TABLE resource ADD COLUMN state TEXT NOT NULL DEFAULT 'AVAILABLE'
    CHECK (state IN ('CREATING', 'AVAILABLE', 'DELETING', 'FAILED'));
ALTER TABLE resource ADD COLUMN failure TEXT;
-- Whether its directory or image is ours to make and to remove, and the backup that it is made from.
ALTER TABLE resource ADD COLUMN managed BIGINT NOT NULL DEFAULT 0 CHECK (managed IN (0, 1));
ALTER TABLE resource ADD COLUMN made_from TEXT;
ALTER TABLE resource ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE resource ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
CREATE INDEX resource_unsettled ON resource (state) WHERE state IN ('CREATING', 'DELETING');

-- Idempotency: what a client's token was used for. `subject` is the id of what the call made.
CREATE TABLE request_token (
    account    TEXT   NOT NULL,
    operation  TEXT   NOT NULL,
    token      TEXT   NOT NULL,
    parameters TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, operation, token)
);
CREATE INDEX request_token_by_age ON request_token (created_at);
