"""Invented people: names, birth dates, identity numbers nobody can hold.

Identity numbers carry a correct check digit, and an administrative division that has never been assigned (99xxxx), so
that none of them can be a living person's.
"""

import random
from dataclasses import dataclass
from datetime import date, timedelta

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾萧田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛"
DOUBLE_SURNAMES = ("欧阳", "上官", "司马", "诸葛", "慕容", "尉迟")
GIVEN_MEN = "伟强磊军洋勇杰涛明超刚平辉鹏华飞鑫波斌宇浩凯健俊帆帅旭宁龙林博文志国建海峰成东昊泽晨轩睿子涵铭"
GIVEN_WOMEN = "芳娜敏静丽艳娟霞秀兰燕玲桂英梅红云萍琳倩颖雪慧洁莹婷璐瑶佳怡欣妍诗雨涵琪梦晗可馨玉珍淑华凤"
# Characters outside the common tables are ordinary in names: 㛃 (U+36C3), 𬍛 (U+2C35B), 䶮 (U+4DAE).
RARE_GIVEN = ("㛃", "𬍛", "䶮", "喆", "堃", "嫚")
MINORITY_NAMES = ("阿依古丽·买买提", "古丽努尔·艾合买提", "买买提江·吐尔逊", "扎西·顿珠", "格桑·卓玛")
FOREIGN_NAMES = (
    "JOHN MICHAEL SMITH",
    "MARIA GARCIA LOPEZ",
    "KIM MIN JUN",
    "ANNA IVANOVA",
    "DAVID O'CONNOR",
    "PIERRE DUBOIS",
)
FOREIGN_NATIONS = ("840", "724", "410", "643", "372", "250")
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(slots=True)
class Person:
    """One invented person, as the registration desk knows them."""

    id: str
    name: str
    sex: str  # 1 man, 2 woman, 0 unknown
    birth: date | None
    id_type: str  # local name of the identity document, "" for none
    id_number: str
    telephone: str
    nation: str
    newborn: bool = False
    unknown: bool = False
    mother: str = ""
    fault: str = ""  # a planted fault that sits in the person's own data
    sex_text: str = ""  # the sex as the desk wrote it: 男, 1, F …

    @property
    def foreigner(self) -> bool:
        """Not a Chinese national."""
        return self.nation != "156"


def check_digit(first17: str) -> str:
    """The last character of a resident identity number (GB 11643-1999)."""
    return "10X98765432"[sum(int(d) * w for d, w in zip(first17, WEIGHTS, strict=True)) % 11]


def identity_number(rng: random.Random, birth: date, sex: str) -> str:
    """A number with a correct check digit and a division that does not exist."""
    sequence = rng.randrange(0, 499) * 2 + (1 if sex == "1" else 0)
    first17 = f"99{rng.randrange(1, 60):02d}{rng.randrange(1, 30):02d}{birth:%Y%m%d}{sequence:03d}"
    return first17 + check_digit(first17)


def person_name(rng: random.Random, sex: str) -> str:
    """An ordinary name; now and then a double surname, a rare character or a minority name with its dot."""
    luck = rng.random()
    if luck < 0.004:
        return rng.choice(MINORITY_NAMES)
    surname = rng.choice(DOUBLE_SURNAMES) if luck < 0.012 else rng.choice(SURNAMES)
    if luck > 0.99:
        return surname + rng.choice(RARE_GIVEN)
    given = GIVEN_MEN if sex == "1" else GIVEN_WOMEN
    return surname + rng.choice(given) + (rng.choice(given) if luck < 0.8 else "")


def telephone(rng: random.Random) -> str:
    """A mobile number in a range no operator has (100)."""
    return f"100{rng.randrange(10**8):08d}"


def newborn(rng: random.Random, number: str, today: date) -> Person:
    """A child of some days, registered under the mother's name, without a number of its own."""
    mother = person_name(rng, "2")
    sex = rng.choice("12")
    return Person(
        id=number,
        name=mother + ("之子" if sex == "1" else "之女"),
        sex=sex,
        birth=today - timedelta(days=rng.randrange(1, 27)),
        id_type="",
        id_number="",
        telephone=telephone(rng),
        nation="156",
        newborn=True,
        mother=mother,
    )


def unknown_person(rng: random.Random, number: str) -> Person:
    """Brought by ambulance, nobody knows who: 无名氏. Neither birth date nor number; the sex is what one sees."""
    return Person(number, f"无名氏{number[-4:]}", rng.choice("120"), None, "", "", "", "156", unknown=True)


def foreign_person(rng: random.Random, number: str, birth: date, sex: str) -> Person:
    """A foreigner with a passport."""
    which = rng.randrange(len(FOREIGN_NAMES))
    passport = f"{rng.choice('ACEGKLMPRS')}{rng.randrange(10**8):08d}"
    return Person(number, FOREIGN_NAMES[which], sex, birth, "护照", passport, telephone(rng), FOREIGN_NATIONS[which])


def resident(rng: random.Random, number: str, birth: date, sex: str) -> Person:
    """An ordinary resident with an identity card."""
    return Person(
        number, person_name(rng, sex), sex, birth, "居民身份证", identity_number(rng, birth, sex), telephone(rng), "156"
    )


def person(rng: random.Random, number: str, today: date, ages: tuple[int, int], sex: str, *, emergency: bool) -> Person:
    """Somebody who fits the department they come to."""
    if ages == (0, 0):
        return newborn(rng, number, today)
    luck = rng.random()
    if emergency and luck < 0.01:
        return unknown_person(rng, number)
    low, high = ages
    age = low + int((high - low) * rng.betavariate(2.1, 2.0))
    birth = today - timedelta(days=age * 365 + rng.randrange(5, 360))
    sex = sex or ("1" if rng.random() < 0.47 else "2")
    if luck > 0.992:
        return foreign_person(rng, number, birth, sex)
    return resident(rng, number, birth, sex)


def age_on(birth: date, day: date) -> int:
    """Completed years."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
