"""Packs: the same bytes every time, and nothing of one is used that is not signed, whole and meant for us."""

import base64
import io
import struct
import zipfile
from datetime import date
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from frontend_agent.checks import compile_checks
from frontend_agent.errors import ConfigurationError
from frontend_agent.formats import load_kind, value_set
from frontend_agent.formats.value_sets import versions
from frontend_agent.packs import Pack, PackRefused, build, compared, names, open_pack
from frontend_agent.packs.archive import GREATEST_RATIO, MOST_FILES, ordered
from frontend_agent.packs.content import Content, name_of, national_version, silenced

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
TRUSTED = {"gd": KEY.public_key().public_bytes_raw()}
TODAY = date(2026, 11, 21)
PROGRAM = "0.1.0"

SOURCE = """
name    = "gd"
version = "2026.2"
date    = 2026-11-01
until   = 2027-12-31
region  = "440000"
program = "0.1"
[profiles]
regional = "profiles/gd.toml"
[rules]
off = ["TEXT-HTML"]
"""
PROFILE = """
title   = { zh = "广东", en = "Guangdong" }
extends = "regional"
[common]
"patient.telephone" = { missing = "hold" }
"""
SEX = "code,name_zh,confidence,note\n1,男,project,\n2,女,project,\n9,未说明,project,\n"
INDEX = (
    "oid,id,name_zh,standard,version,from,to,file,complete,confidence,note\n"
    "2.16.156.10011.2.3.3.4,GB/T 2261.1,人的性别代码,GD 2026,2026,,,sex.csv,yes,project,\n"
)
FILES = {
    "pack.toml": SOURCE.encode(),
    "profiles/gd.toml": PROFILE.encode(),
    "value_sets/index.csv": INDEX.encode(),
    "value_sets/sex.csv": SEX.encode(),
    "data_classes.csv": b"kind,field,sharing,domain,basis,confidence\nC0004,amount,internal,insurance,x,project\n",
}


def made(files: dict[str, bytes] | None = None, key: Ed25519PrivateKey = KEY, **changed: str) -> bytes:
    files = dict(FILES if files is None else files)
    for name, value in changed.items():
        lines = [line for line in files["pack.toml"].decode().splitlines() if not line.startswith(f"{name} ")]
        files["pack.toml"] = "\n".join([f"{name} = {value}", *lines]).encode()
    return build(files, key)


def opened(body: bytes, today: date | None = TODAY) -> Pack:
    return open_pack(body, TRUSTED, today, PROGRAM)


def refused(body: bytes, today: date | None = TODAY) -> str:
    with pytest.raises(PackRefused) as caught:
        opened(body, today)
    return "; ".join(caught.value.problems)


# --- making and opening -----------------------------------------------------------------------------------------------


def test_a_pack_opens_as_it_was_made_and_is_made_the_same_every_time() -> None:
    body = made()
    pack = opened(body)
    assert (pack.id, pack.signer, pack.manifest.region) == ("gd-2026.2", "gd", "440000")
    assert set(pack.files) == set(FILES) - {"pack.toml"}
    assert body == made() == made(dict(reversed(FILES.items())))
    assert opened(made(date="2026-11-02")).digest != pack.digest


def test_what_its_author_got_wrong_is_told_when_it_is_built() -> None:
    with pytest.raises(PackRefused, match=r"no pack\.toml"):
        build({}, KEY)
    with pytest.raises(PackRefused, match="small letters"):
        made(name='"Guang Dong"')
    with pytest.raises(PackRefused, match="numbers with dots"):
        made(version='"newest"')
    with pytest.raises(PackRefused, match="unknown"):
        made({**FILES, "pack.toml": SOURCE.replace("[rules]", "[rules]\non = []").encode()})
    with pytest.raises(PackRefused, match="belongs to nothing"):
        made({**FILES, "setup.py": b"import os"})
    with pytest.raises(PackRefused, match=r"there is no profiles/gd\.toml"):
        made({path: body for path, body in FILES.items() if path != "profiles/gd.toml"})


# --- refusing (threats.md U1, C6) -------------------------------------------------------------------------------------


def test_a_pack_that_nobody_trusted_signed_is_refused() -> None:
    assert "not signed by a key" in refused(made(key=OTHER))
    with pytest.raises(PackRefused, match="name one in"):
        open_pack(made(), {}, TODAY, PROGRAM)


