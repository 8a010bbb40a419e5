"""Tokens, enrolments, certificates and authorities as the platform keeps them (threats C1, C3, C9)."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from frontend_agent.certificates import (
    CertificateRefused,
    certificates_in,
    chain_problem,
    institutions_of,
    key_fingerprint,
    pem_of,
    read_token,
    request_of,
    token_text,
)
from frontend_agent.errors import ConfigurationError, StateError
from frontend_agent.platform.joining.authority import Authority, client_certificate, make_issuer, make_root
from frontend_agent.platform.joining.registry import JoiningRefused, Registry
from frontend_agent.wire.joining import Enrolled, EnrolmentAsked

A, B = "470000001", "470000002"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **more: float) -> None:
        self.now += timedelta(**more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path, clock: Clock) -> Iterator[Registry]:
    with Registry(tmp_path, clock).make() as found:
        found.add_authority(authority(clock.now), "current")
        yield found


def authority(now: datetime, name: str = "Region") -> Authority:
    root, key = make_root(name, now)
    return make_issuer(name, root, key, now)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def asked(token: str, key: ec.EllipticCurvePrivateKey | None = None, institution: str = "") -> EnrolmentAsked:
    return EnrolmentAsked(
        token=token, request=request_of(key or new_key()).decode(), institution=institution, machine="gate-1"
    )


def joined(registry: Registry, institution: str = A, key: ec.EllipticCurvePrivateKey | None = None) -> x509.Certificate:
    token = registry.make_token([institution], timedelta(hours=24)).secret
    return certificates_in(registry.enrol(asked(token, key), "10.0.0.9").certificate.encode())[0]


def sha(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def refusal(registry: Registry, question: EnrolmentAsked, address: str = "10.0.0.9") -> JoiningRefused:
    with pytest.raises(JoiningRefused) as told:
        registry.enrol(question, address)
    return told.value


def test_a_token_gives_one_certificate_of_its_institution_alone(registry: Registry, clock: Clock) -> None:
    key = new_key()
    one = joined(registry, A, key)

    assert institutions_of(one) == (A,)
    assert key_fingerprint(one.public_key()) == key_fingerprint(key.public_key())
    kept = registry.current().certificates()
    assert not chain_problem(one, kept.issuers, [kept.root])
    assert registry.standing(sha(one)).institutions == {A}
    assert one.not_valid_after_utc - clock.now == timedelta(days=90)


def test_names_in_a_request_are_ignored(registry: Registry) -> None:
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, B)])
    alternative = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:frontend-agent:institution:{B}")])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    token = registry.make_token([A], timedelta(hours=1)).secret
    question = EnrolmentAsked(token=token, request=_pem(request))

    one = certificates_in(registry.enrol(question, "").certificate.encode())[0]

    assert institutions_of(one) == (A,)
    assert one.subject.rfc4514_string() == f"CN={A}"
    assert not one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_lost_answer_is_given_again_and_another_key_never(registry: Registry) -> None:
    token, key = registry.make_token([A], timedelta(hours=24)).secret, new_key()
    first = registry.enrol(asked(token, key), "")

    assert registry.enrol(asked(token, key), "").certificate == first.certificate
    for number in range(100):
        again = refusal(registry, asked(token), f"10.0.{number}.1")
        assert (again.status, again.error) == (403, "token")
    assert len(registry.certificates()) == 1


def test_of_two_machines_with_one_token_at_the_same_moment_one_is_let_in(registry: Registry) -> None:
    token = registry.make_token([A], timedelta(hours=24)).secret
    given: list[Enrolled] = []
    refused: list[str] = []

    def tries(number: int) -> None:
        try:
            given.append(registry.enrol(asked(token), f"10.0.0.{number}"))
        except JoiningRefused as told:
            refused.append(told.error)

    threads = [threading.Thread(target=tries, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(given) == 1
    assert refused == ["token"] * 7


def test_a_token_is_kept_as_its_hash_and_has_an_end(registry: Registry, clock: Clock) -> None:
    token = registry.make_token([A], timedelta(hours=24)).secret
    for file in registry.folder.iterdir():
        assert token.encode() not in file.read_bytes(), file.name

    clock.passes(hours=25)
    late = refusal(registry, asked(token))

    assert late.status == 403
    assert "expired" in late.detail


def test_withdrawn_tokens_open_nothing(registry: Registry) -> None:
    token = registry.make_token([A, B], timedelta(hours=24)).secret

    assert registry.withdraw_tokens(B) == 1
    assert "withdrawn" in refusal(registry, asked(token)).detail


def test_an_institution_typed_wrongly_is_told_and_the_token_stays_good(registry: Registry) -> None:
    token = registry.make_token([A], timedelta(hours=24)).secret

    wrong = refusal(registry, asked(token, institution=B))

    assert (wrong.status, wrong.error) == (409, "institution")
    assert A in wrong.detail
    assert B in wrong.detail
    assert registry.enrol(asked(token, institution=A), "").certificate


def test_ten_wrong_tokens_and_the_address_waits(registry: Registry, clock: Clock) -> None:
    for _ in range(10):
        assert refusal(registry, asked("x" * 43), "10.9.9.9").status == 403

    good = registry.make_token([A], timedelta(hours=24)).secret
    assert refusal(registry, asked(good), "10.9.9.9").status == 429
    assert registry.enrol(asked(registry.make_token([B], timedelta(hours=1)).secret), "10.9.9.8").certificate

    clock.passes(minutes=16)
    assert registry.enrol(asked(good), "10.9.9.9").certificate


def test_weak_keys_are_not_certified(registry: Registry) -> None:
    token = registry.make_token([A], timedelta(hours=24)).secret
    short = rsa.generate_private_key(65537, 1024)
    weak = EnrolmentAsked(token=token, request=_pem(x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(short, hashes.SHA256())))  # fmt: skip

    assert "1024 bits" in refusal(registry, weak).detail
    assert refusal(registry, EnrolmentAsked(token=token, request="nonsense")).status == 400


def test_who_needs_approval_waits_for_a_person(registry: Registry) -> None:
    token, key = registry.make_token([A], timedelta(hours=24), needs_approval=True).secret, new_key()

    waits = registry.enrol(asked(token, key), "10.0.0.9")
    assert not waits.certificate
    assert waits.key == key_fingerprint(key.public_key())
    assert not registry.certificates()

    (one,) = registry.enrolments(waiting=True)
    assert one.key_sha256 == waits.key
    registry.approve(one.id, "wang", b"")

    assert registry.enrol(asked(token, key), "10.0.0.9").certificate
    assert registry.enrolments()[0].decided_by == "wang"
    with pytest.raises(StateError, match="issued already"):
        registry.approve(one.id, "wang")


def test_who_is_refused_stays_so(registry: Registry) -> None:
    token, key = registry.make_token([A], timedelta(hours=24), needs_approval=True).secret, new_key()
    registry.enrol(asked(token, key), "")
    registry.refuse(registry.enrolments()[0].id, "wang")

    assert refusal(registry, asked(token, key)).error == "refused"
    assert not registry.certificates()


def test_renewing_gives_the_next_one_and_the_old_has_an_end(registry: Registry, clock: Clock) -> None:
    old, key = joined(registry), new_key()
    clock.passes(days=46)

    told = registry.renew(sha(old), request_of(key).decode(), "")
    assert registry.renew(sha(old), request_of(key).decode(), "").certificate == told.certificate  # a lost answer
    new = certificates_in(told.certificate.encode())[0]
    assert institutions_of(new) == (A,)

    clock.passes(hours=30)
    assert not registry.standing(sha(old)).problem  # nobody has used the new one yet
    registry.seen(sha(new), "", 0)
    assert not registry.standing(sha(old)).problem  # what is under way may end
    clock.passes(hours=25)
    assert "replaced" in registry.standing(sha(old)).problem
    assert not registry.standing(sha(new)).problem


def test_renewals_that_nobody_uses_have_an_end(registry: Registry) -> None:
    old = joined(registry)
    for _ in range(10):
        registry.renew(sha(old), request_of(new_key()).decode(), "")

    with pytest.raises(JoiningRefused, match="none is in use"):
        registry.renew(sha(old), request_of(new_key()).decode(), "")


def test_revoked_opens_nothing_and_is_in_the_list(registry: Registry) -> None:
    one, other = joined(registry, A), joined(registry, B)

    (gone,) = registry.revoke(A, "wang", "stolen")

    assert gone.sha256 == sha(one)
    assert "stolen" in registry.standing(sha(one)).problem
    assert not registry.standing(sha(other)).problem
    told = x509.load_pem_x509_crl(registry.list_of_trusted().revoked.encode())
    assert [revoked.serial_number for revoked in told] == [one.serial_number]
    with pytest.raises(StateError, match="no certificate"):
        registry.revoke("nobody", "wang", "")


def test_a_certificate_that_was_not_given_here_opens_nothing_whoever_signed_it(
    registry: Registry, clock: Clock
) -> None:
    kept = registry.current()
    signing = registry._signing(kept)
    stranger = client_certificate(signing, new_key().public_key(), [A], clock.now, timedelta(days=1))

    assert "did not give" in registry.standing(sha(stranger)).problem


def test_a_root_is_exchanged_in_two_phases(registry: Registry, clock: Clock) -> None:
    one = joined(registry)
    registry.seen(sha(one), registry.list_of_trusted().digest, 0)
    registry.add_authority(authority(clock.now, "Next"), "next")

    assert registry.list_of_trusted().roots.count("BEGIN CERTIFICATE") == 2
    assert [A in line for line in registry.switch()] == [True]  # it does not trust the new one yet
    registry.seen(sha(one), registry.list_of_trusted().digest, 0)
    assert registry.switch() == []

    assert registry.standing(sha(one)).is_retiring
    assert [A in line for line in registry.retire()] == [True]  # its own is still of the old one
    new = certificates_in(registry.renew(sha(one), request_of(new_key()).decode(), "").certificate.encode())[0]
    assert [A in line for line in registry.retire()] == [True]  # given, and not in use yet
    registry.seen(sha(new), registry.list_of_trusted().digest, 0)
    assert registry.retire() == []

    assert registry.list_of_trusted().roots.count("BEGIN CERTIFICATE") == 1
    assert "not trusted any more" in registry.standing(sha(one)).problem
    assert not registry.standing(sha(new)).problem
    assert len(list(registry.folder.glob("authority-*.key"))) == 1


def test_the_region_may_sign_by_itself(registry: Registry, clock: Clock, tmp_path: Path) -> None:
    root, root_key = make_root("Region of its own", clock.now)
    theirs = make_issuer("Region of its own", root, root_key, clock.now)
    registry.add_authority(Authority(root, theirs.issuers), "current")
    token, key = registry.make_token([A], timedelta(hours=24)).secret, new_key()

    assert not registry.enrol(asked(token, key), "").certificate
    number = registry.enrolments(waiting=True)[0].id
    with pytest.raises(StateError, match="signs by itself"):
        registry.approve(number, "wang")
    other = client_certificate(theirs, new_key().public_key(), [A], clock.now, timedelta(days=365))
    with pytest.raises(StateError, match="another key"):
        registry.approve(number, "wang", pem_of([other]))
    request = x509.load_pem_x509_csr(registry.request(number).encode())
    made = client_certificate(theirs, request.public_key(), [A], clock.now, timedelta(days=365))
    registry.approve(number, "wang", pem_of([made]))

    chain = certificates_in(registry.enrol(asked(token, key), "").certificate.encode())
    assert [sha(one) for one in chain] == [sha(made), sha(theirs.issuers[0])]
    assert registry.standing(sha(made)).institutions == {A}


def test_the_servers_own_certificate_is_renewed_at_half_life(registry: Registry, clock: Clock) -> None:
    hosts = ["region.example", "10.0.0.5", "2001:db8::5"]
    first = registry.server_file(hosts).read_bytes()
    assert registry.server_file(hosts).read_bytes() == first

    clock.passes(days=91)
    second = registry.server_file(hosts).read_bytes()
    assert second != first
    assert registry.server_file(hosts[:1]).read_bytes() != second  # other names


def test_keys_are_for_their_owner_alone_and_no_root_key_is_there(registry: Registry) -> None:
    registry.server_file(["localhost"])
    for file in registry.folder.iterdir():
        assert not file.stat().st_mode & 0o077, file.name
    assert not registry.current().certificates().key


def test_without_an_authority_the_mend_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ca init"):
        Registry(tmp_path).open()


def test_incidents_are_counted(registry: Registry) -> None:
    for _ in range(3):
        registry.incident("c", "10.0.0.9", "POST /v1/heads", B)

    (one,) = registry.incidents()
    assert (one.named, one.times) == (B, 3)


@pytest.mark.parametrize(
    "text", ["", "fa1", "fa1.short.x", "fa2." + "x" * 43 + "." + "y" * 43, "fa1." + "x" * 43 + ".é"]
)
def test_half_a_token_is_told(text: str) -> None:
    with pytest.raises(CertificateRefused, match="token"):
        read_token(text)


def test_a_token_names_the_root_by_which_the_platform_is_known(registry: Registry) -> None:
    token = registry.make_token([A], timedelta(hours=1))

    assert read_token(token_text(token)) == token
    assert token.root == sha(registry.current().certificates().root)


def _pem(request: x509.CertificateSigningRequest) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return request.public_bytes(Encoding.PEM).decode()
