-- One member of staff. The class of the post is a word in this HIS, not a code: it is left out.
SELECT
    z.zgdm                                            AS "staff.id",
    z.xm                                              AS "staff.name",
    z.ksdm                                            AS "staff.department_id",
    k.ksmc                                            AS "staff.department_name",
    1                                                 AS "final"
FROM dm_zg z
LEFT JOIN dm_ks k ON k.ksdm = z.ksdm
