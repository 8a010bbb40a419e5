-- Every query has a name and a sentence.
-- Batches travel as JSON arrays and come back as one: each step of a statement gives Python's lock away and has to get
-- it back, which beside a busy thread costs milliseconds a row. One step per statement, not one per row.

-- take.incoming --
-- Unpack the documents of one commit into the scratch table.
INSERT INTO incoming
SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9,
       value->>10, value->>11, value->>12, value->>13, value->>14, value->>15, value->>16, value->>17, value->>18, value->>19
FROM jsonb_each(:documents);

-- take.series --
-- Each document is the newest of its series now.
INSERT INTO series (set_id, plan, key, version, document_hash, held_hash, void, again, generation)
SELECT set_id, plan, key, version, source_hash, NULL, void, 0, :generation FROM incoming WHERE true ORDER BY id
ON CONFLICT (set_id) DO UPDATE SET plan = excluded.plan, key = excluded.key, version = excluded.version,
    document_hash = excluded.document_hash, held_hash = NULL, void = excluded.void, again = 0,
    generation = excluded.generation;

-- take.documents --
-- The documents themselves.
INSERT INTO document (id, series, version, plan, source_hash, sha256, size, length, crc, made_at, replaces_id, void,
                      order_key, findings, log, day, event_at, scope)
SELECT i.id, s.id, i.version, i.plan, i.source_hash, unhex(i.sha256), i.size, i.length, i.crc, i.made_at, i.replaces_id,
       i.void, i.order_key, i.findings, :log, i.day, i.event_at, i.scope
FROM incoming i JOIN series s ON s.set_id = i.set_id ORDER BY i.id;

-- take.frames --
-- Their frames, cut from one long blob. Those that are files have no start.
INSERT INTO frame SELECT id, substr(:frames, start, length) FROM incoming WHERE start IS NOT NULL ORDER BY id;

-- take.files --
-- Their frames that are files.
INSERT INTO frame SELECT id, NULL FROM incoming WHERE start IS NULL ORDER BY id;

-- take.lanes --
-- Orders that are not a series.
INSERT INTO lane (order_key) SELECT DISTINCT order_key FROM incoming WHERE order_key IS NOT NULL
ON CONFLICT (order_key) DO NOTHING;

