-- What one scheduler has asked for and is not done yet.
CREATE INDEX buildsets_open_by_scheduler ON buildsets (scheduler_id) WHERE complete = 0;
