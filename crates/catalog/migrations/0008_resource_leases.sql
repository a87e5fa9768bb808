-- Who makes, fills or removes a resource: of any number of servers, one.
ALTER TABLE resource ADD COLUMN lease_owner TEXT;
ALTER TABLE resource ADD COLUMN lease_fence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE resource ADD COLUMN lease_expires_at BIGINT NOT NULL DEFAULT 0;
