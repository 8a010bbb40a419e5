-- The one set.
SELECT 'yp_zd' AS "value_set.id", '药品字典' AS "value_set.name", 1 AS "final"
