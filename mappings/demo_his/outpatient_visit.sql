-- One visit, newest row of its registration, with the person, the department and the doctor who signed.
SELECT
    j.mzh                                             AS "patient.outpatient_number",
    j.sqdh                                            AS "request_number",
    b.xm                                              AS "patient.name",
    b.xb                                              AS "patient.sex",
    b.csrq                                            AS "patient.birth_date",
    g.nl                                              AS "patient.age",
    CASE WHEN b.zjlx = '居民身份证' THEN b.zjhm END   AS "patient.id_number",
    b.zjlx                                            AS "fact.id_type",
    b.xsebz                                           AS "fact.newborn",
    CASE WHEN b.gj = '156' THEN 'false' ELSE 'true' END AS "fact.foreigner",
    b.sfbmbz                                          AS "fact.identity_unknown",
    j.zybz                                            AS "fact.tcm",
    CASE WHEN g.ghlb = '急诊' THEN 'emergency' ELSE 'outpatient' END AS "fact.patient_class",
    j.ksdm                                            AS "department.id",
    k.ksmc                                            AS "department.name",
    j.jzsj                                            AS "visit.time",
    j.jzsj                                            AS "author.time",
    j.ysdm                                            AS "author.id",
    z.xm                                              AS "author.name",
    j.qmsj                                            AS "doctor.time",
    j.qmys                                            AS "doctor.id",
    q.xm                                              AS "doctor.name",
    j.gmbz                                            AS "allergy.flag",
    j.gms                                             AS "allergy.text",
    j.zs                                              AS "chief_complaint",
    j.xbs                                             AS "present_illness",
    j.jws                                             AS "past_history",
    j.tgjc                                            AS "physical_examination",
    j.czbz                                            AS "first_visit",
    j.zysz                                            AS "tcm.observation",
    j.bzyj                                            AS "tcm.basis",
    j.zzzf                                            AS "tcm.therapy",
    CASE WHEN j.jzzt = '2' THEN 1 ELSE 0 END          AS "final",
    j.zfbz                                            AS "void"
FROM mz_jzjl j
JOIN mz_ghxx g ON g.ghxh = j.ghxh
JOIN mz_brxx b ON b.brid = j.brid
LEFT JOIN dm_ks k ON k.ksdm = j.ksdm
LEFT JOIN dm_zg z ON z.zgdm = j.ysdm
LEFT JOIN dm_zg q ON q.zgdm = j.qmys
WHERE NOT EXISTS (SELECT 1 FROM mz_jzjl n WHERE n.mzh = j.mzh AND (n.xgsj, n.jzxh) > (j.xgsj, j.jzxh))
