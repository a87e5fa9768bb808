-- Backups that other accounts of the same region may read.
CREATE TABLE share (
    backup_id  TEXT   NOT NULL REFERENCES backup (id) ON DELETE RESTRICT,
    account    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (backup_id, account)
);
CREATE INDEX share_by_account ON share (account, backup_id);
