"""A 200 is no acknowledgement: what stands in the answer is. What nobody understands is neither yes nor no."""

import json
import time

import pytest

from frontend_agent.answers import HL7_V2, HL7_V3, LARGEST, REST, compile_patterns, problems
from frontend_agent.config_answers import AnswerConfig
from frontend_agent.errors import ConfigurationError
from frontend_agent.model import Outcome

OURS = AnswerConfig(
    success=("status 2xx and json $.code = 0|200",),
    failure=("status 2xx and json $.code = [1-9]\\d{3}", "status 400|422"),
    retry=("json $.code = 9",),
    reason=("json $.message", "json $.errors[*].text"),
)


def read(body: bytes, status: int = 200, config: AnswerConfig = OURS, charset: str = "") -> tuple[object, ...]:
    told = compile_patterns(config, REST).read(status, body, charset)
    return told.outcome, told.reasons


@pytest.mark.parametrize(
    ("body", "status", "outcome"),
    [
        (b'{"code": 0}', 200, Outcome.ACCEPTED),
        (b'{"code": "200"}', 201, Outcome.ACCEPTED),
        (b'{"code": 0}', 500, None),
        (b'{"code": 1001, "message": "no such patient"}', 200, Outcome.REFUSED),
        (b'{"code": 9}', 200, Outcome.RETRY),
        (b"", 503, None),
        (b"<html>200 OK, success</html>", 200, None),
        (b'{"code": null}', 200, None),
        (b'{"code": {"code": 0}}', 200, None),
        (b'[{"code": 0}]', 200, None),
        (b"", 200, None),
        (b'{"code": 0, "code": 1001}', 200, None),  # whoever says one name twice has said nothing
    ],
)
def test_what_an_answer_means_is_what_stands_in_it(body: bytes, status: int, outcome: Outcome | None) -> None:
    assert read(body, status)[0] is outcome


def test_a_refusal_inside_a_friendly_answer_is_a_refusal_with_all_its_reasons() -> None:
    body = {"success": True, "code": 1002, "message": "身份证号不合法", "errors": [{"text": "a"}, {"text": "b"}]}
    assert read(json.dumps(body).encode()) == (Outcome.REFUSED, ("身份证号不合法", "a", "b"))


def test_what_means_both_is_a_refusal() -> None:
    both = AnswerConfig(success=("json $.ok = true",), failure=("json $.errors[0] = .+",))
    assert read(b'{"ok": true, "errors": ["x"]}', config=both)[0] is Outcome.REFUSED


def test_what_matches_nothing_is_described_and_not_quoted() -> None:
    outcome, reasons = read('{"result": "患者张三"}'.encode())
    assert outcome is None
    assert "张三" not in str(reasons)
    assert "bytes of JSON" in str(reasons)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("AA", Outcome.ACCEPTED),
        ("CA", Outcome.ACCEPTED),
        ("AE", Outcome.REFUSED),
        ("AR", Outcome.REFUSED),
        ("XX", None),
    ],
)
def test_hl7_answers(code: str, outcome: Outcome | None) -> None:
    v2 = f"\x0bMSH|^~\\&|A|B|C|D|20260930||ACK|1|P|2.5\rMSA|{code}|77|told\rERR|||207|E||||patient unknown\r\x1c\r"
    told = compile_patterns(AnswerConfig(), HL7_V2).read(0, v2.encode())
    assert told.outcome is outcome
    if outcome is Outcome.REFUSED:
        assert told.reasons == ("patient unknown", "told")
    v3 = (
        f'<MCCI_IN000002UV01 xmlns="urn:hl7-org:v3"><acknowledgement typeCode="{code}"><acknowledgementDetail>'
        '<text value="机构未注册"/></acknowledgementDetail></acknowledgement></MCCI_IN000002UV01>'
    )
    told = compile_patterns(AnswerConfig(), HL7_V3).read(0, v3.encode())
    assert told.outcome is outcome
    if outcome is Outcome.REFUSED:
        assert told.reasons == ("机构未注册",)


