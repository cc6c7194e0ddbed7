-- Who is logged in. What a browser shows is not kept, only its hash.
CREATE TABLE sessions (
    id {{id}},
    hash {{text}} NOT NULL UNIQUE,
    -- How they logged in: `password`, or `provider:NAME`.
    via {{text}} NOT NULL,
    name {{text}} NOT NULL,
    full_name {{text}},
    email {{text}},
    -- A JSON list.
    groups {{text}} NOT NULL,
    address {{text}} NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_name ON sessions (name, id);

-- Tokens of programs that act for somebody; those that were revoked stay, to be seen.
CREATE TABLE tokens (
    id {{id}},
    hash {{text}} NOT NULL UNIQUE,
    label {{text}} NOT NULL,
    -- Whom it acts for, as they were logged in when it was made.
    via {{text}} NOT NULL,
    name {{text}} NOT NULL,
    full_name {{text}},
    email {{text}},
    groups {{text}} NOT NULL,
    -- JSON lists: what it may do, and with which builders.
    actions {{text}} NOT NULL,
    builders {{text}} NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    used_at BIGINT,
    revoked_at BIGINT,
    revoked_by {{text}}
);
CREATE INDEX tokens_by_name ON tokens (name, id);

-- What people did, or wanted to do.
CREATE TABLE audit (
    id {{id}},
    at BIGINT NOT NULL,
    who {{text}} NOT NULL,
    via {{text}} NOT NULL,
    address {{text}} NOT NULL,
    action {{text}} NOT NULL,
    target {{text}} NOT NULL,
    detail {{text}} NOT NULL,
    -- `done`, `refused` or `failed`.
    outcome {{text}} NOT NULL
);
CREATE INDEX audit_by_who ON audit (who, id);
