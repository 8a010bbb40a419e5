SELECT xgsj AS "cursor", jch AS "key" FROM ris_jc
