"""The reasons and notes of a verdict in Chinese. They are kept and sent in English; who reads a page or a screen is told in his own.

A test translates every reason that any test of signatures meets.
"""

import re
from collections.abc import Mapping

# The whole of a reason -> what it says in Chinese; {a} and {b} are what it names.
_CHINESE: tuple[tuple[str, str], ...] = (
    (r"the document was changed after it was signed", "文书在签名后被改动"),
    (
        r"what is said of the signature \(SignedProperties\): was changed after it was signed",
        "签名属性（SignedProperties）在签名后被改动",
    ),
    (r"KeyInfo: was changed after it was signed", "密钥信息（KeyInfo）在签名后被改动"),
    (r"the signature does not hold: .*", "签名值不成立：签名信息被改动，或并非该证书持有人所签"),
    (r"signer unknown: no trusted authority stands behind (?P<a>.+)", "签名者未知：{a} 之上没有受信任的根证书"),
    (r"(?P<a>.+) may not sign for this hospital", "{a} 无权代表该机构签名"),
    (r"certificate revoked since (?P<b>[\d-]+): (?P<a>.+)", "证书已于 {b} 吊销：{a}"),
    (r"certificate expired \((?P<b>[\d-]+)\): (?P<a>.+)", "证书已于 {b} 过期：{a}"),
    (r"signed after the certificate of (?P<a>.+) had expired \((?P<b>[\d-]+)\)", "签名时 {a} 的证书已过期（{b}）"),
    (
        r"signed before the certificate of (?P<a>.+) was valid \((?P<b>[\d-]+)\); .*",
        "签名时 {a} 的证书尚未生效（{b}）；请检查签名方的时钟",
    ),
    (r"signed in the future: .*", "签名时间在未来：请检查签名方的时钟"),
    (r"the certificate is not for signatures .*", "该证书的用途不含签名（keyUsage）"),
    (r"the certificate is a server's .*", "该证书是服务器证书，不能用于签署文书"),
    (r"the certificate is an authority's, .*", "该证书是 CA 证书，不能用于签署文书"),
    (
        r"the certificate has a critical extension that is not understood here \((?P<a>.+)\)",
        "证书含有无法识别的关键扩展（{a}）",
    ),
    (r"(?P<a>.+) is no authority \(basicConstraints\), .*", "{a} 不是 CA，却签发了证书"),
    (
        r"(?P<a>.+) may not stand so far above a signer \(pathLen (?P<b>\d+)\)",
        "{a} 之下的证书层级超过允许值（pathLen {b}）",
    ),
    (r"(?P<a>.+) may not issue certificates \(keyUsage\)", "{a} 无权签发证书（keyUsage）"),
    (r"the certificate of (?P<a>.+) was signed with (?P<b>\w+), which is broken", "{a} 的证书以不安全的算法 {b} 签发"),
    (r"the key of (?P<a>.+) is too short \((?P<b>.+)\)", "{a} 的密钥过短（{b}）"),
    (r"(?P<a>\d+) signatures in one document: .*", "文书内有 {a} 个签名，无法判定以哪个为准"),
    (r"the signature stands in (?P<a>.+), not directly in the document", "签名位于 {a} 之内，而不是直接位于文书之下"),
    (r"the signature is the document itself: .*", "签名本身成了文书，所签内容在其内部"),
    (r"the signature does not begin with .*", "签名的结构不符：应依次为 SignedInfo、SignatureValue、KeyInfo"),
    (r"the signature holds more than .*", "签名内含有不应有的内容"),
    (r"the signature brings an Object of its own: .*", "签名自带内容（Object），并非本文书的内容"),
    (r"an Id that the signature refers to stands there twice", "签名所引用的 Id 重复出现"),
    (r"(?P<a>\w+) stands there (?P<b>\d+) times", "{a} 出现了 {b} 次"),
    (r"SignedInfo holds elements that do not belong there", "SignedInfo 含有不应有的元素"),
    (r"canonicalization (?P<a>.*) is not one that is taken", "不接受规范化方法 {a}"),
    (r"digest algorithm (?P<a>.*) is not one that is taken", "不接受摘要算法 {a}"),
    (r"signature algorithm (?P<a>.*) is not one that is taken", "不接受签名算法 {a}"),
    (r"transform (?P<a>.*) is not one that is taken", "不接受变换 {a}"),
    (
        r"signature algorithm (?P<a>.*) does not go with the certificate's key \((?P<b>.+)\)",
        "签名算法 {a} 与证书的密钥（{b}）不符",
    ),
    (r"a reference is not made of .*", "引用（Reference）的结构不符"),
    (r"transform (?P<a>.*) brings a program of its own", "变换 {a} 自带程序，不予执行"),
    (r"a reference does not say what it refers to \(no URI\)", "引用没有指明对象（无 URI）"),
    (r"a reference names something outside of the document, .*", "引用指向文书之外的内容，不予读取"),
    (
        r"(?P<a>\d+) references to content and (?P<b>\d+) to SignedProperties: .*",
        "有 {a} 处内容引用、{b} 处属性引用；须恰有一处引用整份文书",
    ),
    (r"a reference to a part of the signature has more than one transform", "对签名自身的引用含有多个变换"),
    (r"SignedProperties stand there, and the signature does not cover them", "签名属性未被签名覆盖"),
    (
        r"the SignedProperties that the signature covers are not its own, .*",
        "签名所覆盖的签名属性不是它自己的，或不止一处",
    ),
    (r"the qualifying properties speak of another signature \(Target\)", "签名属性指向另一个签名（Target）"),
    (r"the reference to SignedProperties names another element", "对签名属性的引用指向另一个元素"),
    (r"the signature brings no certificate \(KeyInfo/X509Data\): .*", "签名没有附带证书，仅有公钥不能说明是谁所签"),
    (r"(?P<a>\d+) certificates: more than (?P<b>\d+)", "附带 {a} 张证书，超过 {b} 张"),
    (r"KeyInfo: not an X\.509 certificate", "KeyInfo 中的证书不是 X.509 证书"),
    (
        r"the certificate in KeyInfo is not the one that was signed with \(SigningCertificate\)",
        "KeyInfo 中的证书不是签名所用的证书",
    ),
    (r"SignedProperties do not say which certificate was signed with", "签名属性没有说明所用的证书"),
    (r"SigningTime is missing, or no time", "缺少签名时间，或其格式不对"),
    (r"the signature covers a part of the document, not the whole", "签名只覆盖文书的一部分"),
    (
        r"transforms are not enveloped-signature and one canonicalization, but: (?P<a>.+)",
        "变换不是 enveloped-signature 加一次规范化，而是：{a}",
    ),
    (r"a value of the signature is not base64", "签名中的值不是 base64"),
    (r"a base64 value of enormous length", "签名中的值过长"),
    (r"not well-formed XML at line (?P<a>\d+), column (?P<b>\d+)", "不是合法的 XML（第 {a} 行第 {b} 列）"),
    (r"the document brings a DOCTYPE", "文书含有 DOCTYPE"),
    (r"comments, which no signature covers, .*", "前置机的文书中不应有注释：签名不覆盖注释"),
    (r"SM2 needs the extra 'sm' .*", "本机没有 SM2 算法库（安装扩展 sm）"),
    (r"whether it is revoked was not checked: no list of (?P<a>.+)", "未检查是否吊销：没有 {a} 的吊销列表"),
    (
        r"the list of revoked certificates of (?P<a>.+) is out of date since (?P<b>[\d-]+)",
        "{a} 的吊销列表已于 {b} 过期",
    ),
    (r"none, and this hospital's must be signed", "没有签名，而该机构的文书必须签名"),
    (r"the signature does not say when it was made \(no XAdES\)", "签名没有说明签署时间（不是 XAdES）"),
)
_RECEIPT = "signature: "  # how a platform's receipt begins what it has against a signature
_COMPILED = tuple((re.compile(pattern, re.DOTALL), chinese) for pattern, chinese in _CHINESE)


def in_chinese(reason: str) -> str:
    """The reason in Chinese; one that is not listed as it is."""
    for pattern, chinese in _COMPILED:
        if found := pattern.fullmatch(reason):
            return _filled(chinese, found.groupdict())
    return reason


def of_receipt(reason: str, language: str) -> str:
    """What a receipt gives as its reason, in the reader's language as far as it speaks of a signature; else as the platform wrote it."""
    if language != "zh" or not reason.startswith(_RECEIPT):
        return reason
    return f"签名：{in_chinese(reason.removeprefix(_RECEIPT))}"


def _filled(chinese: str, said: Mapping[str, str | None]) -> str:
    """With what the reason names. A name that looks like a place to fill is a name."""
    return re.sub(r"\{([ab])\}", lambda place: said.get(place[1]) or "", chinese)
