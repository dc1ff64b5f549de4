"""References to secrets: found late, registered for masking, never shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from opslib import config, masking
from opslib.config import Secret
from opslib.config.secret import passwords
from opslib.errors import SecretError


def complaint(reference: str) -> str:
    """Return what is said when the secret cannot be had."""
    secret = Secret.parse(reference)
    assert not secret.available()
    with pytest.raises(SecretError) as caught:
        secret.reveal()
    assert caught.value.exit_code == 64 and "→" in caught.value.text()
    return caught.value.message


def command(folder: Path, name: str, script: str) -> None:
    """Put a command into a folder."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o755)


def test_a_variable_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when the file is read: `opslib list` must work without any secret."""
    secret = Secret.parse("env:OPSLIB_TEST_TOKEN")
    assert "OPSLIB_TEST_TOKEN is not set" in complaint("env:OPSLIB_TEST_TOKEN")
    monkeypatch.setenv("OPSLIB_TEST_TOKEN", "")
    assert "env:OPSLIB_TEST_TOKEN is empty" in complaint("env:OPSLIB_TEST_TOKEN")
    monkeypatch.setenv("OPSLIB_TEST_TOKEN", "value-of-the-token")
    assert secret.available() and secret.reveal() == "value-of-the-token"


def test_a_value_is_masked_from_the_moment_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a database's address the password too, as written and decoded."""
    monkeypatch.setenv("OPSLIB_TEST_DSN", "postgresql://app:p%40ss-word-1@db.example/x")
    Secret.parse("env:OPSLIB_TEST_DSN").reveal()
    known = set(masking.registered().values())
    assert {"postgresql://app:p%40ss-word-1@db.example/x", "p%40ss-word-1", "p@ss-word-1"} <= known


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://app:secret-1@db/x?sslmode=require", ("secret-1",)),
        ("postgresql://app:sec@ret-1@db/x", ("sec@ret-1",)),
        ("postgresql://app@/x?host=/tmp&password=secret-1", ("secret-1",)),
        ("postgresql://app:secret-1@/x?host=/tmp/run&port=5433", ("secret-1",)),
        ("host=db user=app password=secret-1 dbname=x", ("secret-1",)),
        (r"host=db password = 'it\'s secret' dbname=x", ("it's secret",)),
        ("postgresql://db/x", ()),
        ("a-plain-token", ()),
    ],
)
def test_the_password_in_an_address_is_found(dsn: str, expected: tuple[str, ...]) -> None:
    """It may show up alone, in an error of the driver or in a log."""
    assert passwords(dsn) == expected


def test_a_secret_never_shows_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in a notebook's output nor in an exception's text."""
    monkeypatch.setenv("OPSLIB_TEST_TOKEN", "value-of-the-token")
    secret, made = Secret.parse("env:OPSLIB_TEST_TOKEN"), Secret.literal("sandbox", "value-of-the-token")
    assert secret.reveal() == made.reveal()
    for one in (secret, made):
        assert "value-of" not in f"{one} {one!r} {[one]}"
    assert secret == Secret.parse("env:OPSLIB_TEST_TOKEN") and hash(secret)


def test_a_file_gives_its_content_without_the_last_newline(tmp_path: Path) -> None:
    """As mounted secrets are written; a missing, binary or empty one is named."""
    path = tmp_path / "token"
    path.write_text("value-of-the-token\n")
    assert Secret.parse(f"file:{path}").reveal() == "value-of-the-token"
    assert "no such file" in complaint(f"file:{tmp_path}/nothing")
    assert "is a directory" in complaint(f"file:{tmp_path}")
    path.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in complaint(f"file:{path}")
    path.write_text("\n")
    assert "is empty" in complaint(f"file:{path}")
    path.chmod(0)
    if os.geteuid():  # root reads everything
        assert "permission denied" in complaint(f"file:{path}")


def test_doppler_is_asked_without_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing command, a refusal and an answer; what it prints on a refusal stays out of the message."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "needs the `doppler` command" in complaint("doppler:klutr/prd/TOKEN")
    command(tmp_path, "doppler", "import sys; sys.exit('refused: dp.st.secret')")
    said = complaint("doppler:klutr/prd/TOKEN")
    assert "was not given out" in said and "dp.st" not in said
    command(tmp_path, "doppler", "import sys; print('|'.join(sys.argv[1:]))")
    asked = Secret.parse("doppler:klutr/prd/TOKEN").reveal()
    assert asked == "secrets|get|TOKEN|--plain|--project|klutr|--config|prd"


def test_the_key_store_is_used_where_its_package_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package the message says what to install."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setattr("opslib.config.secret.find_spec", lambda name: None)
    assert "needs the Python package keyring" in complaint("keyring:klutr/me")
    monkeypatch.undo()
    package = tmp_path / "keyring"
    package.mkdir()
    (package / "errors.py").write_text("class KeyringError(Exception): pass\n")
    (package / "__init__.py").write_text(
        "from .errors import KeyringError\n"
        "def get_password(service, user):\n"
        "    if service == 'locked': raise KeyringError('locked')\n"
        "    return {'klutr': 'value-of-' + user}.get(service)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "keyring"]:
        monkeypatch.delitem(sys.modules, name)
    assert Secret.parse("keyring:klutr/me@example").reveal() == "value-of-me@example"
    assert "there is no such entry" in complaint("keyring:other/me")
    assert "cannot be read" in complaint("keyring:locked/me")


@pytest.mark.parametrize(
    "text",
    ["hunter2-x", "env:A B", "env:A:-hunter2", "ENV:A", "file:relative", "doppler:a/b", "vault:x/y", "env:-"],
)
def test_what_is_no_reference_is_refused_without_being_repeated(text: str) -> None:
    """A default in a reference would be a value in a file."""
    with pytest.raises(SecretError) as caught:
        Secret.parse(text)
    assert text not in caught.value.text()


def test_the_same_reference_in_two_places_is_one_secret(tmp_path: Path) -> None:
    """It is masked under one name and asked for once by `doctor`."""
    folder = tmp_path / "parameters" / "systems"
    folder.mkdir(parents=True)
    (folder / "shop.yml").write_text(
        "title: Shop\nowner: me\nenvironments:\n  production:\n"
        "    database: {direct: env:SHOP_DSN, pooler: env:SHOP_DSN}\n"
        "vendors:\n  vercel: {token: env:TOKEN}\n  hms: {token: env:TOKEN, secrets: {key: env:KEY}}\n"
    )
    env = config.load_system("shop", tmp_path).environment("production")
    assert sorted(secret.reference for secret in env.secrets()) == [
        "env:KEY",
        "env:SHOP_DSN",
        "env:TOKEN",
    ]
    assert [(door.name, door.pooled) for door in env.doors] == [("direct", False), ("pooler", True)]
