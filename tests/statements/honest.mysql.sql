== expressions
IFNULL(p.name, '')
IF(p.sex = '1', '男', '女')
CONCAT(p.a, '-', p.b)
CONCAT_WS('-', p.a, p.b)
DATE_FORMAT(p.visit_time, '%Y-%m-%d %H:%i:%s')
STR_TO_DATE(p.day, '%Y%m%d')
DATE_ADD(p.visit_time, INTERVAL 1 DAY)
DATE_SUB(NOW(), INTERVAL 30 MINUTE)
p.visit_time + INTERVAL 1 DAY
DATEDIFF(p.out_time, p.in_time)
TIMESTAMPDIFF(YEAR, p.birth_date, p.visit_time)
UNIX_TIMESTAMP(p.visit_time)
FROM_UNIXTIME(p.epoch)
YEAR(p.visit_time)
MONTH(p.visit_time)
DAYOFWEEK(p.visit_time)
LAST_DAY(p.visit_time)
CURDATE()
CURRENT_TIMESTAMP
DATE(p.visit_time)
TIME(p.visit_time)
CAST(p.id AS CHAR)
CAST(p.id AS SIGNED)
CAST(p.amount AS UNSIGNED)
CAST(p.amount AS DECIMAL(10, 2))
CONVERT(p.name USING utf8mb4)
CONVERT(p.id, CHAR)
GROUP_CONCAT(p.name)
GROUP_CONCAT(DISTINCT p.name ORDER BY p.name DESC SEPARATOR '; ')
SUBSTRING_INDEX(p.code, '-', 1)
SUBSTR(p.code, 1, 3)
LEFT(p.id_card, 6)
RIGHT(p.id_card, 4)
MID(p.code, 2, 2)
LPAD(p.id, 10, '0')
RPAD(p.id, 10, ' ')
REPEAT('0', 8)
REPLACE(p.name, ' ', '')
LOCATE('-', p.code)
INSTR(p.code, '-')
FIND_IN_SET(p.code, p.codes)
FIELD(p.code, 'a', 'b')
ELT(p.n, 'a', 'b')
CHAR_LENGTH(p.name)
LENGTH(p.name)
p.name REGEXP '^[0-9]+$'
p.name RLIKE 'a|b'
p.doc -> '$.name'
p.doc ->> '$.name'
JSON_EXTRACT(p.doc, '$.items[0].code')
JSON_UNQUOTE(JSON_EXTRACT(p.doc, '$.code'))
JSON_OBJECT('a', p.id)
JSON_ARRAYAGG(p.id)
JSON_VALID(p.doc)
p.a <=> p.b
p.a DIV 2
p.a MOD 2
p.a XOR p.b
p.flags & 4
p.flags << 2
HEX(p.raw)
MD5(p.id)
SHA2(p.id, 256)
CRC32(p.id)
ROUND(p.amount, 2)
TRUNCATE(p.amount, 1)
FORMAT(p.amount, 2)
GREATEST(p.a, p.b)
LEAST(p.a, p.b)
COALESCE(p.a, p.b, '无')
ISNULL(p.a)
p.name COLLATE utf8mb4_bin
BINARY p.name
_utf8mb4 'x'
"双引号文本"
'C:\\dir\\file'
STD(p.amount)
ANY_VALUE(p.name)
TIMESTAMP '2026-01-01 00:00:00'
CHAR(10)
UCASE(p.code)
TRIM(LEADING '0' FROM p.code)
SEC_TO_TIME(p.n)
CONVERT_TZ(p.visit_time, '+00:00', '+08:00')
WEEK(p.visit_time, 1)
== queries
SELECT `id` AS "key", `update_time` AS "cursor" FROM `his`.`visit` # 就诊

SELECT id FROM visit ORDER BY id LIMIT 100

SELECT id FROM visit ORDER BY id LIMIT 20, 100

SELECT id FROM visit LIMIT 100 OFFSET 20

SELECT q.`cursor`, q.`key` FROM (
SELECT update_time AS `cursor`, id AS `key` FROM visit -- 门诊
) q
WHERE q.`key` IS NOT NULL AND q.`cursor` >= ? AND (q.`cursor` > ? OR q.`key` > ?)
ORDER BY q.`cursor`, q.`key`
LIMIT 10000

SELECT id FROM visit USE INDEX (ix_time) WHERE t > ?

SELECT id FROM visit FORCE INDEX (ix_time) WHERE t > ?

SELECT STRAIGHT_JOIN v.id FROM visit v JOIN patient p ON p.id = v.patient_id

SELECT SQL_NO_CACHE id FROM visit

SELECT v.`患者姓名` AS "patient.name" FROM `门诊就诊` v

SELECT a, SUM(b) FROM t GROUP BY a WITH ROLLUP

