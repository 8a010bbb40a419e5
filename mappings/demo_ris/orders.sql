-- One examination: whose it is, what was done, how many series and images it has. Its key is that of its report.
SELECT
    j.jch                                             AS "key",
    j.jcuid                                           AS "study_instance_uid",
    j.fwh                                             AS "accession_number",
    j.brid                                            AS "patient_id",
    j.xm                                              AS "patient_name",
    j.xb                                              AS "sex",
    j.csrq                                            AS "birth_date",
    CASE WHEN j.zjlx = '居民身份证' THEN j.zjhm END   AS "id_number",
    j.sblx                                            AS "modality",
    j.bw                                              AS "body_part",
    j.fx                                              AS "laterality",
    j.jcsj                                            AS "performed_at",
    j.jch                                             AS "report_key",
    j.mzh                                             AS "visit_number",
    j.xls                                             AS "series",
    j.txs                                             AS "instances",
    1                                                 AS "final",
    j.zfbz                                            AS "void"
FROM ris_jc j
