-- What changed: the person.
SELECT xgsj AS "cursor", brid AS "key" FROM mz_brxx
