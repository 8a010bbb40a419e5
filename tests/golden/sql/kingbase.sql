-- tested against
no server: text only

-- greeting
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET statement_timeout = 20000;
SET lock_timeout = 3000;  -- may be unknown
SET idle_in_transaction_session_timeout = 60000;  -- may be unknown
SET client_connection_check_interval = 1000;  -- may be unknown
SET TIME ZONE 'Asia/Shanghai';
SET DateStyle = 'ISO, YMD';
SET application_name = 'frontend-agent';  -- may be unknown

-- alive
SELECT 1

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
LIMIT 1

-- first window
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" IS NOT NULL
ORDER BY q."cursor", q."key"
LIMIT 10000

-- next window
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?)
ORDER BY q."cursor", q."key"
LIMIT 10000

-- range
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
ORDER BY q."cursor", q."key"
LIMIT 10000

-- range, further on
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?) AND q."cursor" < ?
ORDER BY q."cursor", q."key"
LIMIT 10000

-- count
SELECT COUNT(*) FROM (
SELECT q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
LIMIT 50001
) n

-- all keys
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL
ORDER BY q."key", q."cursor"
LIMIT 10000

-- all keys, further on
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" > ?
ORDER BY q."key", q."cursor"
LIMIT 10000

-- numbers that were passed over
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?))
ORDER BY q."cursor", q."key"
LIMIT 10000

-- numbers that were passed over, further on
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?)) AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?)
ORDER BY q."cursor", q."key"
LIMIT 10000

-- days
SELECT q."cursor", q."key" FROM (
SELECT d."day" AS "cursor", d."key" AS "key" FROM (
SELECT 报告时间 AS "day", REPORT_NO AS "key" FROM 检验报告
) d
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
ORDER BY q."cursor", q."key"
LIMIT 10000

-- without a cursor
SELECT q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" IS NULL AND q."key" > ?
ORDER BY q."key"
LIMIT 10000

-- newest
SELECT MAX(q."cursor") FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" < ?

-- keys
SELECT * FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN (?, ?, ?, ?, ?, ?, ?, ?)
LIMIT 200001

-- keys alone
SELECT q."report_number" FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN (?, ?, ?, ?, ?, ?, ?, ?)
LIMIT 200001

-- its clock
SELECT LOCALTIMESTAMP;

-- mark change rows
SET TRANSACTION READ WRITE;
SET LOCAL lock_timeout = 1000;
UPDATE mid.changes SET processed = '1' WHERE id IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- procedure
SELECT * FROM his.usp_changed(von => ?, bis => ?)

-- its definition
SELECT pg_catalog.pg_get_functiondef(p.oid) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p') AND (n.nspname || '.' || p.proname = ? OR (p.proname = ? AND pg_catalog.pg_function_is_visible(p.oid))) ORDER BY 1

-- session
SELECT pg_backend_pid()

-- end a session
SELECT pg_terminate_backend(42)
