-- tested against
no server: text only

-- greeting
SET TRANSACTION ISOLATION LEVEL 1;
SET LOCK WAIT 3;  -- may be unknown
SET QUOTED_IDENTIFIER ON;
SET TEXTSIZE 2147483647;  -- may be unknown

-- alive
SELECT 1

-- probe
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE 1 = 0

-- sample
SELECT TOP 1 q."cursor" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" IS NOT NULL

-- first window
SELECT TOP 10000 q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" IS NOT NULL
ORDER BY q."cursor", q."key"

-- next window
SELECT TOP 10000 q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?)
ORDER BY q."cursor", q."key"

-- range
SELECT TOP 10000 q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
ORDER BY q."cursor", q."key"

-- range, further on
SELECT TOP 10000 q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?) AND q."cursor" < ?
ORDER BY q."cursor", q."key"

-- count
SELECT COUNT(*) FROM (
SELECT TOP 50001 q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
) n

-- all keys
SELECT TOP 10000 q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL
ORDER BY q."key", q."cursor"

-- all keys, further on
SELECT TOP 10000 q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" > ?
ORDER BY q."key", q."cursor"

-- numbers that were passed over
SELECT TOP 10000 q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?))
ORDER BY q."cursor", q."key"

-- numbers that were passed over, further on
SELECT TOP 10000 q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?)) AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?)
ORDER BY q."cursor", q."key"

-- days
SELECT TOP 10000 q."cursor", q."key" FROM (
SELECT d."day" AS "cursor", d."key" AS "key" FROM (
SELECT 报告时间 AS "day", REPORT_NO AS "key" FROM 检验报告
) d
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
ORDER BY q."cursor", q."key"

-- without a cursor
SELECT TOP 10000 q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" IS NULL AND q."key" > ?
ORDER BY q."key"

-- newest
SELECT MAX(q."cursor") FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" < ?

-- keys
SELECT TOP 200001 * FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN (?, ?, ?, ?, ?, ?, ?, ?)

-- keys alone
SELECT TOP 200001 q."report_number" FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN (?, ?, ?, ?, ?, ?, ?, ?)

-- mark change rows
UPDATE mid.changes SET processed = '1' WHERE id IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- session
SELECT @@spid

-- end a session
KILL 42
