"""How names of codes are compared: what is written differently and means the same is one text."""

import re
import unicodedata
from types import MappingProxyType

SEX, RH, ABO = "2.16.156.10011.2.3.3.4", "2.16.156.10011.2.3.1.250", "2.16.156.10011.2.3.1.85"
MARITAL, ETHNIC = "2.16.156.10011.2.3.3.5", "2.16.156.10011.2.3.3.3"
ID_TYPE, ADMISSION_ROUTE = "2.16.156.10011.2.3.1.1", "2.16.156.10011.2.3.1.270"

_NOISE = re.compile(r"[\s·.,;:，。；：、'\"“”‘’()（）\[\]【】<>《》/\\_-]+")

# What hospitals call the entries of tables that everybody has. Ours, not the standard's: good enough to doubt a map and to
# propose, never to decide.
_ALSO_CALLED = MappingProxyType(
    {
        SEX: {"男": "1", "男性": "1", "m": "1", "male": "1", "女": "2", "女性": "2", "f": "2", "female": "2",
              "未知": "0", "不详": "0", "未说明": "9"},
        RH: {"阴性": "1", "阴": "1", "rh阴性": "1", "rhd阴性": "1", "neg": "1", "negative": "1", "rhneg": "1",
             "阳性": "2", "阳": "2", "rh阳性": "2", "rhd阳性": "2", "pos": "2", "positive": "2", "rhpos": "2",
             "不详": "3", "未查": "4"},
        ABO: {"a": "1", "a型": "1", "b": "2", "b型": "2", "o": "3", "o型": "3", "ab": "4", "ab型": "4", "不详": "5"},
        MARITAL: {"未婚": "10", "已婚": "20", "初婚": "21", "再婚": "22", "复婚": "23", "丧偶": "30", "离婚": "40",
                  "离异": "40", "其他": "90", "未说明": "90"},
        ID_TYPE: {"身份证": "01", "居民身份证": "01", "户口本": "02", "户口簿": "02", "居民户口簿": "02", "护照": "03",
                  "军官证": "04", "驾照": "05", "驾驶证": "05", "港澳通行证": "06", "港澳居民来往内地通行证": "06",
                  "台胞证": "07", "台湾居民来往内地通行证": "07", "其他": "99"},
    }
)  # fmt: skip


def plain(name: str) -> str:
    """A name without what carries no meaning: width, case, spaces, punctuation. Signs of Rh stay words."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    signed = re.sub(r"\(\s*\+\s*\)|\+$", "阳性", folded)
    signed = re.sub(r"\(\s*[-−]\s*\)|[-−]$", "阴性", signed)
    return _NOISE.sub("", signed)


def also_called(value_set: str, name: str) -> str:
    """The code that a usual name stands for in a table that everybody has; empty where we do not know."""
    return _ALSO_CALLED.get(value_set, {}).get(plain(name), "")
