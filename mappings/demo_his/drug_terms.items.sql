-- Its drugs. tybz 1: no longer in use.
SELECT
    'yp_zd'                                           AS "value_set.id",
    d.ypdm                                            AS "line",
    d.ypdm                                            AS "code",
    d.ypmc                                            AS "name",
    CASE WHEN d.tybz = '1' THEN 'inactive' ELSE 'active' END AS "status"
FROM yp_zd d
