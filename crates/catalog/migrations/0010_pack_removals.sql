-- Who removes the object of a pack that is being deleted: of any number of gcs, one. What was being deleted before there were
-- these columns is nobody's.
ALTER TABLE pack ADD COLUMN lease_owner TEXT;
ALTER TABLE pack ADD COLUMN lease_fence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pack ADD COLUMN lease_expires_at BIGINT NOT NULL DEFAULT 0;
