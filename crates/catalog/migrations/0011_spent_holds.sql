-- 1 once the copy that holds a backup has all that it needs of it: such a hold shows the copy and keeps nothing.
ALTER TABLE hold ADD COLUMN spent BIGINT NOT NULL DEFAULT 0;
