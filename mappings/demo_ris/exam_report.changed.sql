-- What changed: the examination, or a diagnosis newer than it.
SELECT xgsj AS "cursor", jch AS "key" FROM ris_jc
UNION ALL
SELECT d.xgsj, j.jch FROM ris_jczd d JOIN ris_jc j ON j.jch = d.jch WHERE d.xgsj > j.xgsj
