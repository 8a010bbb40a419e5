-- The queries of images. A section is one query, as in queries.sql.

-- image.known --
-- What is here under these SOP Instance UIDs: the one that counts first, then those that conflict with it.
SELECT i.uid, i.id, lower(hex(i.sha256)), i.conflict, i.files
FROM json_each(:uids) j CROSS JOIN image_instance i INDEXED BY image_instance_uid ON i.uid = j.value ORDER BY i.conflict, i.id;

-- image.study of --
SELECT id FROM image_study WHERE uid = :uid;

-- image.study with --
SELECT study FROM image_instance INDEXED BY image_instance_uid WHERE uid = :uid ORDER BY conflict LIMIT 1;

-- image.state of --
SELECT state, unjudged FROM image_study WHERE id = :study;

-- image.add study --
INSERT INTO image_study (uid, institution, inlet, state, urgency, first_at, last_at, patient_id, accession)
VALUES (:uid, :institution, :inlet, 'collecting', :urgency, :now, :now, :patient_id, :accession) RETURNING id;

-- image.urgency wanted --
-- How urgent it is to whoever wants this study now.
SELECT min(urgency) FROM (
    SELECT urgency FROM image_want WHERE study = :uid AND study <> '' AND state = 'open'
    UNION ALL SELECT urgency FROM image_want WHERE accession = :accession AND accession <> '' AND state = 'open');

-- image.series of --
SELECT id, header FROM image_series WHERE study = :study AND uid = :uid;

-- image.add series --
INSERT INTO image_series (study, uid, header) VALUES (:study, :uid, :header) RETURNING id;

-- image.origin of --
SELECT id FROM image_origin WHERE inlet = :inlet AND sender = :sender;

-- image.add origin --
INSERT INTO image_origin (inlet, sender) VALUES (:inlet, :sender) RETURNING id;

-- image.add instance --
INSERT INTO image_instance (study, series, uid, sha256, size, origin, received_at, conflict, differs)
VALUES (:study, :series, :uid, unhex(:sha256), :size, :origin, :now, :conflict, :differs) RETURNING id;

-- image.count series --
UPDATE image_series SET instances = instances + :n WHERE id = :series;

-- image.restore --
-- Its file was gone, and has come again. It stays received when it was: what is changed of it says so, and is the same bytes (law 2).
UPDATE image_instance SET files = 1, sent_size = NULL WHERE id = :id RETURNING study, size;

-- image.mended --
-- The file of one that was lost has come again.
UPDATE image_delivery INDEXED BY image_delivery_stuck SET state = 'awaiting', settled_at = NULL, reasons = NULL
WHERE study = :study AND state IN ('refused', 'blocked', 'damaged') AND state = 'damaged' AND instance = :instance
RETURNING destination;

-- image.arrived --
-- Something came to a study: it is looked at once nothing more comes.
UPDATE image_study SET state = 'collecting', last_at = max(last_at, :now), due_at = :due, newest = max(newest, :newest),
    instances = instances + :instances, size = size + :size, unjudged = unjudged + :unjudged, files = 1, ended_at = NULL,
    series = (SELECT count(*) FROM image_series s WHERE s.study = image_study.id AND s.instances > 0)
WHERE id = :study;

-- image.one --
SELECT s.id, s.uid, s.institution, s.inlet, s.state, s.first_at, s.last_at, s.due_at, s.series, s.instances, s.size,
       s.orders, e.body, s.findings, s.let_go, s.urgency, s.files, s.note
FROM image_study s LEFT JOIN image_expected e ON e.study = s.uid WHERE s.id = :id;

-- image.list --
-- The newest first.
SELECT s.id, s.uid, s.institution, s.inlet, s.state, s.first_at, s.last_at, s.due_at, s.series, s.instances, s.size,
       s.orders, e.body, s.findings, s.let_go, s.urgency, s.files, s.note
FROM image_study s LEFT JOIN image_expected e ON e.study = s.uid WHERE s.id < :before ORDER BY s.id DESC LIMIT :limit;

