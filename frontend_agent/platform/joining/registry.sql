-- Who may speak for whom. Each section is one migration.

-- migration 1 --

CREATE TABLE authority (
    id INTEGER PRIMARY KEY,           -- its key, where it has one here: authority-ID.key
    state TEXT NOT NULL,              -- next: trusted, does not sign yet · current: signs · retiring: trusted, signs no more · gone
    root TEXT NOT NULL,               -- PEM
    issuers TEXT NOT NULL,            -- PEM, who signs first; empty: the root itself, or the region by itself
    has_key INTEGER NOT NULL,         -- 0: the region signs by itself
    made_at TEXT NOT NULL,
    revoked_lists INTEGER NOT NULL DEFAULT 0,
    revoked_list TEXT NOT NULL DEFAULT ''   -- PEM
);
CREATE TABLE token (
    sha256 TEXT PRIMARY KEY,          -- of its secret: who reads this file joins nothing
    institutions TEXT NOT NULL,       -- JSON
    needs_approval INTEGER NOT NULL,
    made_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    used_at TEXT NOT NULL DEFAULT '',
    withdrawn_at TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE enrolment (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,       -- or renewal:SHA-256 of the certificate that asks
    institutions TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,         -- of the public key: the only one that the token is good for
    request TEXT NOT NULL,            -- PEM
    machine TEXT NOT NULL,
    address TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    state TEXT NOT NULL,              -- waiting · approved · refused · issued
    decided_at TEXT NOT NULL DEFAULT '',
    decided_by TEXT NOT NULL DEFAULT '',
    certificate TEXT NOT NULL DEFAULT ''    -- SHA-256 of what was issued
);
CREATE TABLE certificate (
    sha256 TEXT PRIMARY KEY,          -- of its DER
    serial TEXT NOT NULL,             -- hex
    institutions TEXT NOT NULL,
    chain TEXT NOT NULL,              -- PEM: itself first
    key_sha256 TEXT NOT NULL,
    authority INTEGER NOT NULL,
    machine TEXT NOT NULL,
    issued_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    replaces TEXT NOT NULL DEFAULT '',      -- SHA-256 of the one that asked for it
    replaced_at TEXT NOT NULL DEFAULT '',   -- its successor was used for the first time
    first_seen TEXT NOT NULL DEFAULT '',
    last_seen TEXT NOT NULL DEFAULT '',
    trusts TEXT NOT NULL DEFAULT '',        -- digest of the authorities that its holder trusts, as it last said
    skew INTEGER NOT NULL DEFAULT 0,        -- seconds that its holder's clock was ahead
    revoked_at TEXT NOT NULL DEFAULT '',
    revoked_by TEXT NOT NULL DEFAULT '',
    revoked_why TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX certificate_serial ON certificate (authority, serial);
CREATE INDEX certificate_replaces ON certificate (replaces) WHERE replaces <> '';
CREATE TABLE failure (                -- enrolments that failed, for fifteen minutes
    address TEXT NOT NULL,
    at TEXT NOT NULL
);
CREATE INDEX failure_address ON failure (address, at);
CREATE TABLE incident (               -- who asked for what it has no right to
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    certificate TEXT NOT NULL,
    address TEXT NOT NULL,
    what TEXT NOT NULL,
    named TEXT NOT NULL,
    times INTEGER NOT NULL DEFAULT 1
);
