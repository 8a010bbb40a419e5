"""Which character set a data set's texts are really in. What it says is heard; the bytes decide, and only where they leave no doubt.

    Judged(charset="")         what it says explains every text, and nothing speaks against it
    Judged(charset="GB18030")  certain: another set explains every text, and its reading is Chinese that people write
    Judged(doubt="…")          neither: a finding, and nothing is changed

Certain is: the patient's name of the order stands there in that reading and in no other, or everything is valid in it, all of it is
usual Chinese, it holds a known family name or a word of hospitals, and what was said cannot be meant (law 3).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from frontend_agent.dicom.charsets import GB18030, UTF_8, WHOLE, decoded, explains, terms
from frontend_agent.er7.charset import is_western, likelihood

# Names that are no defined terms and leave no doubt what is meant.
_MEANT = {
    "gb18030": GB18030, "gb180302000": GB18030, "gb180302005": GB18030, "gb2312": GB18030, "gb231280": GB18030, "gbk": GB18030,
    "cp936": GB18030, "euccn": GB18030, "iso2022gbk": GB18030, "iso202258": GB18030, "utf8": UTF_8, "isoir192": UTF_8,
    "iso192": UTF_8, "unicodeutf8": UTF_8,
}  # fmt: skip
# The family names of more than 95 % of the people of China, and the compound ones.
_FAMILY_NAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾萧肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付傅方"
    "白邹孟熊秦邱江尹薛闫阎段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝"
    "包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费"
    "卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
)
_KOREAN_NAMES = frozenset(
    "김이박최정강조윤장임한오서신권황안송류유전홍고문양손배백허남심노하곽성차주우구민진지엄채원천방공현함변염여추도소석선설마길"
)
_WORDS = re.compile(
    "医院|医生|医师|主任|放射|影像|超声|检查|扫描|平扫|增强|造影|胸部|腹部|盆腔|头颅|颅脑|颈椎|腰椎|胸椎|膝关节|髋关节|肩关节|正位|侧位|双侧|左侧|右侧|门诊|"
    "住院|急诊|病房|骨科|内科|外科|妇科|儿科|肝脏|肾脏|心脏|肺部|乳腺|甲状腺|血管|冠脉|成像|重建|定位|卫生院|保健|中心|人民|市第|诊断|报告|病人|患者"
)
_NOT_PLAIN = re.compile(rb"[\x80-\xff]+")
_HANZI = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_NAME = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]{2,4}")


class Text(NamedTuple):
    """One value of a data set that is in its character set."""

    tag: int
    value: bytes
    is_name: bool = False

    @property
    def is_patient(self) -> bool:
        return self.tag == 0x0010_0010


class Judged(NamedTuple):
    """See above. `doubtful`: tags of the texts that nobody can be sure of."""

    charset: str = ""
    doubt: str = ""
    doubtful: tuple[int, ...] = ()


def judge(texts: Sequence[Text], said: str, names: Sequence[str] = ()) -> Judged:
    """`said`: its Specific Character Set. `names`: of the patient, as orders have it."""
    foreign = [text for text in texts if not text.value.isascii() or b"\x1b" in text.value]
    meant = _MEANT.get(re.sub(r"[^a-z0-9]", "", said.lower()), "")
    if not foreign:
        return Judged()
    unexplained = [text for text in foreign if not explains(text.value, said, text.is_name)]
    candidates = [charset for charset in (GB18030, UTF_8) if charset != said and _all_valid(foreign, charset)]
    if not unexplained and _is_settled(foreign, said, names):
        return Judged()
    agreeing = [charset for charset in candidates if _names_agree(foreign, charset, names)]
    if len(agreeing) == 1:
        return Judged(agreeing[0])
    likely = [charset for charset in candidates if _is_chinese(foreign, charset)]
    if len(likely) == 1 and (unexplained or _cannot_be_meant(foreign, said)):
        return Judged(likely[0])
    if meant and meant != said and _all_valid(foreign, meant) and meant in likely:
        return Judged(meant)
    if unexplained:
        why = "its character set does not explain it" if said else "it names no character set"
        return Judged(doubt=why, doubtful=tuple(dict.fromkeys(text.tag for text in unexplained)))
    suspect = [text for text in foreign if _is_suspect(text, said)]
    if suspect:
        return Judged(doubt="it may be Chinese of another character set", doubtful=tuple(t.tag for t in suspect))
    return Judged()


def _is_settled(foreign: Sequence[Text], said: str, names: Sequence[str]) -> bool:
    """What it says explains all of it, and nothing asks for another reading."""
    if _names_agree(foreign, said, names):
        return True
    if len(terms(said)) == 1 and terms(said)[0] in WHOLE:
        return likelihood(_all_text(foreign, said)) >= 0.8
    return any(b"\x1b" in text.value for text in foreign)  # with the escape sequences that it announces


def _all_valid(texts: Sequence[Text], charset: str) -> bool:
    return all(explains(text.value, charset, text.is_name) for text in texts)


def _all_text(texts: Sequence[Text], charset: str) -> str:
    return " ".join(decoded(text.value, charset, text.is_name)[0] for text in texts)


def _names_agree(texts: Sequence[Text], charset: str, names: Sequence[str]) -> bool:
    """Whether the patient's name reads as one that somebody else wrote, with characters that are not ASCII."""
    wanted = {hanzi for name in names if (hanzi := _hanzi(name))}
    read = {_hanzi(decoded(text.value, charset, True)[0]) for text in texts if text.is_patient}
    return bool(wanted & read)