-- image.list state --
SELECT s.id, s.uid, s.institution, s.inlet, s.state, s.first_at, s.last_at, s.due_at, s.series, s.instances, s.size,
       s.orders, e.body, s.findings, s.let_go, s.urgency, s.files, s.note
FROM image_study s INDEXED BY image_study_state LEFT JOIN image_expected e ON e.study = s.uid
WHERE s.state = :state AND s.id < :before ORDER BY s.id DESC LIMIT :limit;

-- image.list patient --
SELECT s.id, s.uid, s.institution, s.inlet, s.state, s.first_at, s.last_at, s.due_at, s.series, s.instances, s.size,
       s.orders, e.body, s.findings, s.let_go, s.urgency, s.files, s.note
FROM image_study s INDEXED BY image_study_patient LEFT JOIN image_expected e ON e.study = s.uid
WHERE s.patient_id = :patient_id AND s.id < :before AND (:state = '' OR s.state = :state)
AND (:accession = '' OR s.accession = :accession) ORDER BY s.id DESC LIMIT :limit;

-- image.list accession --
SELECT s.id, s.uid, s.institution, s.inlet, s.state, s.first_at, s.last_at, s.due_at, s.series, s.instances, s.size,
       s.orders, e.body, s.findings, s.let_go, s.urgency, s.files, s.note
FROM image_study s INDEXED BY image_study_accession LEFT JOIN image_expected e ON e.study = s.uid
WHERE s.accession = :accession AND s.id < :before AND (:state = '' OR s.state = :state) ORDER BY s.id DESC LIMIT :limit;

-- image.instances --
SELECT i.id, i.study, i.series, lower(hex(i.sha256)), i.size, lower(hex(i.sent_sha256)), i.sent_size, o.inlet, o.sender,
       i.received_at, i.conflict, i.files, i.differs
FROM image_instance i INDEXED BY image_instance_study JOIN image_origin o ON o.id = i.origin WHERE i.study = :study ORDER BY i.id;

-- image.some instances --
SELECT i.id, i.study, i.series, lower(hex(i.sha256)), i.size, lower(hex(i.sent_sha256)), i.sent_size, o.inlet, o.sender,
       i.received_at, i.conflict, i.files, i.differs
FROM json_each(:ids) j CROSS JOIN image_instance i ON i.id = j.value JOIN image_origin o ON o.id = i.origin ORDER BY i.id;

-- image.series headers --
SELECT id, uid, header FROM image_series WHERE study = :study;

-- image.counts --
SELECT r.uid, r.instances FROM image_study s JOIN image_series r ON r.study = s.id WHERE s.uid = :uid AND r.instances > 0;

-- image.files of --
-- What lies in a study's folder: the files as they came, and those that are sent instead.
SELECT lower(hex(sha256)), lower(hex(sent_sha256)), size, sent_size, id FROM image_instance INDEXED BY image_instance_study
WHERE study = :study AND files = 1;

-- image.with files --
SELECT uid, id FROM image_study WHERE files = 1 AND id > :after ORDER BY id LIMIT 10000;

-- image.due --
SELECT id FROM image_study INDEXED BY image_study_due WHERE urgency = :urgency AND due_at <= :now ORDER BY due_at LIMIT :limit;

-- image.next due --
SELECT min(due_at) FROM image_study INDEXED BY image_study_due WHERE urgency = :urgency AND due_at IS NOT NULL;

-- image.look --
-- Look at it again.
UPDATE image_study SET state = 'collecting', due_at = :due, ended_at = NULL WHERE id = :study;

-- image.look by order --
-- Studies of an order that are here: its word about them has changed.
SELECT id FROM image_study WHERE uid = :uid AND files = 1 AND state <> 'discarded'
UNION SELECT id FROM image_study INDEXED BY image_study_accession WHERE accession = :accession AND accession <> '' AND files = 1 AND state <> 'discarded';

-- image.let go --
UPDATE image_study SET let_go = :let_go, note = :note WHERE id = :study;

