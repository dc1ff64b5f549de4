"""The command line of the verifier that people without opslib run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from opslib.evidence.exported import MANIFEST, POPULATION, verify_export
from opslib.evidence.findings import Report, Scope, Slot
from opslib.evidence.plain import NotSound, moment
from opslib.evidence.policy import Policy
from opslib.evidence.proofs import Trust
from opslib.evidence.records import ENVELOPE, PROOF
from opslib.evidence.runners import runner_keys
from opslib.evidence.verifying import verify_archive, verify_record

POLICY, RUNNER_KEYS, SLOTS, EARLIER = "policy", "runner-keys", "slots.json", "checkpoints"
SOUND, UNSOUND, USAGE = 0, 2, 64
_OPTIONS = ("--policy", "--runner-keys", "--checkpoint", "--since", "--until", "--now")
_USE = (
    "FOLDER [--policy FILE] [--runner-keys FILE] [--checkpoint FILE] [--since TIME] [--until TIME]"
    " [--now TIME] [--json]"
)
_SLOTS_INSIDE = f"which runs were due was taken from {SLOTS}, and not found out again from the log"
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
    told = [_SLOTS_INSIDE] if (folder / SLOTS).exists() else []
    inside = not {"--policy", "--runner-keys"} <= options.keys()
    unproven = (*report.unproven, *told, *([KEYS_INSIDE] if inside else []))
    print(_told(report, unproven, "--json" in options))
    return SOUND if report.sound else UNSOUND


def verified_folder(folder: Path, options: dict[str, str]) -> Report:
    """Return what was found in an archive, in a record that stands alone, or in an export.

    Args:
        folder: has `log/` and `runs/`, or is that of one record, or was handed over to an auditor.
        options: values of the command line's options.

    Raises:
        NotSound: keys, slots or times are not understood.
        OSError: there are no keys.
    """
    policy = Path(options.get("--policy", folder / POLICY))
    keys = Path(options.get("--runner-keys", folder / RUNNER_KEYS))
    told = policy.read_text(encoding="utf-8", errors="surrogateescape")
    trust = Trust(Policy.parse(told), runner_keys(keys.read_text(encoding="utf-8", errors="replace")))
    return _verifier_of(folder)(folder, trust, _scope(folder, options))


def _verifier_of(folder: Path) -> Callable[[Path, Trust, Scope], Report]:
    if (folder / MANIFEST).exists() or (folder / POPULATION).exists():
        return verify_export
    one = (folder / PROOF).exists() or (folder / ENVELOPE).exists()
    return verify_record if one else verify_archive


def _asked(words: list[str]) -> tuple[Path, dict[str, str]]:
    rest, options = list(words), {}
    while (rest and rest[-1] == "--json") or (len(rest) > 2 and rest[-2] in _OPTIONS):
        value = rest.pop()
        options[value if value == "--json" else rest.pop()] = value
    if len(rest) != 1 or not Path(rest[0]).is_dir():
        raise NotSound("name one folder, before the options")
    return Path(rest[0]), options


def _scope(folder: Path, options: dict[str, str]) -> Scope:
    kept = [Path(options["--checkpoint"])] if "--checkpoint" in options else []
    earlier = tuple(path.read_bytes() for path in (*sorted((folder / EARLIER).glob("*")), *kept))
    since, until, now = (_time(options.get(name)) for name in ("--since", "--until", "--now"))
    return Scope(since=since, until=until, slots=_slots(folder / SLOTS), checkpoints=earlier, now=now)


def _time(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


def _slots(path: Path) -> tuple[Slot, ...] | None:
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes())
        return tuple(Slot(str(one["name"]), moment(one["moment"])) for one in found)
    except (ValueError, KeyError, TypeError) as error:
        raise NotSound(f"{path} is no list of name and moment: {error}") from None


def _told(report: Report, unproven: Sequence[str], as_json: bool) -> str:
    if as_json:
        return json.dumps({**report.to_dict(), "unproven": list(unproven)}, indent=1, ensure_ascii=False)
    lines = [f"{'SOUND' if report.sound else 'NOT SOUND'}: {report.records} records, {report.leaves} leaves"]
    lines += [f"  {one.kind}: {one.subject}: {one.text}" for one in report.findings]
    return "\n".join([*lines, *(f"  not proven: {text}" for text in unproven)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
