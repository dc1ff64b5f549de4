"""What of a run is masked: the secrets of its environment, and what the system's `records` say."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from opslib import config
from opslib.errors import SecretError
from opslib.masking import Masker, registered

Masking = Callable[[], Masker]


def secret_values(environment: config.Environment) -> dict[str, str]:
    """Return the values of an environment's secrets that can be had here, by name.

    A secret that cannot be resolved cannot leak either; whoever needs it will say that it is missing.
    """
    for secret in environment.secrets():
        with suppress(SecretError):
            secret.reveal()
    return registered()


def masking_for(environment: config.Environment) -> Masking:
    """Return what makes a masker for what is kept of a run: each counts for itself."""
    secret_values(environment)
    rules = environment.system.records
    kept, strict = rules.personal_data == "kept", rules.suspected_secrets == "withheld"
    # Asked for anew: some values become known only while the kernel is at work.
    return lambda: Masker(registered(), net=True, allow_personal=kept, strict=strict)


def masked_intent(intent: dict[str, Any], masker: Masker) -> dict[str, Any]:
    """Return a masked intent; who asked is what a record is for, even where that is an e-mail address."""
    origin = intent["origin"]
    masked: dict[str, Any] = masker.mask_json({**intent, "origin": {**origin, "actor": ""}})
    masked["origin"] = {**masked["origin"], "actor": masker.mask_known(origin["actor"])}
    return masked