-- image.hurry --
-- Somebody waits for it.
UPDATE image_study SET urgency = :urgency WHERE id = :study AND urgency > :urgency;

-- image.hurry deliveries --
UPDATE image_delivery SET urgency = :urgency WHERE study = :study AND urgency > :urgency;

-- image.put off --
UPDATE image_study SET due_at = :due, note = :note WHERE id = :study AND due_at IS NOT NULL;

-- image.waits --
-- It is not complete yet.
UPDATE image_study SET state = 'collecting', due_at = :due, orders = :orders, findings = :findings, digests = :digests
WHERE id = :study;

-- image.judged --
UPDATE image_study SET state = :state, due_at = NULL, orders = :orders, findings = :findings, digests = :digests,
    destinations = :destinations, seen = :seen, unjudged = :unjudged, ended_at = :ended_at, note = :note,
    patient_id = iif(:patient_id = '', patient_id, :patient_id), accession = iif(:accession = '', accession, :accession)
WHERE id = :study;

-- image.newest --
SELECT newest, state, unjudged, last_at, note, urgency, uid, let_go, due_at FROM image_study WHERE id = :study;

-- image.have left --
-- Instances of a study that a destination has, or may have: their bytes do not change any more.
SELECT DISTINCT instance FROM image_delivery INDEXED BY image_delivery_study
WHERE study = :study AND (state IN ('sending', 'waiting', 'uncertain', 'accepted', 'delivered') OR state = 'ready' AND attempts > 0);

-- image.sent as --
UPDATE image_instance SET sent_sha256 = unhex(:sha256), sent_size = :size WHERE id = :id;

-- image.sent as it came --
UPDATE image_instance SET sent_sha256 = NULL, sent_size = NULL WHERE id = :id;

-- image.deliver --
-- What is new of a study goes to a destination.
INSERT INTO image_delivery (destination, instance, study, state, urgency)
SELECT :destination, i.id, i.study, :state, :urgency FROM image_instance i INDEXED BY image_instance_study
WHERE i.study = :study AND i.conflict = 0 AND i.files = 1 AND i.id <= :seen
ON CONFLICT (destination, instance) DO NOTHING;

-- image.journey --
INSERT INTO image_journey (study, destination, total, open) VALUES (:study, :destination, :total, :open)
ON CONFLICT (study, destination) DO UPDATE SET total = total + excluded.total, open = open + excluded.open;

-- image.journeys --
SELECT destination, total, open FROM image_journey WHERE study = :study;

-- image.stands --
-- How a study's instances stand at the destinations.
SELECT destination, state, count(*) FROM image_delivery INDEXED BY image_delivery_study WHERE study = :study
GROUP BY destination, state;

-- image.reasons --
-- What destinations said of a study's instances that wait for a person.
SELECT d.destination, d.instance, i.uid, d.state, d.reasons FROM image_delivery d INDEXED BY image_delivery_stuck
JOIN image_instance i ON i.id = d.instance WHERE d.study = :study AND d.state IN ('refused', 'blocked', 'damaged') LIMIT :limit;

-- image.stuck --
-- Studies of which something waits for a person at a destination, the oldest first.
SELECT study, destination, count(*) FROM image_delivery INDEXED BY image_delivery_stuck
WHERE state IN ('refused', 'blocked', 'damaged') AND study > :after GROUP BY study, destination ORDER BY study LIMIT :limit;

-- image.move --
-- All of a study's instances at a destination that stand so come to stand otherwise.
UPDATE image_delivery SET state = :state, due_at = NULL WHERE study = :study AND destination = :destination AND state = :before;

-- image.again --
-- A person wants instances to be delivered once more: those whose files are gone wait until they have come again.
UPDATE image_delivery SET state = (SELECT iif(i.files, 'ready', 'awaiting') FROM image_instance i WHERE i.id = image_delivery.instance),
    attempts = state IN ('delivered', 'accepted'), due_at = NULL, settled_at = NULL, reasons = NULL, proof = NULL,
    urgency = min(urgency, :urgency)
WHERE destination = :destination AND study = :study AND state IN (SELECT value FROM json_each(:states)) RETURNING state;

