-- Of a copy: when the backup was asked for that it was first copied from. Copies made before this column do not know.
ALTER TABLE backup ADD COLUMN taken_at BIGINT;
