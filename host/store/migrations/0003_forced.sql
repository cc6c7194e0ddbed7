-- Forms that were sent to schedulers of plugins. A row goes in the transaction in which its scheduler has handled it.
CREATE TABLE forced (
    id {{id}},
    scheduler_id BIGINT NOT NULL REFERENCES schedulers (id),
    sent_at BIGINT NOT NULL,
    owner {{text}} NOT NULL,
    reason {{text}} NOT NULL,
    -- What was filled in, a JSON object.
    fields {{text}} NOT NULL
);
CREATE INDEX forced_by_scheduler ON forced (scheduler_id, id);
