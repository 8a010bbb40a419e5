"""Signatures over documents: XML-DSig enveloped in the document, XAdES-BES. Pure: values in, values out.

    sealed  = signed(document, key, now)            writing.py: the bytes of the document with one signature in them
    verdict = verified(sealed, trust, now)          verifying.py: who signed it, or all that stands against it

What a signature is made with is a suite (suites.py): RSA or ECDSA with SHA-2, or SM2 with SM3. Whom a signature is believed
of is a trust (certificates.py): anchors, certificates between, lists of revoked ones.
"""

from frontend_agent.signatures.certificates import Certificate, Trust, certificates_in
from frontend_agent.signatures.verifying import Verdict, verified
from frontend_agent.signatures.writing import SigningKey, signed

__all__ = ["Certificate", "SigningKey", "Trust", "Verdict", "certificates_in", "signed", "verified"]
