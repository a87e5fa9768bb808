-- Who makes, fills or removes a resource: of any number of servers, one.
ALTER TABLE resource ADD COLUMN lease_owner TEXT;
ALTER TABLE resource ADD COLUMN lease_fence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE resource ADD COLUMN lease_expires_at BIGINT NOT NULL DEFAULT 0;
-- Whether what it holds is to be replaced by the backup that it is made from.
ALTER TABLE resource ADD COLUMN rolls_back BIGINT NOT NULL DEFAULT 0 CHECK (rolls_back IN (0, 1));
-- What was being filled before there was this column may hold something.
UPDATE resource SET rolls_back = 1 WHERE state = 'CREATING' AND made_from IS NOT NULL;
