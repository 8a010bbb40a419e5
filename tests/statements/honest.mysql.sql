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
