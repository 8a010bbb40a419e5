-- The spool's tables. Each section is one migration, run in one transaction; user_version counts them.
-- Times are milliseconds since 1970 UTC.

-- migration 1 --
-- The first layout.

-- Single values: instance, machine binding, lease, generation, pinned keys.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Counts that would otherwise need a scan, kept in the commit that changes them.
CREATE TABLE tally (scope TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (scope, name)) WITHOUT ROWID;

-- How far each feed has been read.
CREATE TABLE feed (name TEXT PRIMARY KEY, cursor TEXT, key TEXT, moved_at INTEGER NOT NULL) WITHOUT ROWID;

-- One row per run of a feed.
CREATE TABLE run (
    id INTEGER PRIMARY KEY, feed TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
    counts TEXT NOT NULL, problem TEXT NOT NULL
);

-- What a document was made with: said once, not with every document.
CREATE TABLE plan (
    id INTEGER PRIMARY KEY, feed TEXT NOT NULL, kind TEXT NOT NULL, institution TEXT NOT NULL,
    dictionary TEXT NOT NULL, digests TEXT NOT NULL,
    UNIQUE (feed, kind, institution, dictionary, digests)
);

-- All versions of one business record. `held_hash` is set while its newest content is held; `again`: read it again.
CREATE TABLE series (
    id INTEGER PRIMARY KEY, set_id TEXT NOT NULL UNIQUE, plan INTEGER NOT NULL, key TEXT NOT NULL,
    version INTEGER NOT NULL, document_hash TEXT NOT NULL, held_hash TEXT, void INTEGER NOT NULL,
    again INTEGER NOT NULL DEFAULT 0, generation INTEGER NOT NULL
);
CREATE INDEX series_again ON series (plan) WHERE again = 1;

-- Documents without their bytes. These rows stay; `log` is the log entry of their commit.
CREATE TABLE document (
    id INTEGER PRIMARY KEY, series INTEGER NOT NULL, version INTEGER NOT NULL, plan INTEGER NOT NULL,
    source_hash TEXT NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL, length INTEGER NOT NULL, crc INTEGER NOT NULL,
    made_at INTEGER NOT NULL, replaces_id TEXT, void INTEGER NOT NULL, order_key TEXT, findings TEXT, log INTEGER NOT NULL,
    UNIQUE (series, version)
);

-- The frames, dropped when their term is over. NULL: a file beside the spool, named by the document's id.
CREATE TABLE frame (document INTEGER PRIMARY KEY, bytes BLOB);

-- Orders that are not a series (a patient).
CREATE TABLE lane (id INTEGER PRIMARY KEY, order_key TEXT NOT NULL UNIQUE);

CREATE TABLE destination (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, failures INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL DEFAULT 0, problem TEXT NOT NULL DEFAULT '', blame TEXT NOT NULL DEFAULT '',
    since INTEGER NOT NULL DEFAULT 0, stored_at INTEGER NOT NULL DEFAULT 0, stored INTEGER -- the document proven last
);

-- One document's journey to one destination. Urgency 0 now, 1 backfill, 9 suspected of having a request refused.
CREATE TABLE delivery (
    document INTEGER NOT NULL, destination INTEGER NOT NULL, lane INTEGER NOT NULL, state TEXT NOT NULL,
    urgency INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL DEFAULT 0,
    claimed_at INTEGER, leased_until INTEGER, settled_at INTEGER,
    outcome TEXT, reply INTEGER, position INTEGER, reasons TEXT,
    PRIMARY KEY (document, destination)
) WITHOUT ROWID;
CREATE INDEX delivery_ready ON delivery (destination, urgency, document) WHERE state = 'ready';
CREATE INDEX delivery_due ON delivery (destination, due_at) WHERE state IN ('waiting', 'uncertain');
CREATE INDEX delivery_sending ON delivery (destination, leased_until) WHERE state = 'sending';
CREATE INDEX delivery_stuck ON delivery (destination, document) WHERE state IN ('refused', 'blocked', 'damaged');
-- A lane is a series (positive) or an order of its own (negative). At most one of a lane is on its way to a destination;
-- the others are behind it. Neither index costs anything while there is one version of everything.
CREATE INDEX delivery_behind ON delivery (destination, lane, document) WHERE state = 'behind';
CREATE INDEX delivery_lane ON delivery (destination, lane)
    WHERE lane < 0 AND state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind');

-- Signed replies as they came (zstd), one for many receipts.
CREATE TABLE reply (
    id INTEGER PRIMARY KEY, destination INTEGER NOT NULL, name TEXT NOT NULL, received_at INTEGER NOT NULL,
    body BLOB NOT NULL, UNIQUE (destination, name)
);

-- Records that wait for a person, and what became of them. The body goes when the case is closed.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY, series INTEGER NOT NULL, plan INTEGER NOT NULL, source_hash TEXT NOT NULL, body BLOB,
    findings TEXT NOT NULL, held_at INTEGER NOT NULL, state TEXT NOT NULL,
    closed_at INTEGER, closed_by TEXT, reason TEXT, log INTEGER NOT NULL
);
CREATE INDEX quarantine_open ON quarantine (series) WHERE state IN ('open', 'released');
CREATE INDEX quarantine_series ON quarantine (series);

