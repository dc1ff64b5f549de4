"""The command line of the verifier that people without opslib run."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from opslib.evidence.alone import verify_record
from opslib.evidence.findings import Report, Scope
from opslib.evidence.layout import ENVELOPE, LOG, PROOF, RUNS, is_export
from opslib.evidence.many import verify_many
from opslib.evidence.people import Holder, people_keys
from opslib.evidence.plain import NotSound, content_of, moment
from opslib.evidence.policy import Policy
from opslib.evidence.proofs import Trust
from opslib.evidence.runners import runner_keys

POLICY, RUNNER_KEYS, PEOPLE_KEYS, EARLIER = "policy", "runner-keys", "people-keys", "checkpoints"
SOUND, UNSOUND, UNKNOWN, USAGE = 0, 2, 3, 64
_OPTIONS = ("--policy", "--runner-keys", "--people-keys", "--checkpoint", "--since", "--until", "--now")
_USE = (
    "FOLDER [--policy FILE] [--runner-keys FILE] [--people-keys FILE] [--checkpoint FILE] [--since TIME]"
    " [--until TIME] [--now TIME] [--json]"
)
PEOPLE_INSIDE = "whose keys may approve changes was taken from the folder itself: compare that, too"
KEYS_INSIDE = "keys were taken from the folder itself: compare them with those that you were given elsewhere"


def main(words: list[str]) -> int:
    """Verify a folder, say what was found, and return the exit code.

    Args:
        words: of the command line: an archive or a record, and options.
    """
    try:
        folder, options = _asked(words)
        report = verified_folder(folder, options)
    except (NotSound, OSError) as error:
        print(f"{error}\nuse: {_USE}", file=sys.stderr)
        return USAGE
    told = [PEOPLE_INSIDE] if "--people-keys" not in options and (folder / PEOPLE_KEYS).exists() else []
    inside = not {"--policy", "--runner-keys"} <= options.keys()
    unproven = tuple(dict.fromkeys((*report.unproven, *told, *([KEYS_INSIDE] if inside else []))))
    # A terminal that lacks a letter must not turn what was found into a crash.
    letters = sys.stdout.encoding or "utf-8"
    print(_told(report, unproven, "--json" in options).encode(letters, "backslashreplace").decode(letters))
    return UNKNOWN if report.unknown else SOUND if report.sound else UNSOUND


def verified_folder(folder: Path, options: dict[str, str]) -> Report:
    """Return what was found in an archive, in a record that stands alone, or in an export.

    Args:
        folder: has `log/` and `runs/`, or is that of one record, or was handed over to an auditor.
        options: values of the command line's options.

    Raises:
        NotSound: keys, slots or times are not understood.
        OSError: there are no keys.
    """
    policy = _given(options, "--policy", folder / POLICY).decode("utf-8", "surrogateescape")
    keys = _given(options, "--runner-keys", folder / RUNNER_KEYS).decode("utf-8", "replace")
    trust = Trust(Policy.parse(policy), runner_keys(keys), people=_people(folder, options))
    verify = verify_record if stands_alone(folder) else verify_many
    return verify(folder, trust, _scope(folder, options))


def stands_alone(folder: Path) -> bool:
    """Say whether a folder is that of one record, with no log beside it."""
    one = (folder / PROOF).exists() or (folder / ENVELOPE).exists()
    # A sound record that somebody put beside the log must not be all that is looked at.
    return one and not any((folder / name).exists() for name in (LOG, RUNS)) and not is_export(folder)


def _asked(words: list[str]) -> tuple[Path, dict[str, str]]:
    rest, options = list(words), {}
    while (rest and rest[-1] == "--json") or (len(rest) > 2 and rest[-2] in _OPTIONS):
        value = rest.pop()
        options[value if value == "--json" else rest.pop()] = value
    if len(rest) != 1 or not Path(rest[0]).is_dir():
        raise NotSound("name one folder, before the options")
    return Path(rest[0]), options


def _scope(folder: Path, options: dict[str, str]) -> Scope:
    inside = sorted((folder / EARLIER).glob("*"))
    earlier = [_given({}, "", path) for path in inside]
    if "--checkpoint" in options:
        earlier.append(Path(options["--checkpoint"]).read_bytes())
    since, until, now = (_time(options.get(name)) for name in ("--since", "--until", "--now"))
    return Scope(since=since, until=until, checkpoints=tuple(earlier), now=now)


def _given(options: dict[str, str], name: str, inside: Path) -> bytes:
    """Return what is in the file of an option, or else in the plain file that lies in the folder."""
    if name in options:
        return Path(options[name]).read_bytes()
    content = content_of(inside)
    if content is None:
        raise NotSound(f"{inside}: is not there, or cannot be read")
    return content


def _people(folder: Path, options: dict[str, str]) -> Mapping[str, Holder] | None:
    inside = folder / PEOPLE_KEYS
    if "--people-keys" not in options and not inside.exists():
        return None
    return people_keys(_given(options, "--people-keys", inside).decode("utf-8", "replace"))


def _time(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


def _told(report: Report, unproven: Sequence[str], as_json: bool) -> str:
    if as_json:
        return json.dumps({**report.to_dict(), "unproven": list(unproven)}, indent=1, ensure_ascii=False)
    word = "UNKNOWN" if report.unknown else "SOUND" if report.sound else "NOT SOUND"
    lines = [f"{word}: {report.records} records, {report.leaves} leaves"]
    lines += [f"  {one.kind}: {one.subject}: {one.text}" for one in report.findings]
    lines += [f"  could not be looked at: {text}" for text in report.unseen]
    return "\n".join([*lines, *(f"  not proven: {text}" for text in unproven)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