WITH RECURSIVE tree AS (SELECT id, pid FROM dept WHERE pid = 0 UNION ALL SELECT d.id, d.pid FROM dept d JOIN tree t ON t.id = d.pid) SELECT id FROM tree

WITH RECURSIVE days AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM days WHERE n < 31) SELECT n FROM days

SELECT j.code FROM report r, JSON_TABLE(r.items, '$[*]' COLUMNS (code VARCHAR(20) PATH '$.code', value VARCHAR(50) PATH '$.value')) AS j

SELECT id FROM visit PARTITION (p2026)

SELECT id FROM visit WHERE t >= '2026-01-01 00:00:00' AND kind <> 'x' AND NOT voided

SELECT id FROM visit WHERE id IN (?, ?, ?) AND dept != 'x' AND !voided

SELECT v.id FROM visit v NATURAL LEFT JOIN patient

SELECT column_name FROM information_schema.columns WHERE table_schema = 'his'

SELECT id FROM a JOIN b USING (id) JOIN c USING (id)

SELECT DATE_FORMAT(t, '%Y') AS y, COUNT(*) FROM visit GROUP BY DATE_FORMAT(t, '%Y') ORDER BY NULL

SELECT id, NTILE(4) OVER (ORDER BY amount) FROM charge

SELECT id, IFNULL(name,''), IF(sex=1,'男','女') FROM patient

SELECT DATE_FORMAT(t, '%Y-%m-%d %H:%i:%s') FROM visit

SELECT GROUP_CONCAT(DISTINCT name ORDER BY seq SEPARATOR ';') FROM diag

SELECT STR_TO_DATE(x, '%Y%m%d') FROM t

SELECT TIMESTAMPDIFF(YEAR, birth, CURDATE()) FROM patient

SELECT id FROM patient WHERE t > ? LIMIT 100

SELECT id FROM patient LIMIT 0, 100

SELECT id FROM his.patient p FORCE INDEX (ix_t) WHERE t > ?

SELECT CONVERT(name USING utf8mb4), CAST(id AS CHAR), CAST(id AS SIGNED) FROM patient

SELECT CONCAT_WS('-', a, b), LPAD(id, 10, '0'), SUBSTRING_INDEX(x, ',', 1) FROM t

SELECT * FROM a JOIN b USING (id)

SELECT * FROM a NATURAL JOIN b

SELECT id FROM patient WHERE name REGEXP '^张'

SELECT id FROM patient WHERE name = BINARY 'x'

SELECT BINARY name FROM patient

SELECT id DIV 10, id MOD 10, id % 10, a <=> b FROM t

SELECT JSON_EXTRACT(j, '$.a'), j->'$.a', j->>'$.b' FROM t

SELECT DATE_ADD(t, INTERVAL 1 DAY), t - INTERVAL 1 HOUR, DATE(t), HOUR(t) FROM visit

SELECT COUNT(*) FROM visit GROUP BY dept WITH ROLLUP

SELECT STRAIGHT_JOIN a.id FROM a, b

SELECT LAST_DAY(t), MAKEDATE(2026, 1), FROM_UNIXTIME(x), UNIX_TIMESTAMP(t) FROM v

SELECT VERSION()

SELECT USER()

SELECT DATABASE()

SELECT HEX(b), MD5(a), INET_NTOA(x) FROM t

SELECT IF(a IS NULL, 1, 0), NULLIF(a, b), ISNULL(a), FIELD(a,'x','y'), ELT(1,'a') FROM t

SELECT `就诊`.`患者 姓名` AS `patient.name` FROM `就诊`

SELECT id FROM visit WHERE t BETWEEN '2026-01-01' AND '2026-02-01' ORDER BY t, id

SELECT a.id FROM a LEFT JOIN (SELECT MAX(t) t, id FROM b GROUP BY id) c ON c.id = a.id

SELECT CAST(t AS DATETIME(6)), CAST(x AS DECIMAL(10,2)), CAST(x AS UNSIGNED) FROM v

SELECT DATE_SUB(NOW(), INTERVAL 5 MINUTE), UTC_TIMESTAMP(), CURRENT_TIMESTAMP(6), NOW(3)

SELECT TRIM(BOTH ' ' FROM name), TRIM(LEADING '0' FROM id) FROM patient

SELECT ROW_NUMBER() OVER w FROM visit WINDOW w AS (PARTITION BY pid ORDER BY t)

SELECT EXTRACT(YEAR FROM t), WEEKDAY(t), QUARTER(t) FROM v

SELECT name COLLATE utf8mb4_bin FROM patient

SELECT REPLACE(txt, CHAR(0), '') FROM emr

SELECT 'it''s', "abc"

SELECT ALL id FROM t

SELECT TIMESTAMP(d, tm) FROM v

SELECT id FROM t WHERE a && b
