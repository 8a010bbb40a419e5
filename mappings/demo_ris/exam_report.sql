-- One report. The department keeps its own copy of the person's data, with its own codes.
-- The number of the request is the accession number (检查号) that the images carry: with it the report finds its study.
SELECT
    j.jch                                             AS "report_number",
    j.fwh                                             AS "request_number",
    j.mzh                                             AS "patient.outpatient_number",
    j.brly                                            AS "patient.type",
    j.xm                                              AS "patient.name",
    j.xb                                              AS "patient.sex",
    j.csrq                                            AS "fact.birth_date",
    j.nl                                              AS "patient.age",
    CASE WHEN j.zjlx = '居民身份证' THEN j.zjhm END   AS "patient.id_number",
    j.lxdh                                            AS "patient.telephone",
    j.zjlx                                            AS "fact.id_type",
    CASE WHEN j.gj = '156' THEN 'false' ELSE 'true' END AS "fact.foreigner",
    CASE j.brly WHEN 'MZ' THEN 'outpatient' WHEN 'JZ' THEN 'emergency' END
                                                      AS "fact.patient_class",
    j.bgsj                                            AS "author.time",
    j.bgys                                            AS "author.id",
    bg.xm                                             AS "author.name",
    j.shsj                                            AS "reviewer.time",
    j.shys                                            AS "reviewer.id",
    sh.xm                                             AS "reviewer.name",
    j.jcsj                                            AS "technician.time",
    j.jsys                                            AS "technician.id",
    js.xm                                             AS "technician.name",
    j.bgsj                                            AS "examining_doctor.time",
    j.bgys                                            AS "examining_doctor.id",
    bg.xm                                             AS "examining_doctor.name",
    j.sqsj                                            AS "request.time",
    j.sqks                                            AS "request.department_id",
    j.sqksmc                                          AS "request.department_name",
    g.jgdm                                            AS "request.institution_id",
    g.jgmc                                            AS "request.institution_name",
    j.jzsj                                            AS "encounter.time",
    j.sqks                                            AS "encounter.department_id",
    j.sqksmc                                          AS "encounter.department_name",
    j.zs                                              AS "chief_complaint",
    j.jcff                                            AS "method",
    j.jcxm                                            AS "category",
    j.yxsj                                            AS "findings",
    j.yxzd                                            AS "impression",
    j.bgks                                            AS "report_department",
    g.jgmc                                            AS "report_institution",
    CASE WHEN j.bgzt = '3' THEN 1 ELSE 0 END          AS "final",
    j.zfbz                                            AS "void"
FROM ris_jc j
CROSS JOIN xt_jg g
LEFT JOIN ris_ry bg ON bg.rydm = j.bgys
LEFT JOIN ris_ry js ON js.rydm = j.jsys
LEFT JOIN ris_ry sh ON sh.rydm = j.shys
