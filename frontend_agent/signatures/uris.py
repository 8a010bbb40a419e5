"""What XML-DSig and XAdES call their algorithms and places."""

C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
C14N_11 = "http://www.w3.org/2006/12/xml-c14n11"
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
SIGNED_PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
