-- Events that a scheduler of a plugin could not take in and that somebody had it pass over.
CREATE TABLE scheduler_skips (
    id {{id}},
    scheduler_id BIGINT NOT NULL REFERENCES schedulers (id),
    at BIGINT NOT NULL,
    who {{text}} NOT NULL,
    reason {{text}} NOT NULL,
    -- What was passed over, and why it could not be taken in; both for people.
    event {{text}} NOT NULL,
    error {{text}} NOT NULL
);
CREATE INDEX scheduler_skips_by_scheduler ON scheduler_skips (scheduler_id, id);
