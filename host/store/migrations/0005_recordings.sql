-- What failed steps of plugins asked of their master; the contents are objects.
CREATE TABLE step_recordings (
    id {{id}},
    step_id BIGINT NOT NULL UNIQUE REFERENCES steps (id),
    at BIGINT NOT NULL,
    -- Of the object, compressed.
    size_bytes BIGINT NOT NULL
);
