"""Envelopes, and that tools of others read what we sign and we read what they sign."""

from __future__ import annotations

import json
from typing import Any

import pytest
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from opslib.evidence.ed25519 import verified
from opslib.evidence.envelopes import STATEMENT, Envelope, pae
from opslib.evidence.plain import NotSound
from opslib.evidence.runners import runner_keys
from opslib.evidence.signing import sign_statement
from opslib.evidence.trusting import quickly_verified
from opslib.keys.machine import MachineKey
from tests.evidencing import BEGAN, key, statement

ANA, BO, EVE = key(21), key(22), key(23)
PAYLOAD = statement("run-1", BEGAN, "ok", {"run.ipynb": b"{}", "run.html": b"<p>"})
CHECKS = pytest.mark.parametrize("check", [quickly_verified, verified])


def keys(*which: MachineKey) -> dict[str, bytes]:
    """Return keys as a verifier has them."""
    return runner_keys("\n".join(f"{one.public.line} somebody" for one in which))


def altered(content: bytes, **parts: Any) -> bytes:
    """Return an envelope with other parts."""
    return json.dumps({**json.loads(content), **parts}).encode()


def test_what_is_signed_is_the_encoding_of_the_specification() -> None:
    """The example of DSSE's own text."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("", b"") == b"DSSEv1 0  0 "


@CHECKS
def test_an_envelope_names_who_signed_it(check: Any) -> None:
    """One signature of a known key is enough, those of others are tolerated."""
    envelope = Envelope.parse(sign_statement(PAYLOAD, ANA, BO))
    ana, bo = ANA.public.fingerprint, BO.public.fingerprint
    assert (envelope.payload, envelope.payload_type) == (PAYLOAD, STATEMENT)
    assert envelope.signers(keys(ANA, BO), check) == (ana, bo)
    assert envelope.signers(keys(BO), check) == (bo,)
    assert envelope.signers(keys(EVE), check) == ()


@CHECKS
def test_a_signature_holds_for_nothing_else(check: Any) -> None:
    """Not for another payload, nor for the same under another type."""
    whole = sign_statement(PAYLOAD, ANA)
    other = sign_statement(PAYLOAD.replace(b'"ok"', b'"no"'), ANA)
    for content in (
        altered(whole, payload=json.loads(other)["payload"]),
        altered(whole, payloadType="application/json"),
    ):
        with pytest.raises(NotSound, match="does not fit"):
            Envelope.parse(content).signers(keys(ANA), check)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"null", b"\xff", b"[" * 100_000,
        altered(sign_statement(PAYLOAD, ANA), payload="e30"),
        altered(sign_statement(PAYLOAD, ANA), payload="e31="),
        altered(sign_statement(PAYLOAD, ANA), payload=1),
        altered(sign_statement(PAYLOAD, ANA), signatures=[{"sig": "e30="}]),
        altered(sign_statement(PAYLOAD, ANA), signatures=[{"sig": "e30=", "keyid": 1}]),
        altered(sign_statement(PAYLOAD, ANA), signatures=[{"sig": "e30=", "keyid": "a"}] * 65),
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(content: bytes) -> None:
    """In words, never by a crash."""
    with pytest.raises(NotSound):
        Envelope.parse(content)


def test_keys_of_runners_are_lines_as_openssh_writes_them() -> None:
    """Fingerprints are those that people compare by eye."""
    found = runner_keys(f"# ours\n\n{ANA.public.line} runner-1 of acme\n  {BO.public.text}\n")
    assert found == {ANA.public.fingerprint: ANA.raw, BO.public.fingerprint: BO.raw}
    for line in ("ssh-rsa AAAA", "ssh-ed25519", "ssh-ed25519 AAAA", f"{ANA.public.text[:-4]}"):
        with pytest.raises(NotSound, match="line 2 "):
            runner_keys(f"\n{line}\n")


def theirs(own: MachineKey) -> SSlibKey:
    """Return a key as securesystemslib has it."""
    value = {"public": own.raw.hex()}
    return SSlibKey(own.public.fingerprint, "ed25519", "ed25519", value)


def test_securesystemslib_verifies_what_we_sign() -> None:
    """An auditor may use a tool that is not ours."""
    envelope = TheirEnvelope.from_dict(json.loads(sign_statement(PAYLOAD, ANA, BO)))
    found = envelope.verify([theirs(ANA), theirs(BO)], 2)
    assert set(found) == {ANA.public.fingerprint, BO.public.fingerprint}
    with pytest.raises(VerificationError):
        envelope.verify([theirs(EVE)], 1)


def test_we_verify_what_securesystemslib_signs() -> None:
    """A runner may sign with a tool that is not ours."""
    made = TheirEnvelope(PAYLOAD, STATEMENT, {})
    made.sign(CryptoSigner(ANA.private, theirs(ANA)))
    envelope = Envelope.parse(json.dumps(made.to_dict(), indent=2).encode())
    assert envelope.payload == PAYLOAD
    assert envelope.signers(keys(ANA), quickly_verified) == (ANA.public.fingerprint,)


def test_the_statement_is_one_for_in_toto_too() -> None:
    """The reference library validates type, subjects, digests and predicate."""
    from google.protobuf.json_format import Parse
    from in_toto_attestation.v1.statement import Statement

    payload = Envelope.parse(sign_statement(PAYLOAD, ANA)).payload
    found = Statement.copy_from_pb(Parse(payload, Statement([], "", {}).pb, ignore_unknown_fields=True))
    found.validate()
    assert [one.name for one in found.pb.subject] == ["run.ipynb", "run.html"]
