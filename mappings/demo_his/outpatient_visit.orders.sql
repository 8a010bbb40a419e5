-- The visit's orders, with the names behind the staff and department codes.
SELECT
    j.mzh    AS "patient.outpatient_number",
    d.yzsx   AS "line",
    d.yzlx   AS "type",
    d.yznr   AS "content",
    d.jhkssj AS "start",
    d.jhjssj AS "end",
    d.zxsj   AS "performed_at",
    d.zxr    AS "performer_id",
    zx.xm    AS "performer_name",
    zxk.ksmc AS "performer_department",
    d.kdsj   AS "ordered_at",
    d.kdys   AS "orderer_id",
    kd.xm    AS "orderer_name",
    kdk.ksmc AS "orderer_department",
    d.shrq   AS "reviewed_on",
    d.shr    AS "reviewer_id",
    sh.xm    AS "reviewer_name",
    d.qxsj   AS "cancelled_at",
    d.qxr    AS "canceller_id",
    qx.xm    AS "canceller_name",
    d.bz     AS "note",
    d.zxzt   AS "state"
FROM mz_yz d
JOIN mz_jzjl j ON j.jzxh = d.jzxh
LEFT JOIN dm_zg zx ON zx.zgdm = d.zxr
LEFT JOIN dm_ks zxk ON zxk.ksdm = d.zxks
LEFT JOIN dm_zg kd ON kd.zgdm = d.kdys
LEFT JOIN dm_ks kdk ON kdk.ksdm = d.kdks
LEFT JOIN dm_zg sh ON sh.zgdm = d.shr
LEFT JOIN dm_zg qx ON qx.zgdm = d.qxr
WHERE NOT EXISTS (SELECT 1 FROM mz_jzjl n WHERE n.mzh = j.mzh AND (n.xgsj, n.jzxh) > (j.xgsj, j.jzxh))
