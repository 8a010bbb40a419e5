-- One person. Who is not identified yet is registered when he is.
SELECT
    b.brid                                            AS "patient.local_id",
    b.xm                                              AS "patient.name",
    b.xb                                              AS "patient.sex",
    b.csrq                                            AS "patient.birth_date",
    b.zjlx                                            AS "patient.id_type",
    CASE WHEN b.zjlx = '居民身份证' THEN b.zjhm END   AS "patient.id_number",
    b.lxdh                                            AS "patient.telephone",
    CASE WHEN b.gj = '156' THEN 'false' ELSE 'true' END AS "fact.foreigner",
    b.xsebz                                           AS "fact.newborn",
    b.sfbmbz                                          AS "fact.identity_unknown",
    CASE WHEN b.sfbmbz = '1' THEN 0 ELSE 1 END        AS "final"
FROM mz_brxx b
