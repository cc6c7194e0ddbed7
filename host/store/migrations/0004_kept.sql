-- What steps leave with their build.

-- Files; the bytes are in an object.
CREATE TABLE artifacts (
    id {{id}},
    build_id BIGINT NOT NULL REFERENCES builds (id),
    step_id BIGINT NOT NULL REFERENCES steps (id),
    name {{text}} NOT NULL,
    size_bytes BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    sha256 {{text}} NOT NULL,
    object {{text}} NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (build_id, name)
);
CREATE INDEX artifacts_by_step ON artifacts (step_id);

CREATE TABLE build_data (
    id {{id}},
    build_id BIGINT NOT NULL REFERENCES builds (id),
    name {{text}} NOT NULL,
    value {{bytes}} NOT NULL,
    length BIGINT NOT NULL,
    source {{text}} NOT NULL,
    UNIQUE (build_id, name)
);

CREATE TABLE test_result_sets (
    id {{id}},
    builder_id BIGINT NOT NULL REFERENCES builders (id),
    build_id BIGINT NOT NULL REFERENCES builds (id),
    step_id BIGINT NOT NULL REFERENCES steps (id),
    description {{text}} NOT NULL,
    category {{text}} NOT NULL,
    value_unit {{text}} NOT NULL,
    tests_passed BIGINT,
    tests_failed BIGINT,
    complete BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX test_result_sets_by_builder ON test_result_sets (builder_id, id);
CREATE INDEX test_result_sets_by_build ON test_result_sets (build_id, id);
CREATE INDEX test_result_sets_by_step ON test_result_sets (step_id, id);

CREATE TABLE test_results (
    id {{id}},
    builder_id BIGINT NOT NULL REFERENCES builders (id),
    test_result_set_id BIGINT NOT NULL REFERENCES test_result_sets (id),
    test_name {{text}},
    test_code_path {{text}},
    line BIGINT,
    duration_ns BIGINT,
    value {{text}} NOT NULL
);
CREATE INDEX test_results_by_set ON test_results (test_result_set_id, id);
-- The failures among many thousand results.
CREATE INDEX test_results_failed ON test_results (test_result_set_id, id) WHERE value = '0';