-- image.awaited --
-- Their files have come again.
UPDATE image_delivery SET state = 'ready' WHERE study = :study AND destination = :destination AND state = 'awaiting'
AND (SELECT i.files FROM image_instance i WHERE i.id = image_delivery.instance) = 1;

-- image.due deliveries --
SELECT instance, state FROM image_delivery INDEXED BY image_delivery_due
WHERE destination = :destination AND state IN ('waiting', 'uncertain') AND due_at <= :now ORDER BY due_at LIMIT 1000;

-- image.lapsed deliveries --
SELECT instance FROM image_delivery INDEXED BY image_delivery_sending
WHERE destination = :destination AND state = 'sending' AND due_at <= :now LIMIT 1000;

-- image.ready --
-- They go again. What was sent without an answer may have arrived: the same bytes change nothing (law 6).
UPDATE image_delivery SET state = 'ready', due_at = NULL
WHERE destination = :destination AND instance IN (SELECT value FROM json_each(:instances));

-- image.next study --
-- The next study of which something is due, behind one.
SELECT urgency, study FROM image_delivery INDEXED BY image_delivery_ready
WHERE destination = :destination AND state = 'ready' AND (urgency, study) > (:urgency, :study) ORDER BY urgency, study LIMIT 1;

-- image.pick --
SELECT d.instance, coalesce(i.sent_size, i.size), d.attempts FROM image_delivery d INDEXED BY image_delivery_ready
JOIN image_instance i ON i.id = d.instance
WHERE d.destination = :destination AND d.state = 'ready' AND d.urgency = :urgency AND d.study = :study
ORDER BY d.instance LIMIT :limit;

-- image.claim --
UPDATE image_delivery SET state = 'sending', attempts = attempts + 1, due_at = :until
WHERE destination = :destination AND instance IN (SELECT value FROM json_each(:instances));

-- image.damaged --
UPDATE image_delivery SET state = 'damaged', settled_at = :now, due_at = NULL, reasons = :reasons
WHERE destination = :destination AND instance IN (SELECT value FROM json_each(:instances));

-- image.unproven --
-- The accepted instance whose proof is due first.
SELECT study, settled_at, instance FROM image_delivery INDEXED BY image_delivery_accepted
WHERE destination = :destination AND state = 'accepted' AND due_at <= :due ORDER BY due_at LIMIT 1;

-- image.unproven of --
SELECT instance, attempts FROM image_delivery INDEXED BY image_delivery_study
WHERE study = :study AND destination = :destination AND state = 'accepted' AND due_at IS NOT NULL AND due_at <= :due
ORDER BY instance LIMIT :limit;

-- image.asked --
-- They were asked for: when they are next (NULL: no more).
UPDATE image_delivery SET due_at = :due_at
WHERE destination = :destination AND instance IN (SELECT value FROM json_each(:instances)) AND state = 'accepted';

-- image.settle find --
SELECT d.instance, d.study, d.state, d.attempts, i.uid, lower(hex(coalesce(i.sent_sha256, i.sha256)))
FROM json_each(:instances) j CROSS JOIN image_delivery d ON d.destination = :destination AND d.instance = j.value
JOIN image_instance i ON i.id = d.instance;

-- image.settle --
UPDATE image_delivery SET state = :state, attempts = :attempts, due_at = :due_at, settled_at = :settled_at, reasons = :reasons,
    proof = :proof WHERE destination = :destination AND instance = :instance;

-- image.settle alike --
-- The same became of many.
UPDATE image_delivery SET state = :state, due_at = :due_at, settled_at = :settled_at, proof = :proof,
    reasons = iif(state = 'accepted' AND :state = 'delivered', reasons, NULL)  -- how it was taken stays
WHERE destination = :destination AND instance IN (SELECT value FROM json_each(:instances));

-- image.done --
-- Every destination has all of it.
UPDATE image_study SET state = 'done', ended_at = :now, note = :note WHERE id = :study AND state = 'sending'
AND NOT EXISTS (SELECT 1 FROM image_journey j WHERE j.study = image_study.id AND j.open > 0);

