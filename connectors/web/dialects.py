"""Ready-made ways to speak SOAP: what a site's own settings are laid over. Adding a sender is settings, not code."""

from connectors.web.soap import SoapOptions

# A private envelope inside HIPMessageServer: <Request><Header><SourceSystem/><MessageID/></Header><Body>…</Body></Request>
_PRIVATE_ANSWER = (
    "<Response><Header><MessageID>$id</MessageID></Header>"
    "<Body><ResultCode>$code</ResultCode><ResultContent>$text</ResultContent></Body></Response>"
)
_SIMPLE_ANSWER = "<Response><code>$code</code><message>$text</message></Response>"

DIALECTS: dict[str, SoapOptions] = {
    # WS/T 846 and those before it: HIPMessageServer(action, message), answered by MCCI_IN000002UV01
    "national": SoapOptions(),
    # the same with a token: HIPMessageServer2016Ext(action, message, token)
    "national-token": SoapOptions(operations=("HIPMessageServer2016Ext",), token_parameter="token"),  # noqa: S106  a name
    # the interaction itself is the body's element, and so is its answer
    "national-document": SoapOptions(operations=(), document=True),
    # the same operation with a vendor's own envelope as the message
    "private": SoapOptions(
        namespace="http://www.dhcc.com.cn",
        ids=("/Request/Header/MessageID",),
        sources=("/Request/Header/SourceSystem",),
        answer=_PRIVATE_ANSWER,
    ),
    # any operation with one string, as .NET (asmx) names it: <Push xmlns="http://tempuri.org/"><xml>…</xml></Push>
    "one-string": SoapOptions(
        service="PushService",
        namespace="http://tempuri.org/",
        operations=(),
        action_parameter="",
        message_parameter="",
        answer=_SIMPLE_ANSWER,
    ),
    # the same as JAX-WS (CXF, Axis2) names it: <ns:push><arg0>…</arg0></ns:push>
    "one-string-jaxws": SoapOptions(
        service="PushService",
        namespace="http://service.ws/",
        operations=(),
        action_parameter="",
        message_parameter="",
        result="return",
        qualified=False,
        answer=_SIMPLE_ANSWER,
    ),
    # any document as the body's element
    "document": SoapOptions(operations=(), document=True, answer=_SIMPLE_ANSWER),
}