-- How often each rule spoke, per feed.
CREATE TABLE rule (
    feed TEXT NOT NULL, rule TEXT NOT NULL, severity TEXT NOT NULL, field TEXT NOT NULL, n INTEGER NOT NULL,
    last_at INTEGER NOT NULL, PRIMARY KEY (feed, rule, severity, field)
) WITHOUT ROWID;

-- The chained log (bodies zstd), and the heads that a platform countersigned.
CREATE TABLE log (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE head (
    seq INTEGER NOT NULL, destination INTEGER NOT NULL, hash BLOB NOT NULL, evidence BLOB NOT NULL,
    PRIMARY KEY (seq, destination)
) WITHOUT ROWID;

-- migration 2 --
-- Terminology: local codes that no map has, and what people decided about them.

-- The worklist. Bounded: so many codes per map; `keys` holds up to three business keys.
CREATE TABLE unmapped (
    tbl TEXT NOT NULL, code TEXT NOT NULL, feed TEXT NOT NULL, field TEXT NOT NULL, value_set TEXT NOT NULL,
    name TEXT NOT NULL, n INTEGER NOT NULL, keys TEXT NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    PRIMARY KEY (tbl, code, feed, field)
) WITHOUT ROWID;

-- What stands now: approved (with a target) or rejected. `decision` is the newest that touched it.
CREATE TABLE term (
    tbl TEXT NOT NULL, code TEXT NOT NULL, state TEXT NOT NULL, target TEXT NOT NULL, who TEXT NOT NULL,
    reason TEXT NOT NULL, at INTEGER NOT NULL, decision INTEGER NOT NULL, PRIMARY KEY (tbl, code)
) WITHOUT ROWID;

-- Who decided what, and when; `before` is what stood before, so that it can be undone. `log` is its log entry.
CREATE TABLE decision (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, code TEXT NOT NULL, action TEXT NOT NULL,
    target TEXT NOT NULL, before TEXT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
    log INTEGER NOT NULL, undone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX decision_code ON decision (tbl, code);

-- migration 3 --
-- Statistics by the day of the event (local, yyyymmdd), kept in the commit of what they speak of. What was taken before
-- has no day: reports say since when there are figures.

INSERT INTO meta (name, value) SELECT 'statistics_since', CAST(unixepoch() * 1000 AS TEXT)
WHERE EXISTS (SELECT 1 FROM series);

-- Where something happened: said once, not in every row.
CREATE TABLE scope (
    id INTEGER PRIMARY KEY, feed TEXT NOT NULL, kind TEXT NOT NULL, institution TEXT NOT NULL, department TEXT NOT NULL,
    UNIQUE (feed, kind, institution, department)
);

ALTER TABLE document ADD COLUMN day INTEGER;
ALTER TABLE document ADD COLUMN event_at INTEGER;
ALTER TABLE document ADD COLUMN scope INTEGER;
CREATE INDEX document_day ON document (day) WHERE day IS NOT NULL;
ALTER TABLE quarantine ADD COLUMN day INTEGER;
ALTER TABLE quarantine ADD COLUMN scope INTEGER;
CREATE INDEX quarantine_day ON quarantine (day) WHERE day IS NOT NULL;

-- How the records of a day fared: the columns are those of measuring.Outcomes.
CREATE TABLE day_outcome (
    day INTEGER NOT NULL, scope INTEGER NOT NULL, read INTEGER NOT NULL, final INTEGER NOT NULL, first INTEGER NOT NULL,
    first_held INTEGER NOT NULL, documents INTEGER NOT NULL, versions INTEGER NOT NULL, void INTEGER NOT NULL,
    warned INTEGER NOT NULL, held INTEGER NOT NULL, withheld INTEGER NOT NULL, mended INTEGER NOT NULL,
    wanted INTEGER NOT NULL, filled INTEGER NOT NULL, PRIMARY KEY (day, scope)
) WITHOUT ROWID;

-- What the rules had to say.
CREATE TABLE day_finding (
    day INTEGER NOT NULL, scope INTEGER NOT NULL, rule TEXT NOT NULL, severity TEXT NOT NULL, field TEXT NOT NULL,
    element TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (day, scope, rule, severity, field, element)
) WITHOUT ROWID;

-- How many of the records (of the rows, in a group) had an element, of those that it applies to.
CREATE TABLE day_fill (
    day INTEGER NOT NULL, institution TEXT NOT NULL, kind TEXT NOT NULL, field TEXT NOT NULL, filled INTEGER NOT NULL,
    wanted INTEGER NOT NULL, PRIMARY KEY (day, institution, kind, field)
) WITHOUT ROWID;

-- How long it took, in buckets. Destination 0: from the event until it was taken; others: from the event (since 0) or
-- from being taken (since 1) until the receipt.
CREATE TABLE day_delay (
    day INTEGER NOT NULL, scope INTEGER NOT NULL, destination INTEGER NOT NULL, since INTEGER NOT NULL,
    bucket INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (day, scope, destination, since, bucket)
) WITHOUT ROWID;

-- How deliveries ended: delivered, refused, blocked.
CREATE TABLE day_delivery (
    day INTEGER NOT NULL, scope INTEGER NOT NULL, destination INTEGER NOT NULL, state TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (day, scope, destination, state)
) WITHOUT ROWID;

-- migration 4 --
-- Records that are kept back by rule. Nothing of their content is here; `reached` is the newest version that a destination
-- has or may have.
CREATE TABLE withheld (
    id INTEGER PRIMARY KEY, series INTEGER NOT NULL, plan INTEGER NOT NULL, source_hash TEXT NOT NULL,
    rule TEXT NOT NULL, rule_digest TEXT NOT NULL, field TEXT NOT NULL, decided_by TEXT NOT NULL, reason TEXT NOT NULL,
    reached INTEGER NOT NULL, withheld_at INTEGER NOT NULL, state TEXT NOT NULL,
    closed_at INTEGER, acknowledged_at INTEGER, acknowledged_by TEXT, note TEXT, log INTEGER NOT NULL
);
CREATE INDEX withheld_open ON withheld (series) WHERE state = 'open';
CREATE INDEX withheld_rules ON withheld (plan, rule, rule_digest) WHERE state = 'open';
CREATE INDEX withheld_series ON withheld (series);

-- migration 5 --
-- Records that wait for a partner's row in another system, with the times of the first look, the last and the next.

CREATE TABLE waiting (
    set_id TEXT PRIMARY KEY, feed TEXT NOT NULL, key TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
    due_at INTEGER NOT NULL, attempts INTEGER NOT NULL, partners TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX waiting_due ON waiting (feed, due_at);

-- migration 6 --
-- Up to where the log was dropped when its term was over: the chain goes on from the newest of these.
CREATE TABLE checkpoint (
    seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, evidence BLOB NOT NULL, dropped_at INTEGER NOT NULL, log INTEGER NOT NULL
);

-- migration 7 --
-- What waits for a person, grouped by cause. The groups are kept by triggers, in the commit that holds or frees a record and
-- whoever writes it: a list of a million held records costs one row per cause, and no way of closing a case can forget them.

-- A cause: one rule that holds records of one feed for one field; of a finding about a code also that local code, as the
-- finding shows it. `n` records wait for it, `released` of them are being read again. Rows stay, so a number is one cause for ever.
CREATE TABLE cause (
    id INTEGER PRIMARY KEY AUTOINCREMENT, feed TEXT NOT NULL, kind TEXT NOT NULL, rule TEXT NOT NULL, field TEXT NOT NULL,
    source_column TEXT NOT NULL, value TEXT NOT NULL, n INTEGER NOT NULL DEFAULT 0, released INTEGER NOT NULL DEFAULT 0,
    UNIQUE (feed, kind, rule, field, source_column, value)
);
CREATE INDEX cause_waiting ON cause (n) WHERE n > 0;
CREATE TABLE cause_case (cause INTEGER NOT NULL, quarantine INTEGER NOT NULL, PRIMARY KEY (cause, quarantine)) WITHOUT ROWID;
CREATE INDEX cause_case_quarantine ON cause_case (quarantine);

-- A person let held records be read again: who, when, which, and how many. What became of them is told by `quarantine`.
CREATE TABLE release (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, asked TEXT NOT NULL, cases INTEGER NOT NULL DEFAULT 0
);
ALTER TABLE quarantine ADD COLUMN release INTEGER;
CREATE INDEX quarantine_release ON quarantine (release, state) WHERE release IS NOT NULL;

-- The causes of each held record: its findings that hold (all of them, should none hold), `items[3].unit` as `items.unit`.
CREATE VIEW case_cause AS
SELECT q.id AS quarantine, p.feed, p.kind, coalesce(f.value->>'rule', '') AS rule,
       iif(instr(coalesce(f.value->>'field', ''), ']') = 0, coalesce(f.value->>'field', ''),
           substr(f.value->>'field', 1, instr(f.value->>'field', '[') - 1)
           || substr(f.value->>'field', instr(f.value->>'field', ']') + 1)) AS field,
       coalesce(f.value->>'column', '') AS source_column,
       iif(f.value->>'rule' IN ('MAP001', 'DE-CODE'), coalesce(f.value->>'value', ''), '') AS value
FROM quarantine q JOIN plan p ON p.id = q.plan LEFT JOIN json_each(q.findings) f
WHERE coalesce(f.value->>'severity', 'hold') = 'hold'
   OR NOT EXISTS (SELECT 1 FROM json_each(q.findings) h WHERE h.value->>'severity' = 'hold');

-- CROSS JOIN: a record's few findings look for their causes, never all causes for the findings.
CREATE TRIGGER case_held AFTER INSERT ON quarantine WHEN NEW.state IN ('open', 'released') BEGIN
    INSERT INTO cause (feed, kind, rule, field, source_column, value)
    SELECT DISTINCT feed, kind, rule, field, source_column, value FROM case_cause WHERE quarantine = NEW.id
    ON CONFLICT DO NOTHING;
    INSERT INTO cause_case (cause, quarantine)
    SELECT DISTINCT c.id, NEW.id FROM case_cause h CROSS JOIN cause c ON c.feed = h.feed AND c.kind = h.kind AND c.rule = h.rule
        AND c.field = h.field AND c.source_column = h.source_column AND c.value = h.value
    WHERE h.quarantine = NEW.id;
    UPDATE cause SET n = n + 1, released = released + (NEW.state = 'released')
    WHERE id IN (SELECT cause FROM cause_case WHERE quarantine = NEW.id);
END;

CREATE TRIGGER case_closed AFTER UPDATE OF state ON quarantine
WHEN OLD.state IN ('open', 'released') AND NEW.state NOT IN ('open', 'released') BEGIN
    UPDATE cause SET n = n - 1, released = released - (OLD.state = 'released')
    WHERE id IN (SELECT cause FROM cause_case WHERE quarantine = NEW.id);
    DELETE FROM cause_case WHERE quarantine = NEW.id;
END;

CREATE TRIGGER case_released AFTER UPDATE OF state ON quarantine
WHEN OLD.state <> NEW.state AND OLD.state IN ('open', 'released') AND NEW.state IN ('open', 'released') BEGIN
    UPDATE cause SET released = released + iif(NEW.state = 'released', 1, -1)
    WHERE id IN (SELECT cause FROM cause_case WHERE quarantine = NEW.id);
END;

-- Those that wait already.
INSERT INTO cause (feed, kind, rule, field, source_column, value)
SELECT DISTINCT h.feed, h.kind, h.rule, h.field, h.source_column, h.value
FROM case_cause h JOIN quarantine q ON q.id = h.quarantine WHERE q.state IN ('open', 'released');
INSERT INTO cause_case (cause, quarantine)
SELECT DISTINCT c.id, h.quarantine FROM case_cause h JOIN quarantine q ON q.id = h.quarantine
CROSS JOIN cause c ON c.feed = h.feed AND c.kind = h.kind AND c.rule = h.rule AND c.field = h.field
    AND c.source_column = h.source_column AND c.value = h.value
WHERE q.state IN ('open', 'released');
UPDATE cause SET n = (SELECT count(*) FROM cause_case l WHERE l.cause = cause.id),
    released = (SELECT count(*) FROM cause_case l JOIN quarantine q ON q.id = l.quarantine
                WHERE l.cause = cause.id AND q.state = 'released');

-- migration 8 --
-- How records would have fared under a pack in shadow. Without a rule: how many; with one: for this reason.
CREATE TABLE shadow (
    pack TEXT NOT NULL, feed TEXT NOT NULL, kind TEXT NOT NULL, verdict TEXT NOT NULL, rule TEXT NOT NULL,
    field TEXT NOT NULL, n INTEGER NOT NULL, example TEXT NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    PRIMARY KEY (pack, feed, kind, verdict, rule, field)
) WITHOUT ROWID;

-- migration 9 --
-- Visits, as far as rules over a visit need them. Facts are salted hashes (visits.py of the spool): compared, never read.

CREATE TABLE visit (
    id INTEGER PRIMARY KEY, institution TEXT NOT NULL, name TEXT NOT NULL, opened_at INTEGER NOT NULL, due_at INTEGER,
    archived INTEGER NOT NULL DEFAULT 0, judged_at INTEGER, findings TEXT, UNIQUE (institution, name)
);
CREATE INDEX visit_due ON visit (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX visit_open ON visit (id) WHERE judged_at IS NULL;
CREATE INDEX visit_findings ON visit (id) WHERE findings IS NOT NULL;

-- Their documents. `closes_at`: when the visit can be judged as far as this one knows; `again_at`: when a visit that was judged
-- already can be judged anew.
CREATE TABLE visit_document (
    series INTEGER PRIMARY KEY, visit INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, facts TEXT NOT NULL,
    closes_at INTEGER, again_at INTEGER NOT NULL, archived INTEGER NOT NULL
);
CREATE INDEX visit_documents ON visit_document (visit);

-- Who was met under a patient id or an identity number, each different person once, with the visit that said so last.
CREATE TABLE identity (
    what TEXT NOT NULL, value TEXT NOT NULL, person TEXT NOT NULL, number TEXT NOT NULL, visit INTEGER NOT NULL,
    PRIMARY KEY (what, value, person, number)
) WITHOUT ROWID;
CREATE INDEX identity_visit ON identity (visit);

CREATE TRIGGER visit_document_new AFTER INSERT ON visit_document BEGIN
    UPDATE visit SET archived = max(archived, NEW.archived), due_at = CASE
        WHEN NEW.archived AND NOT archived THEN NEW.closes_at
        WHEN archived THEN max(coalesce(due_at, 0), NEW.again_at)
        WHEN judged_at IS NOT NULL THEN max(coalesce(due_at, 0), NEW.again_at, coalesce(NEW.closes_at, 0))
        ELSE max(coalesce(due_at, 0), NEW.closes_at) END
    WHERE id = NEW.visit AND (archived OR judged_at IS NOT NULL OR NEW.archived OR NEW.closes_at > coalesce(due_at, 0));
END;
CREATE TRIGGER visit_document_changed AFTER UPDATE ON visit_document BEGIN
    UPDATE visit SET archived = max(archived, NEW.archived), due_at = CASE
        WHEN NEW.archived AND NOT archived THEN NEW.closes_at
        WHEN archived THEN max(coalesce(due_at, 0), NEW.again_at)
        WHEN judged_at IS NOT NULL THEN max(coalesce(due_at, 0), NEW.again_at, coalesce(NEW.closes_at, 0))
        ELSE max(coalesce(due_at, 0), NEW.closes_at) END
    WHERE id = NEW.visit AND (archived OR judged_at IS NOT NULL OR NEW.archived OR NEW.closes_at > coalesce(due_at, 0));
    UPDATE visit SET due_at = NEW.again_at WHERE id = OLD.visit AND OLD.visit <> NEW.visit;
END;
CREATE TRIGGER visit_document_gone AFTER DELETE ON visit_document BEGIN
    UPDATE visit SET due_at = max(coalesce(due_at, 0), OLD.again_at)
    WHERE id = OLD.visit AND (judged_at IS NOT NULL OR due_at IS NOT NULL);
END;

-- migration 10 --
-- The day for which what is said of a visit counts in the statistics: the last on which a document of it happened.
ALTER TABLE visit ADD COLUMN day INTEGER;
CREATE INDEX visit_day ON visit (day, id) WHERE day IS NOT NULL AND findings IS NOT NULL;

-- migration 11 --
-- What frames are compressed with comes from the templates; new templates must not make the frames before them unreadable.
CREATE TABLE dictionary (sha256 TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;

-- migration 12 --
-- Closed months: each act, of which the newest of a month counts; and the documents made of a month while it was closed.
CREATE TABLE closing (
    id INTEGER PRIMARY KEY, month INTEGER NOT NULL, action TEXT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL,
    at INTEGER NOT NULL, log INTEGER NOT NULL
);
CREATE INDEX closing_month ON closing (month, id);
CREATE TABLE closing_late (month INTEGER PRIMARY KEY, n INTEGER NOT NULL, last_at INTEGER NOT NULL);

-- migration 13 --
-- When something new last came from each feed, and since when that is an alarm; every alarm there was.
CREATE TABLE feed_news (feed TEXT PRIMARY KEY, new_at INTEGER NOT NULL, alarm_at INTEGER) WITHOUT ROWID;
CREATE TABLE silence (
    id INTEGER PRIMARY KEY, feed TEXT NOT NULL, since INTEGER NOT NULL, at INTEGER NOT NULL, ended_at INTEGER,
    log INTEGER NOT NULL
);
CREATE INDEX silence_at ON silence (at);
CREATE INDEX silence_open ON silence (feed) WHERE ended_at IS NULL;

-- migration 14 --
-- Backfills: what is to be read again or for the first time, how far it is, and what came of it. `reached`: all before it is
-- done; `cursor` and `key`: the last row taken beyond that. Both move in the commit of what was taken.
CREATE TABLE backfill (
    id INTEGER PRIMARY KEY, feed TEXT NOT NULL, axis TEXT NOT NULL, low TEXT NOT NULL, high TEXT NOT NULL,
    rate REAL NOT NULL, windows TEXT NOT NULL, state TEXT NOT NULL, who TEXT NOT NULL, closed TEXT NOT NULL,
    expected INTEGER NOT NULL, begun_at INTEGER NOT NULL, ended_at INTEGER, reached TEXT NOT NULL,
    cursor TEXT, key TEXT, keys INTEGER NOT NULL DEFAULT 0, documents INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0,
    others INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, worked REAL NOT NULL DEFAULT 0,
    problem TEXT NOT NULL DEFAULT ''
);
CREATE INDEX backfill_running ON backfill (id) WHERE state = 'running';

-- migration 15 --
-- Reconciliation: what each one found (`who` empty: by itself, at night; body: the whole answer as JSON, zstd).
CREATE TABLE reconciliation (
    id INTEGER PRIMARY KEY, feed TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, who TEXT NOT NULL,
    started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, missed INTEGER NOT NULL, differing INTEGER NOT NULL,
    mended INTEGER NOT NULL, problem TEXT NOT NULL, body BLOB NOT NULL, log INTEGER NOT NULL
);
CREATE INDEX reconciliation_feed ON reconciliation (feed, who, id);

-- Rows that the watermark would have missed, each once, by the day of its event.
CREATE TABLE missed (
    feed TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL, institution TEXT NOT NULL, day INTEGER NOT NULL,
    department TEXT NOT NULL, found_at INTEGER NOT NULL, PRIMARY KEY (feed, key)
) WITHOUT ROWID;
CREATE INDEX missed_day ON missed (day);

-- Keys that are to be read once more, whatever is known of them. Gone in the commit that takes them.
CREATE TABLE resend (
    set_id TEXT PRIMARY KEY, feed TEXT NOT NULL, key TEXT NOT NULL, asked_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX resend_feed ON resend (feed, set_id);

-- migration 16 --
-- We are guests: what we cost each source by hour (UTC, its first second), what its statements usually take, who paused it.
CREATE TABLE guest_hour (
    source TEXT NOT NULL, hour INTEGER NOT NULL, usage TEXT NOT NULL, PRIMARY KEY (source, hour)
) WITHOUT ROWID;
CREATE TABLE guest_baseline (
    source TEXT NOT NULL, shape TEXT NOT NULL, seconds REAL NOT NULL, scatter REAL NOT NULL, query TEXT NOT NULL,
    PRIMARY KEY (source, shape)
) WITHOUT ROWID;
CREATE TABLE guest_pause (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, who TEXT NOT NULL,
    reason TEXT NOT NULL, log INTEGER NOT NULL, ended INTEGER, ended_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX guest_paused ON guest_pause (source) WHERE ended IS NULL;
CREATE INDEX guest_pauses ON guest_pause (source, since);

-- migration 17 --
-- What feeds without a usable order have seen (find = status, compare): each key with the mark of its content, and in which
-- walk over all keys it was met last.
CREATE TABLE seen (
    feed TEXT NOT NULL, key TEXT NOT NULL, mark BLOB NOT NULL, walk INTEGER NOT NULL, PRIMARY KEY (feed, key)
) WITHOUT ROWID;

-- Keys that should be at the source, and were not there: to be looked for, in the history as well.
CREATE TABLE doubt (
    feed TEXT NOT NULL, key TEXT NOT NULL, why TEXT NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (feed, key)
) WITHOUT ROWID;

-- migration 18 --
-- What came in by itself, in the order in which it came. `refused`: it was not acknowledged; `problem`: reasons, a JSON list.
-- Numbers are never used twice: how far a feed has read its inlet is one of them.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, inlet TEXT NOT NULL, control_id TEXT NOT NULL, sha256 BLOB NOT NULL,
    size INTEGER NOT NULL, length INTEGER NOT NULL, received_at INTEGER NOT NULL, sender TEXT NOT NULL, about TEXT NOT NULL,
    state TEXT NOT NULL, refused INTEGER NOT NULL DEFAULT 0, problem TEXT
);
CREATE INDEX inbox_control ON inbox (inlet, control_id) WHERE control_id <> '';
CREATE INDEX inbox_bytes ON inbox (inlet, sha256) WHERE control_id = '';
CREATE INDEX inbox_inlet ON inbox (inlet);
CREATE INDEX inbox_person ON inbox (inlet, state) WHERE state IN ('unreadable', 'conflict');

-- Their bytes (zstd), dropped when their term is over. NULL: a file beside the spool, named by the message's number.
CREATE TABLE inbox_body (message INTEGER PRIMARY KEY, bytes BLOB);

-- Which records the messages of a feed speak of, by their business keys: how a key is read again.
CREATE TABLE inbox_key (
    feed TEXT NOT NULL, key TEXT NOT NULL, message INTEGER NOT NULL, PRIMARY KEY (feed, key, message)
) WITHOUT ROWID;
CREATE INDEX inbox_key_message ON inbox_key (message);

-- Messages that a feed could not read, and those that a person wants to be read again.
CREATE TABLE inbox_unread (
    feed TEXT NOT NULL, message INTEGER NOT NULL, again INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (feed, message)
) WITHOUT ROWID;
CREATE INDEX inbox_again ON inbox_unread (feed, message) WHERE again = 1;
CREATE INDEX inbox_unread_message ON inbox_unread (message);

-- migration 19 --
-- Destinations that are not our platform: what they accepted and did not prove, and what waits for registrations there.

-- `due_at` of an accepted delivery: when the destination is asked next what became of it.
CREATE INDEX delivery_accepted ON delivery (destination, due_at) WHERE state = 'accepted';
-- Sent so often, and never an answer that could be read: an alarm.
CREATE INDEX delivery_unread ON delivery (destination) WHERE state = 'uncertain' AND attempts >= 5;
DROP INDEX delivery_lane;
CREATE INDEX delivery_lane ON delivery (destination, lane)
    WHERE lane < 0 AND state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting');

-- What documents name and registrations are (`patient:0012345`), said once; and which documents are one.
CREATE TABLE registration (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE provides (registration INTEGER NOT NULL, document INTEGER NOT NULL, PRIMARY KEY (registration, document)) WITHOUT ROWID;
CREATE INDEX provides_document ON provides (document);
-- A person says that a destination knows it already, by another way than ours.
CREATE TABLE registered (
    destination INTEGER NOT NULL, registration INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
    log INTEGER NOT NULL, PRIMARY KEY (destination, registration)
) WITHOUT ROWID;

-- Which document waits for which of them, where; gone as soon as it does not. `wanted` counts them per registration, by
-- triggers: asking costs a row per registration looked at, however many wait. `come`: it is there now, they are being let go.
CREATE TABLE need (
    destination INTEGER NOT NULL, registration INTEGER NOT NULL, document INTEGER NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (destination, registration, document)
) WITHOUT ROWID;
CREATE INDEX need_document ON need (document, destination);
CREATE TABLE wanted (
    destination INTEGER NOT NULL, registration INTEGER NOT NULL, n INTEGER NOT NULL, since INTEGER NOT NULL,
    come INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (destination, registration)
) WITHOUT ROWID;
CREATE INDEX wanted_since ON wanted (destination, since);
CREATE INDEX wanted_come ON wanted (destination) WHERE come = 1;

CREATE TRIGGER need_new AFTER INSERT ON need BEGIN
    INSERT INTO wanted (destination, registration, n, since) VALUES (NEW.destination, NEW.registration, 1, NEW.since)
    ON CONFLICT (destination, registration) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER need_gone AFTER DELETE ON need BEGIN
    UPDATE wanted SET n = n - 1 WHERE destination = OLD.destination AND registration = OLD.registration;
    DELETE FROM wanted WHERE destination = OLD.destination AND registration = OLD.registration AND n = 0;
END;
CREATE TRIGGER wanted_new AFTER INSERT ON wanted BEGIN
    INSERT INTO tally (scope, name, n) SELECT 'wanted:' || name, 'registrations', 1 FROM destination WHERE id = NEW.destination
    ON CONFLICT (scope, name) DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER wanted_gone AFTER DELETE ON wanted BEGIN
    UPDATE tally SET n = n - 1
    WHERE name = 'registrations' AND scope = (SELECT 'wanted:' || name FROM destination WHERE id = OLD.destination);
END;
-- What was discarded, withheld or damaged while it waited waits for nothing any more.
CREATE TRIGGER delivery_ended AFTER UPDATE OF state ON delivery
WHEN OLD.state IN ('awaiting', 'behind') AND NEW.state NOT IN ('awaiting', 'behind', 'ready') BEGIN
    DELETE FROM need WHERE document = NEW.document AND destination = NEW.destination;
END;

-- migration 20 --
-- Files that were picked up: by the bytes of their path, how they looked, and what they held. `seen_at`: when they lay there last.
CREATE TABLE picked (
    inlet TEXT NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, changed INTEGER NOT NULL, sha256 TEXT NOT NULL,
    seen_at INTEGER NOT NULL, refused INTEGER NOT NULL, PRIMARY KEY (inlet, path)
) WITHOUT ROWID;
CREATE INDEX picked_seen ON picked (inlet, seen_at);

-- migration 21 --
-- The patient that a document names, for destinations that want the hospital's own number of him beside it: the document
-- itself does not say it, and what it waits for is gone once it has come.
CREATE TABLE named_patient (document INTEGER PRIMARY KEY, registration INTEGER NOT NULL);

-- migration 22 --
-- Images: studies, their instances (the files lie beside the spool), their way to the destinations, and what is wanted.

-- One study. `due_at`: when it is looked at; `newest` and `seen`: its newest instance, and the newest that was judged; `unjudged`:
-- bytes of what was not judged yet; `let_go`: findings that a person let pass; `files`: whether its files are here; `ended_at`: when
-- it was proven everywhere, or discarded.
CREATE TABLE image_study (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, institution TEXT NOT NULL, inlet TEXT NOT NULL,
    state TEXT NOT NULL, urgency INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, due_at INTEGER,
    series INTEGER NOT NULL DEFAULT 0, instances INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0,
    unjudged INTEGER NOT NULL DEFAULT 0, patient_id TEXT NOT NULL, accession TEXT NOT NULL,
    newest INTEGER NOT NULL DEFAULT 0, seen INTEGER NOT NULL DEFAULT 0, files INTEGER NOT NULL DEFAULT 1, ended_at INTEGER,
    destinations TEXT NOT NULL DEFAULT '[]', findings TEXT NOT NULL DEFAULT '[]', let_go TEXT NOT NULL DEFAULT '[]',
    orders TEXT, digests TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT ''
);
CREATE INDEX image_study_due ON image_study (urgency, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX image_study_state ON image_study (state, id);
CREATE INDEX image_study_patient ON image_study (patient_id, id);
CREATE INDEX image_study_accession ON image_study (accession, id);
CREATE INDEX image_study_ended ON image_study (ended_at) WHERE ended_at IS NOT NULL AND files = 1;
CREATE INDEX image_study_gone ON image_study (last_at) WHERE files = 0;

-- `header`: of its first instance; the others say only what differs from it.
CREATE TABLE image_series (
    id INTEGER PRIMARY KEY, study INTEGER NOT NULL, uid TEXT NOT NULL, instances INTEGER NOT NULL DEFAULT 0,
    header BLOB NOT NULL, UNIQUE (study, uid)
);
CREATE TABLE image_origin (id INTEGER PRIMARY KEY, inlet TEXT NOT NULL, sender TEXT NOT NULL, UNIQUE (inlet, sender));

-- `conflict`: the UID of another instance with other bytes: kept for a person. `sent_sha256` NULL: it is sent as it
-- came; with a `sent_size` of NULL that file is gone.
CREATE TABLE image_instance (
    id INTEGER PRIMARY KEY AUTOINCREMENT, study INTEGER NOT NULL, series INTEGER NOT NULL, uid TEXT NOT NULL,
    sha256 BLOB NOT NULL, size INTEGER NOT NULL, sent_sha256 BLOB, sent_size INTEGER, origin INTEGER NOT NULL,
    received_at INTEGER NOT NULL, conflict INTEGER NOT NULL, files INTEGER NOT NULL DEFAULT 1, differs BLOB NOT NULL
);
CREATE INDEX image_instance_uid ON image_instance (uid);
CREATE INDEX image_instance_study ON image_instance (study, id);

-- A study on its way to a destination: how many of its instances are to go there, and how many have not ended yet.
CREATE TABLE image_journey (
    study INTEGER NOT NULL, destination INTEGER NOT NULL, total INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (study, destination)
) WITHOUT ROWID;

-- One instance on its way to one destination. `due_at`: of what is sending, when its lease ends; of what was accepted, when its
-- proof is asked for (NULL: no more).
CREATE TABLE image_delivery (
    destination INTEGER NOT NULL, instance INTEGER NOT NULL, study INTEGER NOT NULL, state TEXT NOT NULL,
    urgency INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due_at INTEGER, settled_at INTEGER,
    reasons TEXT, proof TEXT, PRIMARY KEY (destination, instance)
) WITHOUT ROWID;
CREATE INDEX image_delivery_ready ON image_delivery (destination, urgency, study, instance) WHERE state = 'ready';
CREATE INDEX image_delivery_due ON image_delivery (destination, due_at) WHERE state IN ('waiting', 'uncertain');
CREATE INDEX image_delivery_sending ON image_delivery (destination, due_at) WHERE state = 'sending';
CREATE INDEX image_delivery_accepted ON image_delivery (destination, due_at) WHERE state = 'accepted' AND due_at IS NOT NULL;
CREATE INDEX image_delivery_kept ON image_delivery (destination, settled_at) WHERE state = 'accepted';
CREATE INDEX image_delivery_stuck ON image_delivery (study, destination) WHERE state IN ('refused', 'blocked', 'damaged');
CREATE INDEX image_delivery_study ON image_delivery (study, destination, instance);

-- What RIS says of examinations, the newest word for each; and what PACS say of studies, here or not yet.
CREATE TABLE image_order (
    key TEXT PRIMARY KEY, study TEXT NOT NULL, accession TEXT NOT NULL, body BLOB NOT NULL, changed_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX image_order_study ON image_order (study) WHERE study <> '';
CREATE INDEX image_order_accession ON image_order (accession) WHERE accession <> '';
CREATE INDEX image_order_changed ON image_order (changed_at);
CREATE TABLE image_expected (study TEXT PRIMARY KEY, body BLOB NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX image_expected_at ON image_expected (at);

-- Studies that should be here: open, done, or stuck (given up: for a person). `leased`: somebody fetches it until `due_at`.
CREATE TABLE image_want (
    id INTEGER PRIMARY KEY AUTOINCREMENT, inlet TEXT NOT NULL, study TEXT NOT NULL, accession TEXT NOT NULL, why TEXT NOT NULL,
    urgency INTEGER NOT NULL, since INTEGER NOT NULL, due_at INTEGER NOT NULL, leased INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL, problem TEXT NOT NULL DEFAULT '', expected BLOB,
    ended_at INTEGER
);
CREATE INDEX image_want_due ON image_want (inlet, urgency, due_at) WHERE state = 'open';
CREATE INDEX image_want_study ON image_want (study) WHERE study <> '';
CREATE INDEX image_want_accession ON image_want (accession) WHERE accession <> '';
CREATE INDEX image_want_shown ON image_want (state, id);
CREATE INDEX image_want_ended ON image_want (ended_at) WHERE ended_at IS NOT NULL;

-- migration 23 --
-- Alarms: what began and ended, who was told of it, and of what nobody wants to be told. Of one kind and subject one stands at most.
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL, level TEXT NOT NULL, since INTEGER NOT NULL,
    began_at INTEGER NOT NULL, ended_at INTEGER, quiet_since INTEGER, figures TEXT NOT NULL
);
CREATE UNIQUE INDEX alarm_stands ON alarm (kind, subject) WHERE ended_at IS NULL;
-- `turn`: begins or ends. A beginning that was told, and no end that was: `open`.
CREATE TABLE alarm_told (
    alarm INTEGER NOT NULL, channel TEXT NOT NULL, turn TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (alarm, channel, turn)
) WITHOUT ROWID;
-- `kind` and `subject`: `*` for all.
CREATE TABLE alarm_mute (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER,
    who TEXT NOT NULL, reason TEXT NOT NULL, ended_at INTEGER, ended_by TEXT
);
-- What each feed brought in each hour (whole hours since 1970 UTC), for the last weeks.
CREATE TABLE came (
    feed TEXT NOT NULL, hour INTEGER NOT NULL, taken INTEGER NOT NULL, held INTEGER NOT NULL, PRIMARY KEY (feed, hour)
) WITHOUT ROWID;

-- migration 24 --
-- The console: what is kept of people's passwords (scrypt), the secrets of their one-time codes and the step of the last one
-- used; and who tried in vain, when.
CREATE TABLE console_account (
    name TEXT PRIMARY KEY, password TEXT NOT NULL, totp BLOB NOT NULL, step INTEGER NOT NULL, changed_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE console_try (id INTEGER PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX console_try_at ON console_try (at);

-- migration 25 --
-- With what the hashes are made whose columns do not say so (frontend_agent/wire/hashes.py).
CREATE TABLE hash_algorithm (place TEXT PRIMARY KEY, algorithm TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO hash_algorithm (place, algorithm) VALUES
    ('checkpoint.hash', 'SHA-256'),
    ('document.source_hash', 'SHA-256'),
    ('head.hash', 'SHA-256'),
    ('image_study.digests', 'SHA-256, first 16 digits'),
    ('log.hash', 'SHA-256'),
    ('plan.digests', 'SHA-256, first 16 digits'),
    ('quarantine.source_hash', 'SHA-256'),
    ('series.document_hash', 'SHA-256'),
    ('series.held_hash', 'SHA-256'),
    ('withheld.rule_digest', 'SHA-256'),
    ('withheld.source_hash', 'SHA-256');

-- migration 26 --
-- Across a gap (decision 0053): bundles that we made and the other half has not acknowledged, as they went; those that came,
-- with their bytes until all in them is done with; requests and answers in them that are still to be worked on; and parcels
-- that are on their way, without an answer.
CREATE TABLE gap_sent (
    number INTEGER PRIMARY KEY, made_at INTEGER NOT NULL, sent_at INTEGER NOT NULL DEFAULT 0, times INTEGER NOT NULL DEFAULT 0,
    laid INTEGER NOT NULL DEFAULT 0, asks INTEGER NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX gap_sent_laid ON gap_sent (number) WHERE laid = 0;
CREATE TABLE gap_got (number INTEGER PRIMARY KEY, sha256 BLOB NOT NULL, at INTEGER NOT NULL, body BLOB);
CREATE INDEX gap_got_body ON gap_got (number) WHERE body IS NOT NULL;
-- `first`, `last`: the bundles in which it begins and ends; `place`: the how-manieth that ends there, from 0.
CREATE TABLE gap_item (id INTEGER PRIMARY KEY AUTOINCREMENT, first INTEGER NOT NULL, last INTEGER NOT NULL, place INTEGER NOT NULL);
CREATE TABLE gap_request (
    id TEXT PRIMARY KEY, destination TEXT NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, size INTEGER NOT NULL,
    documents TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX gap_request_destination ON gap_request (destination, kind);
