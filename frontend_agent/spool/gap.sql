-- gap.add sent --
INSERT INTO gap_sent (number, made_at, asks, size, body) VALUES (:number, :now, :asks, length(:body), :body);

-- gap.unlaid --
SELECT number FROM gap_sent WHERE laid = 0 ORDER BY number LIMIT :limit;

-- gap.sent body --
SELECT body FROM gap_sent WHERE number = :number;

-- gap.laid --
UPDATE gap_sent SET laid = 1, sent_at = :now, times = times + 1 WHERE number = :number;

-- gap.again --
UPDATE gap_sent SET laid = 0 WHERE laid = 1 AND sent_at <= :before AND number IN (SELECT value FROM json_each(:numbers));

-- gap.newest asking --
-- The last one that wants an answer: the one that reveals whether others are missing.
SELECT number, sent_at, times, laid FROM gap_sent WHERE asks = 1 ORDER BY number DESC LIMIT 1;

-- gap.acknowledged --
SELECT number FROM gap_sent WHERE number <= :whole ORDER BY number;

-- gap.drop sent --
DELETE FROM gap_sent WHERE number <= :whole;

-- gap.sent one --
SELECT made_at, sent_at, times FROM gap_sent WHERE number = :number;

-- gap.sent counts --
SELECT count(*), coalesce(sum(size), 0), coalesce(min(made_at), 0), coalesce(sum(laid = 0), 0), coalesce(max(times), 0),
       coalesce(min(CASE WHEN asks = 1 THEN made_at END), 0)
FROM gap_sent;

-- gap.clear sent --
DELETE FROM gap_sent;

-- gap.take --
INSERT INTO gap_got (number, sha256, at, body) VALUES (:number, :sha256, :now, :body);

-- gap.digest --
SELECT sha256 FROM gap_got WHERE number = :number;

-- gap.got body --
SELECT body FROM gap_got WHERE number = :number;

-- gap.early --
SELECT number, at FROM gap_got WHERE number > :whole ORDER BY number LIMIT :limit;

-- gap.last --
SELECT number, at FROM gap_got ORDER BY number DESC LIMIT 1;

-- gap.done bodies --
UPDATE gap_got SET body = NULL WHERE number < :number AND body IS NOT NULL;

-- gap.forget --
DELETE FROM gap_got WHERE number < :number;

-- gap.clear got --
DELETE FROM gap_got;

-- gap.add item --
INSERT INTO gap_item (first, last, place) VALUES (:first, :last, :place);

-- gap.items --
SELECT id, first, last, place FROM gap_item WHERE id > :after ORDER BY id LIMIT :limit;

-- gap.items waiting --
SELECT count(*), coalesce(min(first), 0) FROM gap_item;

-- gap.drop item --
DELETE FROM gap_item WHERE id = :id;

-- gap.clear items --
DELETE FROM gap_item;

-- gap.ask --
INSERT INTO gap_request (id, destination, kind, at, size, documents) VALUES (:id, :destination, :kind, :now, :size, :documents);

-- gap.request --
SELECT destination, kind, at, documents FROM gap_request WHERE id = :id;

-- gap.drop request --
DELETE FROM gap_request WHERE id = :id;

-- gap.drop older --
DELETE FROM gap_request WHERE kind = :kind AND at < :before;

-- gap.requests --
SELECT id, destination, kind, at, documents FROM gap_request ORDER BY at, id;

-- gap.on the way --
SELECT count(*), coalesce(sum(size), 0), coalesce(min(at), 0), coalesce(sum(json_array_length(documents)), 0)
FROM gap_request WHERE destination = :destination AND kind = :kind;

-- gap.clear requests --
DELETE FROM gap_request;
