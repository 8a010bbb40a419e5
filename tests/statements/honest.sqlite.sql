== expressions
IFNULL(p.name, '')
IIF(p.sex = 1, '男', '女')
p.a || '-' || p.b
strftime('%Y-%m-%d %H:%M:%S', p.visit_time)
date(p.visit_time)
date(p.visit_time, '+1 day')
datetime(p.visit_time, 'localtime')
datetime('now')
julianday(p.a) - julianday(p.b)
CAST(strftime('%Y', p.visit_time) AS INTEGER)
unixepoch(p.visit_time)
substr(p.id_card, 7, 8)
substr(p.code, -4)
instr(p.code, '-')
replace(p.name, ' ', '')
trim(p.code, '0')
ltrim(p.code, '0')
length(p.name)
printf('%08d', p.id)
printf('%.2f', p.amount)
format('%s-%s', p.a, p.b)
hex(p.raw)
quote(p.name)
typeof(p.amount)
group_concat(p.name)
group_concat(p.name, ';')
group_concat(DISTINCT p.name)
total(p.amount)
max(p.a, p.b)
min(p.a, p.b, p.c)
abs(p.amount)
round(p.amount, 1)
unicode(p.name)
char(65, 66)
json_extract(p.doc, '$.name')
p.doc ->> '$.name'
p.doc -> 'items'
json_array_length(p.doc)
json_object('a', p.id)
json_group_array(p.id)
json_valid(p.doc)
p.name GLOB '*[0-9]*'
p.name LIKE '10\%' ESCAPE '\'
p.name REGEXP 'a'
p.a IS p.b
p.a IS NOT p.b
p.flags & 4
p.flags << 2
~p.flags
p.id == 1
CAST(p.id AS TEXT)
CAST(p.amount AS REAL)
CAST(p.amount AS NUMERIC)
x'0A'
CURRENT_TIMESTAMP
CURRENT_DATE
coalesce(p.a, p.b)
nullif(p.a, '')
p.rowid
p.name COLLATE NOCASE
count(*) FILTER (WHERE p.sex = 1)
first_value(p.x) OVER (PARTITION BY p.y ORDER BY p.z)
dense_rank() OVER (ORDER BY p.amount)
ntile(4) OVER (ORDER BY p.amount)
likely(p.voided = 0)
lower(p.code)
sign(p.amount)
concat(p.a, p.b)
concat_ws('-', p.a, p.b)
sqrt(p.amount)
power(p.amount, 2)
floor(p.amount)
string_agg(p.name, ',')
== queries
SELECT id FROM visit ORDER BY id LIMIT 100

SELECT id FROM visit ORDER BY id LIMIT 100 OFFSET 20

SELECT [患者姓名] AS "patient.name", `性别` AS "patient.sex" FROM [病人 表]

WITH RECURSIVE tree (id, parent) AS (SELECT id, parent FROM dept WHERE parent IS NULL UNION ALL SELECT d.id, d.parent FROM dept d JOIN tree ON tree.id = d.parent) SELECT id FROM tree

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i FROM n

SELECT e.value FROM report r, json_each(r.items) e

SELECT json_extract(e.value, '$.code') FROM report r JOIN json_each(r.doc, '$.items') AS e

SELECT t.key, t.atom FROM report r, json_tree(r.doc) t WHERE t.type = 'text'

SELECT rowid, * FROM visit WHERE rowid > ?

SELECT id FROM visit INDEXED BY ix_time WHERE t > ?

SELECT id FROM visit NOT INDEXED WHERE t > ?

SELECT name FROM sqlite_master WHERE type = 'table'

SELECT v.id, p.name FROM visit AS v LEFT OUTER JOIN patient AS p USING (patient_id)

SELECT a, b FROM t GROUP BY a HAVING COUNT(*) > 1 ORDER BY 2 DESC NULLS LAST

SELECT * FROM (VALUES (1, 'a'), (2, 'b'))

SELECT x FROM t WHERE x NOT NULL

SELECT x FROM t WHERE x NOTNULL OR y ISNULL

SELECT ifnull((SELECT max(id) FROM visit), 0) AS m

SELECT sum(a) OVER (ORDER BY b RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM t

SELECT id FROM visit WHERE t >= datetime('now', '-7 days')

SELECT strftime('%Y-%m-%d', t), date('now', 'localtime') FROM v

SELECT id FROM visit WHERE t > ? LIMIT 100

SELECT rowid, id FROM visit

SELECT printf('%05d', id), substr(a, 1, 2) FROM t

SELECT a ->> '$.b' FROM t

SELECT CAST(a AS TEXT) || 'x' FROM t

SELECT id FROM t INDEXED BY ix WHERE a = 1

SELECT * FROM t NOT INDEXED

SELECT group_concat(a, ',') FROM t

SELECT a IS NOT b, a GLOB '*x' FROM t

SELECT iif(a, 1, 2), total(a), typeof(a) FROM t

SELECT x.value FROM t, json_each(t.j) x
