-- What happened, in order: rows are added last in their transactions, one transaction after the other.
CREATE TABLE journal (
    id {{id}},
    kind {{text}} NOT NULL,
    at BIGINT NOT NULL,
    -- The row that it is about; which table depends on the kind. No reference, so that neither keeps the other.
    subject_id BIGINT NOT NULL,
    builder_id BIGINT,
    results BIGINT
);

CREATE TABLE reporters (
    id {{id}},
    name {{text}} NOT NULL UNIQUE,
    -- NULL while no configuration names it.
    master_id BIGINT REFERENCES masters (id),
    -- The last entry of the journal that it has looked at.
    cursor BIGINT NOT NULL
);

CREATE TABLE deliveries (
    id {{id}},
    reporter_id BIGINT NOT NULL REFERENCES reporters (id),
    key {{text}} NOT NULL,
    -- The entry of the journal, copied, because it may be pruned before this is made.
    journal_id BIGINT NOT NULL,
    kind {{text}} NOT NULL,
    at BIGINT NOT NULL,
    subject_id BIGINT NOT NULL,
    builder_id BIGINT,
    results BIGINT,
    stream {{text}} NOT NULL,
    status {{text}} NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL,
    text {{text}},
    settled_at BIGINT,
    UNIQUE (reporter_id, journal_id)
);
CREATE INDEX deliveries_queue ON deliveries (reporter_id, next_at, id) WHERE status = 'pending';
CREATE INDEX deliveries_in_order ON deliveries (reporter_id, stream, id) WHERE status = 'pending';
CREATE INDEX deliveries_dead ON deliveries (reporter_id, id) WHERE status = 'dead';
CREATE INDEX deliveries_by_reporter ON deliveries (reporter_id, id);
CREATE INDEX deliveries_settled ON deliveries (settled_at, id) WHERE settled_at IS NOT NULL;

-- What plugins keep.
CREATE TABLE plugin_storage (
    plugin {{text}} NOT NULL,
    key {{text}} NOT NULL,
    value {{bytes}} NOT NULL,
    -- Of key and value.
    size_bytes BIGINT NOT NULL,
    PRIMARY KEY (plugin, key)
) {{clustered}};

-- Since when it is lost; NULL when it is connected, or went because it was asked to.
ALTER TABLE workers ADD COLUMN lost_at BIGINT;
