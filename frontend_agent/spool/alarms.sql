-- Queries about alarms. Each has a name and a sentence.

-- alarm.standing --
SELECT id, kind, subject, level, since, began_at, ended_at, quiet_since, figures FROM alarm
WHERE ended_at IS NULL ORDER BY id;

-- alarm.history --
-- Those that stand and those that ended, the newest first.
SELECT id, kind, subject, level, since, began_at, ended_at, quiet_since, figures FROM alarm
WHERE id < :before AND (:kind = '' OR kind = :kind) AND (:subject IS NULL OR subject = :subject)
ORDER BY id DESC LIMIT :limit;

-- alarm.to end --
-- Those that ended, whose beginning was told to somebody who was not told of their end.
SELECT DISTINCT a.id, a.kind, a.subject, a.level, a.since, a.began_at, a.ended_at, a.quiet_since, a.figures
FROM alarm a JOIN alarm_told b ON b.alarm = a.id AND b.turn = 'begins'
WHERE a.ended_at > :after
AND NOT EXISTS (SELECT 1 FROM alarm_told e WHERE e.alarm = a.id AND e.channel = b.channel AND e.turn = 'ends')
ORDER BY a.id;

-- alarm.add --
INSERT INTO alarm (kind, subject, level, since, began_at, figures)
VALUES (:kind, :subject, :level, :since, :began_at, :figures) RETURNING id;

-- alarm.keep --
UPDATE alarm SET level = :level, since = :since, ended_at = :ended_at, quiet_since = :quiet_since, figures = :figures
WHERE id = :id;

-- alarm.drop --
-- What ended longer ago than its term, with who was told of it.
DELETE FROM alarm WHERE ended_at < :before;

-- alarm.drop told --
DELETE FROM alarm_told WHERE alarm NOT IN (SELECT id FROM alarm);

-- alarm.told --
SELECT alarm, channel, turn FROM alarm_told WHERE alarm IN (SELECT value FROM json_each(:alarms));

-- alarm.tell --
-- Once: who is told twice is told the same.
INSERT INTO alarm_told (alarm, channel, turn, at) VALUES (:alarm, :channel, :turn, :now) ON CONFLICT DO NOTHING;

-- alarm.mute --
INSERT INTO alarm_mute (kind, subject, since, until, who, reason) VALUES (:kind, :subject, :now, :until, :who, :reason) RETURNING id;

-- alarm.unmute --
UPDATE alarm_mute SET ended_at = :now, ended_by = :who
WHERE ended_at IS NULL AND (until IS NULL OR until > :now) AND (:id IS NULL OR id = :id)
AND (:kind IS NULL OR kind = :kind) AND (:subject IS NULL OR subject = :subject);

-- alarm.mutes --
SELECT id, kind, subject, since, until, who, reason FROM alarm_mute
WHERE ended_at IS NULL AND (until IS NULL OR until > :now) ORDER BY id;

-- alarm.came --
-- In the commit of a batch: so much came from a feed in this hour.
INSERT INTO came (feed, hour, taken, held) VALUES (:feed, :hour, :taken, :held)
ON CONFLICT (feed, hour) DO UPDATE SET taken = taken + excluded.taken, held = held + excluded.held;

-- alarm.hours --
SELECT hour, taken, held FROM came WHERE feed = :feed AND hour >= :first;

-- alarm.drop hours --
DELETE FROM came WHERE hour < :before;

-- alarm.oldest --
-- When the oldest document was made that is on its way to a destination, other than what a backfill made.
SELECT made_at FROM document WHERE id = (
    SELECT min(document) FROM (
        SELECT min(document) AS document FROM delivery INDEXED BY delivery_ready
            WHERE destination = :destination AND urgency = 0 AND state = 'ready'
        UNION ALL SELECT document FROM delivery INDEXED BY delivery_sending
            WHERE destination = :destination AND state = 'sending' AND urgency <> 1
        UNION ALL SELECT document FROM (
            SELECT document, urgency FROM delivery INDEXED BY delivery_due
            WHERE destination = :destination AND state IN ('waiting', 'uncertain') ORDER BY due_at LIMIT 1000)
            WHERE urgency <> 1
        UNION ALL SELECT min(document) FROM delivery INDEXED BY delivery_ready
            WHERE destination = :destination AND urgency > 1 AND state = 'ready'));

-- alarm.oldest image --
-- When the newest instance came of the oldest study that is on its way to a destination, other than of a backfill.
SELECT min(last_at) FROM image_study WHERE id IN (
    SELECT min(study) FROM image_delivery INDEXED BY image_delivery_ready
        WHERE destination = :destination AND urgency = 0 AND state = 'ready'
    UNION ALL SELECT study FROM (
        SELECT study, urgency FROM image_delivery INDEXED BY image_delivery_due
        WHERE destination = :destination AND state IN ('waiting', 'uncertain') ORDER BY due_at LIMIT 1000)
        WHERE urgency = 0);

-- alarm.unmapped --
-- Local codes without a map that nobody has rejected: how many, and since when the first.
SELECT count(*), min(first_at) FROM (
    SELECT u.tbl, u.code, min(u.first_at) AS first_at FROM unmapped u
    WHERE NOT EXISTS (SELECT 1 FROM term t WHERE t.tbl = u.tbl AND t.code = u.code AND t.state = 'rejected')
    GROUP BY u.tbl, u.code);

-- alarm.held studies --
-- Studies that wait for a person: how many, and since when the first.
SELECT count(*), min(last_at) FROM image_study WHERE state = 'held';

-- alarm.stuck studies --
-- Studies of which a destination took some instances not: how many, and since when the first.
SELECT count(DISTINCT study), min(settled_at) FROM image_delivery WHERE state IN ('refused', 'blocked', 'damaged');
