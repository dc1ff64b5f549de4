"""One environment of a system, ready to be used: addresses, doors, vendors, limits.

The environment `sandbox` has the shape of production and the addresses of the sandbox that is up.
Nothing of production's addresses or references is left in it, also when no sandbox is up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opslib.config import bucket, overlay, parts, rehearsal
from opslib.config.bucket import Bucket
from opslib.config.fields import is_placeholder
from opslib.config.limits import Limit, defaults
from opslib.config.model import SANDBOX, System
from opslib.config.secret import Secret
from opslib.config.validate import close
from opslib.errors import UnknownName

DOORS = ("direct", "session", "pooler")
OPERATOR = "operator"
BACKUP = "backup"


@dataclass(frozen=True)
class Door:
    """One way into the database.

    Args:
        name: direct, session or pooler; operator for the one that leads to changes.
        dsn: reference to its address.
        pooled: it is a transaction pooler, so nothing may outlive a transaction.
    """

    name: str
    dsn: Secret
    pooled: bool


@dataclass(frozen=True)
class HealthEndpoint:
    """An endpoint with its whole address; `url` is empty when the environment has none.

    Args:
        name, path, expect, pool, version_field: as in the system's file.
        url: the address to ask.
        status_codes: HTTP codes that are right.
    """

    name: str
    path: str
    url: str
    expect: dict[str, list[str]]
    pool: str | None
    version_field: str | None
    status_codes: tuple[int, ...] = (200,)

    @property
    def json(self) -> bool:
        """Whether the answer must be JSON; a version alone may also come as plain text."""
        return bool(self.expect or self.pool)


@dataclass(frozen=True)
class VendorAccess:
    """How one vendor is reached from one environment; an empty address means that none is known.

    Args:
        name: opslib's name of the vendor.
        api_url: where its API begins.
        status_url: its public status page, without the part that depends on `status_format`.
        status_format: statuspage, betterstack, incident.io or none.
        components: parts of the status page that matter; none named means all.
        settings: what its API must be told, as text; without what was never filled in.
        token: credential for its API.
        secrets: further credentials by name.
        title: its name as people write it.
    """

    name: str
    api_url: str
    status_url: str
    status_format: str
    components: tuple[str, ...]
    settings: dict[str, str]
    token: Secret | None
    secrets: dict[str, Secret] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class Environment:
    """One environment of one system.

    Args:
        system: the system.
        name: the environment's name.
        base_url: where its site begins; None when it has none.
        doors: the ways into its database, the best first.
        vendors: by name.
        limits: all limits that hold here.
        production: real users are on it.
        attached: its addresses are known; False for the sandbox while none is up.
        resolver: `host:port` of the name server to ask in place of the machine's; sandbox only.
        operator: the way in for approved changes; none of `doors`, so that no look ever uses it.
        backup: the way in that reads every row, for backups; None where no door leads to the server itself.
        targets: the databases that a backup may be restored into, by name.
        backups: where its backups are kept; None for the place that holds for all.
        bucket: where finished backups are copied to; None where the system's file names no bucket.
        copies: where the copies of its buckets are in the sandbox; None for the places that its file names.
    """

    system: System = field(repr=False)
    name: str
    base_url: str | None
    doors: tuple[Door, ...]
    vendors: Mapping[str, VendorAccess]
    limits: Mapping[str, Limit] = field(repr=False)
    production: bool
    attached: bool = True
    resolver: str | None = None
    operator: Door | None = None
    backup: Door | None = None
    targets: Mapping[str, Door] = field(default_factory=dict)
    backups: Path | None = None
    bucket: Bucket | None = None
    copies: Path | None = None

    @property
    def health(self) -> tuple[HealthEndpoint, ...]:
        """The health endpoints."""
        declared = rehearsal.health(self.system) if self.name == SANDBOX else self.system.health
        return tuple(self._endpoints(declared))

    @property
    def smoke(self) -> tuple[HealthEndpoint, ...]:
        """The pages that must answer after a deployment."""
        return tuple(self._endpoints(self.system.smoke))

    def limit(self, name: str) -> Limit:
        """Return one limit.

        Raises:
            UnknownName: there is no limit of that name.
        """
        if name in self.limits:
            return self.limits[name]
        guess = close(name, self.limits)
        hint = f"did you mean {guess}?" if guess else "name it under `limits` in the system's file"
        raise UnknownName(f"{self.system.name} has no limit {name!r}", hint=hint)

    def secrets(self) -> tuple[Secret, ...]:
        """Return every secret that the environment refers to, each reference once."""
        doors = (*self.doors, self.operator, self.backup, *self.targets.values())
        found = [door.dsn for door in doors if door]
        for vendor in self.vendors.values():
            found += [*([vendor.token] if vendor.token else []), *vendor.secrets.values()]
        found += self.bucket.secrets.values() if self.bucket else ()
        return tuple({secret.reference: secret for secret in found}.values())

    def _endpoints(self, endpoints: Iterable[parts.Endpoint]) -> Iterable[HealthEndpoint]:
        for e in endpoints:
            url = f"{self.base_url}{e.path}" if self.base_url else ""
            yield HealthEndpoint(e.name, e.path, url, dict(e.expect), e.pool, e.version_field, e.status)


def build(system: System, name: str) -> Environment:
    """Return an environment that the system is known to have."""
    if name == SANDBOX:
        return _sandbox(system)
    spec = system.environments[name]
    return Environment(
        system=system,
        name=name,
        base_url=spec.base_url,
        doors=_doors(spec.database.model_dump()),
        vendors={
            n: _access(n, v, spec.vendors.get(n)) for n, v in {**spec.vendors, **system.vendors}.items()
        },
        limits={**system.limits, **spec.limits},
        production=spec.production,
        operator=_single(OPERATOR, spec.database.operator),
        backup=_single(BACKUP, spec.database.backup or spec.database.direct),
        targets={name: Door(name, Secret.parse(text), False) for name, text in spec.database.targets.items()},
        bucket=bucket.named(spec.backup_bucket) if spec.backup_bucket else None,
    )


def _doors(references: Mapping[str, str | None]) -> tuple[Door, ...]:
    given = ((name, references[name]) for name in DOORS)
    return tuple(Door(name, Secret.parse(text), name == "pooler") for name, text in given if text)


def _single(name: str, reference: str | None) -> Door | None:
    return Door(name, Secret.parse(reference), False) if reference else None


def _access(name: str, vendor: parts.Vendor, here: parts.Vendor | None) -> VendorAccess:
    """Put together what opslib knows of a vendor, what the system says, and what the environment says."""
    known = defaults().vendors.get(name)
    layers = [known, vendor, here]
    token: str | None = _last(layers, "token")
    secrets = {**vendor.secrets, **(here.secrets if here else {})}
    settings = {**vendor.settings, **(here.settings if here else {})}
    return VendorAccess(
        name=name,
        api_url=_last(layers, "api_url") or "",
        status_url=_last(layers, "status_url") or "",
        status_format=_last(layers, "status_format") or "none",
        components=_last(layers, "components") or (),
        settings={key: str(value) for key, value in settings.items() if not is_placeholder(str(value))},
        token=Secret.parse(token) if token else None,
        secrets={key: Secret.parse(reference) for key, reference in secrets.items()},
        title=_last(layers, "title") or name,
    )


def _last(layers: Iterable[Any], key: str) -> Any:
    """Return the value of the last layer that has one."""
    values = [getattr(layer, key, None) for layer in layers]
    return next((value for value in reversed(values) if value), None)


def _sandbox(system: System) -> Environment:
    state = overlay.state()
    site = state.site(system.name) if state else None
    template = next(iter(system.environments.values()))
    vendors = {**template.vendors, **system.vendors}
    doors = _sandbox_doors(system.name, state) if state else ()
    return Environment(
        system=system,
        name=SANDBOX,
        base_url=site,
        doors=doors,
        vendors={name: _simulated(system.name, _access(name, v, None), state) for name, v in vendors.items()},
        limits={**system.limits, **(_rehearsed(system.limits, state) if state else {})},
        production=False,
        attached=state is not None and (site is not None or bool(state.doors(system.name))),
        resolver=state.resolver if state else None,
        operator=_sandbox_operator(system.name, state),
        backup=next((Door(BACKUP, door.dsn, False) for door in doors if door.name == "direct"), None),
        targets=_sandbox_targets(system.name, state),
        backups=state.backups if state else None,
        copies=state.copies if state else None,
        bucket=bucket.rehearsed(system.name, state) if state else None,
    )


def _sandbox_doors(system: str, state: overlay.State) -> tuple[Door, ...]:
    return tuple(
        Door(name, Secret.literal(f"sandbox-{system}-{name}", dsn), name == "pooler")
        for name, dsn in state.doors(system).items()
    )


def _sandbox_operator(system: str, state: overlay.State | None) -> Door | None:
    dsn = state.operators.get(system) if state else None
    return Door(OPERATOR, Secret.literal(f"sandbox-{system}-{OPERATOR}", dsn), False) if dsn else None


def _sandbox_targets(system: str, state: overlay.State | None) -> dict[str, Door]:
    given = state.targets.get(system, {}) if state else {}
    return {
        name: Door(name, Secret.literal(f"sandbox-{system}-{name}", dsn), False)
        for name, dsn in given.items()
    }


def _rehearsed(limits: Mapping[str, Limit], state: overlay.State) -> dict[str, Limit]:
    """Return the limits that the sandbox shortens, with itself as their source."""
    return {
        name: limits[name].model_copy(update={**steps, "source": SANDBOX})
        for name, steps in state.limits.items()
        if name in limits
    }


def _simulated(system: str, real: VendorAccess, state: overlay.State | None) -> VendorAccess:
    settings, token = state.vendor_settings(real.name, system) if state else ({}, None)
    return VendorAccess(
        name=real.name,
        api_url=state.vendors.get(real.name, "") if state else "",
        status_url=state.status_pages.get(real.name, "") if state else "",
        status_format=real.status_format,
        components=real.components,
        settings={**real.settings, **settings},
        token=Secret.literal(f"sandbox-{real.name}-token", token) if token else None,
        # The sandbox has one credential a vendor, whatever it is called.
        secrets={n: Secret.literal(f"sandbox-{real.name}-{n}", token) for n in real.secrets} if token else {},
        title=real.title,
    )
