-- What is changed in a revision before it is built. Equal contents are one row.
CREATE TABLE patches (
    id {{id}},
    -- Of everything below.
    digest {{text}} NOT NULL UNIQUE,
    level BIGINT NOT NULL,
    body {{bytes}} NOT NULL,
    -- Length of the body, so that a list need not read it.
    size_bytes BIGINT NOT NULL,
    author {{text}} NOT NULL,
    comment {{text}} NOT NULL,
    subdir {{text}} NOT NULL
);

ALTER TABLE sourcestamps ADD COLUMN patch_id BIGINT REFERENCES patches (id);
