"""What can be changed about the secrets of a Doppler config, as literal acts. Nothing is sent."""

from __future__ import annotations

from typing import Any

from opslib.acts import SECRET, Request

VALUE, BEFORE = "value", "before"  # labels of what is put in at the last moment
_PATH = "/v3/configs/config/secrets"


def create(project: str, config: str, name: str, *, label: str = VALUE) -> Request:
    """Set a secret that is not there.

    Args:
        project, config: where.
        name: the secret's name.
        label: of the secret value.
    """
    change = {"name": name, "originalName": None, "value": {SECRET: label}, "visibility": "masked"}
    return _update(project, config, change)


def delete(project: str, config: str, name: str, *, label: str = BEFORE) -> Request:
    """Remove a secret, provided that it still has the value which is put in under `label`."""
    change = {"name": name, "originalName": name, "value": None, "originalValue": {SECRET: label}}
    return _update(project, config, {**change, "shouldDelete": True})


def _update(project: str, config: str, change: dict[str, Any]) -> Request:
    body = {"project": project, "config": config, "change_requests": [change]}
    return Request("doppler", "POST", _PATH, {}, body)
