"""Keys and signatures: what we sign stock `ssh-keygen` checks, and the other way round."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opslib import config, keys, masking
from opslib.errors import ConfigError, OpsError, Refused
from opslib.keys import sshform
from tests import shop
from tests.test_cli import Shell

PAYLOAD = b'{"digest":"sha256:abc"}'
PURPOSE = "opslib-approval"
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7"
WITH_SSH = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
WITH_AGENT = pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs ssh-agent")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a key, and nobody's SSH agent."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    return tmp_path / "home"


@pytest.fixture
def own(home: Path) -> keys.Signer:
    """A key of opslib's own."""
    keys.init("Ada Lovelace")
    return found()


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> shop.Project:
    """A project with a home, for the command line."""
    monkeypatch.chdir(tmp_path)
    return shop.build(tmp_path, monkeypatch)


@pytest.fixture
def opslib(capsys: pytest.CaptureFixture[str]) -> Shell:
    """The command line."""
    return Shell(capsys)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., object]]:
    """An SSH agent without keys; returns what runs `ssh-add`."""
    said = subprocess.run(
        ["ssh-agent", "-s", "-a", str(tmp_path / "agent")], capture_output=True, text=True, check=True
    ).stdout
    pid = re.search(r"SSH_AGENT_PID=(\d+)", said)
    assert pid
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    yield lambda *words: subprocess.run(["ssh-add", "-q", *map(str, words)], check=True)
    os.kill(int(pid[1]), signal.SIGTERM)


def found() -> keys.Signer:
    """Return the key that is there."""
    signer = keys.own()
    assert signer is not None
    return signer


