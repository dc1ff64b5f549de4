"""Signed notes, checkpoints, cosignatures and trust policies, as C2SP has them."""

from __future__ import annotations

import pytest

from opslib.evidence.ed25519 import verified
from opslib.evidence.notes import (
    LOG_KEY,
    WITNESS_KEY,
    Check,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    cosigned,
)
from opslib.evidence.plain import NotSound
from opslib.evidence.policy import Policy
from opslib.evidence.proofs import head_of
from opslib.evidence.trusting import quickly_verified, trust
from tests.evidencing import BEGAN, ORIGIN, Witness, key

# The key and the note of the specification of signed notes.
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
MESSAGE = (
    "This is an example message.\n\n"
    "\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1"
    "ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
# The checkpoint of the specification of cosignatures.
SOFA = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDe"
    "OoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI"
    "5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()
CHECKS = pytest.mark.parametrize("check", [quickly_verified, verified])


def vkey(number: int, *, name: str = "", kind: int = WITNESS_KEY) -> str:
    """Return a verifier key."""
    return VerifierKey(name or f"w{number}.example", kind, key(number).raw).text


LOG = vkey(1, name=ORIGIN, kind=LOG_KEY)


@CHECKS
def test_the_note_of_the_specification_is_verified(check: Check) -> None:
    """What others have signed is the best test of what we read."""
    foo = VerifierKey.parse(FOO)
    note = Note.parse(MESSAGE)
    assert foo.text == FOO and foo.kind == LOG_KEY and note.encode() == MESSAGE
    assert note.signers([foo], check) == {foo: None}
    with pytest.raises(NotSound, match=r"example\.com/foo does not fit"):
        Note.parse(MESSAGE.replace(b"an example", b"no example")).signers([foo], check)


def test_the_checkpoint_of_the_specification_is_read() -> None:
    """Its keys are not published, its form is."""
    note = Note.parse(SOFA)
    head = Checkpoint.parse(note.text)
    assert (head.origin, head.size, head.text) == ("example.com/behind-the-sofa", 20_852_163, note.text)
    assert note.encode() == SOFA
    witness = note.signatures[1]
    assert witness.name == "witness.example.com/w1" and witness.time == 1_679_315_147
    assert cosigned(note.text, witness.time).startswith(b"cosignature/v1\ntime 1679315147\nexample.com/")


@CHECKS
def test_a_cosignature_says_who_and_when(check: Check) -> None:
    """The time is signed too."""
    log = VerifierKey.parse(LOG)
    witness = Witness("w.example", log)
    text = Checkpoint(ORIGIN, 0, witness.root).text
    note = witness.cosign(Note(text, (signature(1, log, text),)), (), BEGAN)
    assert note.signers([log, witness.verifier], check) == {log: None, witness.verifier: BEGAN}
    late = NoteSignature(
        witness.name, witness.verifier.id, b"\0" + note.signatures[1].content[1:8] + bytes(64)
    )
    with pytest.raises(NotSound):
        Note(text, (late,)).signers([witness.verifier], check)


def signature(number: int, whose: VerifierKey, text: str) -> NoteSignature:
    """Return the signature of a log."""
    return NoteSignature(whose.name, whose.id, key(number).sign(text.encode()))


def test_signatures_of_strangers_are_passed_over() -> None:
    """A log may have witnesses that this auditor has never heard of."""
    foo = VerifierKey.parse(FOO)
    strange = VerifierKey(foo.name, LOG_KEY, key(7).raw)
    note = Note.parse(MESSAGE)
    both = Note(note.text, (signature(7, strange, note.text), *note.signatures))
    assert set(both.signers([foo], quickly_verified)) == {foo}
    assert note.signers([strange], quickly_verified) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text\n",
        MESSAGE[:-1],
        MESSAGE + b"\n",
        MESSAGE.replace("\u2014".encode(), b"-"),
        MESSAGE.replace(b"example.com/foo Uw", b"example.com/foo  Uw"),
        MESSAGE.replace(b"example.com/foo", b"example.com/+foo"),
        MESSAGE.replace(b"aQM=", b"aQN="),
        MESSAGE.replace(b"aQM=", b"aQM"),
        MESSAGE.replace(b"This", b"Th\ris"),
        MESSAGE.replace(b"This", b"Th\x0bis"),
        MESSAGE.replace(b"This", b"\xff"),
        MESSAGE.replace(b"This", b"This" * 30_000),
        MESSAGE + MESSAGE[-118:].replace(b"\n", b"", 1) * 70,
    ],
)
def test_a_note_has_one_form(content: bytes) -> None:
    """Each byte is either signed or decided by the format."""
    with pytest.raises(NotSound):
        Note.parse(content)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\nAAAA\n",
        "a\n+1\nAAAA\n",
        "a\n1\nAAAA\n",
        "\n1\nAAAA\n",
        "a\n1\nAAAA\n\n",
        "a\n1\nAAAA\nx",
    ],
)
def test_a_checkpoint_has_one_form(text: str) -> None:
    """Origin, a plain number, a whole hash; no line is empty."""
    root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    with pytest.raises(NotSound):
        Checkpoint.parse(text.replace("AAAA", root) if text != "a\n1\nAAAA\n" else text)
    assert Checkpoint.parse(f"a\n1\n{root}\nmore\n").extensions == ("more",)


