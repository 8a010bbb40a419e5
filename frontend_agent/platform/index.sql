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

-- migration 5 --
-- Images: each hospital's studies, series and instances; their files lie under images/. Names are the standard's keywords,
-- values as DICOM writes them. A study may be known by its index alone (held = 0): then its pixels are at the hospital.
CREATE TABLE study (
    id INTEGER PRIMARY KEY,
    institution TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    study_date TEXT NOT NULL,
    study_time TEXT NOT NULL,
    accession_number TEXT NOT NULL,
    study_id TEXT NOT NULL,
    study_description TEXT NOT NULL,
    referring_physician_name TEXT NOT NULL,
    institution_name TEXT NOT NULL,
    patient_name TEXT NOT NULL,       -- up to three groups: alphabetic=ideographic=phonetic
    patient_id TEXT NOT NULL,
    issuer_of_patient_id TEXT NOT NULL,
    patient_birth_date TEXT NOT NULL,
    patient_sex TEXT NOT NULL,
    modalities TEXT NOT NULL DEFAULT '',  -- of its series, joined by a backslash
    series INTEGER NOT NULL DEFAULT 0,
    instances INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0,  -- of its instances, those whose files are here
    bytes INTEGER NOT NULL DEFAULT 0, -- of these files
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    -- what its agent said of it
    indexed_at TEXT NOT NULL DEFAULT '',
    order_key TEXT NOT NULL DEFAULT '',
    visit_number TEXT NOT NULL DEFAULT '',
    id_number TEXT NOT NULL DEFAULT '',
    report_key TEXT NOT NULL DEFAULT '',
    report_set_id TEXT NOT NULL DEFAULT '',
    -- its pixels are asked for, and why
    wanted_at TEXT NOT NULL DEFAULT '',
    wanted_why TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX study_uid ON study (study_instance_uid, institution);
CREATE INDEX study_time ON study (study_date, study_time);
CREATE INDEX study_institution ON study (institution, study_date, study_time);
CREATE INDEX study_accession ON study (accession_number) WHERE accession_number <> '';
CREATE INDEX study_patient ON study (patient_id) WHERE patient_id <> '';
CREATE INDEX study_patient_name ON study (patient_name COLLATE NOCASE);
CREATE INDEX study_report ON study (report_set_id) WHERE report_set_id <> '';
CREATE INDEX study_wanted ON study (institution, wanted_at) WHERE wanted_at <> '';
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES study (id),
    series_instance_uid TEXT NOT NULL,
    modality TEXT NOT NULL,
    series_number TEXT NOT NULL,
    series_description TEXT NOT NULL,
    series_date TEXT NOT NULL,
    body_part_examined TEXT NOT NULL,
    laterality TEXT NOT NULL,
    manufacturer TEXT NOT NULL,
    station_name TEXT NOT NULL,
    instances INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX series_of_study ON series (study, series_instance_uid);
CREATE INDEX series_uid ON series (series_instance_uid);
CREATE TABLE instance (
    id INTEGER PRIMARY KEY,
    institution TEXT NOT NULL,
    study INTEGER NOT NULL REFERENCES study (id),
    series INTEGER NOT NULL REFERENCES series (id),
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    instance_number TEXT NOT NULL,
    frames INTEGER NOT NULL,
    "rows" INTEGER NOT NULL,
    columns INTEGER NOT NULL,
    bits_allocated INTEGER NOT NULL,
    has_pixel_data INTEGER NOT NULL,
    sha256 BLOB NOT NULL,             -- of the file as dicom/part10.py writes it
    size INTEGER NOT NULL,
    held INTEGER NOT NULL,            -- 1: its file is here; 0: only known by its study's index
    sender TEXT NOT NULL,             -- AE@address, or the request's address
    stored_at TEXT NOT NULL
);
CREATE UNIQUE INDEX instance_uid ON instance (sop_instance_uid, institution);
CREATE INDEX instance_series ON instance (series);
CREATE INDEX instance_study ON instance (study);
CREATE TABLE image_conflict (         -- law 6: the same instance came with other bytes, and was refused
    institution TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    size INTEGER NOT NULL,
    sender TEXT NOT NULL,
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    times INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (institution, sop_instance_uid, sha256)
) WITHOUT ROWID;
CREATE TABLE image_tally (            -- so that nothing counts the whole table
    institution TEXT PRIMARY KEY,
    studies INTEGER NOT NULL DEFAULT 0,
    instances INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    last_stored TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
-- Counts are kept by the rows themselves, whoever writes them.
CREATE TRIGGER instance_came AFTER INSERT ON instance BEGIN
    UPDATE series SET instances = instances + 1, held = held + new.held WHERE id = new.series;
    UPDATE study SET instances = instances + 1, held = held + new.held, bytes = bytes + new.size * new.held WHERE id = new.study;
END;
CREATE TRIGGER instance_went AFTER DELETE ON instance BEGIN
    UPDATE series SET instances = instances - 1, held = held - old.held WHERE id = old.series;
    UPDATE study SET instances = instances - 1, held = held - old.held, bytes = bytes - old.size * old.held WHERE id = old.study;
END;
CREATE TRIGGER instance_changed AFTER UPDATE ON instance BEGIN
    UPDATE series SET instances = instances - 1, held = held - old.held WHERE id = old.series;
    UPDATE study SET instances = instances - 1, held = held - old.held, bytes = bytes - old.size * old.held WHERE id = old.study;
    UPDATE series SET instances = instances + 1, held = held + new.held WHERE id = new.series;
    UPDATE study SET instances = instances + 1, held = held + new.held, bytes = bytes + new.size * new.held WHERE id = new.study;
END;
CREATE TRIGGER series_came AFTER INSERT ON series BEGIN
    UPDATE study SET series = series + 1 WHERE id = new.study;
END;
CREATE TRIGGER series_went AFTER DELETE ON series BEGIN
    UPDATE study SET series = series - 1 WHERE id = old.study;
END;
CREATE TRIGGER study_came AFTER INSERT ON study BEGIN
    INSERT INTO image_tally (institution, studies) VALUES (new.institution, 1)
        ON CONFLICT DO UPDATE SET studies = studies + 1;
END;
CREATE TRIGGER study_changed AFTER UPDATE OF instances, held, bytes ON study BEGIN
    UPDATE image_tally SET instances = instances + new.instances - old.instances, held = held + new.held - old.held,
        bytes = bytes + new.bytes - old.bytes WHERE institution = new.institution;
END;
CREATE TRIGGER study_went AFTER DELETE ON study BEGIN
    UPDATE image_tally SET studies = studies - 1, instances = instances - old.instances, held = held - old.held,
        bytes = bytes - old.bytes WHERE institution = old.institution;
END;

-- migration 6 --
-- What was to be said of a document's signature when it came.
CREATE TABLE signature (
    document_id TEXT PRIMARY KEY,
    institution TEXT NOT NULL,
    state TEXT NOT NULL,              -- valid, invalid, unsigned
    verdict TEXT NOT NULL,            -- JSON: frontend_agent/signatures/verifying.py
    judged_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX signature_state ON signature (institution, state, judged_at);

-- migration 7 --
-- With what the hashes are made whose columns do not say so (frontend_agent/wire/hashes.py).
CREATE TABLE hash_algorithm (place TEXT PRIMARY KEY, algorithm TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO hash_algorithm (place, algorithm) VALUES
    ('agent.current', 'SHA-256'),
    ('agent.log_hash', 'SHA-256'),
    ('agent.previous', 'SHA-256'),
    ('agent.packs', 'SHA-256, first 16 digits'),
    ('document.source_hash', 'SHA-256'),
    ('parcel.packs', 'SHA-256, first 16 digits');

-- migration 8 --
-- The newest heartbeat of each hospital's agent, and when hospitals fell silent.
CREATE TABLE heartbeat (
    institution TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    received_at TEXT NOT NULL,        -- by our clock
    body BLOB NOT NULL                -- a Beat (wire/heartbeat.py), JSON, without its lease
) WITHOUT ROWID;
CREATE TABLE hospital_silence (
    id INTEGER PRIMARY KEY,
    institution TEXT NOT NULL,
    since TEXT NOT NULL,              -- its last heartbeat
    began_at TEXT NOT NULL,
    ended_at TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX hospital_silent ON hospital_silence (institution) WHERE ended_at = '';
