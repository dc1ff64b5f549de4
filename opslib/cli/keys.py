"""`opslib keys`: the key that signs your approvals, whose keys are known, and those of this machine."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import options, output
from opslib.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from opslib.config import People, Person
    from opslib.config.people import PersonKey
    from opslib.keys import PublicKey, Signer

_PLAIN = re.compile(r"[A-Za-z][\w .-]*")


@click.group("keys")
def keys_command() -> None:
    """The key that signs your approvals, whose keys are known, and those of this machine.

    \b
    opslib keys init --name "Ada Lovelace"
    opslib keys list
    opslib keys rotate
    """


@keys_command.command("init")
@click.option("--name", metavar="NAME", help="Whose key it is (default: your login).")
@click.option(
    "--ssh",
    "ssh",
    metavar="FILE.pub",
    type=click.Path(path_type=Path),
    help="Sign with this SSH key: its private part stays in your agent, or beside the file.",
)
@click.option("--force", is_flag=True, help="Put it in the place of the key that is there.")
def make_key(name: str | None, ssh: Path | None, force: bool) -> int:
    """Make your key, and print what to add to parameters/people.yml.

    \b
    opslib keys init --name "Ada Lovelace"
    opslib keys init --ssh ~/.ssh/id_ed25519.pub
    """
    from opslib import keys

    whose = name or _login()
    made = keys.use_ssh(ssh, force=force) if ssh else keys.init(whose, force=force)
    signer = keys.own()
    assert signer is not None
    output.say(f"{'Your key from now on' if ssh else 'Made'}: {made.fingerprint}")
    output.say(f"Its private part: {signer.private}")
    output.say("Never share it: whoever has it can sign in your name.")
    _introduce(whose, made, _people())
    return 0


@keys_command.command("show")
@options.as_json
def show_key(as_json: bool) -> int:
    """Show your own key, and who you are by it.

    \b
    opslib keys show --json
    """
    from opslib import config, keys

    signer = keys.own()
    if signer is None:
        raise UsageError("you have no key yet", hint="opslib keys init")
    people = config.load_people()
    if as_json:
        output.emit(_shown(signer, people))
        return 0
    output.say(f"{signer.public}\n")
    output.say(f"Fingerprint: {signer.fingerprint}")
    output.say(f"Private part: {signer.private}")
    _say_who(signer, people)
    return 0


@keys_command.command("list")
@options.as_json
def list_keys(as_json: bool) -> int:
    """List the people of parameters/people.yml, and their keys.

    \b
    opslib keys list --json
    """
    from opslib import config, ids

    now = ids.now()
    rows = [_listed(person, key, now) for person in config.load_people() for key in person.keys]
    if as_json:
        output.emit({"keys": rows})
    elif not rows:
        output.say("Nobody is in parameters/people.yml yet: `opslib keys init` prints the lines to add.")
    else:
        columns = ("PERSON", "NAME", "KEY", "MAY", "STATE")
        cells = ("person", "name", "fingerprint", "may", "state")
        output.table(columns, [[_text(row[cell]) for cell in cells] for row in rows])
    return 0


@keys_command.command("rotate")
@click.argument("roles", nargs=-1, type=click.Choice(["log", "runner"]), metavar="[log] [runner]")
@options.archive
@options.as_json
def rotate_keys(roles: tuple[str, ...], archive: str | None, as_json: bool) -> int:
    """Put new keys in the place of this machine's own: the runner's, which signs records, and the log's.

    The old key signs the new one into the log, so whoever trusts one of them can follow to the other. The log
    of this archive is told at once, that of another when this machine next writes to it.

    \b
    opslib keys rotate
    opslib keys rotate runner --archive /srv/records
    """
    from opslib.evidence.rotating import rotate
    from opslib.evidence.rotations import LOG_ROLE
    from opslib.runner import notary

    folder = options.opened_archive(archive)
    made = [rotate(role) for role in dict.fromkeys(roles or ("log", "runner"))]
    log = notary.log_of(folder)
    if as_json:
        told = [{"role": one.role, "old": one.old, "new": one.new} for one in made]
        output.emit({"rotated": told, "log": log.signer.verifier.text})
        return 0
    for one in made:
        output.say(f"New key of the {one.role}: {one.new}")
    output.say("The old private key is gone. For those who verify without this log:")
    output.say(f"  log {log.signer.verifier.text}")
    if any(one.role == LOG_ROLE for one in made) and notary.witnesses():
        output.say("Give that key to those who witness this log; until then they refuse its heads:")
        output.say(f"  {log.signer.verifier.text}")
    return 0


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "me"


def _people() -> People:
    """Return who is known; a key can be made before there is any project."""
    from opslib import config

    try:
        return config.load_people()
    except ConfigError as error:
        output.note(f"opslib: who is known could not be read: {error.message}")
        return config.People()


def _say_who(signer: Signer, people: People) -> None:
    from opslib import ids

    found = people.owner(signer.public)
    if found is None:
        _introduce(_name(signer.key), signer.key, people)
        return
    person, key = found
    output.say(f"You are: {person.name} ({person.id}), who may {', '.join(person.may)}")
    output.say(f"The key is {_state(person, key, ids.now())}.")


def _name(key: PublicKey) -> str:
    """Return whose key it says it is; behind a lent one stands its file instead."""
    name = key.comment.partition("@")[0]
    return _login() if not name or "/" in name else name


def _introduce(name: str, key: PublicKey, people: People) -> None:
    """Print the lines that make a key known."""
    own = _id(name)
    known = next((person for person in people if person.id == own), None)
    if people.owner(key.text):
        return
    if known:
        output.say(f"\nTo be known by it, add this to the `keys` of {own} in parameters/people.yml:\n")
        output.say(f"      - {key.text}")
    else:
        output.say("\nTo be known by it, add these lines under `people:` in parameters/people.yml:\n")
        output.say(f"  - id: {own}\n    name: {_quoted(name)}\n    keys:\n      - {key.text}")
    output.say("\nHave somebody else review them: who stands there may change things.")


def _id(name: str) -> str:
    from opslib.config.people import YOU

    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._0123456789")
    return slug if slug and slug != YOU else "somebody"


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _state(person: Person, key: PersonKey, now: datetime) -> str:
    terms = (key, person)
    ended = [term.until for term in terms if term.until and term.ended(now)]
    if ended:
        return f"no longer good: it ended on {min(ended)}"
    begins = [term.since for term in terms if term.since and not term.begun(now)]
    if begins:
        return f"not good yet: it begins on {max(begins)}"
    ends = [term.until for term in terms if term.until]
    return f"good until {min(ends)}" if ends else "good"


def _listed(person: Person, key: PersonKey, now: datetime) -> dict[str, Any]:
    return {
        "person": person.id,
        "name": person.name,
        "email": person.email,
        "fingerprint": key.fingerprint,
        "public": key.key,
        "may": list(person.may),
        "good": all(term.begun(now) and not term.ended(now) for term in (person, key)),
        "state": _state(person, key, now),
    }


def _shown(signer: Signer, people: People) -> dict[str, Any]:
    from opslib import ids

    found = people.owner(signer.public)
    known = _listed(*found, ids.now()) if found else None
    return {
        "public": signer.public,
        "fingerprint": signer.fingerprint,
        "private": signer.private,
        "person": known,
    }


def _text(cell: Any) -> str:
    return ", ".join(cell) if isinstance(cell, list) else str(cell)
