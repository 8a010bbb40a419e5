== expressions
NVL(p.name, '')
NVL2(p.name, 1, 0)
DECODE(p.sex, '1', '男', '2', '女', '未说明')
TO_CHAR(p.visit_time, 'YYYY-MM-DD HH24:MI:SS')
TO_CHAR(p.id)
TO_DATE(p.day, 'YYYYMMDD')
TO_DATE('2026-01-01', 'YYYY-MM-DD')
TO_TIMESTAMP(p.stamp, 'YYYYMMDDHH24MISSFF3')
TO_NUMBER(p.code)
DATE '2026-01-01'
SYSDATE
SYSDATE - 1/24
SYSTIMESTAMP
TRUNC(SYSDATE)
TRUNC(p.visit_time, 'MM')
ADD_MONTHS(p.visit_time, -1)
MONTHS_BETWEEN(p.visit_time, p.birth_date) / 12
LAST_DAY(p.visit_time)
EXTRACT(YEAR FROM p.visit_time)
p.visit_time + INTERVAL '8' HOUR
NUMTODSINTERVAL(8, 'HOUR')
FROM_TZ(p.t, '+08:00')
CAST(p.t AS TIMESTAMP)
CAST(p.id AS VARCHAR2(20))
CAST(p.amount AS NUMBER(10, 2))
SUBSTR(p.id_card, 7, 8)
SUBSTRB(p.name, 1, 10)
INSTR(p.code, '-', 1, 2)
LENGTH(p.name)
LENGTHB(p.name)
REPLACE(p.name, ' ')
TRANSLATE(p.code, '0123456789', '0000000000')
LPAD(p.id, 10, '0')
RPAD(p.id, 10)
LTRIM(p.code, '0')
TRIM(p.name)
INITCAP(p.pinyin)
p.a || '-' || p.b
CHR(10)
REGEXP_REPLACE(p.phone, '[^0-9]', '')
REGEXP_SUBSTR(p.codes, '[^,]+', 1, 2)
CASE WHEN REGEXP_LIKE(p.code, '^\d+$') THEN 1 END
GREATEST(p.a, p.b)
LEAST(p.a, p.b)
COALESCE(p.a, p.b)
MOD(p.id, 2)
ROUND(p.amount, 2)
CEIL(p.amount)
SIGN(p.amount)
RAWTOHEX(p.raw)
HEXTORAW('0A')
DBMS_LOB.SUBSTR(p.text, 4000, 1)
DBMS_LOB.GETLENGTH(p.text)
LISTAGG(p.name, ',') WITHIN GROUP (ORDER BY p.line)
WM_CONCAT(p.name)
COUNT(DISTINCT p.dept)
ROW_NUMBER() OVER (PARTITION BY p.dept ORDER BY p.t DESC)
LAG(p.x) OVER (ORDER BY p.t)
RATIO_TO_REPORT(p.amount) OVER (PARTITION BY p.dept)
MAX(p.name) KEEP (DENSE_RANK LAST ORDER BY p.t)
SUM(p.amount) OVER (PARTITION BY p.v ORDER BY p.l ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
XMLAGG(XMLELEMENT(E, p.name || ','))
JSON_VALUE(p.doc, '$.name')
ORA_HASH(p.id)
N'张三'
p.ROWID
TO_CLOB(p.text)
NLSSORT(p.name, 'NLS_SORT=SCHINESE_PINYIN_M')
BITAND(p.flags, 4)
LNNVL(p.a = 1)
TO_SINGLE_BYTE(p.code)
MEDIAN(p.amount)
== queries
SELECT id FROM visit WHERE ROWNUM <= 100

SELECT * FROM (SELECT q.*, ROWNUM rn FROM (SELECT id FROM visit ORDER BY id) q WHERE ROWNUM <= 200) WHERE rn > 100

SELECT id FROM visit ORDER BY id FETCH FIRST 100 ROWS ONLY

SELECT id FROM visit ORDER BY id OFFSET 20 ROWS FETCH NEXT 100 ROWS ONLY

SELECT q."cursor", q."key" FROM (
SELECT v.update_time AS "cursor", v.id AS "key" FROM his.visit v -- 门诊
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?)
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

SELECT q."key" FROM (SELECT id AS "key" FROM visit) q WHERE q."key" IN (:1, :2, :3)

SELECT a.id, b.name FROM visit a, patient b WHERE a.patient_id = b.id(+)

SELECT id, name, LEVEL FROM dept START WITH parent_id IS NULL CONNECT BY PRIOR id = parent_id

SELECT id, SYS_CONNECT_BY_PATH(name, '/') FROM dept START WITH id = 1 CONNECT BY NOCYCLE PRIOR id = parent_id ORDER SIBLINGS BY name

SELECT LEVEL AS n FROM dual CONNECT BY LEVEL <= 31

SELECT SYSDATE FROM dual

SELECT 1 FROM DUAL

SELECT TRUNC(SYSDATE) - 1 + (LEVEL - 1) / 24 AS t FROM dual CONNECT BY LEVEL <= 24

SELECT id FROM a MINUS SELECT id FROM b

SELECT /*+ INDEX(v ix_visit_time) */ v.id FROM visit v WHERE v.t > ?

SELECT /*+ FIRST_ROWS(100) */ id FROM visit

SELECT /*+ LEADING(v p) USE_NL(p) */ v.id FROM visit v JOIN patient p ON p.id = v.patient_id

SELECT v."患者姓名" AS "patient.name" FROM "门诊就诊" v

SELECT * FROM (SELECT dept, sex FROM visit) PIVOT (COUNT(*) FOR sex IN ('1' AS m, '2' AS f))

SELECT x.code FROM report r, XMLTABLE('/items/item' PASSING r.doc COLUMNS code VARCHAR2(20) PATH 'code') x

SELECT j.code FROM report r, JSON_TABLE(r.doc, '$.items[*]' COLUMNS (code VARCHAR2(20) PATH '$.code')) j

SELECT id FROM visit PARTITION (p2026)

SELECT v.id FROM visit v WHERE v.t >= TO_DATE(?, 'YYYY-MM-DD HH24:MI:SS')

SELECT dept, SUM(amount) FROM charge GROUP BY ROLLUP (dept)

SELECT column_name FROM user_tab_columns WHERE table_name = 'VISIT'

SELECT c.column_name, m.comments FROM all_tab_columns c JOIN all_col_comments m ON m.owner = c.owner AND m.table_name = c.table_name

WITH tree (id, pid) AS (SELECT id, pid FROM dept WHERE pid IS NULL UNION ALL SELECT d.id, d.pid FROM dept d JOIN tree t ON t.id = d.pid) SELECT id FROM tree

SELECT id FROM visit v ORDER BY v.t DESC NULLS LAST

SELECT COUNT(*) FROM visit SAMPLE (1)

SELECT a.brxm, b.ksmc FROM mz_brxx a, gy_ksdm b WHERE a.ksdm = b.ksdm(+) AND a.t > ?

SELECT his.patient.id FROM his.patient

SELECT TO_CHAR(t, 'YYYY-MM-DD HH24:MI:SS') FROM visit

SELECT * FROM (SELECT x.*, ROWNUM rn FROM (SELECT id FROM visit ORDER BY t) x WHERE ROWNUM <= 200) WHERE rn > 100

SELECT DECODE(sex, '1', '男', '2', '女', '未知') sex FROM patient

SELECT NVL(TRIM(name), '-') FROM patient

SELECT WM_CONCAT(name) FROM diag

SELECT LISTAGG(name, ',') WITHIN GROUP (ORDER BY seq) FROM diag

SELECT REGEXP_SUBSTR(s, '[^,]+', 1, LEVEL) FROM t CONNECT BY REGEXP_SUBSTR(s, '[^,]+', 1, LEVEL) IS NOT NULL

SELECT TRUNC(MONTHS_BETWEEN(SYSDATE, birth) / 12) age FROM patient

SELECT p.rowid, p.id FROM patient p

SELECT ORA_ROWSCN, id FROM patient

SELECT id FROM patient WHERE t >= TRUNC(SYSDATE) - INTERVAL '1' DAY

SELECT USER FROM dual

SELECT 1 x FROM dual WHERE EXISTS (SELECT 1 FROM visit)

SELECT dname FROM dept START WITH pid IS NULL CONNECT BY PRIOR id = pid

SELECT CAST(t AS TIMESTAMP) AT TIME ZONE 'Asia/Shanghai' FROM visit

SELECT UTL_RAW.CAST_TO_VARCHAR2(b) FROM t

SELECT DBMS_LOB.SUBSTR(txt, 2000, 1) FROM emr

SELECT EXTRACT(YEAR FROM t) FROM visit

SELECT a.*, a.ROWID AS rid FROM his.mz_brxx a WHERE a.djsj BETWEEN TO_DATE('2026-01-01','yyyy-mm-dd') AND TO_DATE('2026-02-01','yyyy-mm-dd')

SELECT 病人ID "patient.id" FROM 病人信息

SELECT LPAD(TO_CHAR(id), 10, '0') FROM patient

SELECT MAX(t) KEEP (DENSE_RANK LAST ORDER BY t) FROM visit

SELECT TO_NUMBER(REGEXP_REPLACE(x, '[^0-9.]', '')) FROM t

SELECT /*+ RULE */ id FROM patient

SELECT /*+ index(a idx_1) use_nl(a b) */ a.id FROM a, b WHERE a.id = b.id

SELECT COUNT(*) OVER (PARTITION BY dept ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM visit

SELECT SUBSTR(sfz, 7, 8), LENGTH(sfz), INSTR(sfz, 'X') FROM patient

SELECT id FROM patient p WHERE (a, b) IN (SELECT a, b FROM v)

SELECT ROUND(SYSDATE - t, 2), CEIL(x), FLOOR(x), SIGN(x), GREATEST(a,b), LEAST(a,b) FROM v

SELECT id FROM visit ORDER BY t OFFSET 0 ROWS FETCH NEXT 10 ROWS ONLY

SELECT NUMTODSINTERVAL(1,'DAY') FROM dual

SELECT XMLAGG(XMLELEMENT(E, name || ',')).EXTRACT('//text()').getClobVal() FROM diag

SELECT RTRIM(XMLAGG(XMLELEMENT(e, name, ',').EXTRACT('//text()') ORDER BY seq).GetClobVal(), ',') FROM diag

SELECT level - 1 FROM dual CONNECT BY level <= 10

SELECT LEVEL lvl FROM dual CONNECT BY LEVEL <= TRUNC(SYSDATE) - DATE '2026-01-01'

SELECT SYSDATE - 1 / 24 FROM dual

SELECT NVL2(a, b, c), COALESCE(a, b), NULLIF(a, b) FROM t

SELECT p.id FROM patient PARTITION (p1) p

SELECT ROWNUM, LEVEL FROM dual

SELECT HEXTORAW('41'), RAWTOHEX(b) FROM t

SELECT CASE sex WHEN '1' THEN '男' ELSE '女' END FROM patient

WITH a AS (SELECT /*+ MATERIALIZE */ id FROM visit), b AS (SELECT id FROM a) SELECT * FROM b

SELECT UPPER(name), INITCAP(name), CONCAT(a, b), ASCII(a), CHR(10), TRANSLATE(x,'a','b') FROM t
