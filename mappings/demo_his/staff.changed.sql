-- What changed: the member of staff.
SELECT xgsj AS "cursor", zgdm AS "key" FROM dm_zg