@pytest.mark.parametrize(
    "text", ["", "foo", FOO.replace("530d", "530e"), FOO[:-4], FOO.replace("AekyeRrm", "BukyeRrm")]
)
def test_a_key_that_does_not_fit_its_own_text_is_refused(text: str) -> None:
    """A key is copied by hand, and a slip must not look like an attack later."""
    with pytest.raises(NotSound):
        VerifierKey.parse(text)


def policy(*lines: str) -> Policy:
    """Return a policy of some lines, and the log."""
    return Policy.parse("\n".join((f"log {LOG} https://log.example/", *lines, "")))


def test_a_quorum_may_have_groups_of_groups() -> None:
    """Two of three here, and one of those there."""
    found = policy(
        "# two houses", "", f"witness a {vkey(11)}", f" witness b\t{vkey(12)} https://b.example ",
        f"witness c {vkey(13)}", f"witness d {vkey(14)}", f"witness e {vkey(15)}",
        "group x 2 a b c", "group y any d e", "group both all x y", "quorum both",
    )  # fmt: skip
    signed = found.witnesses
    assert found.wants_witnesses and len(found.keys) == 6
    assert found.met([signed["a"], signed["c"], signed["e"]])
    assert not found.met([signed["a"], signed["b"], signed["c"]])
    assert not found.met([signed["a"], signed["d"], signed["e"]])
    assert policy(f"witness a {vkey(11)}", "quorum a").met([signed["a"]])
    assert policy("quorum none").met([]) and not policy("quorum none").wants_witnesses


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ((), 0),
        (("quorum a",), 2),
        (("quorum none", "quorum none"), 3),
        ((f"log {LOG}", "quorum none"), 2),
        ((f"log {vkey(11)}", "quorum none"), 2),
        ((f"witness a {vkey(3, kind=LOG_KEY)}", "quorum a"), 2),
        ((f"witness none {vkey(11)}", "quorum none"), 2),
        ((f"witness a {vkey(11)}", f"witness a {vkey(12)}", "quorum a"), 3),
        ((f"witness a {vkey(11)}", f"witness b {vkey(11, name='other.example')}", "quorum a"), 3),
        ((f"witness a {vkey(11)}", "group g 2 a", "quorum g"), 3),
        ((f"witness a {vkey(11)}", "group g 0 a", "quorum g"), 3),
        ((f"witness a {vkey(11)}", "group g all a", "group h all a", "quorum g"), 4),
        (("group g all later", "quorum g"), 2),
        (("group g all", "quorum none"), 2),
        (("trust everybody", "quorum none"), 2),
    ],
)
def test_a_policy_that_is_not_understood_is_refused_with_its_line(
    lines: tuple[str, ...], number: int
) -> None:
    """Whom to believe is the last place for a guess."""
    with pytest.raises(NotSound, match=f"line {number} " if number else "no line `quorum`"):
        policy(*lines)


def test_a_head_counts_as_signed_only_by_the_key_of_its_own_log() -> None:
    """A policy may know several logs; one must not speak for another."""
    other = vkey(2, name="other.example", kind=LOG_KEY)
    known = trust(f"log {LOG}\nlog {other}\nquorum none\n", [])
    text = Checkpoint(ORIGIN, 0, Witness("w", VerifierKey.parse(LOG)).root).text
    assert head_of(Note(text, (signature(1, VerifierKey.parse(LOG), text),)), known).signed
    assert not head_of(Note(text, (signature(2, VerifierKey.parse(other), text),)), known).signed
