-- Log-ins at a provider that were begun and have not come back: they may come back to another master.
CREATE TABLE logins (
    id {{id}},
    hash {{text}} NOT NULL UNIQUE,
    provider {{text}} NOT NULL,
    redirect {{text}} NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX logins_by_end ON logins (expires_at);
