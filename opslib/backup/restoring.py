"""Putting a backup into an empty database: looked at first, in one transaction, statistics gathered after.

`psql < dump` goes on after an error, and ends well with half of the tables. Here the first error ends it,
and with it everything that was done so far.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opslib.acts import Opening, Work
from opslib.backup import in_use, locks, manifest, money, reading, store, tools
from opslib.backup.manifest import Holds, Manifest
from opslib.backup.store import DUMP, Folder, Listing
from opslib.errors import Malformed, ParameterError, Refused, SourceError
from opslib.pg import whole
from opslib.pg.connect import DoorLike, parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opslib.config import Environment

WORK = "restore_backup"
_NAME, WRITER = "opslib/restore", "opslib/restore writes"
# How much is there: no more kinds than the first manifests had, and none that a restore numbers anew.
_COUNTED = tuple(f"{kind} " for kind in ("table", "row security", "policy", "function", "view", "type"))
_VENDORS = {"supabase_admin": "Supabase"}  # by the role that owns what each new project has

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """A database that a backup may be restored into.

    Args:
        target: its name in the system's file.
        database: its own name.
        server: host and port.
        version: full version of its server.
        objects: how many things are in it, as a manifest counts them; else how many of any kind.
        missing_roles: of those that the backup needs.
        missing_extensions: of those that the backup needs.
        in_use: it is one that the system itself uses.
        busy: a restore into it is under way; one that was killed may leave its program at work.
        holds: what is in it, in words.
        unseen: databases in use that could not be asked whether they are this one, each with why.
        unread: doors of the system whose address is not on this machine.
        lost: a person says that those in `unseen` are gone.
        vendor: who fills each new database with schemas of its own; nothing where nobody does.
        other_locale: in what it writes or sorts text in another way than the database of the backup.
        locks: why its server has no room for the locks of the restore; nothing where it has.
    """

    target: str
    database: str
    server: str
    version: str
    objects: int
    missing_roles: tuple[str, ...]
    missing_extensions: tuple[str, ...]
    in_use: bool = False
    busy: bool = False
    holds: str = ""
    unseen: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    lost: bool = False
    vendor: str = ""
    other_locale: str = ""
    locks: str = ""


def chosen(kept: Listing, name: str = "", origin: str = "") -> Manifest:
    """Return the manifest of a backup: of the newest one that holds everything when none is named.

    Args:
        kept: where it is.
        name: which one.
        origin: whose it is, as `ENVIRONMENT/SYSTEM`; one of another system or environment must be named so.

    Raises:
        ParameterError: there is none of that name, or none at all, or it is of another system.
        SourceError: it cannot be read.
    """
    origin = origin or kept.origin
    names = kept.ids()
    if (name and name not in names) or not names:
        there = ", ".join(names[-3:]) or "none"
        raise ParameterError(
            f"backup: there is no backup {name!r}; the newest are: {there}", hint="see backup-check"
        )
    if name:
        return _own(_read(kept, name), origin)
    found = (_read(kept, one) for one in reversed(names))
    picked = next((one for one in found if one.content == "all" and one.origin == origin), None)
    if picked is None:
        text = f"backup: none of them holds everything of {origin}"
        raise ParameterError(text, hint="name one, or take a whole one")
    return picked


def _own(found: Manifest, origin: str) -> Manifest:
    if found.origin != origin:
        raise ParameterError(
            f"backup: {found.id} is of {found.origin}, not of {origin}",
            hint=f"if that is what you mean, give origin={found.origin} as well",
        )
    return found


def _read(kept: Listing, name: str) -> Manifest:
    found = manifest.read(kept.manifest(name), f"backup {name}")
    if found.id != name:
        raise Malformed(f"backup {name} says of itself that it is {found.id}", kind="manifest")
    return found


def digest(kept: Listing, name: str) -> str:
    """Return SHA-256 over the manifest of a backup, and so over all of it."""
    return f"sha256:{hashlib.sha256(kept.manifest(name)).hexdigest()}"


def door_of(env: Environment, target: str) -> DoorLike:
    """Return the door to a target.

    Raises:
        ParameterError: the system's file names none of that name.
    """
    if target not in env.targets:
        there = ", ".join(env.targets) or "none"
        raise ParameterError(
            f"target: {env.system.name} names no target {target!r} in {env.name}; there is: {there}",
            hint="name an empty database under database.targets; the one in use never is a target",
        )
    return env.targets[target]


def look(env: Environment, target: str, backup: Manifest, *, lost: bool = False) -> Place:
    """Look at a target, as far as it matters for a backup, and whether the system uses it.

    Args:
        env: where.
        target: its name in the system's file.
        backup: that is to go there.
        lost: a person says that databases in use which cannot be asked are gone.

    Raises:
        ParameterError: there is no such target.
        SourceError: it cannot be looked at.
    """
    door = door_of(env, target)
    found = in_use.compare(env, door)
    place = examine(door, backup)
    return replace(place, in_use=found.same, unseen=found.unseen, unread=found.unread, lost=lost)


def examine(door: DoorLike, backup: Manifest) -> Place:
    """Look at a database, as far as it matters for a backup that may be restored into it.

    Raises:
        SourceError: it cannot be looked at.
    """
    given = parameters(door)
    with whole.frozen(door, _NAME) as view:
        roles = set(view.table("roles")["role"])
        available = set(view.table("available_extensions")["name"])
        contents = view.table("database_contents")["kind"]
        return Place(
            target=door.name, database=view.database, version=view.version,
            server=f"{given.get('host', 'localhost')}:{given.get('port', '5432')}",
            objects=_objects(manifest.look(view, checksums=False)) or len(contents),
            missing_roles=tuple(role for role in backup.holds.roles if role not in roles),
            missing_extensions=tuple(name for name in backup.holds.extensions if name not in available),
            busy=_written_to(view),
            other_locale=_other_locale(
                backup.holds.locale, {**manifest.locale(view), **money.locale(view)}
            ),
            locks=locks.lacking(view, backup.holds),
            vendor=next((name for role, name in _VENDORS.items() if role in roles), ""),
            holds=", ".join(f"{kind} ({count})" for kind, count in contents.value_counts().items()),
        )  # fmt: skip


def expected(backup: Manifest) -> int:
    """Return how many things a database has in which a backup was restored."""
    return _objects(backup.holds)


def reason(place: Place, backup: Manifest) -> str:
    """Return why a backup may not be restored there, or nothing."""
    if place.in_use:
        return f"{place.database} is the database that is in use: a backup is never restored over it"
    if place.unseen and not place.lost:
        return f"nobody knows whether {place.database} is in use: {'; '.join(place.unseen)}"
    if place.busy:
        return f"a restore into {place.database} is under way"
    if place.objects:
        return f"{place.database} is not empty: it holds {place.holds}"
    if backup.content == "data":
        return "a backup of the data alone needs its schema first"
    if backup.holds.major > int(place.version.partition(".")[0]):
        return f"its server has version {place.version}, the backup is of {backup.holds.server_version}"
    if place.missing_extensions:
        return f"its server lacks the extension {', '.join(place.missing_extensions)}"
    if place.missing_roles:
        return f"its server lacks the role {', '.join(place.missing_roles)}"
    return f"its server {place.locks}" if place.locks else ""


def carry_out(opening: Opening, env: Environment) -> None:
    """Restore the backup that an opening of the gate names into the target that it names.

    Raises:
        Refused: it is no such work, the backup is not the one that was shown or is no good, or the target
            may not be written to. Nothing was done.
        SourceError: it did not work; the target is as empty as before.
    """
    act = opening.act
    if not isinstance(act, Work) or act.name != WORK:
        raise Refused(f"{act.text} is nothing that a restore could do")
    kept, name = store.of(env), str(act.params["backup"])
    if digest(kept, name) != act.params["digest"]:
        raise Refused(f"backup {name} is not the one that the plan names", hint="plan again")
    backup = chosen(kept, name, str(act.params.get("origin", "")))
    place = look(env, str(act.params["target"]), backup, lost=act.params.get("lost") is True)
    if why := reason(place, backup) or _other(place, act):
        raise Refused(why)
    if wrong := reading.verify(kept, name):
        raise Refused(f"backup {name} is not to be relied on: {wrong.text}", hint="choose the one before")
    opening.use()
    restore(kept, backup, door_of(env, place.target))


def restore(kept: Folder, backup: Manifest, door: DoorLike, progress: tools.Progress = lambda: None) -> None:
    """Put all of a backup into an empty database, or nothing of it; all of it into one tablespace.

    Raises:
        Refused: no client programs fit.
        SourceError: the first error; nothing of it is there then.
    """
    with whole.frozen(door, _NAME) as view:
        major, read_only = view.major, bool(view.table("server_facts")["default_read_only"].iloc[0])
    used = tools.find(major, remote=tools.over_network(door))
    # Tablespaces are folders of the server that was backed up: another one has none of these names.
    words = [
        "--exit-on-error", "--single-transaction", "--no-tablespaces", "--no-password", "--format=directory",
    ]  # fmt: skip
    with tools.reaching(door, WRITER, writes=read_only) as environment:
        place = f"--dbname=service={environment['PGSERVICE']}"
        tools.run(
            used, "pg_restore", *words, place, kept.folder(backup.id) / DUMP, environment=environment,
            progress=progress,
        )  # fmt: skip
    try:
        whole.analyze(door, _NAME)
    except SourceError as error:
        # All of it is there by now: to call the restore failed would be wrong, and the server does it later.
        log.warning("restored, but without statistics: %s", error.message)


def _written_to(view: whole.Frozen) -> bool:
    owners = view.table("connections_by_owner")
    return bool(((owners["application"] == WRITER) & (owners["database"] == view.database)).any())


def _other_locale(was: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what is written or sorted in another way, in words; nothing where the manifest does not say."""
    other = [name for name, said in was.items() if _spelt(said) != _spelt(now.get(name, ""))]
    return ", ".join(f"{name} {now.get(name) or 'none'} and not {was[name] or 'none'}" for name in other)


def _spelt(locale: str) -> str:
    """Return a locale's name as every system would write it: en_US.UTF-8 is en_US.utf8 elsewhere."""
    return locale.lower().replace("-", "")


def _objects(holds: Holds) -> int:
    return sum(name.startswith(_COUNTED) for name in holds.objects)


def _other(place: Place, act: Work) -> str:
    """Return why the target is not the one that was shown."""
    now = {"database": place.database, "server": place.server}
    if all(act.params[name] == value for name, value in now.items()):
        return ""
    return f"target {place.target} leads to {place.database} at {place.server}, not to what was shown"
