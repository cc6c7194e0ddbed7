-- Which masters have a worker in their configuration, also one that none of their builders uses.
CREATE TABLE worker_masters (
    worker_id BIGINT NOT NULL REFERENCES workers (id),
    master_id BIGINT NOT NULL REFERENCES masters (id),
    PRIMARY KEY (worker_id, master_id)
) {{clustered}};
CREATE INDEX worker_masters_by_master ON worker_masters (master_id);
INSERT INTO worker_masters (worker_id, master_id)
    SELECT DISTINCT worker_id, master_id FROM worker_builders;
