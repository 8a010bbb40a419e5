"""With what each hash that is sent was made. Pure.

A hash that is stored or sent names its algorithm (decision 0052): in the name of its field or column (`sha256`,
`certificate_sha256`), else by a word before the value (`sm3:…`), else here and, for what is stored, in the table
`hash_algorithm` beside it. A value without a word in a place that is listed was made with what the list says, for ever:
a change of algorithm is a word before the value, so what was written before it keeps its meaning.
"""

SHA256 = "SHA-256"
FIRST_16 = "SHA-256, first 16 digits"

# module.Struct.field -> algorithm
SENT = {
    "greeting.Hello.packs": FIRST_16,
    "greeting.Welcome.packs": FIRST_16,
    "joining.Authorities.digest": SHA256,
    "parcel.Entry.dictionary": SHA256,
    "parcel.Entry.source_hash": SHA256,
    "parcel.Index.packs": FIRST_16,
    "parcel.LogHead.hash": SHA256,
    "receipts.Statement.packs": FIRST_16,
    "receipts.Statement.root": SHA256,  # of the tree of RFC 6962
    "receipts._Proof.path": SHA256,
    "reconciliation.Count.digest": "sum of SHA-256 modulo 2^256",
}


def algorithm_of(value: str, usual: str = SHA256) -> str:
    """What a value says of itself, or what its place says: `sm3:9f…` is SM3."""
    word, colon, _ = value.partition(":")
    known = {"sha256": SHA256, "sm3": "SM3", "sha384": "SHA-384", "sha512": "SHA-512"}
    if not colon:
        return usual
    if word not in known:
        raise ValueError(f"a hash of an algorithm that is not known here: {word[:20]!r}")
    return known[word]