-- image.arrives there --
-- Whether a destination has all of a study, proven; `accepted`: its yes counts, for it never proves anything.
SELECT NOT EXISTS (SELECT 1 FROM image_delivery INDEXED BY image_delivery_study WHERE study = :study AND destination = :destination
    AND state NOT IN ('delivered', 'discarded') AND NOT (:accepted AND state = 'accepted'))
AND EXISTS (SELECT 1 FROM image_journey WHERE study = :study AND destination = :destination);

-- image.discard deliveries --
SELECT destination, state, count(*) FROM image_delivery INDEXED BY image_delivery_study
WHERE study = :study AND state NOT IN ('delivered', 'accepted', 'discarded') GROUP BY destination, state;

-- image.discarded --
UPDATE image_delivery SET state = 'discarded', due_at = NULL, settled_at = :now
WHERE study = :study AND destination = :destination AND state NOT IN ('delivered', 'accepted', 'discarded');

-- image.discard --
UPDATE image_study SET state = 'discarded', due_at = NULL, ended_at = :now, unjudged = 0, note = :note WHERE id = :study;

-- image.sending --
-- It is on its way again.
UPDATE image_study SET state = 'sending', ended_at = NULL WHERE id = :study;

-- image.hold order --
SELECT body FROM image_order WHERE key = :key;

-- image.put order --
INSERT INTO image_order (key, study, accession, body, changed_at) VALUES (:key, :study, :accession, :body, :now)
ON CONFLICT (key) DO UPDATE SET study = excluded.study, accession = excluded.accession, body = excluded.body,
    changed_at = excluded.changed_at;

-- image.orders by study --
SELECT body FROM image_order WHERE study = :study AND study <> '' LIMIT 100;

-- image.orders by accession --
SELECT body FROM image_order WHERE accession = :accession AND accession <> '' LIMIT 100;

-- image.forget orders --
DELETE FROM image_order WHERE key IN (SELECT key FROM image_order WHERE changed_at < :before ORDER BY changed_at LIMIT 1000);

-- image.expected --
SELECT body FROM image_expected WHERE study = :study;

-- image.expect --
INSERT INTO image_expected (study, body, at) VALUES (:study, :body, :now)
ON CONFLICT (study) DO UPDATE SET body = excluded.body, at = excluded.at;

-- image.forget expected --
DELETE FROM image_expected WHERE study IN (SELECT study FROM image_expected e WHERE at < :before
    AND NOT EXISTS (SELECT 1 FROM image_study s WHERE s.uid = e.study) ORDER BY at LIMIT 1000);

-- image.wants of --
-- What was ever wanted of a study or an accession number.
SELECT id, state, urgency, inlet FROM image_want WHERE study = :study AND study <> ''
UNION SELECT id, state, urgency, inlet FROM image_want WHERE accession = :accession AND accession <> '' ORDER BY id;

-- image.is here --
-- Studies by their UID or accession number: how many instances, and what their PACS says.
SELECT s.id, s.instances, e.body FROM image_study s LEFT JOIN image_expected e ON e.study = s.uid WHERE s.uid = :study
UNION SELECT s.id, s.instances, e.body FROM image_study s INDEXED BY image_study_accession
LEFT JOIN image_expected e ON e.study = s.uid WHERE s.accession = :accession AND s.accession <> '';

-- image.add want --
INSERT INTO image_want (inlet, study, accession, why, urgency, since, due_at, state, expected)
VALUES (:inlet, :study, :accession, :why, :urgency, :since, :due_at, 'open', :expected);

-- image.hurry want --
UPDATE image_want SET urgency = min(urgency, :urgency), due_at = iif(leased, due_at, min(due_at, :due_at)) WHERE id = :id;

-- image.next want --
SELECT id FROM image_want INDEXED BY image_want_due
WHERE inlet = :inlet AND urgency = :urgency AND due_at <= :now AND state = 'open' ORDER BY due_at LIMIT 1;

