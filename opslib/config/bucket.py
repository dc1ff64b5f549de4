"""The bucket that finished backups are copied to: where it is, and with which credentials it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opslib.config.files import AWS
from opslib.config.overlay import State
from opslib.config.secret import Secret
from opslib.config.store import BackupBucket


@dataclass(frozen=True)
class Bucket:
    """Where finished backups are copied to.

    Args:
        place: such as s3://acme-backups/databases.
        endpoint: of the store; "" for that of AWS.
        region: of the bucket; "" for that of the usual AWS environment.
        secrets: `key`, `secret` and `token`; none for those of the usual AWS environment.
    """

    place: str
    endpoint: str = ""
    region: str = ""
    secrets: Mapping[str, Secret] = field(default_factory=dict)


def named(spec: BackupBucket) -> Bucket:
    """Return the bucket that a system's file names."""
    references = {"key": spec.key, "secret": spec.secret, "token": spec.token}
    secrets = {name: Secret.parse(reference) for name, reference in references.items() if reference}
    return Bucket(spec.place, spec.endpoint or "", spec.region or "", secrets)


def rehearsed(system: str, state: State) -> Bucket | None:
    """Return the bucket that a system has in the sandbox that is up; None where it has none."""
    settings, token = state.vendor_settings(AWS, system)
    if not token or "backup_bucket" not in settings:
        return None
    pair = {"key": settings["key"], "secret": token}
    secrets = {name: Secret.literal(f"sandbox-{AWS}-{name}", value) for name, value in pair.items()}
    return Bucket(settings["backup_bucket"], state.vendors[AWS], settings["region"], secrets)
