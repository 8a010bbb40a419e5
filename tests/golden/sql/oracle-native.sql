-- tested against
no server: text only

-- greeting
ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS';
ALTER SESSION SET NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6';
ALTER SESSION SET NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF6TZH:TZM';
ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,';
ALTER SESSION SET NLS_LANGUAGE = 'AMERICAN';
ALTER SESSION SET NLS_COMP = 'BINARY';
ALTER SESSION SET NLS_SORT = 'BINARY';
ALTER SESSION SET TIME_ZONE = '+08:00';
BEGIN DBMS_APPLICATION_INFO.SET_MODULE('frontend-agent', NULL); END;;  -- may be unknown

-- begin
SET TRANSACTION READ ONLY;

-- alive
SELECT 1 FROM DUAL

-- probe
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE 1 = 0

-- sample
SELECT q."cursor" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" IS NOT NULL
FETCH FIRST 1 ROWS ONLY

-- first window
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" IS NOT NULL
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- next window
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= :1 AND (q."cursor" > :2 OR q."key" > :3)
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- range
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= :1 AND q."cursor" < :2
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- range, further on
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= :1 AND (q."cursor" > :2 OR q."key" > :3) AND q."cursor" < :4
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- days
SELECT q."cursor", q."key" FROM (
SELECT d."day" AS "cursor", d."key" AS "key" FROM (
SELECT 报告时间 AS "day", REPORT_NO AS "key" FROM 检验报告
) d
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= :1 AND q."cursor" < :2
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- without a cursor
SELECT q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" IS NULL AND q."key" > :1
ORDER BY q."key"
FETCH FIRST 10000 ROWS ONLY

-- newest
SELECT MAX(q."cursor") FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" < :1

-- keys
SELECT * FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN (:1, :2, :3, :4, :5, :6, :7, :8)
FETCH FIRST 200001 ROWS ONLY

-- procedure
BEGIN his.usp_changed(von => :1, bis => :2, :3); END;

-- its definition
SELECT text FROM all_source WHERE owner || '.' || name = :1 OR (owner = SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') AND name = :2) ORDER BY owner, name, type, line

-- session
SELECT DBMS_DEBUG_JDWP.CURRENT_SESSION_ID || ',' || DBMS_DEBUG_JDWP.CURRENT_SESSION_SERIAL FROM DUAL

-- end a session
ALTER SYSTEM DISCONNECT SESSION '42' IMMEDIATE
