-- One department under the hospital, or the hospital.
SELECT
    k.ksdm                                            AS "organization.id",
    k.ksmc                                            AS "organization.name",
    j.jgdm                                            AS "parent_organization.id",
    j.jgmc                                            AS "parent_organization.name",
    1                                                 AS "final"
FROM dm_ks k CROSS JOIN xt_jg j
UNION ALL
SELECT g.jgdm, g.jgmc, NULL, NULL, 1 FROM xt_jg g
