-- Packages of the program that the platform has, and to whom it offers them. Each section is one migration.

-- migration 1 --

CREATE TABLE package (
    sha256 TEXT PRIMARY KEY,          -- its file: SHA256.tar.zst
    version TEXT NOT NULL,
    machine TEXT NOT NULL,            -- x86_64, aarch64
    size INTEGER NOT NULL,
    added_at TEXT NOT NULL,
    added_by TEXT NOT NULL,
    UNIQUE (version, machine)
) WITHOUT ROWID;
CREATE TABLE offer (
    version TEXT PRIMARY KEY,
    institutions TEXT NOT NULL,       -- JSON: those that are named
    percent INTEGER NOT NULL,         -- of all hospitals, the same ones whenever it is asked; 100: everybody
    stop_after INTEGER NOT NULL,      -- hospitals at which it was taken back: then nobody else begins
    offered_at TEXT NOT NULL,
    offered_by TEXT NOT NULL,
    withdrawn_at TEXT NOT NULL DEFAULT '',
    withdrawn_by TEXT NOT NULL DEFAULT '',
    withdrawn_why TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE progress (               -- how far it has come at each, as their agents say it
    version TEXT NOT NULL,
    institution TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,                 -- by their clock
    heard_at TEXT NOT NULL,           -- by ours
    PRIMARY KEY (version, institution)
) WITHOUT ROWID;