-- take.deliveries --
-- One delivery per destination; behind, when something of the same order is still on its way there.
INSERT INTO delivery (document, destination, lane, state, urgency)
SELECT n.id, n.destination, n.lane,
       CASE WHEN n.follows = 2 OR (n.follows = 1 AND iif(n.lane > 0,
           EXISTS (SELECT 1 FROM document o JOIN delivery v ON v.document = o.id AND v.destination = n.destination
               WHERE o.series = n.lane AND v.state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting')),
           EXISTS (SELECT 1 FROM delivery v INDEXED BY delivery_lane WHERE v.destination = n.destination
               AND v.lane = n.lane AND v.lane < 0 AND v.state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting')))) THEN 'behind'
       WHEN :needs AND EXISTS (SELECT 1 FROM need e WHERE e.document = n.id AND e.destination = n.destination) THEN 'awaiting'
       ELSE 'ready' END,
       :urgency
FROM (SELECT i.id, t.value AS destination, i.follows,
             CASE WHEN i.order_key IS NULL THEN d.series ELSE -(SELECT id FROM lane WHERE order_key = i.order_key) END AS lane
      FROM incoming i JOIN document d ON d.id = i.id, json_each(:destinations) t) n
ORDER BY n.id, n.destination;

-- take.behind --
-- How many of them stand behind something, or wait for a registration, per destination.
SELECT json_group_array(json_array(destination, state, n)) FROM
(SELECT destination, state, count(*) AS n FROM delivery WHERE document >= :first AND state IN ('behind', 'awaiting')
 GROUP BY destination, state);

-- take.held series --
-- A held record is the newest content of its series, and no version.
INSERT INTO series (set_id, plan, key, version, document_hash, held_hash, void, again, generation)
SELECT value->>0, value->>1, value->>2, 0, '', value->>3, 0, 0, :generation FROM json_each(:held) WHERE true
ON CONFLICT (set_id) DO UPDATE SET plan = excluded.plan, key = excluded.key, held_hash = excluded.held_hash, again = 0,
    generation = excluded.generation;

-- take.held --
-- The held records.
INSERT INTO quarantine (series, plan, source_hash, body, findings, held_at, state, log, day, scope)
SELECT s.id, h.value->>1, h.value->>3, unhex(h.value->>4), h.value->>5, h.value->>6, 'open', :log, h.value->>7, h.value->>8
FROM json_each(:held) h JOIN series s ON s.set_id = h.value->>0;

-- withheld.reached --
-- Of each of these sets: the newest version that a destination has or may have. A version that only the platform told us of is there.
SELECT json_group_array(json_array(s.set_id, max(
    coalesce((SELECT max(d.version) FROM document d JOIN delivery v ON v.document = d.id
              WHERE d.series = s.id AND v.state IN ('delivered', 'accepted', 'sending', 'uncertain')), 0),
    iif(s.version > 0 AND NOT EXISTS (SELECT 1 FROM document d WHERE d.series = s.id AND d.version = s.version), s.version, 0))))
FROM json_each(:set_ids) j JOIN series s ON s.set_id = j.value;

-- withheld.find under way --
-- What is still to go, or could be sent again, of these sets.
SELECT json_group_array(json_array(v.document, v.destination, v.state, v.lane, s.id))
FROM json_each(:set_ids) j JOIN series s ON s.set_id = j.value JOIN document d ON d.series = s.id
JOIN delivery v ON v.document = d.id
WHERE v.state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting', 'refused', 'blocked', 'damaged');

-- withheld.stop --
-- It does not go.
UPDATE delivery SET state = 'discarded', settled_at = :now, leased_until = NULL, reasons = :reasons
WHERE (document, destination) IN (SELECT value->>0, value->>1 FROM json_each(:rows));

-- withheld.forget --
-- What was stopped counts as never made: should the rule be lifted, the same content becomes a version.
UPDATE series SET document_hash = '' WHERE id IN (SELECT value FROM json_each(:series));

-- withheld.add --
-- The records that are kept back.
INSERT INTO withheld (series, plan, source_hash, rule, rule_digest, field, decided_by, reason, reached, withheld_at, state, log)
SELECT s.id, w.value->>1, w.value->>3, w.value->>4, w.value->>5, w.value->>6, w.value->>7, w.value->>8, w.value->>9,
       w.value->>10, 'open', :log
FROM json_each(:withheld) w JOIN series s ON s.set_id = w.value->>0;

-- withheld.close --
-- Those that are overtaken: corrected, withdrawn, or withheld anew. How many of them were alarms.
UPDATE withheld SET state = 'superseded', closed_at = :now
WHERE state = 'open' AND series IN (SELECT s.id FROM json_each(:set_ids) j JOIN series s ON s.set_id = j.value)
RETURNING reached > 0 AND acknowledged_by IS NULL;

-- withheld.find lifted --
-- Records of a feed whose rule is no longer there, or no longer the same.
SELECT json_group_array(json_array(id, series, alarm)) FROM (
    SELECT w.id, w.series, w.reached > 0 AND w.acknowledged_by IS NULL AS alarm
    FROM plan p CROSS JOIN withheld w INDEXED BY withheld_rules ON w.plan = p.id
    WHERE w.state = 'open' AND p.feed = :feed
    AND w.rule || ' ' || w.rule_digest NOT IN (SELECT value FROM json_each(:rules)));

-- withheld.lift --
UPDATE withheld SET state = 'lifted', closed_at = :now WHERE id IN (SELECT value FROM json_each(:ids));

-- series.look again --
UPDATE series SET again = 1 WHERE id IN (SELECT value FROM json_each(:series));

-- series.looked --
-- Read again as asked, and nothing had changed.
UPDATE series SET again = 0 WHERE again = 1 AND set_id IN (SELECT value FROM json_each(:set_ids));

-- series.look at unsent --
-- Records of a feed of which something is still to go: a new rule may mean them.
UPDATE series SET again = 1 WHERE id IN (
    SELECT d.series FROM (
        SELECT v.document FROM destination t CROSS JOIN delivery v INDEXED BY delivery_ready
            ON v.destination = t.id AND v.state = 'ready'
        UNION SELECT v.document FROM destination t CROSS JOIN delivery v INDEXED BY delivery_due
            ON v.destination = t.id AND v.state IN ('waiting', 'uncertain')
        UNION SELECT v.document FROM destination t CROSS JOIN delivery v INDEXED BY delivery_behind
            ON v.destination = t.id AND v.state = 'behind'
        UNION SELECT v.document FROM destination t CROSS JOIN delivery v INDEXED BY delivery_stuck
            ON v.destination = t.id AND v.state IN ('refused', 'blocked', 'damaged')
        UNION SELECT e.document FROM need e
    ) v JOIN document d ON d.id = v.document JOIN plan p ON p.id = d.plan WHERE p.feed = :feed);

-- withheld.list --
SELECT w.id, w.state, s.set_id, p.kind, p.institution, p.feed, s.key, w.source_hash, w.rule, w.field, w.decided_by, w.reason,
       w.withheld_at, w.reached, w.log, p.digests, w.acknowledged_at, coalesce(w.acknowledged_by, ''), coalesce(w.note, '')
FROM withheld w JOIN series s ON s.id = w.series JOIN plan p ON p.id = w.plan
WHERE w.id > :after AND (:everything OR w.state = 'open') AND (:feed IS NULL OR p.feed = :feed)
AND (:rule IS NULL OR w.rule = :rule) ORDER BY w.id LIMIT :limit;

-- withheld.of --
-- All that was ever withheld of one set.
SELECT w.id, w.state, s.set_id, p.kind, p.institution, p.feed, s.key, w.source_hash, w.rule, w.field, w.decided_by, w.reason,
       w.withheld_at, w.reached, w.log, p.digests, w.acknowledged_at, coalesce(w.acknowledged_by, ''), coalesce(w.note, '')
FROM series s JOIN withheld w ON w.series = s.id JOIN plan p ON p.id = w.plan WHERE s.set_id = :set_id ORDER BY w.id;

-- withheld.acknowledge --
-- A person has told the region.
UPDATE withheld SET acknowledged_at = :now, acknowledged_by = :who, note = :note
WHERE id = :id AND state = 'open' AND reached > 0 AND acknowledged_by IS NULL;

-- take.close --
-- Held records that are overtaken: corrected, withdrawn, or back to what was delivered.
UPDATE quarantine SET state = 'superseded', closed_at = :now, body = NULL
WHERE state IN ('open', 'released')
AND series IN (SELECT s.id FROM json_each(:set_ids) j JOIN series s ON s.set_id = j.value);

-- take.unheld --
-- A series whose newest content is its newest document again.
UPDATE series SET held_hash = NULL, again = 0 WHERE set_id IN (SELECT value FROM json_each(:set_ids));

-- take.learned --
-- Heads as the platform knows them. Ours is kept where it is newer.
INSERT INTO series (set_id, plan, key, version, document_hash, held_hash, void, again, generation)
SELECT value->>0, :plan, value->>1, value->>2, value->>3, NULL, value->>4, 0, :generation FROM json_each(:learned) WHERE true
ON CONFLICT (set_id) DO UPDATE SET
    document_hash = iif(excluded.version > version, excluded.document_hash, document_hash),
    void = iif(excluded.version > version, excluded.void, void),
    version = max(version, excluded.version), generation = excluded.generation;

-- take.not again --
-- Records that were to be read again, and that the source does not have any more, or not as final ones.
UPDATE series SET again = 0 WHERE again = 1 AND set_id IN (SELECT value FROM json_each(:set_ids));

-- take.reopened --
-- They wait for a person again, with the reason.
UPDATE quarantine SET state = 'open', reason = :reason
WHERE state = 'released' AND series IN (SELECT s.id FROM json_each(:set_ids) j JOIN series s ON s.set_id = j.value);

-- take.rules --
-- How often each rule spoke.
INSERT INTO rule (feed, rule, severity, field, n, last_at)
SELECT :feed, value->>0, value->>1, value->>2, value->>3, :now FROM json_each(:rules) WHERE true
ON CONFLICT (feed, rule, severity, field) DO UPDATE SET n = n + excluded.n, last_at = excluded.last_at;

-- statistics.outcomes --
-- How the records of a batch fared.
INSERT INTO day_outcome
SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9,
       value->>10, value->>11, value->>12, value->>13, value->>14 FROM json_each(:rows) WHERE true
ON CONFLICT (day, scope) DO UPDATE SET read = read + excluded.read, final = final + excluded.final,
    first = first + excluded.first, first_held = first_held + excluded.first_held,
    documents = documents + excluded.documents, versions = versions + excluded.versions, void = void + excluded.void,
    warned = warned + excluded.warned, held = held + excluded.held, withheld = withheld + excluded.withheld,
    mended = mended + excluded.mended, wanted = wanted + excluded.wanted, filled = filled + excluded.filled;

-- statistics.findings --
-- What the rules had to say of them.
INSERT INTO day_finding
SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6 FROM json_each(:rows) WHERE true
ON CONFLICT (day, scope, rule, severity, field, element) DO UPDATE SET n = n + excluded.n;

-- statistics.forget visits --
DELETE FROM day_finding WHERE scope IN (SELECT id FROM scope WHERE kind = :kind);

-- statistics.fill --
-- Which of their elements were there.
INSERT INTO day_fill
SELECT value->>0, :institution, :kind, value->>1, value->>2, value->>3 FROM json_each(:rows) WHERE true
ON CONFLICT (day, institution, kind, field) DO UPDATE SET filled = filled + excluded.filled, wanted = wanted + excluded.wanted;

-- statistics.delays --
-- How long it took.
INSERT INTO day_delay
SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5 FROM json_each(:rows) WHERE true
ON CONFLICT (day, scope, destination, since, bucket) DO UPDATE SET n = n + excluded.n;

-- statistics.deliveries --
-- How deliveries ended.
INSERT INTO day_delivery
SELECT value->>0, value->>1, :destination, value->>2, value->>3 FROM json_each(:rows) WHERE true
ON CONFLICT (day, scope, destination, state) DO UPDATE SET n = n + excluded.n;

-- report.outcomes --
-- How the records of some days fared.
SELECT o.day, s.feed, s.kind, s.institution, s.department, o.read, o.final, o.first, o.first_held, o.documents, o.versions,
       o.void, o.warned, o.held, o.withheld, o.mended, o.wanted, o.filled
FROM day_outcome o JOIN scope s ON s.id = o.scope WHERE o.day BETWEEN :first AND :last ORDER BY o.day, o.scope;

-- report.findings --
SELECT f.day, s.feed, s.kind, s.institution, s.department, f.rule, f.severity, f.field, f.element, f.n
FROM day_finding f JOIN scope s ON s.id = f.scope WHERE f.n > 0 AND f.day BETWEEN :first AND :last
ORDER BY f.day, f.scope;

-- report.fill --
SELECT day, institution, kind, field, filled, wanted FROM day_fill WHERE day BETWEEN :first AND :last
ORDER BY day, institution, kind, field;

-- report.delays --
SELECT d.day, s.feed, s.kind, s.institution, s.department, coalesce(t.name, ''), d.since, d.bucket, d.n
FROM day_delay d JOIN scope s ON s.id = d.scope LEFT JOIN destination t ON t.id = d.destination
WHERE d.day BETWEEN :first AND :last ORDER BY d.day, d.scope;

-- report.deliveries --
SELECT d.day, s.feed, s.kind, s.institution, s.department, t.name, d.state, d.n
FROM day_delivery d JOIN scope s ON s.id = d.scope JOIN destination t ON t.id = d.destination
WHERE d.day BETWEEN :first AND :last ORDER BY d.day, d.scope;

-- report.documents --
-- A page of the documents of some days, in the order of day and number, with their findings.
SELECT d.day, d.id, s.set_id, d.version, c.kind, c.department, d.void, coalesce(d.findings, '')
FROM document d INDEXED BY document_day JOIN series s ON s.id = d.series JOIN scope c ON c.id = d.scope
WHERE d.day IS NOT NULL AND (d.day, d.id) > (:day, :after) AND d.day <= :last
ORDER BY d.day, d.id LIMIT :limit;

-- report.where --
SELECT d.day, c.department FROM series s JOIN document d ON d.series = s.id AND d.version = :version
JOIN scope c ON c.id = d.scope WHERE s.set_id = :set_id AND d.day IS NOT NULL;

-- report.held --
-- A page of the held records of some days, whatever became of them.
SELECT q.day, q.id, s.set_id, q.state, c.kind, c.department, q.findings
FROM quarantine q INDEXED BY quarantine_day JOIN series s ON s.id = q.series JOIN scope c ON c.id = q.scope
WHERE q.day IS NOT NULL AND (q.day, q.id) > (:day, :after) AND q.day <= :last
ORDER BY q.day, q.id LIMIT :limit;

-- report.visits --
-- A page of the visits of some days with what the rules say of them.
SELECT day, id, name, findings FROM visit INDEXED BY visit_day
WHERE day IS NOT NULL AND findings IS NOT NULL AND (day, id) > (:day, :after) AND day <= :last
ORDER BY day, id LIMIT :limit;

-- dictionary.keep --
INSERT INTO dictionary (sha256, content) VALUES (:name, :content) ON CONFLICT DO NOTHING;

-- dictionary.find --
SELECT content FROM dictionary WHERE sha256 = :name;

-- scope.add --
INSERT INTO scope (feed, kind, institution, department) VALUES (:feed, :kind, :institution, :department)
ON CONFLICT DO NOTHING;

-- scope.find --
SELECT id FROM scope WHERE feed = :feed AND kind = :kind AND institution = :institution AND department = :department;

-- take.shadow --
-- How the records of this batch would have fared under another pack.
INSERT INTO shadow (pack, feed, kind, verdict, rule, field, n, example, first_at, last_at)
SELECT :pack, :feed, :kind, value->>0, value->>1, value->>2, value->>3, value->>4, :now, :now
FROM json_each(:shadow) WHERE true
ON CONFLICT (pack, feed, kind, verdict, rule, field) DO UPDATE SET n = n + excluded.n, example = excluded.example,
    last_at = excluded.last_at;

-- shadow.all --
SELECT feed, kind, verdict, rule, field, n, example, first_at, last_at FROM shadow WHERE pack = :pack
ORDER BY feed, kind, verdict, rule <> '', n DESC;

-- shadow.drop --
-- Another pack is in shadow now, or none.
DELETE FROM shadow WHERE pack <> :pack;

-- recent.documents --
-- The newest documents whose bytes are still here.
SELECT d.id, s.set_id, d.version, p.feed, s.key, d.size, p.dictionary
FROM frame f JOIN document d ON d.id = f.document JOIN series s ON s.id = d.series JOIN plan p ON p.id = d.plan
WHERE d.void = 0 AND f.document < :before ORDER BY f.document DESC LIMIT :limit;

-- take.watermark --
-- How far the feed has been read.
INSERT INTO feed (name, cursor, key, moved_at) VALUES (:feed, :cursor, :key, :now)
ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, key = excluded.key, moved_at = excluded.moved_at;

-- waiting.put --
-- These records wait for a partner; who waits already goes on waiting from then on.
INSERT INTO waiting (set_id, feed, key, since, until, due_at, attempts, partners)
SELECT value->>0, :feed, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6 FROM json_each(:rows) WHERE true
ON CONFLICT (set_id) DO UPDATE SET feed = excluded.feed, until = excluded.until, due_at = excluded.due_at,
    attempts = excluded.attempts, partners = excluded.partners;

-- waiting.arrived --
-- These wait no longer.
DELETE FROM waiting WHERE set_id IN (SELECT value FROM json_each(:set_ids));

-- waiting.of --
-- Those of these sets that wait.
SELECT json_group_array(json_array(w.set_id, w.key, w.since, w.until, w.due_at, w.attempts, w.partners))
FROM json_each(:set_ids) j JOIN waiting w ON w.set_id = j.value;

-- waiting.due --
-- Keys whose turn it is to be looked for again.
SELECT json_group_array(key) FROM (SELECT key FROM waiting WHERE feed = :feed AND due_at <= :now ORDER BY due_at LIMIT :limit);

-- waiting.list --
-- All that wait in a feed.
SELECT json_group_array(json_array(set_id, key, since, until, due_at, attempts, partners))
FROM (SELECT * FROM waiting WHERE feed = :feed ORDER BY since, set_id);

-- visits.new --
-- The visits of some documents.
INSERT INTO visit (institution, name, opened_at) SELECT :institution, value, :now FROM json_each(:names) WHERE true
ON CONFLICT (institution, name) DO NOTHING;

-- visits.documents --
-- What their documents say. One that says the same as before changes nothing.
INSERT INTO visit_document (series, visit, kind, state, facts, closes_at, again_at, archived)
SELECT s.id, v.id, j.value->>2, j.value->>3, j.value->>4, j.value->>5, :again, j.value->>6
FROM jsonb_each(:seen) j CROSS JOIN series s ON s.set_id = j.value->>0
CROSS JOIN visit v ON v.institution = :institution AND v.name = j.value->>1
WHERE true
ON CONFLICT (series) DO UPDATE SET visit = excluded.visit, kind = excluded.kind, state = excluded.state,
    facts = excluded.facts, closes_at = excluded.closes_at, again_at = excluded.again_at, archived = excluded.archived
WHERE facts <> excluded.facts OR state <> excluded.state OR visit <> excluded.visit;

-- visits.gone --
-- Documents that were withdrawn.
DELETE FROM visit_document WHERE series IN (SELECT s.id FROM json_each(:set_ids) j JOIN series s ON s.set_id = j.value);

-- visits.due --
-- Visits that can be judged, with what is known of them so far.
SELECT json_group_array(json_array(id, institution, name, findings, day)) FROM
(SELECT * FROM visit INDEXED BY visit_due WHERE due_at <= :now ORDER BY due_at LIMIT :limit);

-- visits.of --
-- The documents of some visits.
SELECT json_group_array(json_array(d.visit, s.set_id, d.kind, d.state, d.facts))
FROM json_each(:visits) j CROSS JOIN visit_document d ON d.visit = j.value JOIN series s ON s.id = d.series;

-- visits.days --
-- The day of each visit: the last on which a document of it happened; none where all are from before there were statistics.
SELECT d.visit, max(max(coalesce((SELECT max(o.day) FROM document o WHERE o.series = d.series), 0),
                        coalesce((SELECT max(q.day) FROM quarantine q WHERE q.series = d.series), 0)))
FROM json_each(:visits) j CROSS JOIN visit_document d ON d.visit = j.value GROUP BY d.visit;

-- visits.others --
-- Other persons under the same patient id or identity number: at most three per visit. Only equal shapes are compared.
SELECT json_group_array(json_array(j.value->>0, j.value->>1, (
    SELECT json_group_array(name) FROM (
        SELECT DISTINCT v.name FROM identity i JOIN visit v ON v.id = i.visit
        WHERE i.what = j.value->>1 AND i.value = j.value->>2 AND i.visit <> j.value->>0
        AND ((substr(i.person, 1, 3) = substr(j.value->>3, 1, 3) AND i.person <> j.value->>3)
             OR (i.number <> '' AND j.value->>4 <> '' AND i.number <> j.value->>4))
        LIMIT 3))))
FROM json_each(:asked) j;

-- visits.forget identity --
DELETE FROM identity WHERE visit IN (SELECT value FROM json_each(:visits));

-- visits.identity --
-- Who these visits were of.
INSERT INTO identity (what, value, person, number, visit)
SELECT value->>1, value->>2, value->>3, value->>4, value->>0 FROM json_each(:asked) WHERE true
ON CONFLICT (what, value, person, number) DO UPDATE SET visit = excluded.visit;

-- visits.judged --
-- What the rules said of them.
UPDATE visit SET due_at = NULL, judged_at = :now, findings = j.value->>1, day = j.value->>2
FROM json_each(:judged) j WHERE visit.id = j.value->>0;

-- visits.empty --
-- Visits whose last document was withdrawn.
DELETE FROM visit WHERE id IN (SELECT value FROM json_each(:visits));

-- visits.list --
SELECT json_group_array(json_array(id, institution, name, opened_at, due_at, judged_at, findings)) FROM
(SELECT * FROM visit WHERE id > :after ORDER BY id LIMIT :limit);

-- visits.list open --
SELECT json_group_array(json_array(id, institution, name, opened_at, due_at, judged_at, findings)) FROM
(SELECT * FROM visit INDEXED BY visit_open WHERE judged_at IS NULL AND id > :after ORDER BY id LIMIT :limit);

-- visits.list findings --
SELECT json_group_array(json_array(id, institution, name, opened_at, due_at, judged_at, findings)) FROM
(SELECT * FROM visit INDEXED BY visit_findings WHERE findings IS NOT NULL AND id > :after ORDER BY id LIMIT :limit);

-- visits.clear --
-- All of it goes; it is told anew by the sources.
DELETE FROM visit_document;

-- visits.clear visits --
DELETE FROM visit;

-- visits.clear identity --
DELETE FROM identity;

-- watermark --
SELECT cursor, key FROM feed WHERE name = :feed;

-- plan.add --
INSERT INTO plan (feed, kind, institution, dictionary, digests) VALUES (:feed, :kind, :institution, :dictionary, :digests)
ON CONFLICT DO NOTHING;

-- plan.find --
SELECT id FROM plan WHERE feed = :feed AND kind = :kind AND institution = :institution AND dictionary = :dictionary
AND digests = :digests;

-- series.heads --
-- The newest we know of these sets.
SELECT json_group_array(json_array(s.set_id, s.version, s.document_hash, s.held_hash, s.void, s.again, p.digests, s.generation))
FROM json_each(:set_ids) j JOIN series s ON s.set_id = j.value JOIN plan p ON p.id = s.plan;

-- series.again --
-- Keys of a feed that are to be read again, from behind one on.
SELECT json_group_array(json_array(v.plan, v.id, v.key)) FROM (
    SELECT s.plan, s.id, s.key FROM plan p CROSS JOIN series s INDEXED BY series_again ON s.plan = p.id
    WHERE p.feed = :feed AND s.again = 1 AND (p.id > :plan OR (p.id = :plan AND s.id > :series))
    ORDER BY p.id, s.id LIMIT :limit) v;

-- tally.add --
INSERT INTO tally (scope, name, n) SELECT value->>0, value->>1, value->>2 FROM json_each(:changes) WHERE true
ON CONFLICT (scope, name) DO UPDATE SET n = n + excluded.n;

-- tally.one --
SELECT n FROM tally WHERE scope = :scope AND name = :name;

-- tally.all --
SELECT json_group_array(json_array(scope, name, n)) FROM tally;

-- claim.find due --
-- What waited long enough, or until a time so far away that the clock must have been set back. A thousand at a time: more
-- come with the next claim.
SELECT json_group_array(json_array(document, state)) FROM (
    SELECT * FROM (SELECT document, state FROM delivery INDEXED BY delivery_due WHERE destination = :destination
        AND state IN ('waiting', 'uncertain') AND due_at <= :now ORDER BY due_at LIMIT 1000)
    UNION ALL
    SELECT * FROM (SELECT document, state FROM delivery INDEXED BY delivery_due WHERE destination = :destination
        AND state IN ('waiting', 'uncertain') AND due_at > :beyond ORDER BY due_at LIMIT 1000));

-- claim.due --
-- It goes back in line.
UPDATE delivery SET state = 'ready' WHERE destination = :destination AND document IN (SELECT value FROM json_each(:documents));

-- claim.lapsed --
-- Whoever held these is gone: they may have arrived. (Or the clock was set back: then they are sent twice, which is harmless.)
UPDATE delivery SET state = 'uncertain', due_at = :now
WHERE destination = :destination AND state = 'sending' AND (leased_until <= :until OR leased_until > :beyond);

-- claim.pick --
-- The oldest that are ready, most urgent first, and the oldest suspects beside them.
SELECT json_group_array(json_array(p.document, d.length, p.urgency) ORDER BY p.urgency, p.document) FROM (
    SELECT * FROM (SELECT document, urgency FROM delivery INDEXED BY delivery_ready
        WHERE destination = :destination AND state = 'ready' AND urgency < 9 ORDER BY urgency, document LIMIT :limit)
    UNION ALL
    SELECT * FROM (SELECT document, urgency FROM delivery INDEXED BY delivery_ready
        WHERE destination = :destination AND state = 'ready' AND urgency >= 9 ORDER BY urgency, document LIMIT :limit)
) p JOIN document d ON d.id = p.document;

-- claim.lease --
-- Lease them.
UPDATE delivery SET state = 'sending', attempts = attempts + 1, claimed_at = :now, leased_until = :until
WHERE destination = :destination AND document IN (SELECT value FROM json_each(:documents));

-- claim.documents --
-- Their index rows, and all their frames end to end. Both grow row by row, so they agree in their order. A cast between
-- blob and text changes no byte, and there is no aggregate for blobs; every frame is held against its checksum anyway.
SELECT json_group_array(json_array(d.id, s.set_id, d.version, d.plan, s.key, d.source_hash, lower(hex(d.sha256)), d.size,
           d.crc, d.made_at, coalesce(d.replaces_id, ''), d.void, coalesce(d.order_key, s.set_id), v.attempts, v.urgency,
           coalesce(length(f.bytes), -1), coalesce(d.day, 0), coalesce(o.department, ''))),
       CAST(group_concat(CAST(f.bytes AS TEXT), '') AS BLOB)
FROM json_each(:documents) j CROSS JOIN document d ON d.id = j.value CROSS JOIN series s ON s.id = d.series
CROSS JOIN delivery v ON v.document = d.id AND v.destination = :destination LEFT JOIN frame f ON f.document = d.id
LEFT JOIN scope o ON o.id = d.scope;

-- document.last --
SELECT max(id) FROM document;

-- document.name --
SELECT s.set_id, d.version FROM document d JOIN series s ON s.id = d.series WHERE d.id = :document;

-- plan.all --
SELECT id, feed, kind, institution, dictionary, digests FROM plan;

-- settle.find --
-- The deliveries that an answer speaks of, in its order.
SELECT json_group_array(json_array(j.key, v.document, v.state, v.attempts, v.lane, lower(hex(d.sha256)), d.made_at, d.day,
       d.event_at, d.scope))
FROM json_each(:documents) j CROSS JOIN delivery v ON v.document = j.value AND v.destination = :destination
CROSS JOIN document d ON d.id = v.document;

-- settle.number --
-- The row of a document, by set and version.
SELECT d.id FROM series s JOIN document d ON d.series = s.id AND d.version = :version WHERE s.set_id = :set_id;

-- settle.stored --
-- The plain case: proven stored, by one reply.
UPDATE delivery SET state = 'delivered', due_at = 0, settled_at = :now, leased_until = NULL, outcome = :outcome,
    reply = :reply, position = j.position, reasons = NULL
FROM (SELECT value->>0 AS document, value->>1 AS position FROM json_each(:rows)) j
WHERE delivery.document = j.document AND delivery.destination = :destination;

-- settle.write --
-- What became of the others.
UPDATE delivery SET state = j.state, attempts = j.attempts, due_at = j.due_at, settled_at = j.settled_at,
    leased_until = NULL, outcome = j.outcome, reply = coalesce(j.reply, delivery.reply),
    position = coalesce(j.position, delivery.position), reasons = j.reasons, urgency = coalesce(j.urgency, delivery.urgency)
FROM (SELECT value->>0 AS document, value->>1 AS state, value->>2 AS attempts, value->>3 AS due_at,
             value->>4 AS settled_at, value->>5 AS outcome, value->>6 AS reply, value->>7 AS position,
             value->>8 AS reasons, value->>9 AS urgency FROM json_each(:rows)) j
WHERE delivery.document = j.document AND delivery.destination = :destination;

-- settle.next --
-- What stood behind the settled ones comes to the front of its lane.
UPDATE delivery SET state = iif(EXISTS (SELECT 1 FROM need e WHERE e.document = delivery.document
    AND e.destination = delivery.destination), 'awaiting', 'ready')
WHERE destination = :destination AND document IN (
    SELECT min(document) FROM delivery INDEXED BY delivery_behind WHERE destination = :destination
    AND lane IN (SELECT value FROM json_each(:lanes)) AND state = 'behind' GROUP BY lane)
RETURNING state;

-- reply.add --
-- Keep a signed reply as it came.
INSERT INTO reply (destination, name, received_at, body) VALUES (:destination, :name, :now, :body)
ON CONFLICT (destination, name) DO UPDATE SET received_at = received_at RETURNING id;

-- reply.find --
SELECT id FROM reply WHERE destination = :destination AND name = :name;

-- destination.add --
INSERT INTO destination (name) VALUES (:name) ON CONFLICT DO NOTHING;

-- destination.all --
SELECT id, name, failures, due_at, problem, blame, since, stored_at FROM destination ORDER BY id;

-- destination.state --
UPDATE destination SET failures = :failures, due_at = :due_at, problem = :problem, blame = :blame, since = :since
WHERE id = :id;

-- destination.stored --
-- What it proved to have stored last: a document that it is known to take.
UPDATE destination SET stored_at = :now, stored = :document WHERE id = :id;

-- destination.last stored --
SELECT d.stored FROM destination d JOIN frame f ON f.document = d.stored WHERE d.id = :id;

-- log.add --
INSERT INTO log (seq, hash, body) VALUES (:seq, unhex(:hash), :body);

-- log.last --
SELECT seq, lower(hex(hash)) FROM log ORDER BY seq DESC LIMIT 1;

-- log.page --
SELECT seq, lower(hex(hash)), body FROM log WHERE seq >= :first ORDER BY seq LIMIT 200;

-- log.newest --
SELECT seq, lower(hex(hash)), body FROM log WHERE seq < :before ORDER BY seq DESC LIMIT :limit;

-- head.add --
-- A platform countersigned our log up to here.
INSERT INTO head (seq, destination, hash, evidence) VALUES (:seq, :destination, unhex(:hash), :evidence)
ON CONFLICT DO NOTHING;

-- head.all --
SELECT seq, lower(hex(hash)), evidence FROM head ORDER BY seq;

-- head.newest --
-- The newest of one destination.
SELECT seq FROM head WHERE destination = :destination ORDER BY seq DESC LIMIT 1;

-- head.before --
-- The newest up to an entry.
SELECT seq, lower(hex(hash)), evidence FROM head WHERE seq <= :seq ORDER BY seq DESC LIMIT 1;

-- checkpoint.last --
SELECT seq, lower(hex(hash)), evidence FROM checkpoint ORDER BY seq DESC LIMIT 1;

-- checkpoint.add --
INSERT INTO checkpoint (seq, hash, evidence, dropped_at, log) VALUES (:seq, unhex(:hash), :evidence, :now, :log);

-- log.one --
SELECT lower(hex(hash)) FROM log WHERE seq = :seq;

-- log.drop --
-- A page of what stands before the checkpoint.
DELETE FROM log WHERE seq IN (SELECT seq FROM log WHERE seq <= :seq ORDER BY seq LIMIT 2000);

-- head.drop --
-- The checkpoint's own evidence is kept with it.
DELETE FROM head WHERE seq <= :seq;

-- run.add --
INSERT INTO run (feed, started_at, ended_at, counts, problem) VALUES (:feed, :started_at, :ended_at, :counts, :problem);

-- run.trim --
-- The newest thousand are enough.
DELETE FROM run WHERE id <= (SELECT max(id) FROM run) - 1000;

-- run.last --
SELECT feed, started_at, ended_at, counts, problem FROM run ORDER BY id DESC LIMIT :limit;

-- rule.counts --
SELECT feed, rule, severity, field, n, last_at FROM rule ORDER BY n DESC;

-- quarantine.list --
-- Held records, oldest first.
SELECT q.id, s.set_id, p.feed, p.kind, p.institution, s.key, q.source_hash, p.digests, q.findings, q.held_at, q.state,
       coalesce(q.reason, ''), q.log
FROM quarantine q JOIN series s ON s.id = q.series JOIN plan p ON p.id = q.plan
WHERE q.state IN ('open', 'released') AND q.id > :after AND (:feed IS NULL OR p.feed = :feed) ORDER BY q.id LIMIT :limit;

-- quarantine.one --
SELECT q.id, s.set_id, p.feed, p.kind, p.institution, s.key, q.source_hash, p.digests, q.findings, q.held_at, q.state,
       coalesce(q.reason, ''), q.log
FROM quarantine q JOIN series s ON s.id = q.series JOIN plan p ON p.id = q.plan WHERE q.id = :id;

-- quarantine.body --
SELECT body FROM quarantine WHERE id = :id;

-- cause.list --
-- What waits for a person by cause, the most frequent first; with the oldest record of each as its example.
SELECT c.id, c.feed, c.kind, c.rule, c.field, c.source_column, c.value, c.n, c.released, q.id, q.held_at, q.findings
FROM cause c JOIN quarantine q ON q.id = (SELECT min(l.quarantine) FROM cause_case l WHERE l.cause = c.id)
WHERE c.n > 0 AND (:feed IS NULL OR c.feed = :feed) AND (:rule IS NULL OR c.rule = :rule)
AND (:field IS NULL OR c.field = :field) AND (:value IS NULL OR c.value = :value)
ORDER BY c.n DESC, c.id;

-- cause.one --
SELECT c.id, c.feed, c.kind, c.rule, c.field, c.source_column, c.value, c.n, c.released, q.id, q.held_at, q.findings
FROM cause c JOIN quarantine q ON q.id = (SELECT min(l.quarantine) FROM cause_case l WHERE l.cause = c.id)
WHERE c.id = :id AND c.n > 0;

-- cause.records --
-- How many records wait for at least one of these causes.
SELECT count(DISTINCT quarantine) FROM cause_case WHERE cause IN (SELECT value FROM json_each(:causes));

-- cause.cases --
-- Held records of a cause, oldest first.
SELECT q.id, s.set_id, p.feed, p.kind, p.institution, s.key, q.source_hash, p.digests, q.findings, q.held_at, q.state,
       coalesce(q.reason, ''), q.log
FROM cause_case l JOIN quarantine q ON q.id = l.quarantine JOIN series s ON s.id = q.series JOIN plan p ON p.id = q.plan
WHERE l.cause = :cause AND l.quarantine > :after ORDER BY l.quarantine LIMIT :limit;

-- cause.stuck --
-- Documents that a destination did not take, by what it said; the oldest of each as its example.
SELECT t.name, p.feed, p.kind, v.state, coalesce(v.reasons, '[]') AS said, count(*) AS n, min(v.document), min(coalesce(v.settled_at, 0))
FROM delivery v INDEXED BY delivery_stuck CROSS JOIN destination t ON t.id = v.destination
JOIN document d ON d.id = v.document JOIN plan p ON p.id = d.plan
WHERE v.state IN ('refused', 'blocked', 'damaged') AND (:feed IS NULL OR p.feed = :feed)
GROUP BY v.destination, p.feed, p.kind, v.state, said ORDER BY n DESC LIMIT 1000;

-- cause.stuck cases --
SELECT json_group_array(document) FROM (
    SELECT v.document FROM destination t CROSS JOIN delivery v INDEXED BY delivery_stuck ON v.destination = t.id
    JOIN document d ON d.id = v.document JOIN plan p ON p.id = d.plan
    WHERE t.name = :destination AND v.state IN ('refused', 'blocked', 'damaged') AND v.state = :state AND p.feed = :feed
    AND p.kind = :kind AND coalesce(v.reasons, '[]') = :said ORDER BY v.document);

-- release.add --
INSERT INTO release (at, who, asked) VALUES (:now, :who, :asked) RETURNING id;

-- release.count --
UPDATE release SET cases = cases + :n WHERE id = :release;

-- release.page --
-- The next held records of a cause that this release does not have yet.
SELECT json_group_array(id) FROM (
    SELECT q.id FROM cause_case l JOIN quarantine q ON q.id = l.quarantine
    WHERE l.cause = :cause AND l.quarantine > :after AND q.release IS NOT :release
    AND (q.day IS NULL OR q.day / 100 NOT IN (SELECT value FROM json_each(:closed))) ORDER BY l.quarantine LIMIT :limit);

-- release.named --
-- Those of these cases that wait.
SELECT json_group_array(id) FROM quarantine WHERE id IN (SELECT value FROM json_each(:cases))
AND state IN ('open', 'released') AND release IS NOT :release;

-- release.cases --
UPDATE quarantine SET state = 'released', closed_at = :now, closed_by = :who, reason = NULL, release = :release
WHERE id IN (SELECT value FROM json_each(:cases));

-- release.again --
-- They are to be read again. (The keys are looked at only where few are asked for.)
UPDATE series SET again = 1 WHERE id IN (SELECT series FROM quarantine WHERE id IN (SELECT value FROM json_each(:cases)));

-- release.keys --
SELECT p.feed, s.key FROM json_each(:cases) j JOIN quarantine q ON q.id = j.value JOIN series s ON s.id = q.series
JOIN plan p ON p.id = q.plan;

-- release.feeds --
-- The feeds that have something to read again for this release.
SELECT DISTINCT p.feed FROM quarantine q INDEXED BY quarantine_release JOIN series s ON s.id = q.series
JOIN plan p ON p.id = s.plan WHERE q.release = :release AND q.state = 'released';

-- release.waiting --
SELECT count(*) FROM quarantine INDEXED BY quarantine_release WHERE release = :release AND state = 'released';

-- release.one --
SELECT id, at, who, asked, cases FROM release WHERE id = :release;

-- release.list --
SELECT id, at, who, asked, cases FROM release ORDER BY id DESC LIMIT :limit;

-- release.became --
-- What became of its records: still to be read, put back before a person, discarded, held again, a document (and where that
-- stands), or nothing new.
SELECT became, why, count(*) FROM (
    SELECT CASE WHEN q.state = 'released' THEN 'waiting' WHEN q.state = 'open' THEN 'returned'
                WHEN q.state = 'discarded' THEN 'discarded' WHEN s.held_hash IS NOT NULL THEN 'held'
                WHEN d.made_at >= :at THEN 'document' ELSE 'unchanged' END AS became,
           CASE WHEN q.state = 'open' THEN coalesce(q.reason, '')
                WHEN q.state = 'superseded' AND s.held_hash IS NULL AND d.made_at >= :at THEN (
                    SELECT CASE WHEN sum(v.state IN ('refused', 'blocked', 'damaged')) THEN 'stuck'
                                WHEN sum(v.state NOT IN ('delivered', 'accepted', 'discarded')) THEN 'to send'
                                WHEN sum(v.state = 'accepted') THEN 'accepted' ELSE 'delivered' END
                    FROM delivery v WHERE v.document = d.id)
                ELSE '' END AS why
    FROM quarantine q INDEXED BY quarantine_release JOIN series s ON s.id = q.series
    LEFT JOIN document d ON d.series = s.id AND d.version = s.version
    WHERE q.release = :release)
GROUP BY became, why;

-- release.held again --
-- Why records of this release are held again: their causes now.
SELECT c.id, count(*) FROM quarantine q INDEXED BY quarantine_release
JOIN quarantine n ON n.series = q.series AND n.state IN ('open', 'released')
JOIN cause_case l ON l.quarantine = n.id JOIN cause c ON c.id = l.cause
WHERE q.release = :release AND q.state = 'superseded' GROUP BY c.id ORDER BY count(*) DESC;

-- quarantine.discard --
UPDATE quarantine SET state = 'discarded', closed_at = :now, closed_by = :who, reason = :reason, body = NULL
WHERE id = :id AND state IN ('open', 'released');

-- quarantine.known --
-- The same content will not come back into quarantine; other content will be looked at.
-- A key that vanished has no content: it is as it was.
UPDATE series SET document_hash = iif(held_hash = 'vanished', document_hash, held_hash), held_hash = NULL, again = 0
WHERE held_hash IS NOT NULL AND id = (SELECT series FROM quarantine WHERE id = :id);

-- stuck.list --
-- Deliveries that wait for a person, from behind one on.
SELECT v.document, t.name, s.set_id, d.version, p.feed, p.kind, p.institution, s.key, d.source_hash, p.digests, v.state,
       coalesce(v.reasons, '[]'), coalesce(v.settled_at, 0), d.log, v.destination
FROM delivery v INDEXED BY delivery_stuck CROSS JOIN destination t ON t.id = v.destination
JOIN document d ON d.id = v.document JOIN series s ON s.id = d.series JOIN plan p ON p.id = d.plan
WHERE v.state IN ('refused', 'blocked', 'damaged') AND (v.destination, v.document) > (:destination, :document)
AND (:feed IS NULL OR p.feed = :feed)
ORDER BY v.destination, v.document LIMIT :limit;

-- stuck.show --
-- One of them.
SELECT v.document, t.name, s.set_id, d.version, p.feed, p.kind, p.institution, s.key, d.source_hash, p.digests, v.state,
       coalesce(v.reasons, '[]'), coalesce(v.settled_at, 0), d.log, v.destination
FROM delivery v JOIN destination t ON t.id = v.destination
JOIN document d ON d.id = v.document JOIN series s ON s.id = d.series JOIN plan p ON p.id = d.plan
WHERE v.document = :document AND t.name = :destination AND v.state IN ('refused', 'blocked', 'damaged');

-- stuck.one --
SELECT v.document, t.id, v.state, v.lane, d.series, s.set_id, d.version, p.feed, s.key
FROM delivery v JOIN destination t ON t.id = v.destination JOIN document d ON d.id = v.document
JOIN series s ON s.id = d.series JOIN plan p ON p.id = d.plan
WHERE v.document = :document AND t.name = :destination AND v.state IN ('refused', 'blocked', 'damaged');

-- stuck.again --
-- Send it again, when nothing of its order is on its way; behind that otherwise.
UPDATE delivery SET urgency = min(urgency, 1), reasons = NULL, settled_at = NULL, due_at = 0,
    state = iif(iif(delivery.lane > 0,
           EXISTS (SELECT 1 FROM document o JOIN delivery v ON v.document = o.id AND v.destination = delivery.destination
               WHERE o.series = delivery.lane AND v.state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting')),
           EXISTS (SELECT 1 FROM delivery v INDEXED BY delivery_lane WHERE v.destination = delivery.destination
               AND v.lane = delivery.lane AND v.lane < 0 AND v.state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting'))), 'behind', 'ready')
WHERE document = :document AND destination = :destination RETURNING state;

-- stuck.overtaken --
-- It keeps waiting for a person, and says why.
UPDATE delivery SET reasons = :reasons WHERE document = :document AND destination = :destination;

-- stuck.discard --
UPDATE delivery SET state = 'discarded', settled_at = :now WHERE document = :document AND destination = :destination;

-- series.read again --
-- Read its record again and make a version of it, whatever its hash.
UPDATE series SET again = 1, held_hash = coalesce(held_hash, document_hash), document_hash = '' WHERE id = :series;

-- damaged.find --
-- The deliveries that a damaged document was still to make.
SELECT json_group_array(json_array(destination, state, lane)) FROM delivery
WHERE document = :document AND state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting');

-- damaged.mark --
UPDATE delivery SET state = 'damaged', settled_at = :now, reasons = :reasons
WHERE document = :document AND state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting');

-- trace.document --
SELECT d.id, s.set_id, d.version, p.feed, p.kind, p.institution, s.key, d.source_hash, lower(hex(d.sha256)), d.size, d.length,
       p.dictionary, p.digests, d.made_at, coalesce(d.replaces_id, ''), d.void, coalesce(d.findings, '[]'), d.log,
       (SELECT count(*) FROM frame f WHERE f.document = d.id), s.version
FROM series s JOIN document d ON d.series = s.id AND d.version = :version JOIN plan p ON p.id = d.plan
WHERE s.set_id = :set_id;

-- trace.deliveries --
SELECT t.name, v.state, v.attempts, v.due_at, v.claimed_at, v.settled_at, coalesce(v.outcome, ''), coalesce(v.reasons, '[]'),
       coalesce(r.name, ''), coalesce(v.position, -1), r.body
FROM delivery v JOIN destination t ON t.id = v.destination LEFT JOIN reply r ON r.id = v.reply
WHERE v.document = :document ORDER BY t.name;

-- receipts --
-- Deliveries that were answered, in the order of their documents.
SELECT v.document, v.destination, s.set_id, d.version, t.name, v.outcome, lower(hex(d.sha256)), coalesce(v.reasons, '[]'),
       coalesce(r.name, ''), coalesce(v.position, -1), v.settled_at, v.state
FROM delivery v JOIN document d ON d.id = v.document JOIN series s ON s.id = d.series
JOIN destination t ON t.id = v.destination LEFT JOIN reply r ON r.id = v.reply
WHERE (v.document, v.destination) > (:document, :place) AND v.outcome IN ('stored', 'duplicate', 'accepted', 'confirmed', 'refused')
AND (:destination IS NULL OR t.name = :destination)
ORDER BY v.document, v.destination LIMIT :limit;

-- frame.one --
SELECT d.id, d.crc, f.document IS NOT NULL, f.bytes FROM series s JOIN document d ON d.series = s.id AND d.version = :version
LEFT JOIN frame f ON f.document = d.id WHERE s.set_id = :set_id;

-- frame.bytes --
-- By itself.
SELECT bytes FROM frame WHERE document = :document;

-- retire.page --
-- Frames from here on, with what still needs them: an unsettled or young delivery.
SELECT json_group_array(json_array(f.document, f.bytes IS NULL, d.length, s.set_id, d.version, EXISTS (
    SELECT 1 FROM delivery v WHERE v.document = f.document
    AND (v.state NOT IN ('delivered', 'accepted', 'discarded') OR v.settled_at > CASE
         WHEN v.state = 'accepted' THEN coalesce((SELECT j.value->>1 FROM json_each(:accepted) j WHERE j.value->>0 = v.destination), 0)
         WHEN v.urgency = 1 THEN :backfilled ELSE :before END))) ORDER BY f.document)
FROM (SELECT document, bytes FROM frame WHERE document > :after ORDER BY document LIMIT 500) f
JOIN document d ON d.id = f.document JOIN series s ON s.id = d.series;

-- retire.drop --
DELETE FROM frame WHERE document IN (SELECT value FROM json_each(:documents));

-- meta.get --
SELECT value FROM meta WHERE name = :name;

-- meta.put --
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- meta.drop --
DELETE FROM meta WHERE name = :name;

-- unmapped.codes --
-- The codes of these maps that wait already.
SELECT json_group_array(json_array(tbl, json(codes))) FROM (
    SELECT tbl, json_group_array(DISTINCT code) AS codes FROM unmapped
    WHERE tbl IN (SELECT value FROM json_each(:tables)) GROUP BY tbl);

-- unmapped.count --
-- Codes that no map had in one batch. Three examples are enough.
INSERT INTO unmapped (tbl, code, feed, field, value_set, name, n, keys, first_at, last_at)
SELECT value->>0, value->>1, :feed, value->>2, value->>3, value->>4, value->>5, value->6, :now, :now
FROM json_each(:rows) WHERE true
ON CONFLICT (tbl, code, feed, field) DO UPDATE SET
    n = n + excluded.n, last_at = excluded.last_at, value_set = excluded.value_set,
    name = iif(excluded.name = '', name, excluded.name),
    keys = iif(json_array_length(keys) >= 3, keys, (SELECT json_group_array(value) FROM (
        SELECT value FROM json_each(unmapped.keys) UNION SELECT value FROM json_each(excluded.keys) LIMIT 3)));

-- unmapped.drop --
DELETE FROM unmapped WHERE (tbl, code) IN (SELECT value->>0, value->>1 FROM json_each(:codes));

-- unmapped.all --
-- The worklist by map and code.
SELECT json_group_array(json_array(tbl, code, name, value_set, n, json(feeds), json(fields), json(examples), first_at, last_at,
    who, reason)) FROM (
    SELECT u.tbl, u.code, max(u.name) AS name, max(u.value_set) AS value_set, sum(u.n) AS n,
           json_group_array(u.feed) AS feeds, json_group_array(u.field) AS fields,
           json_group_array(json_array(u.feed, u.keys)) AS examples,
           min(u.first_at) AS first_at, max(u.last_at) AS last_at, t.who, t.reason
    FROM unmapped u LEFT JOIN term t ON t.tbl = u.tbl AND t.code = u.code AND t.state = 'rejected'
    GROUP BY u.tbl, u.code ORDER BY sum(u.n) DESC, u.tbl, u.code);

-- term.revision --
SELECT max(id) FROM decision;

-- term.approved --
SELECT tbl, code, target, who, reason FROM term WHERE state = 'approved' ORDER BY tbl, code;

-- term.all --
SELECT tbl, code, state, target, who, reason, at FROM term;

-- term.newer --
-- Those of these codes that were approved after a decision.
SELECT json_group_array(json_array(t.tbl, t.code)) FROM json_each(:codes) c
JOIN term t ON t.tbl = c.value->>0 AND t.code = c.value->>1 WHERE t.state = 'approved' AND t.decision > :decision;

-- term.one --
SELECT state, target, who, reason, at FROM term WHERE tbl = :tbl AND code = :code;

-- term.put --
INSERT INTO term (tbl, code, state, target, who, reason, at, decision)
VALUES (:tbl, :code, :state, :target, :who, :reason, :at, (SELECT max(id) FROM decision))
ON CONFLICT (tbl, code) DO UPDATE SET state = excluded.state, target = excluded.target, who = excluded.who,
    reason = excluded.reason, at = excluded.at, decision = excluded.decision;

-- term.drop --
DELETE FROM term WHERE tbl = :tbl AND code = :code;

-- decision.add --
INSERT INTO decision (tbl, code, action, target, before, who, reason, at, log)
VALUES (:tbl, :code, :action, :target, :before, :who, :reason, :at, :log);

-- decision.last --
-- The newest that can still be undone.
SELECT id, before FROM decision WHERE tbl = :tbl AND code = :code AND action <> 'undone' AND undone = 0
ORDER BY id DESC LIMIT 1;

-- decision.undone --
UPDATE decision SET undone = 1 WHERE id = :id;

-- decision.all --
SELECT id, tbl, code, action, target, who, reason, at, log, undone FROM decision
WHERE (:tbl IS NULL OR tbl = :tbl) AND (:code IS NULL OR code = :code) ORDER BY id DESC LIMIT :limit;

-- term.held --
-- Held records and the unmapped codes that their findings name; those of closed months stay as they are.
SELECT json_group_array(json_array(q.id, f.value->>'$.arguments[0]', f.value->>'$.value'))
FROM quarantine q INDEXED BY quarantine_open, json_each(q.findings) f
WHERE q.state IN ('open', 'released') AND q.state = 'open' AND instr(q.findings, 'MAP001') AND f.value->>'$.rule' = 'MAP001'
AND coalesce((SELECT action FROM closing WHERE month = q.day / 100 ORDER BY id DESC LIMIT 1), '') <> 'closed';

-- closing.standing --
-- Each month that was ever closed, and its newest act.
SELECT month, action FROM closing c WHERE id = (SELECT max(id) FROM closing n WHERE n.month = c.month);

-- closing.all --
SELECT month, action, who, reason, at, log FROM closing ORDER BY month DESC, id DESC;

-- closing.act --
INSERT INTO closing (month, action, who, reason, at, log) VALUES (:month, :action, :who, :reason, :now, :log);

-- closing.count --
-- Documents made of closed months.
INSERT INTO closing_late (month, n, last_at) SELECT value->>0, value->>1, :now FROM json_each(:months) WHERE true
ON CONFLICT (month) DO UPDATE SET n = n + excluded.n, last_at = excluded.last_at;

-- closing.late --
SELECT month, n, last_at FROM closing_late;

-- silence.news --
-- Something new came from a feed.
INSERT INTO feed_news (feed, new_at) VALUES (:feed, :now) ON CONFLICT (feed) DO UPDATE SET new_at = excluded.new_at;

-- silence.standing --
SELECT new_at, alarm_at FROM feed_news WHERE feed = :feed;

-- silence.alarm --
UPDATE feed_news SET alarm_at = :now WHERE feed = :feed;

-- silence.add --
INSERT INTO silence (feed, since, at, log) VALUES (:feed, :since, :now, :log);

-- silence.end --
UPDATE silence SET ended_at = :now WHERE feed = :feed AND ended_at IS NULL;

-- silence.now --
SELECT feed, new_at FROM feed_news WHERE alarm_at IS NOT NULL;

-- silence.list --
SELECT feed, since, at, ended_at FROM silence WHERE at >= :first AND at < :last ORDER BY at;

-- take.hurry series --
-- Newer versions that stand behind what a backfill made: that goes now, too, or they would wait for all of the backfill.
UPDATE delivery SET urgency = 0 WHERE urgency = 1 AND state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting')
AND document IN (SELECT o.id FROM incoming i CROSS JOIN document n ON n.id = i.id CROSS JOIN document o ON o.series = n.series
                 WHERE i.follows > 0 AND o.id < n.id);

-- take.hurry lanes --
-- The same, for orders that are not a series.
UPDATE delivery SET urgency = 0 WHERE urgency = 1 AND state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting')
AND document IN (
    SELECT v.document FROM incoming i CROSS JOIN delivery n ON n.document = i.id
    CROSS JOIN delivery v INDEXED BY delivery_lane ON v.destination = n.destination AND v.lane = n.lane AND v.lane < 0
        AND v.state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting')
    WHERE i.follows > 0 AND i.order_key IS NOT NULL);

-- backfill.add --
INSERT INTO backfill (feed, axis, low, high, rate, windows, state, who, closed, expected, begun_at, reached)
VALUES (:feed, :axis, :low, :high, :rate, :windows, 'running', :who, :closed, :expected, :now, :low) RETURNING id;

-- backfill.move --
-- How far it is, and what came of it.
UPDATE backfill SET reached = :reached, cursor = :cursor, key = :key, keys = keys + :keys,
    documents = documents + :documents, unchanged = unchanged + :unchanged, held = held + :held,
    refused = refused + :refused, others = others + :others, bytes = bytes + :bytes, worked = worked + :worked,
    problem = '', state = iif(:done, 'done', state), ended_at = iif(:done, :now, ended_at)
WHERE id = :id;

-- backfill.state --
UPDATE backfill SET state = :state, ended_at = :now WHERE id = :id AND state IN (SELECT value FROM json_each(:before));

-- backfill.problem --
UPDATE backfill SET problem = :problem WHERE id = :id;

-- backfill.one --
SELECT id, feed, axis, low, high, rate, windows, state, who, closed, expected, begun_at, ended_at, reached, cursor, key,
       keys, documents, unchanged, held, refused, others, bytes, worked, problem FROM backfill WHERE id = :id;

-- backfill.running --
SELECT id, feed, axis, low, high, rate, windows, state, who, closed, expected, begun_at, ended_at, reached, cursor, key,
       keys, documents, unchanged, held, refused, others, bytes, worked, problem
FROM backfill INDEXED BY backfill_running WHERE state = 'running' ORDER BY id;

-- backfill.list --
SELECT id, feed, axis, low, high, rate, windows, state, who, closed, expected, begun_at, ended_at, reached, cursor, key,
       keys, documents, unchanged, held, refused, others, bytes, worked, problem
FROM backfill ORDER BY id DESC LIMIT :limit;

-- reconcile.documents --
-- A page of the newest documents of some days, of one feed: where they stand, and of which key.
SELECT d.day, d.id, s.key FROM document d INDEXED BY document_day JOIN plan p ON p.id = d.plan AND p.feed = :feed
JOIN series s ON s.id = d.series AND s.version = d.version
WHERE d.day IS NOT NULL AND (d.day, d.id) > (:day, :after) AND d.day <= :last ORDER BY d.day, d.id LIMIT :limit;

-- reconcile.held --
-- A page of what waits for a person of some days, of one feed.
SELECT q.day, q.id, s.key FROM quarantine q INDEXED BY quarantine_day JOIN plan p ON p.id = q.plan AND p.feed = :feed
JOIN series s ON s.id = q.series
WHERE q.day IS NOT NULL AND (q.day, q.id) > (:day, :after) AND q.day <= :last AND q.state IN ('open', 'released')
ORDER BY q.day, q.id LIMIT :limit;

-- reconcile.kept --
-- What is known of these sets: the newest version, what is held or withheld of it, and for which day it counts.
SELECT json_group_array(json_array(s.set_id, s.version, s.document_hash, s.held_hash, s.void,
    coalesce(d.day, (SELECT q.day FROM quarantine q WHERE q.series = s.id AND q.state IN ('open', 'released') LIMIT 1), 0),
    coalesce(c.department, (SELECT h.department FROM quarantine q JOIN scope h ON h.id = q.scope
                            WHERE q.series = s.id AND q.state IN ('open', 'released') LIMIT 1), ''),
    EXISTS (SELECT 1 FROM withheld w WHERE w.series = s.id AND w.state = 'open'), d.id IS NOT NULL))
FROM json_each(:set_ids) j JOIN series s ON s.set_id = j.value
LEFT JOIN document d ON d.series = s.id AND d.version = s.version LEFT JOIN scope c ON c.id = d.scope;

-- reconcile.journeys --
-- How far the newest document of each of these sets is on its way, per destination.
SELECT json_group_array(json_array(s.set_id, t.name, v.state))
FROM json_each(:set_ids) j JOIN series s ON s.set_id = j.value JOIN document d ON d.series = s.id AND d.version = s.version
CROSS JOIN delivery v ON v.document = d.id CROSS JOIN destination t ON t.id = v.destination;

-- reconcile.delivered --
-- A page of what a destination is proven to have of a kind, of some days: of each set the newest such version.
SELECT d.day, d.id, coalesce(c.department, ''), s.set_id, d.version, lower(hex(d.sha256)), p.feed, s.key
FROM document d INDEXED BY document_day JOIN plan p ON p.id = d.plan AND p.kind = :kind AND p.institution = :institution
JOIN series s ON s.id = d.series LEFT JOIN scope c ON c.id = d.scope
CROSS JOIN destination t ON t.name = :destination
CROSS JOIN delivery v ON v.document = d.id AND v.destination = t.id AND v.state = 'delivered'
WHERE d.day IS NOT NULL AND (d.day, d.id) > (:day, :after) AND d.day <= :last
AND (d.version = s.version OR NOT EXISTS (SELECT 1 FROM document n CROSS JOIN delivery w ON w.document = n.id
    AND w.destination = t.id AND w.state = 'delivered' WHERE n.series = d.series AND n.version > d.version))
ORDER BY d.day, d.id LIMIT :limit;

-- reconcile.versions --
-- Every version of these sets that was made here for a destination: how far it is, and where it counts.
SELECT json_group_array(json_array(s.set_id, d.version, lower(hex(d.sha256)), v.state, coalesce(d.day, 0),
    coalesce(c.department, ''), p.feed, s.key, s.version))
FROM json_each(:set_ids) j JOIN series s ON s.set_id = j.value JOIN document d ON d.series = s.id
JOIN plan p ON p.id = d.plan LEFT JOIN scope c ON c.id = d.scope CROSS JOIN destination t ON t.name = :destination
CROSS JOIN delivery v ON v.document = d.id AND v.destination = t.id;

-- reconcile.lost --
-- A delivered document that the destination says it does not have: its row, its series, whether its bytes are still here.
SELECT d.id, d.series, v.destination, v.lane, f.document IS NOT NULL, d.day, d.scope
FROM series s JOIN document d ON d.series = s.id AND d.version = :version JOIN destination t ON t.name = :destination
JOIN delivery v ON v.document = d.id AND v.destination = t.id AND v.state = 'delivered'
LEFT JOIN frame f ON f.document = d.id WHERE s.set_id = :set_id;

-- reconcile.gone --
-- Its bytes are no longer kept: this version ends here, its record becomes the next.
UPDATE delivery SET state = 'discarded', settled_at = :now, reasons = :reasons
WHERE document = :document AND destination = :destination;

-- reconcile.add --
INSERT INTO reconciliation (feed, first, last, who, started_at, ended_at, missed, differing, mended, problem, body, log)
VALUES (:feed, :first, :last, :who, :started_at, :ended_at, :missed, :differing, :mended, :problem, :body, :log)
RETURNING id;

-- reconcile.trim --
-- The newest so many of a feed are kept.
DELETE FROM reconciliation WHERE feed = :feed AND who = :who AND id <=
    (SELECT id FROM reconciliation WHERE feed = :feed AND who = :who ORDER BY id DESC LIMIT 1 OFFSET :kept);

-- reconcile.list --
SELECT id, feed, first, last, who, started_at, ended_at, missed, differing, mended, problem FROM reconciliation
WHERE id < :before AND (:feed IS NULL OR feed = :feed) ORDER BY id DESC LIMIT :limit;

-- reconcile.one --
SELECT id, feed, first, last, who, started_at, ended_at, missed, differing, mended, problem, body FROM reconciliation
WHERE id = :id;

-- reconcile.last night --
-- The newest that a feed had by itself.
SELECT id, feed, first, last, who, started_at, ended_at, missed, differing, mended, problem FROM reconciliation
WHERE feed = :feed AND who = '' ORDER BY id DESC LIMIT 1;

-- reconcile.missed --
INSERT INTO missed (feed, key, kind, institution, day, department, found_at)
SELECT :feed, value->>0, :kind, :institution, value->>1, value->>2, :now FROM json_each(:rows) WHERE true
ON CONFLICT DO NOTHING;

-- report.missed --
-- How many rows the watermark would have missed, by the day of their event.
SELECT day, feed, kind, institution, department, count(*) FROM missed WHERE day BETWEEN :first AND :last
GROUP BY day, feed, kind, institution, department;

-- resend.ask --
INSERT INTO resend (set_id, feed, key, asked_at)
SELECT value->>0, :feed, value->>1, :now FROM json_each(:rows) WHERE true ON CONFLICT DO NOTHING;

-- resend.page --
SELECT json_group_array(json_array(set_id, key)) FROM
(SELECT set_id, key FROM resend WHERE feed = :feed AND set_id > :after ORDER BY set_id LIMIT :limit);

-- resend.taken --
DELETE FROM resend WHERE set_id IN (SELECT value FROM json_each(:set_ids));

-- resend.left --
SELECT count(*) FROM resend WHERE feed = :feed;

-- guest.hour --
SELECT usage FROM guest_hour WHERE source = :source AND hour = :hour;

-- guest.keep hour --
INSERT INTO guest_hour (source, hour, usage) VALUES (:source, :hour, :usage)
ON CONFLICT (source, hour) DO UPDATE SET usage = excluded.usage;

-- guest.hours --
SELECT hour, usage FROM guest_hour WHERE source = :source AND hour >= :first AND hour < :last ORDER BY hour;

-- guest.keep baselines --
INSERT INTO guest_baseline (source, shape, seconds, scatter, query)
SELECT :source, value->>0, value->>1, value->>2, value->>3 FROM json_each(:rows) WHERE true
ON CONFLICT (source, shape) DO UPDATE SET seconds = excluded.seconds, scatter = excluded.scatter, query = excluded.query;

-- guest.baselines --
SELECT shape, seconds, scatter, query FROM guest_baseline WHERE source = :source;

-- guest.drop --
DELETE FROM guest_hour WHERE hour < :before;

-- guest.pause --
INSERT INTO guest_pause (source, since, until, who, reason, log) VALUES (:source, :since, :until, :who, :reason, :log);

-- guest.resume --
-- Ends what holds; one that passed by itself keeps the end it was given.
UPDATE guest_pause SET ended = CASE WHEN until <= :now THEN until ELSE :now END,
    ended_by = CASE WHEN until <= :now THEN '' ELSE :who END
WHERE source = :source AND ended IS NULL;

-- guest.paused --
SELECT source, since, until, who, reason, ended, ended_by FROM guest_pause INDEXED BY guest_paused
WHERE ended IS NULL AND (until IS NULL OR until > :now) ORDER BY id;

-- guest.pauses --
SELECT source, since, until, who, reason, ended, ended_by FROM guest_pause
WHERE source = :source AND since < :last AND coalesce(ended, until, :last) > :first ORDER BY since;
-- seen.unlike --
-- Those of these keys whose mark is not the one we know. An empty mark tells nothing: such a key is always one of them.
SELECT json_group_array(j.value->>0) FROM json_each(:marks) j
LEFT JOIN seen s ON s.feed = :feed AND s.key = j.value->>0
WHERE s.mark IS NULL OR j.value->>1 = '' OR s.mark <> unhex(j.value->>1);

-- seen.put --
INSERT INTO seen (feed, key, mark, walk) SELECT :feed, value->>0, unhex(value->>1), :walk FROM json_each(:marks) WHERE true
ON CONFLICT (feed, key) DO UPDATE SET mark = excluded.mark, walk = excluded.walk;

-- seen.doubt --
-- A walk is over: what it did not meet is gone, if there is a document of it.
INSERT INTO doubt (feed, key, why, since) SELECT :feed, s.key, 'compare', :now FROM seen s
WHERE s.feed = :feed AND s.walk <> :walk ON CONFLICT DO NOTHING;

-- seen.forget --
DELETE FROM seen WHERE feed = :feed AND walk <> :walk;

-- doubt.put --
INSERT INTO doubt (feed, key, why, since) SELECT :feed, value, :why, :now FROM json_each(:keys) WHERE true
ON CONFLICT DO NOTHING;

-- doubt.settle --
DELETE FROM doubt WHERE feed = :feed AND key IN (SELECT value FROM json_each(:keys));

-- doubt.list --
SELECT key, why, since FROM doubt WHERE feed = :feed AND key > :after ORDER BY key LIMIT :limit;

-- doubt.count --
SELECT count(*) FROM doubt WHERE feed = :feed;

-- closing.cause --
-- How many held records of a cause are of these months.
SELECT count(*) FROM cause_case l JOIN quarantine q ON q.id = l.quarantine
WHERE l.cause = :cause AND q.day / 100 IN (SELECT value FROM json_each(:closed));

-- closing.case --
-- The day of a held record.
SELECT day FROM quarantine WHERE id = :id;

-- closing.document --
SELECT day FROM document WHERE id = :id;

-- inbox.last --
-- The highest number that a message ever had.
SELECT seq FROM sqlite_sequence WHERE name = 'inbox';

-- inbox.known --
-- What came before under these ids, and without an id with these bytes; each with the place of what is asked for.
SELECT json_group_array(json_array(key, id, lower(hex(sha256)), state, refused)) FROM (
SELECT j.key, i.id, i.sha256, i.state, i.refused FROM json_each(:wanted) j
    CROSS JOIN inbox i ON i.inlet = j.value->>0 AND i.control_id = j.value->>1 AND i.control_id <> ''
    WHERE j.value->>1 <> '' AND i.received_at >= j.value->>3
UNION ALL
SELECT j.key, i.id, i.sha256, i.state, i.refused FROM json_each(:wanted) j
    CROSS JOIN inbox i ON i.inlet = j.value->>0 AND i.sha256 = unhex(j.value->>2) AND i.control_id = ''
    WHERE j.value->>1 = '' AND i.received_at >= j.value->>3
ORDER BY 2);

-- inbox.add --
-- One commit's messages.
INSERT INTO inbox (id, inlet, control_id, sha256, size, length, received_at, sender, about, state, refused, problem)
SELECT value->>0, value->>1, value->>2, unhex(value->>3), value->>4, value->>5, value->>6, value->>7, value->>8, value->>9,
       value->>10, value->>11 FROM json_each(:rows);

-- inbox.add bodies --
-- Their bytes, cut from one long blob. Those that are files have no start.
INSERT INTO inbox_body SELECT value->>0, iif(value->>12 IS NULL, NULL, substr(:bodies, value->>12, value->>5))
FROM json_each(:rows);

-- inbox.states --
SELECT json_group_array(json_array(i.id, i.inlet, i.state)) FROM json_each(:messages) j CROSS JOIN inbox i ON i.id = j.value;

-- inbox.put states --
-- What became of messages. A reason that is not said stays.
UPDATE inbox SET state = j.state, problem = coalesce(j.problem, inbox.problem)
FROM (SELECT value->>0 AS id, value->>1 AS state, value->>2 AS problem FROM json_each(:rows)) j WHERE inbox.id = j.id;

-- inbox.accept --
-- A person wants them to be read: they count as acknowledged.
UPDATE inbox SET refused = 0, state = 'new', problem = NULL WHERE id IN (SELECT value FROM json_each(:messages));

-- inbox.next --
-- The messages of an inlet behind one, with their sizes.
SELECT json_group_array(json_array(id, size)) FROM (
    SELECT id, size FROM inbox INDEXED BY inbox_inlet
    WHERE inlet = :inlet AND id > :after AND id <= :last AND refused = 0 AND state <> 'discarded' ORDER BY id LIMIT :limit);

-- inbox.newest --
SELECT max(id) FROM inbox INDEXED BY inbox_inlet WHERE inlet = :inlet;

-- inbox.newest before --
-- The last message of an inlet that came before a time.
SELECT id FROM inbox INDEXED BY inbox_inlet WHERE inlet = :inlet AND received_at < :before ORDER BY id DESC LIMIT 1;

-- inbox.bodies --
-- Messages with their bytes end to end (see claim.documents). Those that are files have no length, those that are gone none either.
SELECT json_group_array(json_array(i.id, i.received_at, lower(hex(i.sha256)), coalesce(length(b.bytes), -1), b.message IS NOT NULL)),
       CAST(group_concat(CAST(b.bytes AS TEXT), '') AS BLOB)
FROM json_each(:messages) j CROSS JOIN inbox i ON i.id = j.value LEFT JOIN inbox_body b ON b.message = i.id;

-- inbox.put keys --
-- Which records the messages of a feed speak of.
INSERT INTO inbox_key (feed, key, message) SELECT :feed, value->>0, value->>1 FROM json_each(:keys) WHERE true
ON CONFLICT DO NOTHING;

-- inbox.newest of keys --
-- The newest message of each of these keys that is still here.
SELECT json_group_array(json_array(key, message)) FROM (
    SELECT j.value AS key, (SELECT k.message FROM inbox_key k WHERE k.feed = :feed AND k.key = j.value
                            ORDER BY k.message DESC LIMIT 1) AS message FROM json_each(:keys) j)
WHERE message IS NOT NULL;

-- inbox.keys of --
-- The records that a message speaks of.
SELECT feed, key FROM inbox_key WHERE message = :message ORDER BY feed, key LIMIT :limit;

-- inbox.messages of --
-- The messages that speak of a record, the newest first.
SELECT i.id, i.inlet, i.control_id, lower(hex(i.sha256)), i.size, i.received_at, i.sender, i.about, i.state, i.refused,
       i.problem, EXISTS (SELECT 1 FROM inbox_body b WHERE b.message = i.id)
FROM inbox_key k JOIN inbox i ON i.id = k.message WHERE k.feed = :feed AND k.key = :key ORDER BY k.message DESC LIMIT :limit;

-- inbox.keys between --
-- The keys of which a feed's newest word is one of these messages, in the order of those, from behind a place on.
SELECT json_group_array(json_array(message, key)) FROM (
    SELECT k.message, k.key FROM inbox i INDEXED BY inbox_inlet CROSS JOIN inbox_key k ON k.message = i.id AND k.feed = :feed
    WHERE i.inlet = :inlet AND i.id >= :after AND i.id <= :last AND (i.id > :after OR k.key > :key)
      AND NOT EXISTS (SELECT 1 FROM inbox_key n WHERE n.feed = k.feed AND n.key = k.key AND n.message > k.message)
    ORDER BY i.id, k.key LIMIT :limit);

-- inbox.unread --
-- A feed could not read these.
INSERT INTO inbox_unread (feed, message, again) SELECT :feed, value, 0 FROM json_each(:messages) WHERE true
ON CONFLICT (feed, message) DO UPDATE SET again = 0;

-- inbox.read --
-- A feed has had another look at these.
DELETE FROM inbox_unread WHERE feed = :feed AND message IN (SELECT value FROM json_each(:messages));

-- inbox.still unread --
-- Those of these messages that some feed could not read, and those that some feed took.
SELECT json_group_array(json_array(j.value, EXISTS (SELECT 1 FROM inbox_unread u WHERE u.message = j.value),
       EXISTS (SELECT 1 FROM inbox_key k WHERE k.message = j.value))) FROM json_each(:messages) j;

-- inbox.read again --
-- These feeds are to read these messages.
INSERT INTO inbox_unread (feed, message, again)
SELECT f.value, m.value, 1 FROM json_each(:feeds) f, json_each(:messages) m WHERE true
ON CONFLICT (feed, message) DO UPDATE SET again = 1;

-- inbox.again --
-- What a feed is to read again, from behind a message on.
SELECT json_group_array(message) FROM (
    SELECT message FROM inbox_unread WHERE feed = :feed AND again = 1 AND message > :after ORDER BY message LIMIT :limit);

-- inbox.forget unread --
DELETE FROM inbox_unread WHERE message IN (SELECT value FROM json_each(:messages));

-- inbox.passed --
-- How far the slowest of these feeds has read; one that has never read has not begun.
SELECT min(coalesce(CAST(f.cursor AS INTEGER), 0)) FROM json_each(:feeds) j LEFT JOIN feed f ON f.name = j.value;

-- inbox.unwanted --
-- What all feeds have gone past and none has taken.
UPDATE inbox SET state = 'unwanted' WHERE inlet = :inlet AND id > :after AND id <= :upto AND state = 'new' AND refused = 0;

-- inbox.list --
-- Messages of an inlet, the newest first.
SELECT i.id, i.inlet, i.control_id, lower(hex(i.sha256)), i.size, i.received_at, i.sender, i.about, i.state, i.refused,
       i.problem, EXISTS (SELECT 1 FROM inbox_body b WHERE b.message = i.id)
FROM inbox i INDEXED BY inbox_inlet WHERE i.inlet = :inlet AND i.id < :before AND (:state = '' OR i.state = :state)
ORDER BY i.id DESC LIMIT :limit;

-- inbox.list person --
-- Those of them that wait for a person, the newest first.
SELECT i.id, i.inlet, i.control_id, lower(hex(i.sha256)), i.size, i.received_at, i.sender, i.about, i.state, i.refused,
       i.problem, EXISTS (SELECT 1 FROM inbox_body b WHERE b.message = i.id)
FROM inbox i INDEXED BY inbox_person WHERE i.inlet = :inlet AND i.id < :before AND i.state = :state
    AND i.state IN ('unreadable', 'conflict')
ORDER BY i.id DESC LIMIT :limit;

-- inbox.one --
SELECT i.id, i.inlet, i.control_id, lower(hex(i.sha256)), i.size, i.received_at, i.sender, i.about, i.state, i.refused,
       i.problem, EXISTS (SELECT 1 FROM inbox_body b WHERE b.message = i.id)
FROM inbox i WHERE i.id = :id;

-- inbox.retire bodies --
-- The oldest messages of an inlet whose bytes are here yet: whether a file, how long, whether old enough, whether nobody waits for them.
SELECT json_group_array(json_array(id, is_file, length, is_old, is_done)) FROM (
    SELECT i.id, b.bytes IS NULL AS is_file, i.length, i.received_at < :before AS is_old,
           i.state IN ('taken', 'unwanted', 'discarded') AS is_done
    FROM inbox i INDEXED BY inbox_inlet CROSS JOIN inbox_body b ON b.message = i.id
    WHERE i.inlet = :inlet AND i.id > :after ORDER BY i.id LIMIT 500);

-- inbox.newest keys of --
-- The records of which one of these messages is the newest word.
SELECT json_group_array(json_array(k.message, k.feed, k.key)) FROM json_each(:messages) j CROSS JOIN inbox_key k ON k.message = j.value
WHERE NOT EXISTS (SELECT 1 FROM inbox_key n WHERE n.feed = k.feed AND n.key = k.key AND n.message > k.message);

-- inbox.drop bodies --
DELETE FROM inbox_body WHERE message IN (SELECT value FROM json_each(:messages));

-- inbox.drop keys --
DELETE FROM inbox_key WHERE message IN (SELECT value FROM json_each(:messages));

-- inbox.retire rows --
-- The oldest messages of an inlet: whether old enough to be forgotten, whether their bytes are here yet.
SELECT json_group_array(json_array(id, state, is_old, is_here)) FROM (
    SELECT i.id, i.state, i.received_at < :before AS is_old,
           EXISTS (SELECT 1 FROM inbox_body b WHERE b.message = i.id) AS is_here
    FROM inbox i INDEXED BY inbox_inlet WHERE i.inlet = :inlet AND i.id > :after ORDER BY i.id LIMIT 500);

-- inbox.drop rows --
DELETE FROM inbox WHERE id IN (SELECT value FROM json_each(:messages));

-- inbox.has body --
SELECT bytes IS NULL FROM inbox_body WHERE message = :message;

-- accepted.ask --
-- What a destination accepted and has not confirmed, and is to be asked for now: the longest ago first.
SELECT json_group_array(document) FROM (SELECT document FROM delivery INDEXED BY delivery_accepted
    WHERE destination = :destination AND state = 'accepted' AND due_at BETWEEN :since AND :now ORDER BY due_at LIMIT :limit);

-- accepted.asked --
-- They were asked for: when they are next. 0: what was accepted before `since` is asked for no more.
UPDATE delivery SET due_at = iif(settled_at < :since, 0, :due_at) WHERE destination = :destination AND state = 'accepted'
AND document IN (SELECT d.id FROM json_each(:ids) j CROSS JOIN series s ON s.set_id = j.value->>0
                 CROSS JOIN document d ON d.series = s.id AND d.version = j.value->>1);

-- accepted.confirm --
UPDATE delivery SET state = 'delivered', outcome = 'confirmed', due_at = 0, settled_at = :now, reasons = :reasons
WHERE document = :document AND destination = :destination;

-- accepted.refuse --
-- It said yes, and says no now: a person must look.
UPDATE delivery SET state = 'refused', outcome = 'refused', due_at = 0, settled_at = :now, reasons = :reasons
WHERE document = :document AND destination = :destination;

-- accepted.gone --
-- Its bytes are no longer kept: this version ends here, its record becomes the next.
UPDATE delivery SET state = 'discarded', due_at = 0, settled_at = :now, reasons = :reasons
WHERE document = :document AND destination = :destination;

-- accepted.find --
-- A delivery that somebody speaks of, whether its bytes are here, and whether a newer version of it may be there.
SELECT d.id, v.state, v.lane, d.series, d.day, d.scope, coalesce(v.outcome, ''),
       EXISTS (SELECT 1 FROM frame f WHERE f.document = d.id),
       EXISTS (SELECT 1 FROM document n JOIN delivery w ON w.document = n.id AND w.destination = v.destination
               WHERE n.series = d.series AND n.version > d.version
               AND w.state IN ('sending', 'uncertain', 'waiting', 'accepted', 'delivered'))
FROM series s JOIN document d ON d.series = s.id AND d.version = :version
JOIN delivery v ON v.document = d.id AND v.destination = :destination WHERE s.set_id = :set_id;

-- accepted.again --
-- Back to its place in the order: behind, until its turn is called.
UPDATE delivery SET state = 'behind', due_at = 0, settled_at = NULL, outcome = NULL, reasons = :reasons,
    urgency = min(urgency, 1)
WHERE document = :document AND destination = :destination;

-- accepted.step back --
-- What stood in front while it was away goes behind it again, unless it is under way already.
UPDATE delivery SET state = 'behind' WHERE destination = :destination AND lane = :lane AND document IN (
    SELECT v.document FROM document o JOIN delivery v ON v.document = o.id AND v.destination = :destination
        WHERE :lane > 0 AND o.series = :lane AND v.lane = :lane AND v.state IN ('ready', 'awaiting')
    UNION ALL SELECT v.document FROM delivery v INDEXED BY delivery_lane
        WHERE :lane < 0 AND v.destination = :destination AND v.lane = :lane AND v.lane < 0
        AND v.state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting') AND v.state IN ('ready', 'awaiting'))
RETURNING CASE WHEN EXISTS (SELECT 1 FROM need e WHERE e.document = delivery.document AND e.destination = delivery.destination)
    THEN 'awaiting' ELSE 'ready' END;

-- accepted.under way --
-- Whether something of an order is being sent, or may have arrived.
SELECT EXISTS (
    SELECT 1 FROM document o JOIN delivery v ON v.document = o.id AND v.destination = :destination
        WHERE :lane > 0 AND o.series = :lane AND v.lane = :lane AND v.state IN ('sending', 'waiting', 'uncertain')
    UNION ALL SELECT 1 FROM delivery v INDEXED BY delivery_lane
        WHERE :lane < 0 AND v.destination = :destination AND v.lane = :lane AND v.lane < 0
        AND v.state IN ('ready', 'sending', 'waiting', 'uncertain', 'behind', 'awaiting') AND v.state IN ('sending', 'waiting', 'uncertain'));

-- delivery.unread --
-- Sent five times and more, and never an answer that could be read.
SELECT count(*) FROM delivery INDEXED BY delivery_unread
WHERE destination = :destination AND state = 'uncertain' AND attempts >= 5;

-- registering.names --
INSERT INTO registration (name) SELECT value FROM json_each(:names) WHERE true ON CONFLICT (name) DO NOTHING;

-- registering.provides --
-- Documents that are registrations.
INSERT INTO provides (registration, document)
SELECT r.id, d.id FROM json_each(:rows) j CROSS JOIN registration r ON r.name = j.value->>1
CROSS JOIN series s ON s.set_id = j.value->>0 CROSS JOIN document d ON d.series = s.id AND d.version = j.value->>2
WHERE true ON CONFLICT DO NOTHING;

-- registering.needs --
-- What documents of this commit name, and a destination does not know yet.
INSERT INTO need (destination, registration, document, since)
SELECT j.value->>3, r.id, d.id, :now FROM json_each(:rows) j CROSS JOIN registration r ON r.name = j.value->>1
CROSS JOIN series s ON s.set_id = j.value->>0 CROSS JOIN document d ON d.series = s.id AND d.version = j.value->>2
WHERE NOT EXISTS (SELECT 1 FROM registered k WHERE k.destination = j.value->>3 AND k.registration = r.id)
AND NOT EXISTS (SELECT 1 FROM provides p CROSS JOIN delivery v ON v.document = p.document AND v.destination = j.value->>3
                WHERE p.registration = r.id AND v.state IN ('accepted', 'delivered'))
ON CONFLICT DO NOTHING;

-- registering.patients --
-- Whom documents of this commit speak of.
INSERT INTO named_patient (document, registration)
SELECT d.id, r.id FROM json_each(:rows) j CROSS JOIN registration r ON r.name = j.value->>1
CROSS JOIN series s ON s.set_id = j.value->>0 CROSS JOIN document d ON d.series = s.id AND d.version = j.value->>2
WHERE true ON CONFLICT DO NOTHING;

-- registering.patient of --
SELECT r.name FROM series s CROSS JOIN document d ON d.series = s.id AND d.version = :version
CROSS JOIN named_patient p ON p.document = d.id CROSS JOIN registration r ON r.id = p.registration WHERE s.set_id = :set_id;

-- registering.come --
-- Registrations that are there now: what waits for them is let go.
UPDATE wanted SET come = 1 WHERE destination = :destination AND come = 0
AND registration IN (SELECT p.registration FROM json_each(:documents) j CROSS JOIN provides p ON p.document = j.value);

-- registering.known --
-- A person says that it is known there.
INSERT INTO registered (destination, registration, who, reason, at, log)
SELECT :destination, id, :who, :reason, :now, :log FROM registration WHERE name IN (SELECT value FROM json_each(:names))
ON CONFLICT (destination, registration) DO NOTHING;

-- registering.known come --
UPDATE wanted SET come = 1 WHERE destination = :destination AND come = 0
AND registration IN (SELECT id FROM registration WHERE name IN (SELECT value FROM json_each(:names)));

-- registering.page --
-- Some of what waits for what is there now.
SELECT json_group_array(json_array(registration, document)) FROM (
    SELECT e.registration, e.document FROM wanted w INDEXED BY wanted_come
    CROSS JOIN need e ON e.destination = w.destination AND e.registration = w.registration
    WHERE w.destination = :destination AND w.come = 1 LIMIT :limit);

-- registering.drop --
DELETE FROM need WHERE (destination, registration, document) IN (
    SELECT :destination, value->>0, value->>1 FROM json_each(:rows));

-- registering.free --
-- Those of them that wait for nothing else go.
UPDATE delivery SET state = 'ready' WHERE destination = :destination AND state = 'awaiting'
AND document IN (SELECT DISTINCT value->>1 FROM json_each(:rows))
AND NOT EXISTS (SELECT 1 FROM need e WHERE e.document = delivery.document AND e.destination = delivery.destination);

-- registering.wanted --
-- The registrations that documents wait for longest.
SELECT r.name, w.n, w.since FROM wanted w INDEXED BY wanted_since JOIN registration r ON r.id = w.registration
WHERE w.destination = :destination ORDER BY w.since LIMIT :limit;

-- registering.of --
-- What one document waits for.
SELECT t.name, r.name, e.since FROM need e JOIN registration r ON r.id = e.registration
JOIN destination t ON t.id = e.destination WHERE e.document = :document ORDER BY t.name, r.name;
-- picked.known --
SELECT p.path, p.size, p.changed, p.sha256, p.seen_at, p.refused
FROM json_each(:paths) j CROSS JOIN picked p ON p.inlet = :inlet AND p.path = unhex(j.value);

-- picked.remember --
INSERT INTO picked (inlet, path, size, changed, sha256, seen_at, refused)
VALUES (:inlet, :path, :size, :changed, :sha256, :at, :refused)
ON CONFLICT (inlet, path) DO UPDATE SET size = excluded.size, changed = excluded.changed, sha256 = excluded.sha256,
    seen_at = excluded.seen_at, refused = excluded.refused;

-- picked.still there --
UPDATE picked SET seen_at = :at WHERE inlet = :inlet AND path IN (SELECT unhex(value) FROM json_each(:paths));

-- picked.forget --
DELETE FROM picked WHERE inlet = :inlet AND seen_at < :before;

-- console.account --
SELECT name, password, totp, step, changed_at FROM console_account WHERE name = :name;

-- console.accounts --
SELECT name, password, totp, step, changed_at FROM console_account ORDER BY name;

-- console.put --
INSERT INTO console_account (name, password, totp, step, changed_at) VALUES (:name, :password, :totp, 0, :now)
ON CONFLICT (name) DO UPDATE SET password = excluded.password, totp = excluded.totp, step = 0, changed_at = excluded.changed_at;

-- console.drop --
DELETE FROM console_account WHERE name = :name;

-- console.entered --
-- A one-time code is good once (RFC 6238, 5.2).
UPDATE console_account SET step = :step WHERE name = :name AND step < :step;

-- console.tried --
INSERT INTO console_try (name, address, at) VALUES (:name, :address, :now);

-- console.tries --
SELECT sum(name = :name), sum(address = :address) FROM console_try
WHERE at > :since AND (name = :name OR address = :address);

-- console.forget tries --
DELETE FROM console_try WHERE name = :name;

-- console.trim tries --
DELETE FROM console_try WHERE at < :before;
