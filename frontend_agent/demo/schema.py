"""The demonstration hospital's three databases, shaped and named like a real Chinese HIS, LIS and RIS.

Names are pinyin initials, as such systems have them: mz 门诊, gh 挂号, jz 就诊, jl 记录, zd 诊断, cf 处方, mx 明细,
zy 住院, ba 病案, bg 报告, jc 检查, ks 科室, zg 职工, xgsj 修改时间. Every table carries xgsj, and every xgsj and every key has an index: a feed
asks for "what changed since" and for "these keys", and neither may scan a table.

Column shapes differ on purpose, as they do in the field: HIS times are text 'yyyy-MM-dd HH:mm:ss', its audit dates
'yyyyMMdd'; the LIS keeps its specimen times as 14 digits and birth dates as 8.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

Row = dict[str, Any]

# 病案首页 charges, in the order of the printed page.
FEE_COLUMNS = (
    "zhyl", "zhcz", "hlf", "zhqt", "blzd", "syszd", "yxzd", "lczd", "fss", "wlzl", "sszl", "mzf", "ssf", "kff",
    "zyzl", "xyf", "kjyw", "zcy", "zcf", "xf", "bdb", "qdb", "nxyz", "xbyz", "jccl", "zlcl", "sscl", "qtf",
)  # fmt: skip

HIS_TABLES: dict[str, str] = {
    "xt_jg": "jgdm TEXT PRIMARY KEY, jgmc TEXT",
    "dm_ks": "ksdm TEXT PRIMARY KEY, ksmc TEXT, kslx TEXT, tybz TEXT, xgsj TEXT",
    "dm_zg": "zgdm TEXT PRIMARY KEY, xm TEXT, ksdm TEXT, zclb TEXT, tybz TEXT, xgsj TEXT",
    # One table of all local codes, as many HIS keep it: lb = which table, dm = code, mc = name.
    "dm_zd": "lb TEXT, dm TEXT, mc TEXT, PRIMARY KEY (lb, dm)",
    "yp_zd": "ypdm TEXT PRIMARY KEY, ypmc TEXT, gg TEXT, jx TEXT, dw TEXT, dj NUMERIC, tybz TEXT, xgsj TEXT",
    "mz_brxx": (
        "brid TEXT PRIMARY KEY, xm TEXT, xb TEXT, csrq TEXT, zjlx TEXT, zjhm TEXT, lxdh TEXT, gj TEXT, mz TEXT,"
        " xsebz TEXT, sfbmbz TEXT, mqbrid TEXT, xgsj TEXT"
    ),
    "mz_ghxx": (
        "ghxh TEXT PRIMARY KEY, mzh TEXT, brid TEXT, ghsj TEXT, ghlb TEXT, ksdm TEXT, ysdm TEXT, nl TEXT, zfbz TEXT,"
        " xgsj TEXT"
    ),
    "mz_jzjl": (
        "jzxh TEXT PRIMARY KEY, ghxh TEXT, mzh TEXT, brid TEXT, sqdh TEXT, ksdm TEXT, ysdm TEXT, jzsj TEXT, jssj TEXT,"
        " czbz TEXT, gmbz TEXT, gms TEXT, zs TEXT, xbs TEXT, jws TEXT, tgjc TEXT, zybz TEXT, zysz TEXT, bzyj TEXT,"
        " zzzf TEXT, qmys TEXT, qmsj TEXT, jzzt TEXT, zfbz TEXT, xgsj TEXT"
    ),
    "mz_zd": "zdxh TEXT PRIMARY KEY, jzxh TEXT, zdlx TEXT, zdsx INTEGER, zddm TEXT, zdmc TEXT, xgsj TEXT",
    "mz_jcjg": "jcxh TEXT PRIMARY KEY, jzxh TEXT, jcsx INTEGER, jcxm TEXT, jcjg TEXT, xgsj TEXT",
    "mz_yz": (
        "yzxh TEXT PRIMARY KEY, jzxh TEXT, yzsx INTEGER, yzlx TEXT, yznr TEXT, jhkssj TEXT, jhjssj TEXT, kdsj TEXT,"
        " kdys TEXT, kdks TEXT, shrq TEXT, shr TEXT, zxsj TEXT, zxr TEXT, zxks TEXT, qxsj TEXT, qxr TEXT, bz TEXT,"
        " zxzt TEXT, xgsj TEXT"
    ),
    "mz_cf": (
        "cfh TEXT PRIMARY KEY, jzxh TEXT, mzh TEXT, brid TEXT, kfsj TEXT, kfks TEXT, kfys TEXT, zddm TEXT, zdmc TEXT,"
        " shys TEXT, shsj TEXT, tpys TEXT, tpsj TEXT, hdys TEXT, hdsj TEXT, fyys TEXT, fysj TEXT, yxts INTEGER,"
        " cfbz TEXT, cfzt TEXT, zfbz TEXT, xgsj TEXT"
    ),
    "mz_cfmx": (
        "mxxh TEXT PRIMARY KEY, cfh TEXT, zh INTEGER, ypdm TEXT, ypmc TEXT, gg TEXT, jx TEXT, yf TEXT, pc TEXT, pcmc TEXT,"
        " yl TEXT, yldw TEXT, sl INTEGER, dw TEXT, dj NUMERIC, je NUMERIC, yfsm TEXT, tfmxxh TEXT, xgsj TEXT"
    ),
    "zy_zyjl": (
        "zyh TEXT PRIMARY KEY, bah TEXT, brid TEXT, zycs INTEGER, rysj TEXT, cysj TEXT, rytj TEXT, ksdm TEXT, ksmc TEXT,"
        " bqdm TEXT, bqmc TEXT, fjh TEXT, ch TEXT, nl TEXT, hyzk TEXT, zy TEXT, gzdw TEXT, gzdh TEXT, dz TEXT, lxrxm TEXT, lxrgx TEXT,"
        " lxrdh TEXT, fkfs TEXT, zyzt TEXT, zfbz TEXT, xgsj TEXT"
    ),
    "zy_ryjl": (
        "jlxh TEXT PRIMARY KEY, zyh TEXT, csz TEXT, cszgx TEXT, zs TEXT, xbs TEXT, jkbz TEXT, jbs TEXT, crbz TEXT,"
        " crbs TEXT, hys TEXT, gms TEXT, sss TEXT, yfjzs TEXT, sxs TEXT, grs TEXT, yjs TEXT, jzs TEXT, tw TEXT, mb TEXT,"
        " hx TEXT, ssy TEXT, szy TEXT, sg TEXT, tz TEXT, ybqk TEXT, pf TEXT, lbj TEXT, tou TEXT, jing TEXT, xiong TEXT,"
        " fu TEXT, gm TEXT, wszq TEXT, jz TEXT, sz TEXT, sjxt TEXT, zkqk TEXT, fzjc TEXT, kkbz TEXT, zyys TEXT,"
        " zzys TEXT, jzys TEXT, zrys TEXT, jlsj TEXT, qmsj TEXT, jlzt TEXT, zfbz TEXT, xgsj TEXT"
    ),
    # 病案首页, filed by the record room: gdbz 1 = archived.
    "zy_basy": (
        "zyh TEXT PRIMARY KEY, mzzdbm TEXT, mzzdmc TEXT, wbyybm TEXT, wbyymc TEXT, zyts INTEGER, cyks TEXT, cyfj TEXT,"
        " lyfs TEXT, jsyy TEXT, ywgm TEXT, gmyw TEXT, xx TEXT, rh TEXT, zzybz TEXT, zzymd TEXT, sj TEXT, kzr TEXT,"
        " zrys TEXT, zzys TEXT, zyys TEXT, zrhs TEXT, bmy TEXT, zkys TEXT, zkhs TEXT, zkrq TEXT, bazl TEXT, gdbz TEXT,"
        " gdsj TEXT, " + ", ".join(f"{name} NUMERIC" for name in FEE_COLUMNS) + ","
        " zfy NUMERIC, zfje NUMERIC, zfbz TEXT, xgsj TEXT"
    ),
    "zy_basyzd": (
        "zdxh TEXT PRIMARY KEY, zyh TEXT, zdlx TEXT, zdsx INTEGER, zddm TEXT, zdmc TEXT, rybq TEXT, xgsj TEXT"
    ),
    "zy_basyss": (
        "ssxh TEXT PRIMARY KEY, zyh TEXT, sssx INTEGER, ssbm TEXT, ssmc TEXT, ssrq TEXT, ssjb TEXT, sz TEXT, yz TEXT,"
        " ez TEXT, qklb TEXT, qkyh TEXT, mzfs TEXT, mzys TEXT, xgsj TEXT"
    ),
}

LIS_TABLES: dict[str, str] = {
    "xt_jg": "jgdm TEXT PRIMARY KEY, jgmc TEXT",
    "lis_ry": "rydm TEXT PRIMARY KEY, xm TEXT, zw TEXT, xgsj TEXT",
    "lis_xm": "xmdm TEXT PRIMARY KEY, xmmc TEXT, ywsx TEXT, dw TEXT, xgsj TEXT",
    "lis_bg": (
        "bgh TEXT PRIMARY KEY, sqdh TEXT, tmh TEXT, brly TEXT, brid TEXT, mzh TEXT, zyh TEXT, xm TEXT, xb TEXT,"
        " csrq TEXT, nl TEXT, zjlx TEXT, zjhm TEXT, lxdh TEXT, gj TEXT, xsebz TEXT, sfbmbz TEXT, sjks TEXT, sjksmc TEXT,"
        " sjys TEXT, jzsj TEXT, ch TEXT, fjh TEXT, bqdm TEXT, bqmc TEXT, jyff TEXT, jylb TEXT, bblx TEXT, bbzt TEXT,"
        " cysj TEXT, jssj TEXT, jysj TEXT, bgsj TEXT, jyry TEXT, jyys TEXT, shys TEXT, shsj TEXT, bgjg TEXT, bgks TEXT,"
        " bgbz TEXT, bgzt TEXT, zfbz TEXT, xgsj TEXT"
    ),
    "lis_bgzd": "zdxh TEXT PRIMARY KEY, bgh TEXT, zdsx INTEGER, zddm TEXT, zdmc TEXT, zdrq TEXT, xgsj TEXT",
    "lis_bgmx": (
        "mxxh TEXT PRIMARY KEY, bgh TEXT, xh INTEGER, xmdm TEXT, xmmc TEXT, jg TEXT, dw TEXT, ckfw TEXT, ycbz TEXT,"
        " xgsj TEXT"
    ),
}

# One row is an examination: who asked for it, what was done (检查号 fwh, its study's UID), and what was read in it.
RIS_TABLES: dict[str, str] = {
    "xt_jg": "jgdm TEXT PRIMARY KEY, jgmc TEXT",
    "ris_ry": "rydm TEXT PRIMARY KEY, xm TEXT, zw TEXT, xgsj TEXT",
    "ris_jc": (
        "jch TEXT PRIMARY KEY, fwh TEXT, sqdh TEXT, jcuid TEXT, brly TEXT, brid TEXT, mzh TEXT, xm TEXT, xb TEXT,"
        " csrq TEXT, nl TEXT, zjlx TEXT, zjhm TEXT, lxdh TEXT, gj TEXT, sqks TEXT, sqksmc TEXT, sqys TEXT, sqsj TEXT,"
        " jzsj TEXT, zs TEXT, sblx TEXT, jcdm TEXT, jcxm TEXT, jcff TEXT, bw TEXT, fx TEXT, xls INTEGER, txs INTEGER,"
        " jcsj TEXT, jsys TEXT, bgys TEXT, bgsj TEXT, shys TEXT, shsj TEXT, yxsj TEXT, yxzd TEXT, yxjg TEXT, bgks TEXT,"
        " bgzt TEXT, zfbz TEXT, xgsj TEXT"
    ),
    "ris_jczd": "zdxh TEXT PRIMARY KEY, jch TEXT, zdsx INTEGER, zddm TEXT, zdmc TEXT, zdrq TEXT, xgsj TEXT",
}

# (change column, key) together: a page is read in that order straight from the index.
HIS_INDEXES: dict[str, tuple[str, ...]] = {
    "mz_brxx": ("xgsj, brid", "zjhm"),
    "mz_ghxx": ("xgsj, ghxh", "mzh", "brid"),
    "mz_jzjl": ("xgsj, mzh", "mzh, xgsj, jzxh", "ghxh", "brid"),
    "mz_zd": ("xgsj, jzxh", "jzxh, zdlx"),
    "mz_jcjg": ("xgsj, jzxh", "jzxh"),
    "mz_yz": ("xgsj, jzxh", "jzxh"),
    "mz_cf": ("xgsj, cfh", "jzxh", "mzh", "brid"),
    "mz_cfmx": ("xgsj, cfh", "cfh, tfmxxh"),
    "zy_zyjl": ("xgsj, zyh", "brid"),
    "zy_ryjl": ("xgsj, zyh", "zyh"),
    "zy_basy": ("xgsj, zyh",),
    "zy_basyzd": ("xgsj, zyh", "zyh, zdlx"),
    "zy_basyss": ("xgsj, zyh", "zyh"),
}
LIS_INDEXES: dict[str, tuple[str, ...]] = {
    "lis_bg": ("xgsj, bgh", "sqdh", "mzh", "zyh"),
    "lis_bgzd": ("xgsj, bgh", "bgh"),
    "lis_bgmx": ("xgsj, bgh", "bgh"),
}
RIS_INDEXES: dict[str, tuple[str, ...]] = {
    "ris_jc": ("xgsj, jch", "fwh", "jcuid"),
    "ris_jczd": ("xgsj, jch", "jch"),
}


def create_tables(connection: sqlite3.Connection, tables: Mapping[str, str]) -> None:
    """Make the empty tables of one database. WITHOUT ROWID: they are found by their own key, as in the real systems."""
    for name, columns in tables.items():
        connection.execute(f"CREATE TABLE {name} ({columns}) WITHOUT ROWID")


def create_indexes(connection: sqlite3.Connection, indexes: Mapping[str, tuple[str, ...]]) -> None:
    """Make the indexes after the rows: several times faster than keeping them up while the rows come in."""
    for table, columns in indexes.items():
        for number, names in enumerate(columns, start=1):
            connection.execute(f"CREATE INDEX ix_{table}_{number} ON {table} ({names})")


def insert(connection: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Insert rows given as dictionaries that all have the same keys."""
    pending = iter(rows)
    first = next(pending, None)
    if first is None:
        return
    names = ", ".join(first)
    marks = ", ".join("?" * len(first))
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - names are our own
    connection.execute(statement, tuple(first.values()))
    connection.executemany(statement, (tuple(row.values()) for row in pending))
