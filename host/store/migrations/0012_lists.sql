-- What dashboards ask for again and again: the newest by time, those of one result, those that wait.

CREATE INDEX builds_by_start ON builds (started_at);
CREATE INDEX builds_by_end ON builds (complete_at {{nulls_first}});
CREATE INDEX builds_by_results ON builds (results, id);
CREATE INDEX builds_open ON builds (builder_id, number) WHERE complete = 0;

CREATE INDEX requests_by_submission ON requests (submitted_at);
CREATE INDEX requests_open ON requests (id) WHERE complete = 0;
CREATE INDEX requests_unclaimed ON requests (id) WHERE claimed = 0;
-- In the order in which they are shown; the queues of the builders have another.
CREATE INDEX requests_unclaimed_in_order ON requests (priority, submitted_at) WHERE claimed = 0;

CREATE INDEX buildsets_by_submission ON buildsets (submitted_at);
CREATE INDEX buildsets_by_rebuilt ON buildsets (rebuilt_build_id) WHERE rebuilt_build_id IS NOT NULL;

CREATE INDEX sourcestamps_by_revision ON sourcestamps (revision);
