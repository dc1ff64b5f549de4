"""What can be changed about a Vercel project's environment variables, as literal acts. Nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from opslib.acts import SECRET, Request
from opslib.errors import Malformed, Refused
from opslib.vendors.vercel_acts import team_of

if TYPE_CHECKING:
    from opslib.http import Answer

VALUE, BEFORE, ID = "value", "before", "id"  # labels of what is put in at the last moment


def create(
    project: str, name: str, target: Sequence[str], *, type: str, comment: str, team: str, label: str = VALUE
) -> Request:
    """Set a variable that is not there; Vercel refuses where it is, so nobody's value is lost.

    Args:
        project: id or name of the project.
        name: the variable's name.
        target: production, preview, development.
        type: encrypted, plain or sensitive.
        comment: the note beside it.
        team: id or short name of the team, or nothing.
        label: of the secret value.
    """
    body = {"key": name, "value": {SECRET: label}, "type": type, "target": list(target), "comment": comment}
    return Request("vercel", "POST", f"/v10/projects/{quote(project)}/env", team_of(team), body)


def change(project: str, identity: str, *, comment: str, team: str, label: str = VALUE) -> Request:
    """Give a variable another value; name, type and targets stay.

    Args:
        project: id or name of the project.
        identity: the variable's id.
        comment: the note beside it.
        team: id or short name of the team, or nothing.
        label: of the secret value.
    """
    body = {"value": {SECRET: label}, "comment": comment}
    path = f"/v9/projects/{quote(project)}/env/{quote(identity)}"
    return Request("vercel", "PATCH", path, team_of(team), body)


def delete(project: str, identity: str, *, team: str) -> Request:
    """Remove a variable by its id."""
    return Request("vercel", "DELETE", f"/v9/projects/{quote(project)}/env/{quote(identity)}", team_of(team))


def delete_created(project: str, *, team: str) -> Request:
    """Remove the variable that `create` made; its id, which nobody knows before, is put in at the end."""
    body = {"ids": [{SECRET: ID}]}
    return Request("vercel", "DELETE", f"/v1/projects/{quote(project)}/env", team_of(team), body)


def accepted(answer: Answer) -> Answer:
    """Return Vercel's answer to an act, unless it says that something was not set after all.

    Raises:
        Refused: Vercel answered with success, and with a list of what failed.
    """
    try:
        document = answer.json
    except Malformed:  # several acts are answered with an empty body
        return answer
    failed = document.get("failed") if isinstance(document, dict) else None
    if not isinstance(failed, list) or not failed:
        return answer
    errors = [entry.get("error") or {} for entry in failed if isinstance(entry, dict)]
    said = "; ".join(str(error.get("message") or error.get("code") or "no reason given") for error in errors)
    raise Refused(f"vercel did not set it: {said}")