@lru_cache(maxsize=256)
def _hanzi(name: str) -> str:
    return "".join(_HANZI.findall(name))


def _is_chinese(texts: Sequence[Text], charset: str) -> bool:
    """Usual characters throughout, and a word of hospitals, or a family name before a given one.

    A given name may hold any character, so that names count for what is usual only where they are the evidence themselves.
    """
    others = _all_text([text for text in texts if not text.is_name], charset)
    if _WORDS.search(others) and likelihood(others) >= 0.9:
        return True
    names = [decoded(text.value, charset, True)[0] for text in texts if text.is_name]
    if likelihood(" ".join((others, *names))) < 0.9 or any(_is_korean(text.value) for text in texts if text.is_name):
        return False
    return any(map(_is_name, names))


def _is_name(name: str) -> bool:
    return any(
        _NAME.fullmatch(plain) and plain[0] in _FAMILY_NAMES
        for group in name.split("=")
        if (plain := re.sub(r"[\^ ·]", "", group))
    )


def _is_korean(value: bytes) -> bool:
    """Hangul in EUC-KR are characters of GB 2312, too: a family name of Korea in that reading leaves a doubt."""
    try:
        name = re.sub(r"[\^= ]", "", value.decode("euc_kr"))
    except UnicodeDecodeError:
        return False
    return name[:1] in _KOREAN_NAMES and all("\uac00" <= syllable <= "\ud7a3" for syllable in name)


def _cannot_be_meant(texts: Sequence[Text], said: str) -> bool:
    """Read as it says it would be something that nobody writes."""
    if terms(said)[0] in WHOLE:
        return likelihood(_all_text(texts, said)) < 0.5
    return any(_is_suspect(text, said) for text in texts)


def _is_suspect(text: Text, said: str) -> bool:
    """Accented letters in longer runs than words of ISO 8859-1 have, signs among them, or part of a name that is nothing else."""
    if terms(said)[0] not in ("ISO_IR 6", "ISO_IR 100", "ISO 2022 IR 6", "ISO 2022 IR 100"):
        return False
    if text.is_name and any(
        len(part) >= 2 and _NOT_PLAIN.fullmatch(part) for part in re.split(rb"[\\^= ]", text.value)
    ):
        return True
    return not is_western(text.value, decoded(text.value, said, text.is_name)[0])
