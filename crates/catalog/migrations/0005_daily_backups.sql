-- When a resource is backed up next without anyone asking: daily backups of file systems and HSM clusters.
ALTER TABLE resource ADD COLUMN next_backup_at BIGINT;
CREATE INDEX resource_due ON resource (next_backup_at) WHERE next_backup_at IS NOT NULL;