def test_every_bit_that_is_changed_is_found() -> None:
    """200 places, spread over the whole file: the directory, the manifest, the signature and every file."""
    body = made()
    whole = opened(body)
    for place in range(0, len(body), max(1, len(body) // 200)):
        changed = bytearray(body)
        changed[place] ^= 1 << (place % 8)
        try:
            # What ZIP itself does not read (a date, who made it) may change; what is read may not.
            assert opened(bytes(changed)) == whole, place
        except PackRefused:
            continue


def test_a_file_that_is_exchanged_added_or_left_out_is_found() -> None:
    def altered(exchange: dict[str, bytes | None]) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(made())) as old, zipfile.ZipFile(out, "w") as new:
            for name in [*old.namelist(), *(set(exchange) - set(old.namelist()))]:
                content = exchange.get(name, old.read(name) if name in old.namelist() else b"")
                if content is not None:
                    new.writestr(name, content)
        return out.getvalue()

    assert opened(altered({})).id == "gd-2026.2"
    assert "not what was signed" in refused(altered({"profiles/gd.toml": b"default = ''"}))
    assert "not in the manifest" in refused(altered({"profiles/more.toml": b"x"}))
    assert "not in the pack" in refused(altered({"profiles/gd.toml": None}))
    assert "no manifest.sig" in refused(altered({"manifest.sig": None}))
    manifest = msgspec.json.decode(zipfile.ZipFile(io.BytesIO(made())).read("manifest.json"))
    forged = msgspec.json.encode(manifest | {"version": "2026.3"}, order="sorted")
    assert "changed after signing" in refused(altered({"manifest.json": forged}))


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "/etc/passwd", "profiles/../../x.toml", "profiles\\..\\x", "C:/x", "profiles/a b.toml", "x" * 300,
     "profiles/./x", "profiles//x", "profiles/x\x00.toml", "文件.toml", ".hidden", "profiles/"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused_before_anything_is_unpacked(path: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("manifest.json", b"{}")
        archive.writestr("manifest.sig", b"")
        info = zipfile.ZipInfo("x")
        info.filename = path
        archive.writestr(info, b"" if path.endswith("/") else b"x")
    assert "path" in refused(out.getvalue())


def bomb(name: str, size: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"{}")
        archive.writestr("manifest.sig", b"")
        archive.writestr(name, b"\0" * size)
    return out.getvalue()


def test_bombs_are_refused_by_what_they_say_and_by_what_they_do() -> None:
    assert "expands to" in refused(bomb("profiles/a.toml", GREATEST_RATIO * 64 * 100))
    lying = bytearray(bomb("profiles/a.toml", 1 << 20))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = lying.rfind(signature)
        struct.pack_into("<I", lying, place + offset, 100)  # it says 100 bytes
    assert refused(bytes(lying))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(MOST_FILES + 1):
            archive.writestr(f"codes/{number}", b"")
    assert "files" in refused(out.getvalue())
    assert "more than" in refused(b"PK" + b"\0" * (17 << 20))


def test_links_twins_and_ciphers_are_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("manifest.json", b"{}")
        archive.writestr("manifest.sig", b"")
        link = zipfile.ZipInfo("profiles/link.toml")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, b"/etc/passwd")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("manifest.sig", b"again")
    said = refused(out.getvalue())
    assert "no plain file" in said
    assert "there twice" in said
    locked = bytearray(made())
    struct.pack_into("<H", locked, locked.find(b"PK\x01\x02") + 8, 1)
    assert "encrypted" in refused(bytes(locked))


@pytest.mark.parametrize("body", [b"", b"PK", b"not a zip at all", made()[:-30], made()[:200]])
def test_what_is_no_pack_is_said_to_be_none(body: bytes) -> None:
    assert "no pack" in refused(body)


def test_a_pack_of_another_time_or_program_is_refused_with_the_reason() -> None:
    assert "valid until 2027-12-31" in refused(made(), date(2028, 1, 1))
    assert opened(made(), None).expired(date(2028, 1, 1))
    assert "which is not yet" in refused(made(), date(2026, 10, 1))
    assert "needs version 9.0" in refused(made(program='"9.0"'))
    with pytest.raises(PackRefused, match="extends"):
        made(extends='"another"')
    assert ordered("2026.10") > ordered("2026.9")


# --- what takes effect ------------------------------------------------------------------------------------------------


def test_the_packs_profile_judges_the_feeds_that_name_it() -> None:
    content, plain = Content(opened(made())), Content(None)
    kind = load_kind("C0007")
    of_pack, of_nation = content.profile("regional"), plain.profile("regional")
    assert of_pack.for_kind(kind).elements["patient.telephone"].missing == "hold"
    assert of_nation.for_kind(kind).elements["patient.telephone"].missing != "hold"
    assert content.profile("national") is not of_pack
    assert content.profile("national").digest == plain.profile("national").digest


def test_the_packs_value_sets_stand_in_while_its_kinds_are_compiled_and_not_after() -> None:
    content = Content(opened(made()))
    with content.compiling():
        assert [entry.name for entry in value_set("GB/T 2261.1")] == ["男", "女", "未说明"]
        kind = content.kind("C0007")
        check = compile_checks(kind, content.profile("regional"), TODAY)
    assert versions("GB/T 2261.1")[-1].standard != "GD 2026"
    nation = load_kind("C0007")
    assert kind is not nation
    record = {"patient.sex": "0"}
    plain = compile_checks(nation, Content(None).profile("regional"), TODAY)
    assert "DE-CODE" in {one.rule for one in check(record) if one.field == "patient.sex"}
    assert "DE-CODE" not in {one.rule for one in plain(record) if one.field == "patient.sex"}


def test_a_rule_that_is_off_says_nothing() -> None:
    kind = load_kind("C0007")
    profile = Content(None).profile("regional")
    record = {"patient.name": "<b>张示例</b>"}
    check = compile_checks(kind, profile, TODAY)
    assert "TEXT-HTML" in {one.rule for one in check(record, {}, ())}
    off = Content(opened(made())).off
    assert "TEXT-HTML" not in {one.rule for one in silenced(off, check)(record, {}, ())}
    assert silenced(frozenset(), check) is check


def test_a_template_of_the_pack_makes_its_documents() -> None:
    root = Path(__file__).parents[2] / "cda_templates"
    template = (root / "C0007.xml").read_text(encoding="utf-8").replace("</title>", "单</title>", 1)
    content = Content(opened(made({**FILES, "templates/C0007.xml": template.encode()})))
    assert not list(content.problems())
    assert content.kind("C0007").digest != load_kind("C0007").digest


def test_a_mapping_may_name_a_code_map_of_the_pack() -> None:
    from frontend_agent.mapping_file import parse_mapping

    texts = {
        "m/x.toml": 'kind = "C0007"\nkey = "k"\n[queries]\nchanged = "c.sql"\nparent = "p.sql"\n'
        '[codes]\n"patient.sex" = "pack:sex"\n',
        "m/c.sql": 'SELECT a AS "cursor", k AS "key" FROM t',
        "m/p.sql": 'SELECT k AS "k", s AS "patient.sex" FROM t',
    }
    codes = 'value_set = "GB/T 2261.1"\n[map]\n"M" = "1"\n'
    content = Content(opened(made({**FILES, "codes/sex.toml": codes.encode()})))
    mapping = parse_mapping("m/x", "m/x.toml", "", texts.__getitem__, content.read)
    assert mapping.codes["patient.sex"].standard("M") == "1"
    with pytest.raises(ConfigurationError, match=r"has no codes/sex\.toml"):
        parse_mapping("m/x", "m/x.toml", "", texts.__getitem__)


def test_what_a_pack_has_and_this_program_cannot_use_is_told_to_the_end() -> None:
    source = SOURCE.replace('"TEXT-HTML"', '"TEXT-HTLM", "NO-SUCH"')
    profile = PROFILE + '[C0007]\n"no.such" = { missing = "hold" }\n'
    content = Content(opened(made({**FILES, "pack.toml": source.encode(), "profiles/gd.toml": profile.encode()})))
    said = list(content.problems())
    assert any("TEXT-HTLM" in one and "TEXT-HTML" in one for one in said)
    assert any("no.such" in one for one in said)
    assert list(Content(opened(made({**FILES, "templates/C0007.xml": b"<not-a-template/>"}))).problems())


def test_the_national_pack_has_a_version_and_a_digest() -> None:
    version, digest = national_version()
    assert version.isdigit()
    assert name_of(None) == (f"national-{version}", digest)
    pack = opened(made())
    assert name_of(pack) == ("gd-2026.2", pack.digest)


# --- two sides --------------------------------------------------------------------------------------------------------


def test_skew_is_where_both_name_a_thing_and_differ() -> None:
    ours = names("gd-2026.2", "aa" * 32, "11" * 32, {"regional": "22" * 32}, {"C0007": "33" * 32})
    assert compared(ours, ours) == []
    theirs = ours | {"pack": "gd-2026.1 bb", "kind:C0007": "44", "kind:C0099": "55"}
    assert [(one.what, one.theirs) for one in compared(ours, theirs)] == [
        ("kind:C0007", "44"),
        ("pack", "gd-2026.1 bb"),
    ]
    assert compared(ours, {}) == []


def test_a_key_is_32_bytes_of_base64() -> None:
    from frontend_agent.config import ConfigurationProblems, parse_config

    text = (Path(__file__).parents[2] / "agent.toml").read_text(encoding="utf-8")
    good = base64.b64encode(TRUSTED["gd"]).decode()
    assert parse_config(f'{text}\n[[packs.trust]]\nname = "gd"\nkey = "{good}"\n').packs.trust[0].name == "gd"
    with pytest.raises(ConfigurationProblems, match="not a public key"):
        parse_config(f'{text}\n[[packs.trust]]\nname = "gd"\nkey = "abc"\n')
