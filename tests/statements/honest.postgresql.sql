== expressions
p.id::text
p.birth_date::date
p.amount::numeric(10, 2)
to_char(p.visit_time, 'YYYY-MM-DD HH24:MI:SS')
to_date(p.day, 'YYYYMMDD')
to_timestamp(p.stamp, 'YYYYMMDDHH24MISS')
to_timestamp(p.epoch / 1000.0)
EXTRACT(YEAR FROM AGE(p.visit_time, p.birth_date))::int
date_part('year', age(p.birth_date))
date_trunc('day', p.visit_time)
p.visit_time AT TIME ZONE 'Asia/Shanghai'
p.visit_time + INTERVAL '8 hours'
p.visit_time - INTERVAL '1' DAY
now()
CURRENT_TIMESTAMP
CURRENT_DATE - 1
p.doc ->> 'chiefComplaint'
p.doc -> 'items' -> 0 ->> 'name'
p.doc #>> '{a,b}'
(p.doc::jsonb) @> '{"kind": 1}'
jsonb_array_length(p.doc::jsonb)
json_build_object('a', p.id, 'b', p.name)
string_agg(p.name, ',' ORDER BY p.name)
array_agg(DISTINCT p.dept)
array_to_string(ARRAY[p.a, p.b], ',')
(string_to_array(p.tags, ','))[1]
split_part(p.code, '-', 2)
regexp_replace(p.phone, '[^0-9]', '', 'g')
p.name ~ '^[A-Z]+\d'
p.name !~* 'test'
p.name ILIKE '%li%'
p.name SIMILAR TO '(张|李)%'
left(p.id_card, 6)
right(p.id_card, 4)
lpad(p.id::text, 10, '0')
repeat('0', 8)
concat(p.a, p.b)
concat_ws('-', p.a, p.b)
length(p.name)
char_length(p.name)
position('-' in p.code)
strpos(p.code, '-')
overlay(p.code placing '**' from 3 for 2)
substring(p.code from 2 for 3)
trim(both ' ' from p.code)
btrim(p.code, '0')
initcap(p.pinyin)
greatest(p.a, p.b)
least(p.a, p.b, p.c)
count(*) FILTER (WHERE p.sex = '1')
percentile_cont(0.5) WITHIN GROUP (ORDER BY p.amount)
bool_or(p.voided)
encode(p.raw, 'hex')
md5(p.id::text)
p.flags & 4
p.price ^ 2
p.voided IS TRUE
p.voided IS NOT DISTINCT FROM p.deleted
make_date(2026, 1, 1)
generate_series(1, 31)
p.name COLLATE "C"
COALESCE(NULLIF(p.a, ''), NULLIF(p.b, ''), '无')
DATE '2026-01-01'
TIMESTAMP '2026-01-01 00:00:00'
chr(10)
translate(p.name, '０１２', '012')
format('%s-%s', p.a, p.b)
width_bucket(p.age, 0, 100, 10)
row_to_json(p)
p.day + 1
unnest(string_to_array(p.codes, ';'))
xmlelement(name item, p.name)
p.period && tstzrange(p.a, p.b)
trunc(p.amount, 1)
== queries
SELECT id FROM visit ORDER BY id LIMIT 100 OFFSET 20

SELECT id FROM visit ORDER BY id FETCH FIRST 100 ROWS ONLY

SELECT DISTINCT ON (patient_id) patient_id, id FROM visit ORDER BY patient_id, visit_time DESC

SELECT v.id, m.text FROM visit v LEFT JOIN LATERAL (SELECT r.text FROM record r WHERE r.visit_id = v.id ORDER BY r.id DESC LIMIT 1) m ON true

WITH RECURSIVE tree AS (SELECT id, parent_id FROM department WHERE parent_id IS NULL UNION ALL SELECT d.id, d.parent_id FROM department d JOIN tree t ON t.id = d.parent_id) SELECT id FROM tree

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 31) SELECT i FROM n

SELECT x.item ->> 'code' FROM report r CROSS JOIN LATERAL jsonb_array_elements(r.items) AS x(item)

SELECT e.value FROM report r, jsonb_each_text(r.doc) AS e(key, value)

SELECT d::date FROM generate_series(now() - INTERVAL '7 days', now(), INTERVAL '1 day') AS d

SELECT a, b, SUM(c) FROM t GROUP BY GROUPING SETS ((a), (b), ())

SELECT a, SUM(c) FROM t GROUP BY ROLLUP (a)

