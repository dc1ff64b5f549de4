"""What must be right before a request may change something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opslib import acts, masking
from opslib.errors import Refused
from opslib.http.answer import Sending

if TYPE_CHECKING:
    from opslib.acts import Opening

WRITES = ("POST", "PUT", "PATCH", "DELETE")


def sending(opening: Opening, client: str, *, idempotent: bool) -> Sending:
    """Spend an opening and return its request, its secret values in place and known to the masker.

    Args:
        opening: the leave.
        client: name of the client that will send it.
        idempotent: whether the server takes an idempotency key.

    Raises:
        Refused: it is for something else, or used before.
    """
    act = opening.act
    if not isinstance(act, acts.Request):
        raise Refused(f"{act.text} is nothing that can be sent to {client}")
    if act.source != client:
        raise Refused(f"the leave is for {act.source}, this is {client}")
    if act.method not in WRITES or not (act.path == "" or act.path.startswith("/")):
        raise Refused(f"{act.text} is no request that a plan may hold")
    filled = opening.use()
    assert isinstance(filled, acts.Request)
    for label, value in _put_in(act.body, filled.body):
        masking.register(label, value)
    headers = {"idempotency-key": opening.key} if idempotent else {}
    return Sending(act.method, act.path, act.params, filled.body, headers, acts.to_dict(act))


def _put_in(labelled: Any, filled: Any) -> Iterator[tuple[str, str]]:
    """Yield label and value wherever a secret value was put in."""
    if isinstance(labelled, Mapping):
        if set(labelled) == {acts.SECRET}:
            yield str(labelled[acts.SECRET]), str(filled)
            return
        for name, part in labelled.items():
            yield from _put_in(part, filled[name])
    elif isinstance(labelled, list | tuple):
        for part, value in zip(labelled, filled, strict=True):
            yield from _put_in(part, value)