def keygen(*words: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `ssh-keygen`."""
    return subprocess.run(["ssh-keygen", *map(str, words)], input=given, capture_output=True, check=False)


def ssh_key(path: Path, *, passphrase: str = "") -> Path:
    """Make an SSH key as people do, and return its public part."""
    assert keygen("-q", "-t", "ed25519", "-N", passphrase, "-f", path).returncode == 0
    return path.with_name(f"{path.name}.pub")


def refused(kind: type[OpsError], call: Callable[[], object]) -> str:
    """Return what was said when something was refused."""
    with pytest.raises(kind) as caught:
        call()
    return caught.value.text()


@WITH_SSH
def test_stock_ssh_keygen_accepts_our_signature(own: keys.Signer, tmp_path: Path) -> None:
    """An auditor needs no opslib: a file of allowed signers is enough, and a changed payload fails."""
    (tmp_path / "signers").write_text(f'ada namespaces="{PURPOSE}" {own.public}\n')
    (tmp_path / "sig").write_text(own.sign(PAYLOAD, PURPOSE))
    words = ("-Y", "verify", "-f", tmp_path / "signers", "-I", "ada", "-s", tmp_path / "sig", "-n")
    assert keygen(*words, PURPOSE, given=PAYLOAD).returncode == 0
    assert keygen(*words, PURPOSE, given=PAYLOAD + b" ").returncode != 0
    assert keygen(*words, "opslib-other", given=PAYLOAD).returncode != 0


@WITH_SSH
def test_our_signature_is_byte_for_byte_the_one_of_ssh_keygen(own: keys.Signer, home: Path) -> None:
    """Ed25519 leaves nothing to chance, so the same key and payload make the same text."""
    for payload in (b"", PAYLOAD, bytes(range(256)) * 4096):
        theirs = keygen("-Y", "sign", "-n", PURPOSE, "-f", home / "keys" / "id_ed25519", given=payload).stdout
        assert theirs.decode() == own.sign(payload, PURPOSE)
        assert keys.verify(payload, theirs.decode(), PURPOSE) == own.public


@WITH_SSH
def test_the_fingerprint_is_the_one_that_ssh_keygen_shows(own: keys.Signer, home: Path) -> None:
    """People compare them by eye."""
    shown = keygen("-l", "-f", home / "keys" / "id_ed25519.pub").stdout.decode()
    assert own.fingerprint in shown and "Ada-Lovelace@" in shown


@WITH_SSH
@WITH_AGENT
def test_a_key_that_only_an_agent_holds_signs(
    home: Path, tmp_path: Path, agent: Callable[..., object]
) -> None:
    """The private part is on no disk; once the agent has lost it, nothing is signed and it says so."""
    public = ssh_key(tmp_path / "id_lent")
    agent(tmp_path / "id_lent")
    (tmp_path / "id_lent").unlink()
    made = keys.use_ssh(public)
    assert [path.name for path in (home / "keys").iterdir()] == ["ssh.pub"]
    assert keys.verify(PAYLOAD, found().sign(PAYLOAD, PURPOSE), PURPOSE) == made.text
    public.unlink()
    assert keys.verify(PAYLOAD, found().sign(PAYLOAD, PURPOSE), PURPOSE) == made.text
    agent("-D")
    said = refused(Refused, lambda: found().sign(PAYLOAD, PURPOSE))
    assert f"no SSH agent signs with {made.fingerprint}" in said and "ssh-add" in said


@WITH_SSH
@WITH_AGENT
def test_another_key_in_place_of_the_one_lent_is_not_used(
    home: Path, tmp_path: Path, agent: Callable[..., object]
) -> None:
    """Whoever rewrites the file of the public part does not sign for its owner."""
    public = ssh_key(tmp_path / "id_lent")
    agent(tmp_path / "id_lent")
    made = keys.use_ssh(public)
    (tmp_path / "id_lent").unlink()
    public.unlink()
    ssh_key(tmp_path / "id_lent")
    assert keys.verify(PAYLOAD, found().sign(PAYLOAD, PURPOSE), PURPOSE) == made.text


@WITH_SSH
def test_the_private_part_beside_the_public_one_signs_too(home: Path, tmp_path: Path) -> None:
    """Without an agent `ssh-keygen` reads the file itself; opslib never does."""
    made = keys.use_ssh(ssh_key(tmp_path / "id with space"))
    assert keys.verify(PAYLOAD, found().sign(PAYLOAD, PURPOSE), PURPOSE) == made.text


@WITH_SSH
def test_a_key_that_cannot_sign_is_not_taken(home: Path, tmp_path: Path) -> None:
    """It shows at once, by daylight, not at 3 am; what was there before stays."""
    keys.init("ada")
    before = found().public
    public = ssh_key(tmp_path / "id_lent")
    (tmp_path / "id_lent").unlink()
    assert "no SSH agent signs" in refused(Refused, lambda: keys.use_ssh(public, force=True))
    assert found().public == before


def test_without_ssh_keygen_it_says_what_to_install(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container has none."""
    (tmp_path / "id.pub").write_text(keys.init("ada").line)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refused(Refused, lambda: keys.use_ssh(tmp_path / "id.pub", force=True))
    assert "ssh-keygen is not installed" in said and "OpenSSH" in said


def test_a_private_part_given_for_the_public_one_is_not_taken(own: keys.Signer, home: Path) -> None:
    """The one without `.pub` is a completion key away."""
    private = home / "keys" / "id_ed25519"
    said = refused(OpsError, lambda: keys.use_ssh(private, force=True))
    assert "is the private part" in said and "id_ed25519.pub" in said


@pytest.mark.parametrize("at", ["payload", "purpose", "key", "raw"])
def test_whatever_is_altered_makes_a_signature_worthless(own: keys.Signer, at: str) -> None:
    """Each part counts: what was signed, for what, with which key, and the signature itself."""
    other = keys.PublicKey.of(Ed25519PrivateKey.generate().public_key())
    content = bytearray(bared(own.sign(PAYLOAD, PURPOSE)))
    if at == "key":
        content[14 : 14 + 51] = other.blob
    if at == "raw":
        content[-1] ^= 1
    payload = PAYLOAD + b" " if at == "payload" else PAYLOAD
    purpose = "opslib-review" if at == "purpose" else PURPOSE
    said = refused(keys.BadSignature, lambda: keys.verify(payload, armoured(bytes(content)), purpose))
    wanted = "made for 'opslib-approval', not for 'opslib-review'" if at == "purpose" else "was altered since"
    assert wanted in said


def test_no_bit_of_a_signature_can_be_turned(own: keys.Signer) -> None:
    """Every single one is refused by us, and none breaks us."""
    content = bared(own.sign(PAYLOAD, PURPOSE))
    for place in range(len(content) * 8):
        turned = bytearray(content)
        turned[place // 8] ^= 1 << place % 8
        text = armoured(bytes(turned))
        assert refused(keys.BadSignature, lambda text=text: keys.verify(PAYLOAD, text, PURPOSE))  # type: ignore[misc]


def test_garbage_is_refused_and_breaks_nothing(own: keys.Signer) -> None:
    """What stands in an archive that others can write to may be anything."""
    good = own.sign(PAYLOAD, PURPOSE)
    content = bared(good)
    cut = [armoured(content[:end]) for end in range(len(content))]
    long = [armoured(content + b"\0"), good + good, good.replace("\n", "", 1), good.replace("U", "*", 1)]
    for text in ["", "hello", "\0" * 100, good[:-10], "A" * 10**6, *cut, *long]:
        assert refused(keys.BadSignature, lambda text=text: keys.verify(PAYLOAD, text, PURPOSE))  # type: ignore[misc]


def test_another_kind_of_key_hash_or_version_is_refused_by_name(own: keys.Signer) -> None:
    """Nothing can be talked down to something weaker."""
    content = bared(own.sign(PAYLOAD, PURPOSE))
    for old, new, said in (
        (b"sha512", b"sha256", "uses sha256, only sha512"),
        (b"ssh-ed25519", b"ssh-ed44819", "of the kind 'ssh-ed44819'"),
        (b"SSHSIG\0\0\0\1", b"SSHSIG\0\0\0\2", "has version 2"),
        (b"\0\0\0\0", b"\0\0\0\4more", "does not know"),  # the reserved part
    ):
        text = armoured(content.replace(old, new))
        assert said in refused(keys.BadSignature, lambda text=text: keys.verify(PAYLOAD, text, PURPOSE))  # type: ignore[misc]


@WITH_SSH
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_signature_of_another_kind_of_key_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    """One kind of key, so that there is one thing to look after."""
    keygen("-q", "-t", kind, "-N", "", "-f", tmp_path / "id")
    made = keygen("-Y", "sign", "-n", PURPOSE, "-f", tmp_path / "id", given=PAYLOAD).stdout.decode()
    said = refused(keys.BadSignature, lambda: keys.verify(PAYLOAD, made, PURPOSE))
    assert kind in said and "only ssh-ed25519 is taken" in said
    assert kind in refused(keys.BadKey, lambda: keys.PublicKey.parse((tmp_path / "id.pub").read_text()))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (RSA, "of the kind ssh-rsa; only ssh-ed25519"),
        ("", "this is no public key"),
        ("ada@example.com", "this is no public key"),
        ("ssh-ed25519", "this is no public key"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==", "its text is not whole"),
        ("ssh-ed25519 über", "its text is not whole"),
        (f"ssh-ed25519 {RSA.split()[1]}", "its text is not whole"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "this is a private key"),
    ],
)
def test_what_is_no_public_key_is_refused_by_what_it_is(line: str, said: str) -> None:
    """The next step differs."""
    assert said in refused(keys.BadKey, lambda: keys.PublicKey.parse(line))


def test_a_key_is_private_from_its_first_moment(home: Path) -> None:
    """Also under a loose umask: nobody else may open the file or look into the folder."""
    before = os.umask(0)
    try:
        keys.init("ada")
    finally:
        os.umask(before)
    assert (home / "keys").stat().st_mode & 0o777 == 0o700
    assert (home / "keys" / "id_ed25519").stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_overwritten_by_accident(own: keys.Signer) -> None:
    """Old approvals name it."""
    assert "--force" in refused(Refused, lambda: keys.init("ada"))
    assert found().public == own.public
    assert keys.init("ada", force=True).text == found().public != own.public


@pytest.mark.parametrize(("name", "mode"), [("id_ed25519", 0o640), ("id_ed25519", 0o604), (".", 0o750)])
def test_a_key_that_others_may_read_is_refused(own: keys.Signer, home: Path, name: str, mode: int) -> None:
    """Like ssh does, with the command that mends it."""
    path = (home / "keys" / name).resolve()
    path.chmod(mode)
    said = refused(ConfigError, keys.own)
    assert f"chmod {'700' if name == '.' else '600'} {path}" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(own: keys.Signer, home: Path) -> None:
    """Its owner can read and exchange it."""
    os.chown(home / "keys" / "id_ed25519", 65534, 65534)
    assert "belongs to another user" in refused(ConfigError, keys.own)


@WITH_SSH
@pytest.mark.parametrize("kind", ["garbage", "passphrase", "ecdsa"])
def test_a_private_key_that_cannot_be_used_is_refused_without_quoting_it(home: Path, kind: str) -> None:
    """Each with its next step; not a word of the file is repeated."""
    keys.init("ada")
    path = home / "keys" / "id_ed25519"
    path.unlink()
    if kind == "garbage":
        path.write_text(
            "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n"
        )
        path.chmod(0o600)
    elif kind == "passphrase":
        ssh_key(path, passphrase="long enough")
    else:
        keygen("-q", "-t", "ecdsa", "-N", "", "-f", path)
    said = refused(ConfigError, keys.own)
    assert {"garbage": "--force", "passphrase": "ssh-add", "ecdsa": "no Ed25519"}[kind] in said
    assert not [line for line in path.read_text().splitlines() if line in said]


def test_the_text_of_the_private_key_is_nowhere_but_in_its_file(
    project: shop.Project, opslib: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in what is printed, not in any other file, not in an error."""
    people = project.root / "parameters" / "people.yml"
    shown = []
    for words in (["init", "--name", "Ada"], ["init"], ["show"], ["show", "--json"], ["list"]):
        opslib("keys", *words)
        shown += [opslib.out, opslib.err]
    people.write_text(f"people:\n{pasted(shown[0])}")
    private = project.home / "keys" / "id_ed25519"
    for words in (["show"], ["show", "--json"], ["list", "--json"]):
        assert opslib("keys", *words) == 0
        shown += [opslib.out, opslib.err]
    shown += [found().sign(PAYLOAD, PURPOSE), repr(found())]
    private.chmod(0o644)
    opslib("keys", "show")
    shown += [opslib.out, opslib.err]
    written = [path for path in project.root.rglob("*") if path.is_file() and path != private]
    shown += [path.read_text(encoding="utf-8", errors="replace") for path in written]
    canaries = [line for line in private.read_text().splitlines()[1:-1] if len(line) > 20]
    assert canaries and people in written
    assert not [line for line in canaries if line in "\n".join(shown)]


def test_whoever_prints_the_private_key_by_mistake_prints_a_mask(
    own: keys.Signer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it is enough to have it masked in this process."""
    monkeypatch.setattr(masking, "_registered", {})
    found()
    text = (home / "keys" / "id_ed25519").read_text()
    masked = masking.Masker(masking.registered()).mask(text)
    assert not [line for line in text.splitlines()[1:-1] if len(line) > 20 and line in masked]


def test_masking_the_private_key_leaves_the_public_one_readable(own: keys.Signer) -> None:
    """A record that hides who approved would be worth little."""
    line = f"{own.public} {own.fingerprint} {own.sign(PAYLOAD, PURPOSE)}"
    assert masking.Masker(masking.registered()).mask(line) == line


def test_what_init_prints_makes_its_owner_known_when_pasted(project: shop.Project, opslib: Shell) -> None:
    """Below `people:` of the file as we ship it, without a touch."""
    assert opslib("keys", "init", "--name", 'Ada "Countess": Lovelace') == 0
    assert str(project.home / "keys" / "id_ed25519") in opslib.out and "Never share it" in opslib.out
    shipped = (ROOT / "parameters" / "people.yml").read_text(encoding="utf-8")
    (project.root / "parameters" / "people.yml").write_text(shipped + pasted(opslib.out), encoding="utf-8")
    (person,) = config.load_people()
    assert (person.id, person.name) == ("ada-countess-lovelace", 'Ada "Countess": Lovelace')
    assert person.keys[0].key == found().public
    assert opslib("keys", "show") == 0
    assert "may approve, apply" in opslib.out and "The key is good." in opslib.out
    assert opslib("keys", "show", "--json") == 0
    assert json.loads(opslib.out)["person"]["person"] == person.id


def test_a_second_key_of_somebody_known_is_one_line_to_add(project: shop.Project, opslib: Shell) -> None:
    """A new laptop does not make a new person."""
    opslib("keys", "init", "--name", "ada")
    people = project.root / "parameters" / "people.yml"
    people.write_text(f"people:\n{pasted(opslib.out)}")
    assert opslib("keys", "init", "--name", "ada", "--force") == 0
    assert "add this to the `keys` of ada" in opslib.out
    people.write_text(people.read_text() + pasted(opslib.out))
    assert [len(person.keys) for person in config.load_people()] == [2]


def test_keys_that_ended_are_marked_in_the_list(project: shop.Project, opslib: Shell) -> None:
    """Nobody has to compare dates by eye."""
    old, new = (keys.PublicKey.of(Ed25519PrivateKey.generate().public_key()).text for _ in range(2))
    (project.root / "parameters" / "people.yml").write_text(
        f"people:\n- {{id: ada, name: Ada, keys: [{{key: {old}, until: 2020-01-31}}, {new}]}}\n"
    )
    assert opslib("keys", "list") == 0
    assert "no longer good: it ended on 2020-01-31" in opslib.out
    assert opslib("keys", "list", "--json") == 0
    assert [row["good"] for row in json.loads(opslib.out)["keys"]] == [False, True]


def test_a_key_can_be_made_before_there_is_a_project(
    tmp_path: Path, home: Path, opslib: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first thing on a new laptop; showing it tells who is asked for one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPSLIB_PARAMETERS", raising=False)
    assert opslib("keys", "show") == 64 and "opslib keys init" in opslib.err
    assert opslib("keys", "init") == 0
    assert found().public in opslib.out


def bared(text: str) -> bytes:
    """Return the bytes in an armour."""
    return base64.b64decode("".join(text.splitlines()[1:-1]))


def armoured(content: bytes) -> str:
    """Put bytes into an armour."""
    body = base64.b64encode(content).decode()
    return f"{sshform.SSH_BEGIN}\n{body}\n{sshform.SSH_END}\n"


def pasted(printed: str) -> str:
    """Return the lines of YAML in what `keys init` has printed, as a person would copy them."""
    return "".join(f"{line}\n" for line in printed.splitlines() if line.startswith("  "))
