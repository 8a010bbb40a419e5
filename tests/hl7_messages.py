"""HL7 v2 messages for tests: real ones from outside the repository, and a corpus of character sets made by rule."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.conftest import shared_folder


def real_messages() -> list[Path]:
    """The real messages beside the repository, or none."""
    return sorted((shared_folder() / "realdata" / "hl7v2").rglob("*.hl7"))


NO_REAL_MESSAGES = not real_messages()
WHY_NOT = "the real HL7 messages are not on this machine"


def oru(
    name: str = "张三", declared: str = "", result: str = "未见异常", items: int = 1, version: str = "2.5.1"
) -> str:
    """A laboratory report, as text."""
    lines = [
        f"MSH|^~\\&|LIS|HOSP|REGION|PLAT|20260930104500||ORU^R01^ORU_R01|M-1|P|{version}||||||{declared}",
        f"PID|1||P0001^^^&2.16.156.10011.1.12&ISO^PI||{name}||19800102|M",
        "OBR|1|S-1|R-1|^生化检验",
    ]
    lines += [
        f"OBX|{n}|ST|C{n}^项目{n}^L||{result}|10\\S\\9/L|3.5-9.5|H|||F|||20260930081500" for n in range(1, items + 1)
    ]
    return "\r".join(lines) + "\r"


class Case(NamedTuple):
    """Bytes, and what has to be said of them: the text, or nothing (`text` is None: to quarantine)."""

    name: str
    content: bytes
    text: str | None
    is_certain: bool = True


# MSH-18 in every way it is written, true or not.
DECLARED = (
    "", "ASCII", "UNICODE UTF-8", "UTF-8", "UNICODE", "GB 18030-2000", "GBK", "gb2312", "8859/1", "ISO IR6", "~", "~GB 18030-2000",
    "ASCII~UNICODE UTF-8", "utf8", "CP936", "nonsense",
)  # fmt: skip
TEXTS = (
    ("张三", "血清丙氨酸氨基转移酶升高，建议复查"),
    ("买买提·艾力", "白细胞计数 12.6×10⁹/L"),
    ("王喆", "HBsAg（＋）≥250 IU/mL"),
    ("欧阳㐂", "维生素Ｂ12 缺乏；钾 3.2 mmol/L ↓"),
)
LOST = ("锟斤拷", "\ufffd\ufffd")


def corpus() -> Iterator[Case]:
    """More than 200 messages with the answer known: each true text in each set, under each declaration; cut, mixed, garbled."""
    for declared in DECLARED:
        for name, result in TEXTS:
            text = oru(name, declared, result)
            for codec in ("utf-8", "gb18030"):
                yield Case(f"{codec} said to be {declared or 'nothing'}: {name}", text.encode(codec), text)
        plain = oru("ZHANG SAN", declared, "normal").replace("生化检验", "CHEM").replace("项目", "item")
        yield Case(f"ASCII said to be {declared or 'nothing'}", plain.encode("ascii"), plain)
        text = oru("张三", declared)
        cut = text.encode("gb18030")
        yield Case(
            f"GBK cut within a character, said to be {declared}",
            cut.replace("张三".encode("gb18030"), b"\xd5\xc5\xc8"),
            None,
        )
        whole = text.encode("utf-8")
        yield Case(
            f"UTF-8 cut within a character, said to be {declared}",
            whole.replace("三".encode(), "三".encode()[:2]),
            None,
        )
        mixed = whole.replace("张三".encode(), "张三".encode("gb18030"))
        yield Case(f"UTF-8 and GBK in one message, said to be {declared}", mixed, None)
        yield Case(f"two-byte Unicode, said to be {declared}", text.encode("utf-16"), None)
        for lost in LOST:
            yield Case(f"characters lost before it was sent, said to be {declared}", oru(lost, declared).encode(), None)
        for wrong, right in (("iso8859-1", "utf-8"), ("iso8859-1", "gb18030"), ("gb18030", "utf-8")):
            garbled = text.encode(right).decode(wrong, "ignore").encode("utf-8")
            yield Case(f"{right} taken for {wrong} and encoded again, said to be {declared}", garbled, None)
    for name in ("Müller", "José Peña"):
        text = oru(name, "8859/1", "normal").replace("生化检验", "CHEM").replace("项目", "item")
        yield Case("really Latin", text.encode("iso8859-1"), text, False)  # nothing but MSH-18 says so
    with_mark = oru().encode("utf-8-sig")
    yield Case("UTF-8 with a byte-order mark", with_mark, with_mark.decode("utf-8"))
    switched = oru("\x1b$AUEH}\x1b(B", "ASCII~ISO IR58", "normal").replace("生化检验", "CHEM").replace("项目", "item")
    yield Case("ISO 2022 with GB 2312", switched.encode(), switched.replace("\x1b$AUEH}\x1b(B", "张三"))
    yield Case("ISO 2022 that nobody announced", switched.replace("ASCII~ISO IR58", "").encode(), None)
