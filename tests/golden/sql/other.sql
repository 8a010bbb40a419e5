-- tested against
no server: text only

-- greeting
SET TRANSACTION READ ONLY;  -- may be unknown

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
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?)
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- range
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- range, further on
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?) AND q."cursor" < ?
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- count
SELECT COUNT(*) FROM (
SELECT q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
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
WHERE q."key" > ?
ORDER BY q."key", q."cursor"
FETCH FIRST 10000 ROWS ONLY

-- numbers that were passed over
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?))
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- numbers that were passed over, further on
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?) OR (q."cursor" >= ? AND q."cursor" <= ?)) AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?)
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- days
SELECT q."cursor", q."key" FROM (
SELECT d."day" AS "cursor", d."key" AS "key" FROM (
SELECT 报告时间 AS "day", REPORT_NO AS "key" FROM 检验报告
) d
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND q."cursor" < ?
ORDER BY q."cursor", q."key"
FETCH FIRST 10000 ROWS ONLY

-- without a cursor
SELECT q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" IS NULL AND q."key" > ?
ORDER BY q."key"
FETCH FIRST 10000 ROWS ONLY

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
FETCH FIRST 200001 ROWS ONLY

-- keys alone
SELECT q."report_number" FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN (?, ?, ?, ?, ?, ?, ?, ?)
FETCH FIRST 200001 ROWS ONLY

-- mark change rows
UPDATE mid.changes SET processed = '1' WHERE id IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