-- image.lease want --
UPDATE image_want SET leased = 1, due_at = :until, attempts = attempts + 1 WHERE id = :id;

-- image.end lease --
-- Nobody fetches anything: we have just begun.
UPDATE image_want SET leased = 0, due_at = :now WHERE leased = 1 AND state = 'open';

-- image.want --
SELECT id, inlet, study, accession, why, urgency, since, due_at, attempts, problem, expected, state FROM image_want WHERE id = :id;

-- image.wants --
SELECT id, inlet, study, accession, why, urgency, since, due_at, attempts, problem, expected, state FROM image_want
INDEXED BY image_want_shown WHERE state = :state ORDER BY id DESC LIMIT :limit;

-- image.end want --
UPDATE image_want SET state = :state, leased = 0, due_at = :due_at, problem = :problem, ended_at = :ended_at WHERE id = :id AND state = 'open';

-- image.forget wants --
DELETE FROM image_want WHERE id IN (SELECT id FROM image_want INDEXED BY image_want_ended WHERE ended_at IS NOT NULL AND ended_at < :before ORDER BY ended_at LIMIT 1000);

-- image.over --
-- Studies that ended so long ago that their files go.
SELECT id, uid FROM image_study INDEXED BY image_study_ended
WHERE ended_at IS NOT NULL AND ended_at < :before AND files = 1 ORDER BY ended_at LIMIT :limit;

-- image.gone --
UPDATE image_instance SET files = 0, sent_size = NULL WHERE study = :study;

-- image.gone study --
UPDATE image_study SET files = 0, due_at = NULL, unjudged = 0 WHERE id = :study;

-- image.unproven studies --
-- Studies of which a destination accepted everything that it will ever prove, longer ago than it is kept.
SELECT DISTINCT study FROM image_delivery INDEXED BY image_delivery_kept
WHERE destination = :destination AND state = 'accepted' AND settled_at < :before LIMIT 100;

-- image.end unproven --
UPDATE image_delivery INDEXED BY image_delivery_study SET state = 'discarded', due_at = NULL
WHERE study = :study AND destination = :destination AND state = 'accepted' AND settled_at < :before;

-- image.forgotten --
SELECT id, state FROM image_study INDEXED BY image_study_gone WHERE files = 0 AND last_at < :before ORDER BY last_at LIMIT 100;

-- image.forget deliveries --
DELETE FROM image_delivery WHERE study IN (SELECT value FROM json_each(:studies)) RETURNING destination, state;

-- image.forget journeys --
DELETE FROM image_journey WHERE study IN (SELECT value FROM json_each(:studies));

-- image.forget instances --
DELETE FROM image_instance WHERE study IN (SELECT value FROM json_each(:studies));

-- image.forget series --
DELETE FROM image_series WHERE study IN (SELECT value FROM json_each(:studies));

-- image.forget studies --
DELETE FROM image_study WHERE id IN (SELECT value FROM json_each(:studies));

-- image.deliveries left --
-- At our death they were being sent: they may have arrived.
SELECT destination, count(*) FROM image_delivery WHERE state = 'sending' GROUP BY destination;

-- image.lapse --
UPDATE image_delivery SET state = 'uncertain', due_at = 0 WHERE destination = :destination AND state = 'sending';

-- image.newest document --
SELECT ifnull(max(id), 0) FROM document;

-- image.made --
-- Documents of a kind that were made after one, in their order: those that withdraw one are none.
SELECT d.id, s.set_id, d.version, s.key FROM document d JOIN plan p ON p.id = d.plan JOIN series s ON s.id = d.series
WHERE d.id > :after AND p.kind = :kind AND d.void = 0 ORDER BY d.id LIMIT :limit;

-- image.drop marks --
DELETE FROM meta WHERE name >= :first AND name < :behind AND value < :below;

-- image.marks --
SELECT name, value FROM meta WHERE name >= :first AND name < :behind ORDER BY name;

-- image.every instance --
SELECT id, uid, study FROM image_instance WHERE id > :after ORDER BY id LIMIT :limit;
