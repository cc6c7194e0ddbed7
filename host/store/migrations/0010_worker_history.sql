-- When its newest connection began, and from where.
ALTER TABLE workers ADD COLUMN connected_at BIGINT;
ALTER TABLE workers ADD COLUMN address {{text}};
-- When its last connection ended, and why.
ALTER TABLE workers ADD COLUMN gone_at BIGINT;
ALTER TABLE workers ADD COLUMN gone_reason {{text}};
-- Whether it went because it was told to end, and has not been back.
ALTER TABLE workers ADD COLUMN dismissed BIGINT NOT NULL DEFAULT 0;
-- When its absence was told; NULL while it was not, so that each absence is told once.
ALTER TABLE workers ADD COLUMN missing_at BIGINT;
-- Those that are to end when their builds have.
CREATE INDEX workers_graceful ON workers (id) WHERE graceful = 1;

-- What became of connections of a worker, and of tries to connect.
CREATE TABLE worker_notes (
    id {{id}},
    worker_id BIGINT NOT NULL REFERENCES workers (id),
    kind {{text}} NOT NULL,
    at BIGINT NOT NULL,
    -- When the connection began that ended.
    since BIGINT,
    text {{text}} NOT NULL,
    -- How often the same happened, one time after the other.
    times BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX worker_notes_by_worker ON worker_notes (worker_id, id);
