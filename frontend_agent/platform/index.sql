-- The platform's index: which document lies where, who sent it, leases, log heads. Each section is one migration.

-- migration 1 --

CREATE TABLE parcel (
    id INTEGER PRIMARY KEY,           -- the file's number
    institution TEXT NOT NULL,
    instance TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    documents INTEGER NOT NULL,       -- of them indexed here; the others were there already, or refused
    packs TEXT NOT NULL,              -- the sender's rule packs, JSON
    stored_at TEXT NOT NULL
);
CREATE TABLE dictionary (id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE);
CREATE TABLE institution (id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE document (
    id INTEGER PRIMARY KEY,
    institution TEXT NOT NULL,
    set_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    document_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    sha256 BLOB NOT NULL,             -- of the document, uncompressed
    size INTEGER NOT NULL,
    parcel INTEGER NOT NULL REFERENCES parcel (id),
    offset INTEGER NOT NULL,          -- of the frame in the parcel's file
    length INTEGER NOT NULL,
    dictionary INTEGER REFERENCES dictionary (id),
    source_hash TEXT NOT NULL,
    replaces_id TEXT NOT NULL,
    void INTEGER NOT NULL,
    newest INTEGER NOT NULL,          -- 1 for the highest version of its set
    patient_name TEXT NOT NULL,
    id_number TEXT NOT NULL,
    outpatient_number TEXT NOT NULL,
    inpatient_number TEXT NOT NULL,
    sex TEXT NOT NULL,
    birth_date TEXT NOT NULL,
    effective_time TEXT NOT NULL,     -- when the machine made it
    author_name TEXT NOT NULL,
    authored_at TEXT NOT NULL         -- when the author wrote it: what people search by
);
CREATE UNIQUE INDEX document_version ON document (institution, set_id, version);
CREATE UNIQUE INDEX document_id ON document (document_id);
CREATE INDEX document_time ON document (authored_at);
CREATE INDEX document_institution ON document (institution, authored_at);
CREATE INDEX document_kind ON document (kind, authored_at);
CREATE INDEX document_patient ON document (patient_name);
CREATE INDEX document_id_number ON document (id_number) WHERE id_number <> '';
CREATE INDEX document_outpatient ON document (outpatient_number) WHERE outpatient_number <> '';
CREATE INDEX document_inpatient ON document (inpatient_number) WHERE inpatient_number <> '';
CREATE TABLE tally (                  -- kept with every parcel, so that no page counts the whole table
    institution TEXT NOT NULL,
    kind TEXT NOT NULL,
    documents INTEGER NOT NULL,
    voids INTEGER NOT NULL,
    last_stored TEXT NOT NULL,
    PRIMARY KEY (institution, kind)
) WITHOUT ROWID;
CREATE TABLE agent (                  -- leases are kept as SHA-256: reading this file lets nobody in
    institution TEXT NOT NULL,
    instance TEXT NOT NULL,
    machine TEXT NOT NULL,
    current TEXT NOT NULL,
    previous TEXT NOT NULL,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    superseded_by TEXT NOT NULL,
    superseded_at TEXT NOT NULL,
    log_seq INTEGER NOT NULL DEFAULT 0,
    log_hash TEXT NOT NULL DEFAULT '',
    log_disputed_at TEXT NOT NULL DEFAULT '',  -- two different logs claimed the same place
    PRIMARY KEY (institution, instance)
) WITHOUT ROWID;

-- migration 2 --
-- Documents that our renderers did not make.
ALTER TABLE document ADD COLUMN form TEXT NOT NULL DEFAULT '';          -- as-is: somebody else's
ALTER TABLE document ADD COLUMN own_id TEXT NOT NULL DEFAULT '';        -- its own root^extension
ALTER TABLE document ADD COLUMN local_number TEXT NOT NULL DEFAULT '';  -- the sender's number of the patient
ALTER TABLE document ADD COLUMN title TEXT NOT NULL DEFAULT '';
CREATE INDEX document_local ON document (local_number) WHERE local_number <> '';

-- migration 3 --
-- What each agent judges by, as it last said.
ALTER TABLE agent ADD COLUMN packs TEXT NOT NULL DEFAULT '{}';

-- migration 4 --
-- For which day and department a document counts, as its agent says: what is reconciled.
ALTER TABLE document ADD COLUMN day INTEGER NOT NULL DEFAULT 0;           -- of the event, local, yyyymmdd; 0: not said
ALTER TABLE document ADD COLUMN department TEXT NOT NULL DEFAULT '';
CREATE INDEX document_day ON document (institution, kind, day, department, set_id) WHERE newest = 1 AND day > 0;
CREATE TABLE reconciliation (             -- what the agents found, the newest word for each
    institution TEXT NOT NULL,
    feed TEXT NOT NULL,
    kind TEXT NOT NULL,
    day INTEGER NOT NULL,
    department TEXT NOT NULL,
    source INTEGER NOT NULL,
    agent INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    explained INTEGER NOT NULL,
    missed INTEGER NOT NULL,
    differing INTEGER NOT NULL,
    mended INTEGER NOT NULL,
    said_at TEXT NOT NULL,
    PRIMARY KEY (institution, day, feed, kind, department)
) WITHOUT ROWID;
