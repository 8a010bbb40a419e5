-- Operations of the stay, with the names behind the staff codes.
SELECT
    d.zyh  AS "patient.inpatient_number",
    d.sssx AS "line",
    d.ssbm AS "code",
    d.ssmc AS "name",
    d.ssrq AS "date",
    d.ssjb AS "level",
    d.sz   AS "surgeon_id",
    sz.xm  AS "surgeon_name",
    d.yz   AS "first_assistant_id",
    yz.xm  AS "first_assistant_name",
    d.qklb AS "incision_class",
    d.qkyh AS "healing",
    d.mzfs AS "anaesthesia_method",
    d.mzys AS "anaesthetist_id",
    mz.xm  AS "anaesthetist_name"
FROM zy_basyss d
LEFT JOIN dm_zg sz ON sz.zgdm = d.sz
LEFT JOIN dm_zg yz ON yz.zgdm = d.yz
LEFT JOIN dm_zg mz ON mz.zgdm = d.mzys
