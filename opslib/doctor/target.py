"""What a system's file names, tried once each and harmlessly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from opslib.doctor import database
from opslib.doctor.report import Line
from opslib.errors import OpsError, UnknownName
from opslib.verdict import Status

if TYPE_CHECKING:
    import pandas as pd

    from opslib.config import Environment, VendorAccess

_SIDE_BY_SIDE = 4


def lines(environment: Environment) -> Iterator[Line]:
    """Try everything that an environment names."""
    if not environment.attached:
        hint = f"opslib sandbox up {environment.system.name}"
        yield Line("system", "sandbox", Status.SKIPPED, "not up: its addresses are not known", hint)
    else:
        yield from _attached(environment)
    yield from _people(environment)


def _attached(environment: Environment) -> Iterator[Line]:
    parts: tuple[Callable[[Environment], list[Line]], ...] = (_site, database.lines, _pages, _tokens)
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for found in pool.map(lambda part: part(environment), parts):
            yield from found


def _site(environment: Environment) -> list[Line]:
    from opslib import site

    if not environment.base_url:
        hint = f"add base_url to parameters/systems/{environment.system.name}.yml"
        return [Line("site", "web address", Status.SKIPPED, "none is named", hint)]
    found = [_name(row) for row in _rows(site.names, environment)]
    found += [_endpoint(row, environment) for row in _rows(lambda e: site.probe(e, samples=1), environment)]
    found += [_certificate(row) for row in _rows(site.tls, environment)]
    return found


def _rows(look: Callable[[Environment], pd.DataFrame], environment: Environment) -> list[dict[str, object]]:
    try:
        return [
            {str(key): value for key, value in row.items()} for row in look(environment).to_dict("records")
        ]
    except OpsError as error:
        return [{"failed": error.message, "hint": error.hint}]


def _name(row: dict[str, object]) -> Line:
    if "failed" in row:
        return Line("site", "names", Status.UNKNOWN, str(row["failed"]), str(row["hint"]))
    if row["error"]:
        return Line(
            "site", f"name {row['host']}", Status.UNKNOWN, str(row["error"]), "check the name, and DNS"
        )
    return Line("site", f"name {row['host']}", Status.OK, str(row["addresses"]))


def _endpoint(row: dict[str, object], environment: Environment) -> Line:
    if "failed" in row:
        return Line("site", "endpoints", Status.SKIPPED, str(row["failed"]), "name one under `health`")
    what = str(row["url"])
    expected = {e.name: e.status_codes for e in (*environment.health, *environment.smoke)}
    if row["error"]:
        return Line("site", what, Status.UNKNOWN, str(row["error"]), "check the address in the system's file")
    seen = f"{row['status_code']} in {row['ms']:.0f} ms"
    if row["status_code"] not in expected[str(row["endpoint"])]:
        return Line(
            "site", what, Status.WARNING, f"answers with {seen}", "opslib run health-check tells more"
        )
    if row["json_ok"] is False:
        return Line("site", what, Status.WARNING, f"{seen}, not JSON", "check `expect` in the system's file")
    return Line("site", what, Status.OK, seen)


def _certificate(row: dict[str, object]) -> Line:
    if "failed" in row:
        return Line("site", "certificates", Status.SKIPPED, str(row["failed"]))
    if row["error"]:
        return Line("site", f"certificate of {row['host']}", Status.UNKNOWN, str(row["error"]))
    return Line("site", f"certificate of {row['host']}", Status.OK, f"{row['days_left']:.0f} days left")


def _pages(environment: Environment) -> list[Line]:
    """Read every public status page: can it be read, not what does it say."""
    from opslib.vendors import statuspage

    if not environment.vendors:
        hint = f"name them under `vendors` in parameters/systems/{environment.system.name}.yml"
        return [Line("vendors", "vendors", Status.SKIPPED, "none is named", hint)]
    try:
        pages = statuspage.read_all(environment)
    except OpsError as error:
        return [Line("vendors", "status pages", Status.SKIPPED, error.message, error.hint)]
    errors = pages.groupby("vendor")["error"].agg(lambda texts: next((t for t in texts if t), ""))
    return [_page(str(vendor), str(error)) for vendor, error in errors.items()]


def _page(vendor: str, error: str) -> Line:
    if error:
        return Line(
            "vendors", f"status page of {vendor}", Status.WARNING, error, "vendor-status will say unknown"
        )
    return Line("vendors", f"status page of {vendor}", Status.OK, "can be read")


def _tokens(environment: Environment) -> list[Line]:
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        asked = pool.map(lambda access: _token(access, environment), environment.vendors.values())
        return [line for line in asked if line]


def _token(access: VendorAccess, environment: Environment) -> Line | None:
    """Make the harmless call that a vendor's client has for this; None where no token is named."""
    from opslib import vendors

    what = f"access to {access.name}"
    if access.token is None:
        return None
    if not access.token.available():
        hint = f"set {access.token.reference}; without it its procedures are unknown"
        return Line("vendors", what, Status.WARNING, f"{access.token.reference} is not there", hint)
    try:
        row = vendors.load(access.name)(access, resolver=environment.resolver).probe().iloc[0]
    except UnknownName:
        return Line("vendors", what, Status.SKIPPED, "there, but no procedure uses it yet")
    except OpsError as error:
        return Line("vendors", what, Status.WARNING, error.message, error.hint)
    status = Status.OK if row["ok"] else Status.WARNING
    return Line("vendors", what, status, f"{row['account']} {row['detail']}".strip())


def _people(environment: Environment) -> Iterator[Line]:
    """Show what was never filled in: at night a placeholder is nobody."""
    for key, text in environment.system.placeholders():
        hint = f"fill it in: parameters/systems/{environment.system.name}.yml"
        yield Line("people and placeholders", key, Status.WARNING, text, hint)
