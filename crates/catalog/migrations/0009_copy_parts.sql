-- Ranges of a large copy's packs that any server of the region may send, beside the one that has the copy's lease.
-- Packs are counted as the source's record lists them. What is left here is to be done: a range that was sent, or that the
-- holder of the copy's lease has taken, is gone.
CREATE TABLE copy_part (
    backup_id        TEXT   NOT NULL REFERENCES backup (id) ON DELETE CASCADE,
    first_pack       BIGINT NOT NULL,
    pack_count       BIGINT NOT NULL,
    copy_fence       BIGINT NOT NULL,
    lease_owner      TEXT,
    lease_fence      BIGINT NOT NULL DEFAULT 0,
    lease_expires_at BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (backup_id, first_pack)
);
