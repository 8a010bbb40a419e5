"""Alarms by webhook: one POST, signed, to an address of the hospital's or to the robot of 钉钉 or 企业微信.

json       {"institution", "name", "key", "alarms": [...]}; X-Frontend-Agent-Signature: t=SECONDS,sha256=HEX, which is
           HMAC-SHA-256 over "SECONDS." and the body with the secret; X-Frontend-Agent-Key is the same when told again
dingtalk   text; with a secret `timestamp` and `sign` in the address (自定义机器人 加签)
wecom      text; its key is in the address
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus

import msgspec
import requests

from connectors.alarm_mail import NotTold
from frontend_agent.config_alarms import WebhookConfig

JSON = "application/json"
LARGEST_ANSWER = 1 << 16


def post_json(options: WebhookConfig, secret: str, message: Mapping[str, Any], key: str, now: datetime) -> None:
    """Our own form. NotTold unless the answer is a 2xx."""
    body = msgspec.json.encode(message)
    headers = {"Content-Type": JSON, "X-Frontend-Agent-Key": key}
    if secret:
        headers["X-Frontend-Agent-Signature"] = signature(secret, body, int(now.timestamp()))
    _post(options, options.url, body, headers)


def post_text(options: WebhookConfig, secret: str, text: str, now: datetime) -> None:
    """To a robot of 钉钉 or 企业微信, which answer 200 to everything: `errcode` says whether it was taken."""
    body = msgspec.json.encode({"msgtype": "text", "text": {"content": text}})
    url = options.url
    if options.form == "dingtalk" and secret:
        url += ("&" if "?" in url else "?") + dingtalk_sign(secret, int(now.timestamp() * 1000))
    answer = _post(options, url, body, {"Content-Type": JSON})
    try:
        told: Any = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotTold(f"{_host(options)}: its answer is not JSON") from None
    if not isinstance(told, dict) or told.get("errcode") != 0:
        said = f"errcode {told.get('errcode')}: {told.get('errmsg', '')}" if isinstance(told, dict) else "no errcode"
        raise NotTold(f"{_host(options)}: {' '.join(said.split())[:200]}")


def signature(secret: str, body: bytes, seconds: int) -> str:
    """What a receiver makes anew and compares; one that is minutes old is to be refused."""
    return f"t={seconds},sha256={hmac.new(secret.encode(), f'{seconds}.'.encode() + body, sha256).hexdigest()}"


def dingtalk_sign(secret: str, milliseconds: int) -> str:
    """`timestamp=…&sign=…`: HMAC-SHA-256 over the time and the secret, in base64."""
    digest = hmac.new(secret.encode(), f"{milliseconds}\n{secret}".encode(), sha256).digest()
    return f"timestamp={milliseconds}&sign={quote_plus(base64.b64encode(digest))}"


def _post(options: WebhookConfig, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The answer's body. Errors never quote the address: a robot's key is in it."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.post(
                url, data=body, headers={**headers, "Accept-Encoding": "identity"}, allow_redirects=False, stream=True,
                timeout=options.timeout.total_seconds(), verify=options.ca or True,
            )  # fmt: skip
            content = answer.raw.read(LARGEST_ANSWER)
        except requests.exceptions.SSLError:
            raise NotTold(f"{_host(options)}: its certificate is not vouched for; name who signed it: ca") from None
        except requests.exceptions.Timeout:
            raise NotTold(f"{_host(options)}: no answer in {options.timeout.total_seconds():g} s") from None
        except requests.exceptions.RequestException as error:
            raise NotTold(f"{_host(options)}: cannot be reached ({type(error).__name__})") from None
    if not 200 <= answer.status_code < 300:
        raise NotTold(f"{_host(options)}: answered {answer.status_code}")
    return bytes(content)


def _host(options: WebhookConfig) -> str:
    return options.url.split("/")[2]
