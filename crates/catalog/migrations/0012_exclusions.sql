-- What backups of a tree leave out because its owner says so: a JSON object.
ALTER TABLE resource ADD COLUMN exclusions TEXT NOT NULL DEFAULT '{}';
