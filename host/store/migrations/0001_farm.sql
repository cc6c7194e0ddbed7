-- Times are milliseconds since the Unix epoch, flags are 0 and 1, lists and properties are JSON.

CREATE TABLE masters (
    id {{id}},
    name {{text}} NOT NULL UNIQUE,
    active BIGINT NOT NULL,
    last_active BIGINT NOT NULL
);

CREATE TABLE builders (
    id {{id}},
    name {{text}} NOT NULL UNIQUE,
    description {{text}},
    tags {{text}} NOT NULL,
    -- The number of its newest build.
    last_number BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE builder_masters (
    builder_id BIGINT NOT NULL REFERENCES builders (id),
    master_id BIGINT NOT NULL REFERENCES masters (id),
    PRIMARY KEY (builder_id, master_id)
) {{clustered}};
CREATE INDEX builder_masters_by_master ON builder_masters (master_id);

CREATE TABLE workers (
    id {{id}},
    name {{text}} NOT NULL UNIQUE,
    info {{text}} NOT NULL DEFAULT '{}',
    paused BIGINT NOT NULL DEFAULT 0,
    pause_reason {{text}},
    graceful BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE worker_builders (
    worker_id BIGINT NOT NULL REFERENCES workers (id),
    master_id BIGINT NOT NULL REFERENCES masters (id),
    builder_id BIGINT NOT NULL REFERENCES builders (id),
    PRIMARY KEY (worker_id, master_id, builder_id)
) {{clustered}};
CREATE INDEX worker_builders_by_builder ON worker_builders (builder_id);
CREATE INDEX worker_builders_by_master ON worker_builders (master_id);

CREATE TABLE worker_connections (
    worker_id BIGINT NOT NULL REFERENCES workers (id),
    master_id BIGINT NOT NULL REFERENCES masters (id),
    connected_at BIGINT NOT NULL,
    PRIMARY KEY (worker_id, master_id)
) {{clustered}};
CREATE INDEX worker_connections_by_master ON worker_connections (master_id);

CREATE TABLE schedulers (
    id {{id}},
    name {{text}} NOT NULL UNIQUE,
    enabled BIGINT NOT NULL DEFAULT 1,
    master_id BIGINT REFERENCES masters (id),
    state {{text}} NOT NULL DEFAULT 'null',
    version BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE change_sources (
    id {{id}},
    name {{text}} NOT NULL UNIQUE,
    master_id BIGINT REFERENCES masters (id)
);

CREATE TABLE object_state (
    object {{text}} NOT NULL,
    key {{text}} NOT NULL,
    value {{text}} NOT NULL,
    PRIMARY KEY (object, key)
) {{clustered}};

CREATE TABLE sourcestamps (
    id {{id}},
    -- Of all that follows but the time, so that equal contents are one row also where a part is NULL.
    digest {{text}} NOT NULL UNIQUE,
    codebase {{text}} NOT NULL,
    repository {{text}} NOT NULL,
    branch {{text}},
    revision {{text}},
    project {{text}} NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE changes (
    id {{id}},
    source {{text}} NOT NULL,
    -- Of source, repository, branch, revision and codebase; NULL without a revision.
    digest {{text}} UNIQUE,
    author {{text}} NOT NULL,
    committer {{text}},
    comments {{text}} NOT NULL,
    files {{text}} NOT NULL,
    branch {{text}},
    revision {{text}},
    revlink {{text}},
    category {{text}},
    repository {{text}} NOT NULL,
    codebase {{text}} NOT NULL,
    project {{text}} NOT NULL,
    when_at BIGINT NOT NULL,
    parent_id BIGINT REFERENCES changes (id),
    sourcestamp_id BIGINT NOT NULL REFERENCES sourcestamps (id),
    properties {{text}} NOT NULL
);
-- For the parent: the newest change of a line of development.
CREATE INDEX changes_by_line ON changes (repository, branch, project, codebase, id);
CREATE INDEX changes_by_revision ON changes (revision);
CREATE INDEX changes_by_sourcestamp ON changes (sourcestamp_id);

CREATE TABLE buildsets (
    id {{id}},
    external_idstring {{text}},
    reason {{text}} NOT NULL,
    scheduler_id BIGINT REFERENCES schedulers (id),
    submitted_at BIGINT NOT NULL,
    complete BIGINT NOT NULL,
    complete_at BIGINT,
    results BIGINT,
    parent_build_id BIGINT,
    parent_relationship {{text}},
    rebuilt_build_id BIGINT,
    properties {{text}} NOT NULL
);
CREATE INDEX buildsets_incomplete ON buildsets (id) WHERE complete = 0;
CREATE INDEX buildsets_by_parent ON buildsets (parent_build_id) WHERE parent_build_id IS NOT NULL;

CREATE TABLE buildset_sourcestamps (
    buildset_id BIGINT NOT NULL REFERENCES buildsets (id),
    sourcestamp_id BIGINT NOT NULL REFERENCES sourcestamps (id),
    PRIMARY KEY (buildset_id, sourcestamp_id)
) {{clustered}};
CREATE INDEX buildset_sourcestamps_by_sourcestamp ON buildset_sourcestamps (sourcestamp_id);

CREATE TABLE buildset_changes (
    buildset_id BIGINT NOT NULL REFERENCES buildsets (id),
    change_id BIGINT NOT NULL REFERENCES changes (id),
    PRIMARY KEY (buildset_id, change_id)
) {{clustered}};
CREATE INDEX buildset_changes_by_change ON buildset_changes (change_id);

CREATE TABLE requests (
    id {{id}},
    buildset_id BIGINT NOT NULL REFERENCES buildsets (id),
    builder_id BIGINT NOT NULL REFERENCES builders (id),
    priority BIGINT NOT NULL,
    -- Whether it has a row in claims; kept in the same transactions, so that an index can leave claimed ones out.
    claimed BIGINT NOT NULL DEFAULT 0,
    complete BIGINT NOT NULL DEFAULT 0,
    complete_at BIGINT,
    results BIGINT,
    submitted_at BIGINT NOT NULL,
    waited_for BIGINT NOT NULL,
    -- Of codebases, repositories, branches and projects of its source stamps.
    collapse_key {{text}} NOT NULL
);
CREATE INDEX requests_by_buildset ON requests (buildset_id);
CREATE INDEX requests_by_builder ON requests (builder_id, id);
-- The queue of each builder in the order in which it is served.
CREATE INDEX requests_pending ON requests (builder_id, priority DESC, submitted_at, id)
    WHERE complete = 0 AND claimed = 0;
CREATE INDEX requests_collapsible ON requests (builder_id, collapse_key, id)
    WHERE complete = 0 AND claimed = 0 AND waited_for = 0;
CREATE INDEX requests_running ON requests (id) WHERE complete = 0 AND claimed = 1;
CREATE INDEX requests_incomplete ON requests (buildset_id) WHERE complete = 0;

-- One row for a request at most: two masters never run the same one.
CREATE TABLE claims (
    request_id BIGINT PRIMARY KEY REFERENCES requests (id),
    master_id BIGINT NOT NULL REFERENCES masters (id),
    claimed_at BIGINT NOT NULL
);

CREATE TABLE builds (
    id {{id}},
    number BIGINT NOT NULL,
    builder_id BIGINT NOT NULL REFERENCES builders (id),
    request_id BIGINT NOT NULL REFERENCES requests (id),
    worker_id BIGINT REFERENCES workers (id),
    master_id BIGINT NOT NULL REFERENCES masters (id),
    started_at BIGINT NOT NULL,
    complete BIGINT NOT NULL DEFAULT 0,
    complete_at BIGINT,
    locks_duration_ms BIGINT NOT NULL DEFAULT 0,
    state_string {{text}} NOT NULL,
    results BIGINT,
    UNIQUE (builder_id, number)
);
CREATE INDEX builds_by_builder ON builds (builder_id, id);
CREATE INDEX builds_by_request ON builds (request_id);
CREATE INDEX builds_by_worker ON builds (worker_id, id);
CREATE INDEX builds_running ON builds (master_id) WHERE complete = 0;

CREATE TABLE build_properties (
    build_id BIGINT NOT NULL REFERENCES builds (id),
    name {{text}} NOT NULL,
    value {{text}} NOT NULL,
    source {{text}} NOT NULL,
    PRIMARY KEY (build_id, name)
) {{clustered}};

CREATE TABLE steps (
    id {{id}},
    number BIGINT NOT NULL,
    name {{text}} NOT NULL,
    build_id BIGINT NOT NULL REFERENCES builds (id),
    started_at BIGINT,
    locks_acquired_at BIGINT,
    complete BIGINT NOT NULL DEFAULT 0,
    complete_at BIGINT,
    state_string {{text}} NOT NULL,
    results BIGINT,
    urls {{text}} NOT NULL DEFAULT '[]',
    hidden BIGINT NOT NULL DEFAULT 0,
    plugin_digest {{text}},
    UNIQUE (build_id, number),
    UNIQUE (build_id, name)
);

CREATE TABLE logs (
    id {{id}},
    name {{text}} NOT NULL,
    slug {{text}} NOT NULL,
    step_id BIGINT NOT NULL REFERENCES steps (id),
    complete BIGINT NOT NULL DEFAULT 0,
    complete_at BIGINT,
    num_lines BIGINT NOT NULL DEFAULT 0,
    lines_lost BIGINT NOT NULL DEFAULT 0,
    log_type {{text}} NOT NULL,
    UNIQUE (step_id, slug)
);
CREATE INDEX logs_open ON logs (step_id) WHERE complete = 0;

-- Consecutive lines of a log: in content, or sealed in an object.
CREATE TABLE log_chunks (
    log_id BIGINT NOT NULL REFERENCES logs (id),
    first_line BIGINT NOT NULL,
    lines BIGINT NOT NULL,
    raw_bytes BIGINT NOT NULL,
    -- For each zstd frame its lines, raw bytes and compressed bytes.
    frames {{bytes}} NOT NULL,
    content {{bytes}},
    object {{text}},
    PRIMARY KEY (log_id, first_line)
);

CREATE TABLE plugin_versions (
    name {{text}} NOT NULL,
    digest {{text}} NOT NULL,
    version {{text}} NOT NULL,
    contract {{text}} NOT NULL,
    describe {{text}} NOT NULL,
    size_bytes BIGINT NOT NULL,
    loaded_at BIGINT NOT NULL,
    PRIMARY KEY (name, digest)
) {{clustered}};

CREATE TABLE plugin_events (
    id {{id}},
    name {{text}} NOT NULL,
    kind {{text}} NOT NULL,
    digest {{text}},
    reason {{text}},
    at BIGINT NOT NULL
);
CREATE INDEX plugin_events_by_name ON plugin_events (name, id);
