== expressions
ISNULL(p.name, '')
IIF(p.sex = 1, '男', '女')
CHOOSE(p.n, 'a', 'b')
CONVERT(varchar(10), p.visit_time, 120)
CONVERT(varchar(19), p.visit_time, 121)
CONVERT(char(8), p.visit_time, 112)
CONVERT(datetime, p.day, 112)
CONVERT(nvarchar(max), p.text)
CONVERT(decimal(18, 2), p.amount)
TRY_CONVERT(int, p.code)
TRY_CAST(p.code AS int)
CAST(p.id AS varchar(20))
CAST(p.visit_time AS date)
CAST(p.text AS nvarchar(max))
GETDATE()
SYSDATETIME()
DATEADD(day, -1, GETDATE())
DATEADD(hh, 8, p.visit_time)
DATEDIFF(year, p.birth_date, p.visit_time)
DATEDIFF(dd, p.in_time, p.out_time)
DATEPART(weekday, p.visit_time)
DATENAME(month, p.visit_time)
YEAR(p.visit_time)
EOMONTH(p.visit_time)
FORMAT(p.visit_time, 'yyyy-MM-dd HH:mm:ss')
SUBSTRING(p.id_card, 7, 8)
LEFT(p.id_card, 6)
RIGHT('0000000000' + CAST(p.id AS varchar(10)), 10)
LEN(p.name)
DATALENGTH(p.name)
CHARINDEX('-', p.code)
PATINDEX('%[0-9]%', p.code)
REPLACE(p.path, '\', '/')
STUFF(p.code, 2, 1, '*')
REPLICATE('0', 8 - LEN(p.code)) + p.code
LTRIM(RTRIM(p.name))
UPPER(p.code)
p.a + '-' + p.b
N'张三'
p.name COLLATE Chinese_PRC_CI_AS
ISNUMERIC(p.code)
ROUND(p.amount, 2)
CEILING(p.amount)
p.amount % 7
p.flags & 4
p.name LIKE N'%[张李]%'
p.name LIKE '10!%' ESCAPE '!'
COALESCE(p.a, p.b)
NULLIF(p.a, '')
STRING_AGG(p.name, ',') WITHIN GROUP (ORDER BY p.name)
JSON_VALUE(p.doc, '$.name')
JSON_QUERY(p.doc, '$.items')
ISJSON(p.doc)
HASHBYTES('SHA2_256', p.name)
CHECKSUM(p.id)
COUNT(*) OVER (PARTITION BY p.dept)
SUM(p.amount) OVER (PARTITION BY p.visit_id ORDER BY p.line)
LAG(p.x, 1, 0) OVER (ORDER BY p.t)
ROW_NUMBER() OVER (PARTITION BY p.dept ORDER BY p.t DESC)
DENSE_RANK() OVER (ORDER BY p.amount)
STR(p.amount, 10, 2)
SPACE(2)
UNICODE(p.name)
NCHAR(10)
CHAR(13) + CHAR(10)
p.id_card + ''
PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY p.amount) OVER (PARTITION BY p.dept)
STUFF((SELECT ',' + d.name FROM diagnosis d WHERE d.visit_id = p.id FOR XML PATH('')), 1, 1, '')
STUFF((SELECT ',' + d.name FROM diagnosis d WHERE d.visit_id = p.id ORDER BY d.line FOR XML PATH(''), TYPE).value('.', 'nvarchar(max)'), 1, 1, '')
p.xml.value('(/a/b)[1]', 'varchar(20)')
CONCAT(p.a, p.b)
CONCAT_WS('-', p.a, p.b)
ABS(p.amount)
QUOTENAME(p.name)
SWITCHOFFSET(p.t, '+08:00')
0x0A
DATETIMEFROMPARTS(2026, 1, 1, 0, 0, 0, 0)
DATEFROMPARTS(2026, 1, 1)
REVERSE(p.code)
p.voided ^ 1
TRIM(p.name)
== queries
SELECT TOP 100 id FROM visit ORDER BY id

SELECT TOP (10000) q."cursor", q."key" FROM (
SELECT updated_at AS "cursor", id AS "key" FROM dbo.visit -- 门诊
) q
WHERE q."key" IS NOT NULL AND q."cursor" >= ? AND (q."cursor" > ? OR q."key" > ?)
ORDER BY q."cursor", q."key"

SELECT TOP 1 WITH TIES id FROM visit ORDER BY t

SELECT TOP 10 PERCENT id FROM visit ORDER BY t

SELECT id FROM visit ORDER BY id OFFSET 20 ROWS FETCH NEXT 100 ROWS ONLY

SELECT [患者编号] AS [patient.id], [姓名] AS "patient.name" FROM [his].[dbo].[病人 基本信息]

SELECT v.id, x.name FROM visit v CROSS APPLY (SELECT TOP 1 d.name FROM diagnosis d WHERE d.visit_id = v.id ORDER BY d.line) x

SELECT v.id, x.name FROM visit v OUTER APPLY (SELECT TOP 1 d.name FROM diagnosis d WHERE d.visit_id = v.id) AS x

SELECT j.code FROM report r CROSS APPLY OPENJSON(r.items) WITH (code varchar(20) '$.code', value varchar(50) '$.value') AS j

SELECT s.value FROM visit v CROSS APPLY STRING_SPLIT(v.codes, ',') s

SELECT id FROM visit WITH (READCOMMITTED)

SELECT id FROM visit WITH (INDEX(ix_time)) WHERE t > ?