def test_text_and_its_reason() -> None:
    config = AnswerConfig(success=("text ^OK",), failure=("text 失败",), reason=("text 失败[:：](.*)",))
    assert read(b"OK 12", config=config)[0] is Outcome.ACCEPTED
    assert read("上传失败：无此患者".encode(), config=config) == (Outcome.REFUSED, ("无此患者",))


@pytest.mark.parametrize("charset", ["gb2312", "GBK", "gb18030"])
def test_answers_in_another_code_page(charset: str) -> None:
    body = '{"code": 1001, "message": "机构编码不存在"}'.encode("gbk")
    assert read(body, charset=charset) == (Outcome.REFUSED, ("机构编码不存在",))
    assert read(body)[0] is None  # nobody said so, and it is no UTF-8: not guessed
    assert read(body, charset="no-such-code-page")[0] is None
    declared = f'<?xml version="1.0" encoding="{charset}"?><r><code>1</code><msg>机构</msg></r>'.encode("gbk")
    config = AnswerConfig(failure=("xml //code = 1",), reason=("xml //msg",))
    assert read(declared, config=config) == (Outcome.REFUSED, ("机构",))


BOMB = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "AA"><!ENTITY b "&a;&a;">]><r code="&b;">&b;</r>'
HOSTILE = {
    "doctype": BOMB,
    "entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><r code="0">&e;</r>',
    "deep xml": b"<a>" * 100_000,
    "deep json": b"[" * 100_000,
    "not a number": b'{"code": NaN}',
    "many nodes": b"<r>" + b"<code>0</code>" * 40_000 + b"</r>",
    "one hundred megabytes": b'{"code": 0, "x": "' + b"x" * (100 << 20) + b'"}',
    "half a character": b'{"code": "\xd0"}',
    "null bytes": b"\0" * 1_000,
    "utf-16": '{"code": 0}'.encode("utf-16"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_no_answers_and_cost_little(name: str) -> None:
    config = AnswerConfig(
        success=("json $.code = 0", "xml //code = 0", "xml //r/@code = .*"), reason=("xml //r", "text .*")
    )
    began = time.process_time()
    told = compile_patterns(config).read(200, HOSTILE[name])
    assert time.process_time() - began < 5
    assert told.outcome is None
    assert all(len(reason) <= 300 and "\n" not in reason for reason in told.reasons)
    assert len(told.reasons) <= 21


def test_what_is_too_long_is_not_read() -> None:
    assert read(b'{"code": 0' + b" " * LARGEST + b"}")[0] is None


def test_usual_patterns_hold_where_a_site_says_nothing_else() -> None:
    own = AnswerConfig(success=("hl7 MSA-1 = AA",))
    patterns = compile_patterns(own, HL7_V2)
    ca = b"MSH|^~\\&|A|B|C|D|20260930||ACK|1|P|2.5\rMSA|CA|77\r"
    assert patterns.read(0, ca).outcome is None
    assert patterns.read(0, ca.replace(b"|CA|", b"|AE|")).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("key", "pattern", "said"),
    [
        ("success", "code = 0", "is no pattern"),
        ("success", "status abc", "a status is like"),
        ("failure", "json $..code = 0", "not understood"),
        ("failure", "text (", "not a regular expression"),
        ("retry", "hl7 msa = AA", "msa"),
        ("reason", "status 200", "a status is no reason"),
    ],
)
def test_a_mistake_names_the_pattern_and_the_mend(key: str, pattern: str, said: str) -> None:
    config = AnswerConfig(**{key: (pattern,)})
    (problem,) = problems(config)
    assert problem.startswith(f"{key}: ")
    assert said in problem
    with pytest.raises(ConfigurationError, match=key):
        compile_patterns(config)


def test_a_code_page_that_nobody_knows_is_told() -> None:
    assert list(problems(AnswerConfig(charset="gb-1234"))) == [
        "charset 'gb-1234': there is no such code page (UTF-8, GB18030, …)"
    ]
