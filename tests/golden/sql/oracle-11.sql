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
SELECT * FROM (
SELECT q."cursor" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" IS NOT NULL
) WHERE ROWNUM <= 1

-- first window
SELECT * FROM (
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" IS NOT NULL
ORDER BY q."cursor", q."key"
) WHERE ROWNUM <= 10000

-- next window
SELECT * FROM (
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?)
ORDER BY q."cursor", q."key"
) WHERE ROWNUM <= 10000

-- range
SELECT * FROM (
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
ORDER BY q."cursor", q."key"
) WHERE ROWNUM <= 10000

-- range, further on
SELECT * FROM (
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?) AND q."cursor" < ?
ORDER BY q."cursor", q."key"
) WHERE ROWNUM <= 10000

-- count
SELECT COUNT(*) FROM (
SELECT * FROM (
SELECT q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
) WHERE ROWNUM <= 50001
) n

-- all keys
SELECT * FROM (
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL
ORDER BY q."key", q."cursor"
) WHERE ROWNUM <= 10000

-- all keys, further on
SELECT * FROM (
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" > ?
ORDER BY q."key", q."cursor"
) WHERE ROWNUM <= 10000

-- numbers that were passed over
SELECT * FROM (
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?))
ORDER BY q."cursor", q."key"
) WHERE ROWNUM <= 10000

-- numbers that were passed over, further on
SELECT * FROM (
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?)) AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?)
ORDER BY q."cursor", q."key"
) WHERE ROWNUM <= 10000

-- days
SELECT * FROM (
SELECT q."cursor", q."key" FROM (
SELECT d."day" AS "cursor", d."key" AS "key" FROM (
SELECT 报告时间 AS "day", REPORT_NO AS "key" FROM 检验报告
) d
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
ORDER BY q."cursor", q."key"
) WHERE ROWNUM <= 10000

-- without a cursor
SELECT * FROM (
SELECT q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" IS NULL AND q."key" > ?
ORDER BY q."key"
) WHERE ROWNUM <= 10000

-- newest
SELECT MAX(q."cursor") FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" < ?

-- keys
SELECT * FROM (
SELECT * FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN (?, ?, ?, ?, ?, ?, ?, ?)
) WHERE ROWNUM <= 200001

-- keys alone
SELECT * FROM (
SELECT q."report_number" FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN (?, ?, ?, ?, ?, ?, ?, ?)
) WHERE ROWNUM <= 200001

-- its clock
SELECT MIN(START_DATE) FROM V$TRANSACTION;
SELECT CAST(LOCALTIMESTAMP AS TIMESTAMP(6)) FROM DUAL;

-- mark change rows
UPDATE mid.changes SET processed = '1' WHERE id IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- procedure
{CALL his.usp_changed(?, ?)}

-- its definition
SELECT text FROM all_source WHERE owner || '.' || name = ? OR (owner = SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') AND name = ?) ORDER BY owner, name, type, line

-- session
SELECT DBMS_DEBUG_JDWP.CURRENT_SESSION_ID || ',' || DBMS_DEBUG_JDWP.CURRENT_SESSION_SERIAL FROM DUAL

-- end a session
ALTER SYSTEM DISCONNECT SESSION '42' IMMEDIATE
