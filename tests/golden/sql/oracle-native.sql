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

-- count
SELECT COUNT(*) FROM (
SELECT q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= :1 AND q."cursor" < :2
FETCH FIRST 50001 ROWS ONLY
) n

-- all keys
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL
ORDER BY q."key", q."cursor"
FETCH FIRST 10000 ROWS ONLY

-- all keys, further on
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" > :1
ORDER BY q."key", q."cursor"
FETCH FIRST 10000 ROWS ONLY

-- numbers that were passed over
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= :1 AND q."cursor" <= :2) OR (q."cursor" >= :3 AND q."cursor" <= :4) OR (q."cursor" >= :5 AND q."cursor" <= :6) OR (q."cursor" >= :7 AND q."cursor" <= :8) OR (q."cursor" >= :9 AND q."cursor" <= :10) OR (q."cursor" >= :11 AND q."cursor" <= :12) OR (q."cursor" >= :13 AND q."cursor" <= :14) OR (q."cursor" >= :15 AND q."cursor" <= :16) OR (q."cursor" >= :17 AND q."cursor" <= :18) OR (q."cursor" >= :19 AND q."cursor" <= :20) OR (q."cursor" >= :21 AND q."cursor" <= :22) OR (q."cursor" >= :23 AND q."cursor" <= :24) OR (q."cursor" >= :25 AND q."cursor" <= :26) OR (q."cursor" >= :27 AND q."cursor" <= :28) OR (q."cursor" >= :29 AND q."cursor" <= :30) OR (q."cursor" >= :31 AND q."cursor" <= :32) OR (q."cursor" >= :33 AND q."cursor" <= :34) OR (q."cursor" >= :35 AND q."cursor" <= :36) OR (q."cursor" >= :37 AND q."cursor" <= :38) OR (q."cursor" >= :39 AND q."cursor" <= :40) OR (q."cursor" >= :41 AND q."cursor" <= :42) OR (q."cursor" >= :43 AND q."cursor" <= :44) OR (q."cursor" >= :45 AND q."cursor" <= :46) OR (q."cursor" >= :47 AND q."cursor" <= :48) OR (q."cursor" >= :49 AND q."cursor" <= :50) OR (q."cursor" >= :51 AND q."cursor" <= :52) OR (q."cursor" >= :53 AND q."cursor" <= :54) OR (q."cursor" >= :55 AND q."cursor" <= :56) OR (q."cursor" >= :57 AND q."cursor" <= :58) OR (q."cursor" >= :59 AND q."cursor" <= :60) OR (q."cursor" >= :61 AND q."cursor" <= :62) OR (q."cursor" >= :63 AND q."cursor" <= :64))
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- numbers that were passed over, further on
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= :1 AND q."cursor" <= :2) OR (q."cursor" >= :3 AND q."cursor" <= :4) OR (q."cursor" >= :5 AND q."cursor" <= :6) OR (q."cursor" >= :7 AND q."cursor" <= :8) OR (q."cursor" >= :9 AND q."cursor" <= :10) OR (q."cursor" >= :11 AND q."cursor" <= :12) OR (q."cursor" >= :13 AND q."cursor" <= :14) OR (q."cursor" >= :15 AND q."cursor" <= :16) OR (q."cursor" >= :17 AND q."cursor" <= :18) OR (q."cursor" >= :19 AND q."cursor" <= :20) OR (q."cursor" >= :21 AND q."cursor" <= :22) OR (q."cursor" >= :23 AND q."cursor" <= :24) OR (q."cursor" >= :25 AND q."cursor" <= :26) OR (q."cursor" >= :27 AND q."cursor" <= :28) OR (q."cursor" >= :29 AND q."cursor" <= :30) OR (q."cursor" >= :31 AND q."cursor" <= :32) OR (q."cursor" >= :33 AND q."cursor" <= :34) OR (q."cursor" >= :35 AND q."cursor" <= :36) OR (q."cursor" >= :37 AND q."cursor" <= :38) OR (q."cursor" >= :39 AND q."cursor" <= :40) OR (q."cursor" >= :41 AND q."cursor" <= :42) OR (q."cursor" >= :43 AND q."cursor" <= :44) OR (q."cursor" >= :45 AND q."cursor" <= :46) OR (q."cursor" >= :47 AND q."cursor" <= :48) OR (q."cursor" >= :49 AND q."cursor" <= :50) OR (q."cursor" >= :51 AND q."cursor" <= :52) OR (q."cursor" >= :53 AND q."cursor" <= :54) OR (q."cursor" >= :55 AND q."cursor" <= :56) OR (q."cursor" >= :57 AND q."cursor" <= :58) OR (q."cursor" >= :59 AND q."cursor" <= :60) OR (q."cursor" >= :61 AND q."cursor" <= :62) OR (q."cursor" >= :63 AND q."cursor" <= :64)) AND q."cursor" >= :65 AND (q."cursor" > :66 OR q."key" > :67)
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

-- keys alone
SELECT q."report_number" FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN (:1, :2, :3, :4, :5, :6, :7, :8)
FETCH FIRST 200001 ROWS ONLY

-- its clock
SELECT MIN(START_DATE) FROM V$TRANSACTION;
SELECT CAST(LOCALTIMESTAMP AS TIMESTAMP(6)) FROM DUAL;

-- mark change rows
UPDATE mid.changes SET processed = '1' WHERE id IN (:1, :2, :3, :4, :5, :6, :7, :8, :9, :10, :11, :12, :13, :14, :15, :16);

-- procedure
BEGIN his.usp_changed(von => :1, bis => :2, :3); END;

-- its definition
SELECT text FROM all_source WHERE owner || '.' || name = :1 OR (owner = SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') AND name = :2) ORDER BY owner, name, type, line

-- session
SELECT DBMS_DEBUG_JDWP.CURRENT_SESSION_ID || ',' || DBMS_DEBUG_JDWP.CURRENT_SESSION_SERIAL FROM DUAL

-- end a session
ALTER SYSTEM DISCONNECT SESSION '42' IMMEDIATE
