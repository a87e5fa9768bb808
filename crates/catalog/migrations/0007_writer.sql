-- Its one row is locked by whoever writes, where the database has no lock of its own for that.
CREATE TABLE writer (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1)
);
INSERT INTO writer (id) VALUES (1);
