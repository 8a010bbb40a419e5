-- tested against
no server: text only

-- greeting
SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;  -- may be unknown
SET SESSION TRANSACTION READ ONLY;  -- may be unknown
SET SESSION lock_wait_timeout = 3;  -- may be unknown
SET SESSION innodb_lock_wait_timeout = 3;  -- may be unknown
SET SESSION time_zone = '+08:00';  -- may be unknown
SET SESSION max_execution_time = 20000;  -- may be unknown
SET SESSION wait_timeout = 60;  -- may be unknown

-- alive
SELECT 1

-- probe
SELECT q.`cursor`, q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE 1 = 0

-- sample
SELECT q.`cursor` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`cursor` IS NOT NULL
LIMIT 1

-- first window
SELECT q.`cursor`, q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`key` IS NOT NULL AND q.`cursor` IS NOT NULL
ORDER BY q.`cursor`, q.`key`
LIMIT 10000

-- next window
SELECT q.`cursor`, q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`key` IS NOT NULL AND q.`cursor` >= ? AND (q.`cursor` > ? OR q.`key` > ?)
ORDER BY q.`cursor`, q.`key`
LIMIT 10000

-- range
SELECT q.`cursor`, q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`key` IS NOT NULL AND q.`cursor` >= ? AND q.`cursor` < ?
ORDER BY q.`cursor`, q.`key`
LIMIT 10000

-- range, further on
SELECT q.`cursor`, q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`key` IS NOT NULL AND q.`cursor` >= ? AND (q.`cursor` > ? OR q.`key` > ?) AND q.`cursor` < ?
ORDER BY q.`cursor`, q.`key`
LIMIT 10000

-- count
SELECT COUNT(*) FROM (
SELECT q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`key` IS NOT NULL AND q.`cursor` >= ? AND q.`cursor` < ?
LIMIT 50001
) n

-- all keys
SELECT q.`cursor`, q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`key` IS NOT NULL
ORDER BY q.`key`, q.`cursor`
LIMIT 10000

-- all keys, further on
SELECT q.`cursor`, q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`key` > ?
ORDER BY q.`key`, q.`cursor`
LIMIT 10000

-- numbers that were passed over
SELECT q.`cursor`, q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`key` IS NOT NULL AND ((q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?))
ORDER BY q.`cursor`, q.`key`
LIMIT 10000

-- numbers that were passed over, further on
SELECT q.`cursor`, q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`key` IS NOT NULL AND ((q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?) OR (q.`cursor` >= ? AND q.`cursor` <= ?)) AND q.`cursor` >= ? AND (q.`cursor` > ? OR q.`key` > ?)
ORDER BY q.`cursor`, q.`key`
LIMIT 10000

-- days
SELECT q.`cursor`, q.`key` FROM (
SELECT d.`day` AS `cursor`, d.`key` AS `key` FROM (
SELECT 报告时间 AS `day`, REPORT_NO AS `key` FROM 检验报告
) d
) q
WHERE q.`key` IS NOT NULL AND q.`cursor` >= ? AND q.`cursor` < ?
ORDER BY q.`cursor`, q.`key`
LIMIT 10000

-- without a cursor
SELECT q.`key` FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`cursor` IS NULL AND q.`key` > ?
ORDER BY q.`key`
LIMIT 10000

-- newest
SELECT MAX(q.`cursor`) FROM (
SELECT 修改时间 AS `cursor`, REPORT_NO AS `key` FROM 检验报告 WHERE XM LIKE '%王%'
) q
WHERE q.`cursor` < ?

-- keys
SELECT * FROM (
SELECT REPORT_NO AS `report_number`, XM AS `patient.name` FROM 检验报告 -- 报告
) q
WHERE q.`report_number` IN (?, ?, ?, ?, ?, ?, ?, ?)
LIMIT 200001

-- keys alone
SELECT q.`report_number` FROM (
SELECT REPORT_NO AS `report_number`, XM AS `patient.name` FROM 检验报告 -- 报告
) q
WHERE q.`report_number` IN (?, ?, ?, ?, ?, ?, ?, ?)
LIMIT 200001

-- mark change rows
UPDATE mid.changes SET processed = '1' WHERE id IN (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- procedure
CALL his.usp_changed(?, ?)

-- its definition
SELECT CONCAT(r.routine_type, ' ', r.routine_definition, (SELECT COALESCE(GROUP_CONCAT(CONCAT_WS(' ', p.parameter_mode, p.parameter_name, p.dtd_identifier) ORDER BY p.ordinal_position), '') FROM information_schema.parameters p WHERE p.specific_schema = r.routine_schema AND p.specific_name = r.specific_name)) FROM information_schema.routines r WHERE CONCAT(r.routine_schema, '.', r.routine_name) = ? OR (r.routine_schema = DATABASE() AND r.routine_name = ?) ORDER BY 1

-- session
SELECT CONNECTION_ID()

-- end a session
KILL 42
