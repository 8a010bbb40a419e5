-- What changed: any drug is a new version of the whole set.
SELECT xgsj AS "cursor", 'yp_zd' AS "key" FROM yp_zd
