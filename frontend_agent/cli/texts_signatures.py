"""What the command line says about signatures: (English, 简体中文). See `texts.py`."""

SIGNATURE_TEXTS: dict[str, tuple[str, str]] = {
    "verify": (
        "Who signed these documents, and whether they are as they were signed. Exit 1 when one of them is not validly signed.\n\n"
        "Example: frontend-agent verify referral.xml --anchor region-root.pem",
        "验证文书的电子签名：谁签的、签名后有无改动。任一文书签名无效或未签名时退出码为 1。\n\n"
        "示例：frontend-agent verify referral.xml --anchor region-root.pem",
    ),
    "verify.files": ("Documents, as files.", "文书文件。"),
    "verify.anchor": (
        "Certificate of an authority that is believed (default: [signing.trust] of agent.toml). May be repeated.",
        "受信任的根证书（默认取自 agent.toml 的 [signing.trust]），可多次给出。",
    ),
    "verify.between": ("Certificates of authorities between. May be repeated.", "中间 CA 证书，可多次给出。"),
    "verify.revoked": ("List of revoked certificates (CRL). May be repeated.", "证书吊销列表（CRL），可多次给出。"),
    "verify.at": (
        "As of this moment (default: now), like 2026-09-30T08:00:00+08:00.",
        "以该时刻为准（默认现在），如 2026-09-30T08:00:00+08:00。",
    ),
    "platform.signatures": (
        "What was found of the documents' signatures when they arrived, the newest first.\n\n"
        "Example: frontend-agent platform signatures --only invalid",
        "文书到达时的签名验证结论，最新者在前。\n\n示例：frontend-agent platform signatures --only invalid",
    ),
    "platform.signatures.state": ("Only these: valid, invalid or unsigned.", "只列出：valid、invalid 或 unsigned。"),
    "platform.signatures_file": (
        "What is asked of signatures: a TOML with the policy of each hospital and whose certificates are believed.",
        "签名策略文件（TOML）：各机构的要求与受信任的证书。",
    ),
    "head.signature": ("signature", "签名"),
    "head.signer": ("signer", "签名者"),
    "said.signature.valid": ("validly signed", "签名有效"),
    "said.signature.invalid": ("the signature is NOT valid", "签名无效"),
    "said.signature.unsigned": ("not signed", "未签名"),
    "said.signer": ("{signer} ({organization}), {when}, {suite}", "{signer}（{organization}），{when}，{suite}"),
    "said.signature.note": ("note: {note}", "说明：{note}"),
}
