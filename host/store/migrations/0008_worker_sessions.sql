-- The last session of each worker that connects from elsewhere, so that a master that starts again knows what a former process
-- may have left running there. 0 for none.

ALTER TABLE workers ADD COLUMN session BIGINT NOT NULL DEFAULT 0;
