-- Projects, their codebases, and the branches and commits of those, as change sources find them.
CREATE TABLE projects (
    id {{id}},
    name {{text}} NOT NULL UNIQUE,
    slug {{text}} NOT NULL,
    description {{text}}
);

ALTER TABLE builders ADD COLUMN project_id BIGINT REFERENCES projects (id);
CREATE INDEX builders_by_project ON builders (project_id) WHERE project_id IS NOT NULL;

CREATE TABLE codebases (
    id {{id}},
    project_id BIGINT NOT NULL REFERENCES projects (id),
    name {{text}} NOT NULL,
    slug {{text}} NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE codebase_commits (
    id {{id}},
    codebase_id BIGINT NOT NULL REFERENCES codebases (id),
    revision {{text}} NOT NULL,
    author {{text}} NOT NULL,
    committer {{text}},
    comments {{text}} NOT NULL,
    when_at BIGINT NOT NULL,
    parent_id BIGINT REFERENCES codebase_commits (id),
    UNIQUE (codebase_id, revision)
);
CREATE INDEX codebase_commits_by_codebase ON codebase_commits (codebase_id, id);

CREATE TABLE codebase_branches (
    id {{id}},
    codebase_id BIGINT NOT NULL REFERENCES codebases (id),
    name {{text}} NOT NULL,
    commit_id BIGINT REFERENCES codebase_commits (id),
    moved_at BIGINT NOT NULL,
    UNIQUE (codebase_id, name)
);
