-- One prescription with the person, the prescriber and the four pharmacists.
SELECT
    c.cfh                                             AS "prescription_number",
    c.mzh                                             AS "patient.outpatient_number",
    b.xm                                              AS "patient.name",
    b.xb                                              AS "patient.sex",
    b.csrq                                            AS "fact.birth_date",
    g.nl                                              AS "patient.age",
    CASE WHEN b.zjlx = '居民身份证' THEN b.zjhm END   AS "patient.id_number",
    b.zjlx                                            AS "fact.id_type",
    b.xsebz                                           AS "fact.newborn",
    CASE WHEN b.gj = '156' THEN 'false' ELSE 'true' END AS "fact.foreigner",
    b.sfbmbz                                          AS "fact.identity_unknown",
    CASE WHEN g.ghlb = '急诊' THEN 'emergency' ELSE 'outpatient' END AS "fact.patient_class",
    c.kfks                                            AS "department.id",
    k.ksmc                                            AS "department.name",
    c.kfsj                                            AS "author.time",
    c.kfys                                            AS "author.id",
    kf.xm                                             AS "author.name",
    c.shsj                                            AS "review_pharmacist.time",
    c.shys                                            AS "review_pharmacist.id",
    sh.xm                                             AS "review_pharmacist.name",
    c.tpsj                                            AS "dispensing_pharmacist.time",
    c.tpys                                            AS "dispensing_pharmacist.id",
    tp.xm                                             AS "dispensing_pharmacist.name",
    c.hdsj                                            AS "checking_pharmacist.time",
    c.hdys                                            AS "checking_pharmacist.id",
    hd.xm                                             AS "checking_pharmacist.name",
    c.fysj                                            AS "issuing_pharmacist.time",
    c.fyys                                            AS "issuing_pharmacist.id",
    fy.xm                                             AS "issuing_pharmacist.name",
    c.zddm                                            AS "diagnosis.code",
    c.zdmc                                            AS "diagnosis.name",
    c.yxts                                            AS "valid_days",
    (SELECT MIN(m.zh) FROM mz_cfmx m WHERE m.cfh = c.cfh) AS "group_number",
    c.cfbz                                            AS "note",
    (SELECT ROUND(SUM(m.je), 2) + 0.0 FROM mz_cfmx m WHERE m.cfh = c.cfh) AS "amount", -- + 0.0: never -0
    CASE WHEN c.cfzt = '3' THEN 1 ELSE 0 END          AS "final",
    CASE
        WHEN c.zfbz = '1' THEN 1
        WHEN (SELECT SUM(m.sl) FROM mz_cfmx m WHERE m.cfh = c.cfh) <= 0 THEN 1
        ELSE 0
    END                                               AS "void"
FROM mz_cf c
JOIN mz_brxx b ON b.brid = c.brid
JOIN mz_jzjl j ON j.jzxh = c.jzxh
JOIN mz_ghxx g ON g.ghxh = j.ghxh
LEFT JOIN dm_ks k ON k.ksdm = c.kfks
LEFT JOIN dm_zg kf ON kf.zgdm = c.kfys
LEFT JOIN dm_zg sh ON sh.zgdm = c.shys
LEFT JOIN dm_zg tp ON tp.zgdm = c.tpys
LEFT JOIN dm_zg hd ON hd.zgdm = c.hdys
LEFT JOIN dm_zg fy ON fy.zgdm = c.fyys
