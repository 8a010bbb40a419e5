-- tested against
real servers

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
WHERE q."key" IS NOT NULL AND q."cursor" >= $1 AND (q."cursor" > $2 OR q."key" > $3)
ORDER BY q."cursor", q."key"
LIMIT 10000

-- range
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= $1 AND q."cursor" < $2
ORDER BY q."cursor", q."key"
LIMIT 10000

-- range, further on
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= $1 AND (q."cursor" > $2 OR q."key" > $3) AND q."cursor" < $4
ORDER BY q."cursor", q."key"
LIMIT 10000

-- count
SELECT COUNT(*) FROM (
SELECT q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= $1 AND q."cursor" < $2
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
WHERE q."key" > $1
ORDER BY q."key", q."cursor"
LIMIT 10000

-- numbers that were passed over
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= $1 AND q."cursor" <= $2) OR (q."cursor" >= $3 AND q."cursor" <= $4) OR (q."cursor" >= $5 AND q."cursor" <= $6) OR (q."cursor" >= $7 AND q."cursor" <= $8) OR (q."cursor" >= $9 AND q."cursor" <= $10) OR (q."cursor" >= $11 AND q."cursor" <= $12) OR (q."cursor" >= $13 AND q."cursor" <= $14) OR (q."cursor" >= $15 AND q."cursor" <= $16) OR (q."cursor" >= $17 AND q."cursor" <= $18) OR (q."cursor" >= $19 AND q."cursor" <= $20) OR (q."cursor" >= $21 AND q."cursor" <= $22) OR (q."cursor" >= $23 AND q."cursor" <= $24) OR (q."cursor" >= $25 AND q."cursor" <= $26) OR (q."cursor" >= $27 AND q."cursor" <= $28) OR (q."cursor" >= $29 AND q."cursor" <= $30) OR (q."cursor" >= $31 AND q."cursor" <= $32) OR (q."cursor" >= $33 AND q."cursor" <= $34) OR (q."cursor" >= $35 AND q."cursor" <= $36) OR (q."cursor" >= $37 AND q."cursor" <= $38) OR (q."cursor" >= $39 AND q."cursor" <= $40) OR (q."cursor" >= $41 AND q."cursor" <= $42) OR (q."cursor" >= $43 AND q."cursor" <= $44) OR (q."cursor" >= $45 AND q."cursor" <= $46) OR (q."cursor" >= $47 AND q."cursor" <= $48) OR (q."cursor" >= $49 AND q."cursor" <= $50) OR (q."cursor" >= $51 AND q."cursor" <= $52) OR (q."cursor" >= $53 AND q."cursor" <= $54) OR (q."cursor" >= $55 AND q."cursor" <= $56) OR (q."cursor" >= $57 AND q."cursor" <= $58) OR (q."cursor" >= $59 AND q."cursor" <= $60) OR (q."cursor" >= $61 AND q."cursor" <= $62) OR (q."cursor" >= $63 AND q."cursor" <= $64))
ORDER BY q."cursor", q."key"
LIMIT 10000

-- numbers that were passed over, further on
SELECT q."cursor", q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."key" IS NOT NULL AND ((q."cursor" >= $1 AND q."cursor" <= $2) OR (q."cursor" >= $3 AND q."cursor" <= $4) OR (q."cursor" >= $5 AND q."cursor" <= $6) OR (q."cursor" >= $7 AND q."cursor" <= $8) OR (q."cursor" >= $9 AND q."cursor" <= $10) OR (q."cursor" >= $11 AND q."cursor" <= $12) OR (q."cursor" >= $13 AND q."cursor" <= $14) OR (q."cursor" >= $15 AND q."cursor" <= $16) OR (q."cursor" >= $17 AND q."cursor" <= $18) OR (q."cursor" >= $19 AND q."cursor" <= $20) OR (q."cursor" >= $21 AND q."cursor" <= $22) OR (q."cursor" >= $23 AND q."cursor" <= $24) OR (q."cursor" >= $25 AND q."cursor" <= $26) OR (q."cursor" >= $27 AND q."cursor" <= $28) OR (q."cursor" >= $29 AND q."cursor" <= $30) OR (q."cursor" >= $31 AND q."cursor" <= $32) OR (q."cursor" >= $33 AND q."cursor" <= $34) OR (q."cursor" >= $35 AND q."cursor" <= $36) OR (q."cursor" >= $37 AND q."cursor" <= $38) OR (q."cursor" >= $39 AND q."cursor" <= $40) OR (q."cursor" >= $41 AND q."cursor" <= $42) OR (q."cursor" >= $43 AND q."cursor" <= $44) OR (q."cursor" >= $45 AND q."cursor" <= $46) OR (q."cursor" >= $47 AND q."cursor" <= $48) OR (q."cursor" >= $49 AND q."cursor" <= $50) OR (q."cursor" >= $51 AND q."cursor" <= $52) OR (q."cursor" >= $53 AND q."cursor" <= $54) OR (q."cursor" >= $55 AND q."cursor" <= $56) OR (q."cursor" >= $57 AND q."cursor" <= $58) OR (q."cursor" >= $59 AND q."cursor" <= $60) OR (q."cursor" >= $61 AND q."cursor" <= $62) OR (q."cursor" >= $63 AND q."cursor" <= $64)) AND q."cursor" >= $65 AND (q."cursor" > $66 OR q."key" > $67)
ORDER BY q."cursor", q."key"
LIMIT 10000

-- days
SELECT q."cursor", q."key" FROM (
SELECT d."day" AS "cursor", d."key" AS "key" FROM (
SELECT 报告时间 AS "day", REPORT_NO AS "key" FROM 检验报告
) d
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= $1 AND q."cursor" < $2
ORDER BY q."cursor", q."key"
LIMIT 10000

-- without a cursor
SELECT q."key" FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" IS NULL AND q."key" > $1
ORDER BY q."key"
LIMIT 10000

-- newest
SELECT MAX(q."cursor") FROM (
SELECT 修改时间 AS "cursor", REPORT_NO AS "key" FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q."cursor" < $1

-- keys
SELECT * FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN ($1, $2, $3, $4, $5, $6, $7, $8)
LIMIT 200001

-- keys alone
SELECT q."report_number" FROM (
SELECT REPORT_NO AS "report_number", XM AS "patient.name" FROM 检验报告 -- 报告
) q
WHERE q."report_number" IN ($1, $2, $3, $4, $5, $6, $7, $8)
LIMIT 200001

-- its clock
SELECT txid_snapshot_xmin(s.x), txid_snapshot_xmax(s.x) FROM (SELECT txid_current_snapshot() AS x) s;
SELECT CASE WHEN pg_is_in_recovery() THEN EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END;
SELECT LOCALTIMESTAMP;

-- mark change rows
SET TRANSACTION READ WRITE;
SET LOCAL lock_timeout = 1000;
UPDATE mid.changes SET processed = '1' WHERE id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16);

-- procedure
SELECT * FROM his.usp_changed(von => $1, bis => $2)

-- its definition
SELECT pg_catalog.pg_get_functiondef(p.oid) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p') AND (n.nspname || '.' || p.proname = $1 OR (p.proname = $2 AND pg_catalog.pg_function_is_visible(p.oid))) ORDER BY 1

-- session
SELECT pg_backend_pid()

-- end a session
SELECT pg_terminate_backend(42)