SELECT id FROM visit WITH (FORCESEEK) WHERE t > ?

SELECT id FROM visit OPTION (MAXDOP 1)

SELECT id FROM visit OPTION (RECOMPILE)

WITH tree AS (SELECT id, pid FROM dept WHERE pid IS NULL UNION ALL SELECT d.id, d.pid FROM dept d JOIN tree t ON t.id = d.pid) SELECT id FROM tree

WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 31) SELECT i FROM n

SELECT [1] AS jan, [2] AS feb FROM (SELECT m, amount FROM charge) c PIVOT (SUM(amount) FOR m IN ([1], [2])) p

SELECT id, col, val FROM t UNPIVOT (val FOR col IN (a, b, c)) u

SELECT a.b.value('(/x)[1]', 'varchar(20)') FROM report r CROSS APPLY r.doc.nodes('/items/item') AS a(b)

SELECT total = SUM(amount), dept FROM charge GROUP BY dept

SELECT dept, SUM(amount) FROM charge GROUP BY dept WITH ROLLUP

SELECT TABLE_NAME FROM INFORMATION_SCHEMA.TABLES

SELECT c.name FROM sys.columns c JOIN sys.tables t ON t.object_id = c.object_id

SELECT id FROM visit v LEFT HASH JOIN patient p ON p.id = v.patient_id

SELECT id FROM (VALUES (1, 'a'), (2, 'b')) AS k (id, name)

SELECT id FROM HIS..MZ_BRXX

SELECT a.BRXM, b.KSMC FROM HIS.dbo.MZ_BRXX a LEFT JOIN HIS..GY_KSDM b ON a.KSDM = b.KSDM

SELECT TOP 100 PERCENT id FROM patient ORDER BY id

SELECT TOP (100) WITH TIES id FROM patient ORDER BY t

SELECT id FROM patient WITH (INDEX(ix_t))

SELECT id FROM patient OPTION (MAXDOP 1)

SELECT id FROM patient OPTION (MAXDOP 1, RECOMPILE)

SELECT STUFF((SELECT ',' + name FROM diag d WHERE d.vid = v.id FOR XML PATH('')), 1, 1, '') AS names FROM visit v

SELECT CONVERT(varchar(19), t, 120) FROM visit

SELECT CONVERT(char(8), GETDATE(), 112)

SELECT CASE WHEN ISDATE(birth) = 1 THEN CAST(birth AS datetime) END FROM patient

SELECT v.id, x.n FROM visit v OUTER APPLY (SELECT TOP 1 n FROM diag d WHERE d.vid = v.id ORDER BY d.seq) x

SELECT id, ROW_NUMBER() OVER (PARTITION BY pid ORDER BY t DESC) rn FROM visit

SELECT [病人ID] AS [patient.id], [姓名] FROM [病人信息]

SELECT 病人ID, 姓名 FROM 病人信息 WHERE 就诊时间 > ?

SELECT LTRIM(RTRIM(name)) COLLATE Chinese_PRC_CI_AS FROM patient

SELECT id FROM patient WHERE name LIKE N'%张%' ESCAPE '\'

SELECT SUBSTRING(sfz, 7, 8), LEN(sfz) FROM patient

SELECT x.value('(/a/b)[1]', 'varchar(20)') FROM report

SELECT id = a.id, 姓名 = a.name FROM patient a

SELECT DISTINCT TOP 10 id FROM patient

SELECT id FROM patient ORDER BY t OFFSET 0 ROWS FETCH NEXT 100 ROWS ONLY

SELECT DATEDIFF(year, birth, GETDATE()) FROM patient

SELECT DATEADD(dd, -1, GETDATE())

SELECT sum(amount) OVER () FROM charge

SELECT MAX(CASE WHEN item='WBC' THEN val END) wbc FROM lis GROUP BY sid

SELECT id, ISNULL(sex, '9') FROM patient WITH(READCOMMITTED)

SELECT * FROM (VALUES (1,'男'),(2,'女')) AS s(code, name)

SELECT CAST(rv AS bigint) FROM patient WHERE rv > CAST(? AS binary(8))

SELECT id FROM patient UNION ALL SELECT id FROM HIS_2025..patient

SELECT p.id FROM patient p INNER HASH JOIN visit v ON v.pid = p.id

SELECT TRY_CAST(x AS decimal(18,2)), IIF(a > b, a, b), CHOOSE(1,'a','b') FROM t

SELECT FORMAT(t, 'yyyyMMddHHmmss') FROM visit

SELECT REPLACE(REPLACE(txt, CHAR(13), ''), CHAR(10), '') FROM emr

SELECT RIGHT('00000000' + CAST(id AS varchar), 8) FROM patient

SELECT COUNT(DISTINCT pid) FROM visit GROUP BY CUBE (dept)

SELECT id FROM visit WHERE t BETWEEN '20260101' AND '20260131 23:59:59.997'

SELECT CAST('' AS xml).value('xs:base64Binary(sql:column("t.b"))', 'varbinary(max)') FROM t

SELECT REVERSE(name), ASCII('a'), UNICODE(N'张'), SOUNDEX(name) FROM patient

SELECT id, name as 'patient.name' FROM patient

SELECT dbo.patient.id FROM dbo.patient

SELECT OBJECT_ID('x')

SELECT SUSER_NAME()

SELECT sys.fn_varbintohexstr(b) FROM t

SELECT CURRENT_USER

SELECT DB_NAME()

SELECT master.dbo.fn_varbintohexstr(b) FROM t
