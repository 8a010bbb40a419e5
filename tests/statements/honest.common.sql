# What hospitals write on every engine. One expression a line; queries are separated by empty lines.
== expressions
p.name
p.name || ''
COALESCE(p.name, '')
COALESCE(p.updated_at, p.created_at)
NULLIF(p.phone, '')
CAST(p.id AS VARCHAR(20))
CAST(p.amount AS DECIMAL(18, 2))
UPPER(p.code)
LOWER(TRIM(p.code))
SUBSTRING(p.id_card, 7, 8)
ABS(p.amount)
ROUND(p.amount, 2)
CASE p.sex WHEN '1' THEN '男' WHEN '2' THEN '女' ELSE '未说明' END
CASE WHEN p.amount > 0 THEN 1 WHEN p.amount < 0 THEN -1 ELSE 0 END
CASE WHEN p.voided = '1' OR p.voided IS NULL THEN 'N' END
p.amount * 100 + 1
(p.amount - p.paid) / 2
- p.amount
p.amount % 7
'it''s'
'含 ; 分号 -- 与 /* 注释 */ 的文本'
'INSERT INTO nothing'
'100%'
1.5e3
CASE WHEN EXISTS (SELECT 1 FROM allergy a WHERE a.patient_id = p.id) THEN 'true' ELSE 'false' END
(SELECT MAX(v.visit_time) FROM visit v WHERE v.patient_id = p.id)
(SELECT COUNT(*) FROM visit v WHERE v.patient_id = p.id AND v.status NOT IN ('9', '8'))
== queries
SELECT id AS "key", updated_at AS "cursor" FROM lab_report

SELECT p.* FROM patient p

SELECT COUNT(*) FROM visit

SELECT DISTINCT dept_code, dept_name FROM visit WHERE dept_code IS NOT NULL

SELECT r.id AS "report_number", p.name AS "patient.name"
FROM lab_report r
INNER JOIN patient p ON p.id = r.patient_id
LEFT JOIN doctor d ON d.id = r.doctor_id -- 审核医师
WHERE r.status IN ('3', '4') AND r.deleted = 0

SELECT r.id FROM lab_report r, patient p WHERE p.id = r.patient_id AND (p.sex = '1' OR p.sex = '2')

SELECT changed_at AS "cursor", report_no AS "key" FROM report
UNION ALL
SELECT changed_at AS "cursor", report_no AS "key" FROM item

SELECT id FROM a UNION SELECT id FROM b EXCEPT SELECT id FROM c

SELECT id FROM a INTERSECT SELECT id FROM b

SELECT q."cursor", q."key" FROM (
SELECT updated_at AS "cursor", id AS "key" FROM visit
) q WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?) ORDER BY q."cursor", q."key"

SELECT dept, COUNT(*) AS n, SUM(amount) AS total FROM charge GROUP BY dept HAVING SUM(amount) > 0 ORDER BY total DESC

WITH newest AS (SELECT patient_id, MAX(visit_time) AS t FROM visit GROUP BY patient_id)
SELECT v.id FROM visit v JOIN newest n ON n.patient_id = v.patient_id AND n.t = v.visit_time

WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT a.x, b.y FROM a CROSS JOIN b

SELECT id, ROW_NUMBER() OVER (PARTITION BY patient_id ORDER BY visit_time DESC) AS rn FROM visit

SELECT * FROM (SELECT v.*, RANK() OVER (PARTITION BY v.dept ORDER BY v.amount DESC) AS place FROM visit v) q WHERE q.place <= 3

SELECT id, LAG(result, 1) OVER (PARTITION BY item ORDER BY taken_at) AS before FROM result

SELECT id, SUM(amount) OVER (PARTITION BY visit_id ORDER BY line_no ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM charge

SELECT id FROM visit WHERE name LIKE '张%' AND name NOT LIKE '%测试%'

SELECT id FROM visit WHERE visit_time BETWEEN ? AND ?

SELECT id FROM visit WHERE visit_time >= '2026-01-01' AND visit_time < '2026-02-01'

SELECT id FROM visit WHERE dept_code IN (SELECT code FROM department WHERE kind = '1')

SELECT id FROM visit v WHERE NOT EXISTS (SELECT 1 FROM voided o WHERE o.visit_id = v.id)

SELECT id FROM visit WHERE id IN (?, ?, ?, ?, ?, ?, ?, ?)

SELECT his.visit.id FROM his.visit WHERE his.visit.closed = 1

SELECT 病人.姓名 AS "patient.name", 病人.性别 AS "patient.sex" FROM 病人 WHERE 病人.状态 = '在院'

SELECT "PatientName" AS "patient.name", "From" AS "origin" FROM "Visit" WHERE "Order" = 1

SELECT a.id, b.id FROM a FULL OUTER JOIN b ON a.id = b.id

SELECT MAX(q."cursor") FROM (SELECT updated_at AS "cursor" FROM visit) q WHERE q."cursor" < ?

/* 检验报告主表；
   由信息科维护 */
SELECT id FROM lab_report -- 末行注释

SELECT (SELECT name FROM department d WHERE d.id = v.dept_id) AS "department.name" FROM visit v ORDER BY v.id

SELECT CASE WHEN COUNT(*) > 0 THEN 1 ELSE 0 END AS has_any FROM visit WHERE patient_id = ?

SELECT AVG(amount) AS mean, MIN(amount) AS lowest, MAX(amount) AS highest, COUNT(DISTINCT patient_id) AS persons FROM charge

SELECT v.id FROM visit v JOIN (SELECT visit_id, MAX(id) AS id FROM diagnosis GROUP BY visit_id) m ON m.visit_id = v.id JOIN diagnosis d ON d.id = m.id

SELECT id FROM visit WHERE (dept, ward) IN (SELECT dept, ward FROM places)

SELECT id FROM history_2024 UNION ALL SELECT id FROM history_2025 UNION ALL SELECT id FROM history_2026

SELECT id FROM visit WHERE updated_at IS NULL OR updated_at > created_at ORDER BY created_at

SELECT 1 AS "one", NULL AS "nothing", 'x' AS "text" FROM visit WHERE 1 = 0