SELECT id FROM visit WHERE id = ANY($1)

SELECT id FROM "HIS"."Visit" WHERE "Visit"."患者编号" = $1

SELECT id, first_value(x) OVER w FROM t WINDOW w AS (PARTITION BY y ORDER BY z)

SELECT id FROM visit ORDER BY closed_at DESC NULLS LAST

SELECT q."key" FROM (SELECT id AS "key" FROM visit) q WHERE q."key" IN ($1, $2, $3) LIMIT 200001

SELECT v.id FROM visit v JOIN (VALUES ('1', '门诊'), ('2', '住院')) AS k (code, name) ON k.code = v.kind

WITH w AS MATERIALIZED (SELECT id FROM visit) SELECT id FROM w

SELECT id FROM visit NATURAL JOIN patient

SELECT id FROM visit JOIN patient USING (patient_id)

SELECT t.a FROM ONLY visit t

SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'

SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace

SELECT id, name::text, t::timestamp(0), x::numeric(10,2), j->>'a', j#>>'{a,b}' FROM t

SELECT to_char(t, 'YYYY-MM-DD HH24:MI:SS') FROM visit

SELECT DISTINCT ON (pid) pid, t FROM visit ORDER BY pid, t DESC

SELECT string_agg(name, ',' ORDER BY seq) FROM diag

SELECT id FROM visit WHERE t > now() - interval '1 day'

SELECT extract(epoch FROM t), date_trunc('day', t), age(birth) FROM v

SELECT id FROM visit TABLESAMPLE SYSTEM (1)

SELECT id FROM visit TABLESAMPLE BERNOULLI (1)

SELECT id FROM visit WHERE name ILIKE '张%' AND name ~ '^[a-z]' AND name !~* 'x'

SELECT id FROM visit WHERE id = ANY (ARRAY[1,2,3])

SELECT id FROM visit WHERE id = ANY ('{1,2}'::int[])

SELECT array_agg(x ORDER BY y) FILTER (WHERE x IS NOT NULL) FROM t

SELECT x.* FROM visit v CROSS JOIN LATERAL (SELECT * FROM diag d WHERE d.vid = v.id LIMIT 1) x

SELECT CURRENT_USER, SESSION_USER

SELECT version()

SELECT current_database()

SELECT pg_typeof(1)

SELECT obj_description(1)

SELECT xmin::text, ctid, id FROM visit

SELECT xmin::text::bigint FROM visit

SELECT id FROM "公共"."就诊" WHERE "时间" > $1

SELECT count(*) OVER (ORDER BY t RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) FROM v

SELECT generate_series(1, 10)

SELECT unnest(ARRAY[1,2]), regexp_split_to_table(a, ',') FROM t

SELECT coalesce(a, b) || '-' || c FROM t

SELECT j @> '{"a":1}', j ? 'a' FROM t

SELECT t AT TIME ZONE 'Asia/Shanghai' FROM v

SELECT position('a' in b), substring(a from 1 for 2), overlay(a placing 'b' from 1), trim(both from a) FROM t

SELECT jsonb_agg(jsonb_build_object('a', a)) FROM t

SELECT a IS DISTINCT FROM b, a IS TRUE, a ISNULL FROM t

SELECT id FROM t ORDER BY id NULLS FIRST FETCH FIRST 10 ROWS ONLY

SELECT id FROM t LIMIT 10 OFFSET 20

SELECT EXISTS (SELECT 1 FROM t), a IN (1,2), (a, b) = (1, 2) FROM t

SELECT make_date(2026,1,1), to_date('20260101','YYYYMMDD'), localtimestamp(0)

WITH RECURSIVE d AS (SELECT id, pid FROM dept WHERE pid IS NULL UNION ALL SELECT c.id, c.pid FROM dept c JOIN d ON d.id = c.pid) SELECT * FROM d

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM t

SELECT GREATEST(a,b), LEAST(a,b), nullif(a,''), left(a,2), right(a,2), lpad(a::text,8,'0'), md5(a) FROM t

SELECT a FROM t WHERE b SIMILAR TO '(x|y)%'

SELECT (x).a FROM t

SELECT xpath('/a/text()', x::xml) FROM t

SELECT date '2026-01-01' + 1, time '10:00', timestamp '2026-01-01 00:00'

SELECT id FROM ONLY visit

SELECT encode(b, 'base64'), convert_from(b, 'GBK') FROM t

SELECT count(*) FROM visit GROUP BY GROUPING SETS ((a), (b), ())
