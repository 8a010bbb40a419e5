"""Inpatients of the demonstration hospital: a stay, its admission record (入院记录), its front page (病案首页).

Everything on a front page follows from the stay: the days, the operations, and charges that add up to the total.
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

from .persons import Person, person
from .rhythm import DAY, Calendar
from .schema import FEE_COLUMNS, Row
from .staff import WARDS, Staff
from .visits import visit_age

HOUR = 3600


class Operation(NamedTuple):
    """What is done to most who come with a case."""

    code: str  # ICD-9-CM-3, clinical extension
    name: str
    level: str
    incision: str
    anaesthesia: str


class Illness(NamedTuple):
    """One ordinary reason to be kept."""

    ward: str
    code: str
    name: str
    complaint: str
    story: str
    findings: str  # what the department looks at
    days: tuple[int, int]
    operation: Operation | None = None
    external: tuple[str, str] | None = None  # of an injury: what caused it


ILLNESSES = (
    Illness("B0401", "K35.900", "急性阑尾炎", "转移性右下腹痛1天", "1天前出现上腹部隐痛，后转移并固定于右下腹，伴恶心，无呕吐、腹泻。", "右下腹麦氏点压痛阳性，轻度反跳痛。", (4, 7),
            Operation("47.0100x001", "腹腔镜下阑尾切除术", "二级", "Ⅱ类", "全身麻醉")),
    Illness("B0401", "K80.100", "胆囊结石伴慢性胆囊炎", "反复右上腹痛3个月", "3个月来进食油腻后右上腹胀痛，可放射至右肩背部，休息后缓解。", "右上腹轻压痛，墨菲征可疑阳性。", (4, 8),
            Operation("51.2300", "腹腔镜下胆囊切除术", "三级", "Ⅱ类", "全身麻醉")),
    Illness("B0403", "S52.500", "桡骨下端骨折", "摔伤致右腕部肿痛5小时", "5小时前行走时摔倒，右手掌撑地，右腕部肿痛、活动受限，无昏迷。", "右腕部肿胀，呈餐叉样畸形，压痛明显。", (5, 10),
            Operation("79.3200", "桡骨骨折切开复位内固定术", "三级", "Ⅰ类", "神经阻滞麻醉"), ("W01.900", "在同一平面上滑倒、绊倒或摔倒")),
    Illness("B0304", "I20.000", "不稳定性心绞痛", "间断胸闷、胸痛1周", "1周来活动后胸骨后压榨样疼痛，持续3-5分钟，休息可缓解，近2天发作频繁。", "心界不大，心率齐，各瓣膜听诊区未闻及病理性杂音。", (5, 9)),
    Illness("B0301", "J18.900", "肺炎", "发热、咳嗽4天", "4天前受凉后发热，最高39.1℃，伴咳嗽、咳黄痰，自服退热药后反复。", "右下肺呼吸音粗，可闻及湿性啰音。", (6, 11)),
    Illness("B0303", "I63.900", "脑梗死", "左侧肢体无力6小时", "6小时前晨起时发现左侧肢体无力，言语欠清，无头痛、呕吐，无意识障碍。", "左侧肢体肌力4级，左侧巴氏征阳性。", (8, 14)),
    Illness("B0302", "K25.900", "胃溃疡", "反复上腹痛2个月", "2个月来进餐后上腹部隐痛，伴反酸、嗳气，无呕血、黑便。", "剑突下轻压痛，无反跳痛。", (4, 8)),
)  # fmt: skip
SECOND = (("I10.x00", "高血压病"), ("E11.900", "2型糖尿病"), ("E78.500", "高脂血症"), ("K76.000", "脂肪肝"))
OCCUPATIONS = ("职员", "工人", "农民", "退休", "个体", "专业技术人员", "其他")
EMPLOYERS = ("示范纺织厂", "示范市第二中学", "示范运输公司", "示范区供电所", "示范农机合作社")
STREETS = ("建设路", "人民路", "解放路", "光明街", "和平街")
RELATIONS = ("配偶", "子", "女", "兄弟姐妹")
PAYMENTS = ("城镇职工医保", "城乡居民医保", "新农合", "自费")


@dataclass
class Stay:
    """One stay and every row that belongs to it."""

    number: str
    person: Person
    illness: Illness
    admitted_at: int
    discharged_at: int
    record: Row
    admission: Row
    page: Row
    diagnoses: list[Row]
    operations: list[Row]


def build_stay(number: str, admitted: int, calendar: Calendar, staff: Staff, rng: random.Random) -> Stay:
    """One person from the admission desk to the archive."""
    illness = rng.choice(ILLNESSES)
    who = person(rng, "BRZY" + number[2:], calendar.day(admitted), (28, 84), "", emergency=False)
    days = illness.days[0] + int(rng.random() * (illness.days[1] - illness.days[0] + 1))
    discharged = (admitted // DAY + days) * DAY + 9 * HOUR + int(rng.random() * 5 * HOUR)
    ward_name, department = WARDS[illness.ward]
    doctors = staff.doctors.get(illness.ward[1:]) or next(iter(staff.doctors.values()))
    team = [rng.choice(doctors) for _ in range(3)]
    record = _record(number, who, illness, admitted, discharged, calendar, rng)
    admission = _admission(number, who, illness, admitted, team, calendar, rng)
    operations = _operations(number, illness, admitted, team, doctors, calendar, rng)
    page = _page(number, illness, days, discharged, team, bool(operations), calendar, staff, rng)
    diagnoses = _diagnoses(number, illness, page["xgsj"], rng)
    record["ksmc"], record["bqmc"] = department, ward_name
    return Stay(number, who, illness, admitted, discharged, record, admission, page, diagnoses, operations)


def _record(
    number: str, who: Person, illness: Illness, admitted: int, discharged: int, calendar: Calendar, rng: random.Random
) -> Row:
    room = 1 + int(rng.random() * 30)
    age = visit_age(who, calendar.day(admitted))
    married = age > 24 and rng.random() < 0.93
    return {
        "zyh": number,
        "bah": "BA" + number[2:],
        "brid": who.id,
        "zycs": 1 + int(rng.random() * 2),
        "rysj": calendar.stamp(admitted),
        "cysj": calendar.stamp(discharged),
        "rytj": "急诊" if rng.random() < 0.4 else "门诊",
        "ksdm": illness.ward[1:],
        "ksmc": "",
        "bqdm": illness.ward,
        "bqmc": "",
        "fjh": f"{room:02d}",
        "ch": f"{room:02d}{1 + int(rng.random() * 4)}",
        "nl": str(age),
        "hyzk": ("丧偶" if age > 75 and rng.random() < 0.3 else "已婚") if married else "未婚",
        "zy": "退休" if age > 62 else rng.choice(OCCUPATIONS),
        "gzdw": rng.choice(EMPLOYERS),
        "gzdh": f"0999-{2000000 + int(rng.random() * 6_000_000)}",
        "dz": f"{rng.choice(STREETS)}{1 + int(rng.random() * 300)}号",
        "lxrxm": ("刘" if who.sex == "1" else "张") + rng.choice("伟芳敏强静"),
        "lxrgx": rng.choice(RELATIONS[:3] if married else ("父母",)),
        "lxrdh": f"100{int(rng.random() * 10**8):08d}",
        "fkfs": rng.choice(PAYMENTS),
        "zyzt": "1",
        "zfbz": "0",
        "xgsj": calendar.stamp(discharged),
    }


def _admission(
    number: str, who: Person, illness: Illness, admitted: int, team: list[str], calendar: Calendar, rng: random.Random
) -> Row:
    r = rng.random
    written = admitted + HOUR + int(r() * 12 * HOUR)
    signed = calendar.stamp(written + HOUR)
    return {
        "jlxh": "RY" + number[2:],
        "zyh": number,
        "csz": who.name,
        "cszgx": "本人",
        "zs": illness.complaint,
        "xbs": illness.story + "病程中精神、饮食可，大小便如常，体重无明显变化。",
        "jkbz": "1",
        "jbs": "平素身体健康，否认高血压、糖尿病、冠心病史",
        "crbz": "0",
        "crbs": "否认肝炎、结核等传染病史",
        "hys": "适龄婚育，家人体健",
        "gms": "否认食物、药物过敏史",
        "sss": "否认重大手术史",
        "yfjzs": "预防接种史不详",
        "sxs": "否认输血史",
        "grs": "生于本地，否认疫区居住史，无特殊嗜好",
        "yjs": "月经史无特殊" if who.sex == "2" else "",
        "jzs": "否认家族遗传病史",
        "tw": f"{36.2 + r() * 1.6:.1f}",
        "mb": str(64 + int(r() * 34)),
        "hx": str(16 + int(r() * 6)),
        "ssy": str(108 + int(r() * 44)),
        "szy": str(64 + int(r() * 26)),
        "sg": f"{150 + r() * 32:.1f}",
        "tz": f"{48 + r() * 34:.1f}",
        "ybqk": "神志清楚，营养中等，步入病房，查体合作",
        "pf": "全身皮肤黏膜无黄染、无出血点",
        "lbj": "全身浅表淋巴结未触及肿大",
        "tou": "头颅无畸形，双侧瞳孔等大等圆，对光反射灵敏",
        "jing": "颈软，气管居中，甲状腺无肿大",
        "xiong": "胸廓对称，双肺呼吸音清，心律齐",
        "fu": "腹平软，肝脾肋下未触及",
        "gm": "肛门指诊未见异常",
        "wszq": "外生殖器未查",
        "jz": "脊柱生理弯曲存在，无压痛",
        "sz": "四肢无畸形，活动自如",
        "sjxt": "生理反射存在，病理反射未引出",
        "zkqk": illness.findings,
        "fzjc": "血常规、心电图已查，结果见报告",
        "kkbz": "1",
        "zyys": team[0],
        "zzys": team[1],
        "jzys": team[0],
        "zrys": team[2],
        "jlsj": calendar.stamp(written),
        "qmsj": signed,
        "jlzt": "2",
        "zfbz": "0",
        "xgsj": signed,
    }


def _operations(
    number: str,
    illness: Illness,
    admitted: int,
    team: list[str],
    doctors: list[str],
    calendar: Calendar,
    rng: random.Random,
) -> list[Row]:
    done = illness.operation
    if done is None or rng.random() < 0.08:  # now and then the doctors wait and see
        return []
    started = (admitted // DAY + 1) * DAY + 9 * HOUR + int(rng.random() * 5 * HOUR)
    return [
        {
            "ssxh": "SS" + number[2:],
            "zyh": number,
            "sssx": 1,
            "ssbm": done.code,
            "ssmc": done.name,
            "ssrq": calendar.stamp(started),
            "ssjb": done.level,
            "sz": team[1],
            "yz": team[0],
            "ez": "",
            "qklb": done.incision,
            "qkyh": "甲",
            "mzfs": done.anaesthesia,
            "mzys": rng.choice(doctors),
            "xgsj": calendar.stamp(started + 3 * HOUR),
        }
    ]


def _diagnoses(number: str, illness: Illness, changed: str, rng: random.Random) -> list[Row]:
    others = rng.sample(SECOND, 1 + int(rng.random() * 2))
    rows = [("ZY", illness.code, illness.name, "有"), *(("QT", code, name, "有") for code, name in others)]
    return [
        {
            "zdxh": f"SYZD{number[2:]}{n}",
            "zyh": number,
            "zdlx": kind,
            "zdsx": n,
            "zddm": code,
            "zdmc": name,
            "rybq": state,
            "xgsj": changed,
        }
        for n, (kind, code, name, state) in enumerate(rows, start=1)
    ]


PARTS = frozenset({"wlzl", "mzf", "ssf", "kjyw"})  # part of another item: not added again


def _fees(days: int, operated: bool, rng: random.Random) -> dict[str, int]:
    """Charges in fen. Parts do not exceed what they are part of."""
    r = rng.random
    fees = dict.fromkeys(FEE_COLUMNS, 0)
    fees |= {
        "zhyl": 5_000 * days,
        "zhcz": int(r() * 40_000),
        "hlf": 3_600 * days,
        "syszd": 20_000 + int(r() * 80_000),
        "yxzd": 12_000 + int(r() * 60_000),
        "lczd": int(r() * 20_000),
        "fss": 8_000 + int(r() * 40_000),
        "xyf": 60_000 + int(r() * 240_000),
        "zcy": int(r() * 20_000),
        "jccl": int(r() * 6_000),
        "zlcl": 4_000 + int(r() * 16_000),
    }
    fees["wlzl"] = int(fees["fss"] * r() * 0.5)
    fees["kjyw"] = int(fees["xyf"] * r() * 0.4)
    if operated:
        fees["mzf"], fees["ssf"] = 60_000 + int(r() * 60_000), 150_000 + int(r() * 150_000)
        fees["sszl"] = fees["mzf"] + fees["ssf"]
        fees["sscl"] = 30_000 + int(r() * 300_000)
    return fees


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def total(page: Row) -> int:
    """What the items of a front page add up to, in fen."""
    return sum(round(float(page[name]) * 100) for name in FEE_COLUMNS if name not in PARTS)


def _page(
    number: str, illness: Illness, days: int, discharged: int, team: list[str], operated: bool, calendar: Calendar,
    staff: Staff, rng: random.Random,
) -> Row:  # fmt: skip
    filed = discharged + 4 * HOUR + int(rng.random() * 16 * HOUR)
    changed = calendar.stamp(filed)
    fees = {name: yuan(fen) for name, fen in _fees(days, operated, rng).items()}
    cause = illness.external or ("", "")
    page: Row = {
        "zyh": number,
        "mzzdbm": illness.code,
        "mzzdmc": illness.name,
        "wbyybm": cause[0],
        "wbyymc": cause[1],
        "zyts": days,
        "cyks": illness.ward[1:],
        "cyfj": f"{1 + int(rng.random() * 30):02d}",
        "lyfs": "医嘱离院" if rng.random() < 0.97 else "非医嘱离院",
        "jsyy": "",
        "ywgm": "0",
        "gmyw": "",
        "xx": rng.choice(("A型", "B型", "O型", "AB型")),
        "rh": "阳性" if rng.random() < 0.995 else "阴性",
        "zzybz": "0",
        "zzymd": "",
        "sj": "",
        "kzr": team[2],
        "zrys": team[2],
        "zzys": team[1],
        "zyys": team[0],
        "zrhs": rng.choice(staff.nurses),
        "bmy": rng.choice(staff.nurses),
        "zkys": team[1],
        "zkhs": rng.choice(staff.nurses),
        "zkrq": calendar.digits8(filed),
        "bazl": "甲",
        "gdbz": "1",
        "gdsj": changed,
        **fees,
        "zfy": "",
        "zfje": "",
        "zfbz": "0",
        "xgsj": changed,
    }
    amount = total(page)
    page["zfy"], page["zfje"] = yuan(amount), yuan(amount * (20 + int(rng.random() * 60)) // 100)
    return page
