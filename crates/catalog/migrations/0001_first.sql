-- The first schema of a region's catalog.
--
-- The same text runs on SQLite and PostgreSQL: BIGINT, TEXT and BYTEA only, flags are BIGINT 0 or 1, times are
-- milliseconds since 1970, ids made of bytes are BYTEA, all others TEXT.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Updated first by every transaction that decides a quota, so that two of them cannot both take the last place.
CREATE TABLE account (
    id         TEXT   NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE resource (
    id         TEXT   NOT NULL PRIMARY KEY,
    account    TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    path       BYTEA  NOT NULL,
    name       TEXT,
    kms_key    TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX resource_by_account ON resource (account, id);

-- resource_id is no foreign key: backups outlive their resource, and a copy's resource is in another region.
CREATE TABLE backup (
    id                 TEXT   NOT NULL PRIMARY KEY,
    account            TEXT   NOT NULL,
    resource_id        TEXT   NOT NULL,
    resource_kind      TEXT   NOT NULL,
    resource_name      TEXT,
    state              TEXT   NOT NULL CHECK (state IN ('CREATING', 'COPYING', 'AVAILABLE', 'FAILED', 'DELETING')),
    snapshot_id        BYTEA,
    parent_id          TEXT,
    kms_key            TEXT   NOT NULL,
    data_key           BYTEA  NOT NULL,
    created_at         BIGINT NOT NULL,
    completed_at       BIGINT,
    source_region      TEXT,
    source_backup      TEXT,
    request            TEXT   NOT NULL,
    failure            TEXT,
    size_bytes         BIGINT NOT NULL DEFAULT 0,
    stored_bytes       BIGINT NOT NULL DEFAULT 0,
    moved_bytes        BIGINT NOT NULL DEFAULT 0,
    deduplicated_bytes BIGINT NOT NULL DEFAULT 0,
    entry_count        BIGINT NOT NULL DEFAULT 0,
    omission_count     BIGINT NOT NULL DEFAULT 0,
    done_bytes         BIGINT NOT NULL DEFAULT 0,
    total_bytes        BIGINT NOT NULL DEFAULT 0,
    lease_owner        TEXT,
    lease_fence        BIGINT NOT NULL DEFAULT 0,
    lease_expires_at   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX backup_by_age ON backup (account, created_at, id);
CREATE INDEX backup_by_resource ON backup (account, resource_id, created_at, id);
CREATE INDEX backup_by_state ON backup (state, lease_expires_at);
CREATE INDEX backup_in_progress ON backup (account, created_at, id) WHERE state IN ('CREATING', 'COPYING');
CREATE INDEX backup_by_data_key ON backup (account, data_key);

CREATE TABLE tag (
    backup_id TEXT   NOT NULL REFERENCES backup (id) ON DELETE RESTRICT,
    key       TEXT   NOT NULL,
    value     TEXT   NOT NULL,
    ordinal   BIGINT NOT NULL,
    PRIMARY KEY (backup_id, key)
);

CREATE TABLE pack (
    account     TEXT   NOT NULL,
    pack_id     BYTEA  NOT NULL,
    object_name BYTEA  NOT NULL,
    bytes       BIGINT NOT NULL,
    data_key    BYTEA  NOT NULL,
    landed      BIGINT NOT NULL CHECK (landed IN (0, 1)),
    doomed_at   BIGINT,
    deleting    BIGINT NOT NULL DEFAULT 0 CHECK (deleting IN (0, 1)),
    PRIMARY KEY (account, pack_id),
    UNIQUE (account, object_name)
);
CREATE INDEX pack_by_data_key ON pack (account, data_key);
CREATE INDEX pack_doomed ON pack (doomed_at) WHERE doomed_at IS NOT NULL;
CREATE INDEX pack_deleting ON pack (account) WHERE deleting = 1;

-- The edges: which backup names which pack. A pack is forgotten only when none is left (RESTRICT).
CREATE TABLE backup_pack (
    backup_id TEXT  NOT NULL REFERENCES backup (id) ON DELETE RESTRICT,
    account   TEXT  NOT NULL,
    pack_id   BYTEA NOT NULL,
    PRIMARY KEY (backup_id, pack_id),
    FOREIGN KEY (account, pack_id) REFERENCES pack (account, pack_id) ON DELETE RESTRICT
);
CREATE INDEX backup_pack_by_pack ON backup_pack (account, pack_id);

CREATE TABLE wrapped_key (
    account  TEXT  NOT NULL,
    data_key BYTEA NOT NULL,
    kms_key  TEXT  NOT NULL,
    wrapped  BYTEA NOT NULL,
    PRIMARY KEY (account, data_key, kms_key)
);

CREATE TABLE hold (
    backup_id  TEXT   NOT NULL REFERENCES backup (id) ON DELETE RESTRICT,
    holder     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (backup_id, holder)
);

CREATE TABLE event (
    id      BIGINT NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    account TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    detail  TEXT   NOT NULL
);
