"""A first file for a user's own system: what is known, and in comments what may follow."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from opslib.config.fields import Url, UrlPath
from opslib.config.limits import defaults
from opslib.config.loader import NAME, find_parameters, load_system
from opslib.config.model import SANDBOX
from opslib.config.secret import is_reference
from opslib.config.source import shown
from opslib.errors import ConfigError, ParameterError

_TEMPLATE = """\
# {title}. Only what is known so far; everything below that begins with # may be filled in later.
# What works already, what is missing and what that leaves out:
#
#   opslib doctor --system {name} --env {environment}
#   opslib run health-check --system {name} --env {environment}
#
# Secrets are references, never values: env:NAME, file:/path, doppler:PROJECT/CONFIG/NAME,
# keyring:SERVICE/USER. A value in their place is refused.

title: "{title}"
owner: {owner}

environments:
  # `sandbox` is there by itself and is the default, so {environment} is only touched when it is named
  # (--env {environment}).
  {environment}:
    production: true  # real users are on it; `false` for staging and the like
{base_url}
{database}

# What tells that it is well, asked with GET. `expect` names fields of a JSON answer and the values that
# are right ("*" accepts anything but nothing); without it, the code alone decides.
{health}
#  - name: api
#    path: /api/health
#    expect: {{status: [ok, healthy], database: connected}}

# Pages that must answer after a deployment:
# smoke:
#   - {{name: sign-in, path: /login}}

# Limits that differ from opslib's own, which are:
{limits}
# limits:
#   response_ms: {{warning: 500, critical: 1000, source: our service level}}
#   connections_pct: {{warning: 70, critical: 90, source: our service level}}

# Vendors: their public status pages are known to opslib, a token opens their API.
# vendors:
#   vercel: {{settings: {{project: {name}}}, token: env:VERCEL_TOKEN}}
#   supabase: {{components: [Auth, Database]}}

# Environment variables without which the application does not work; names only.
# variables:
#   - {{name: DATABASE_URL, where: vercel}}

# What is due every day: a procedure, or a person.
{routine}
#      - {{id: tickets, title: Read the support tickets, by: person}}

# contacts:
#   - {{role: On-Call Engineer, name: "[Add contact]", phone: "[Add phone]"}}
"""
_ROUTINE = """\
routines:
  daily:
    source: opslib default
    items:
"""
_ITEM = "      - {{id: {id}, title: {title}, procedure: {procedure}}}"
_SITE_ITEM = ("site", "Is the site well?", "health-check")
_DATABASE_ITEMS = (
    ("connections", "Are there connections to spare?", "database-connections"),
    ("database", "Is the database well?", "database-health"),
)
_BASE_URL = "    base_url: {url}"
_NO_BASE_URL = "    # base_url: https://example.com"
_DATABASE = """\
    database:
      # Best a role that only looks: `opslib doctor --system {name} --sql` prints how to make it.
      direct: {reference}
      # pooler: env:POOLER_URL  # a transaction pooler, if there is one"""
_NO_DATABASE = """\
    # database:
    #   direct: env:DATABASE_URL"""
_HEALTH = "health:\n  - {{name: health, path: {path}, status: 200}}"
_NO_HEALTH = "# health:"


def new_system(
    name: str,
    url: str | None = None,
    dsn_env: str | None = None,
    root: Path | None = None,
    *,
    health: str = "/",
    environment: str = "production",
    owner: str = "",
) -> Path:
    """Write a commented, minimal file for a system.

    Args:
        name: small letters, digits and dashes; becomes the file's name.
        url: where its site begins, if it has one; a path on it is the one that is asked.
        dsn_env: environment variable that holds its database's address; a whole reference
            (`file:/path`) is taken too.
        root: the project's folder, or its folder `parameters`; made if it is not there. Default: the
            parameters found from the working directory, else made in it.
        health: path that answers when it is well; used where there is a `url`.
        environment: name of its environment.
        owner: who answers for it; a placeholder when not given.

    Returns:
        The new file.

    Raises:
        ParameterError: name, address, path or variable cannot be right.
        ConfigError: the system exists already (its file is left alone), or the file cannot be written.
    """
    _check_name(name, "a system")
    _check_name(environment, "an environment")
    url, health = _split(url, health)
    text = _TEMPLATE.format(
        name=name,
        title=name.replace("-", " ").capitalize(),
        environment=environment,
        owner=json.dumps(owner or "[Add owner]", ensure_ascii=False),
        limits=_limits(),
        base_url=_BASE_URL.format(url=_checked(Url, url, "--url")) if url else _NO_BASE_URL,
        database=_DATABASE.format(name=name, reference=_reference(dsn_env)) if dsn_env else _NO_DATABASE,
        routine=_routine(bool(url), bool(dsn_env)),
        health=_HEALTH.format(path=_checked(UrlPath, health, "--health")) if url else _NO_HEALTH,
    )
    folder = _parameters(root)
    path = folder / "systems" / f"{name}.yml"
    _write(path, text)
    load_system(name, folder)
    return path


def _write(path: Path, text: str) -> None:
    """Write a file that must not be there yet, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        raise ConfigError(f"{shown(path)} exists already", hint="edit it, or choose another name") from None
    except OSError as error:
        raise _unwritten(path, error) from None
    try:
        with file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritten(path, error) from None


def _unwritten(path: Path, error: OSError) -> ConfigError:
    reason = (error.strerror or "unknown reason").lower()
    return ConfigError(f"{shown(path)} cannot be written: {reason}", hint="check the folder and the disk")


def _routine(site: bool, database: bool) -> str:
    wanted = [*([_SITE_ITEM] if site else []), *(_DATABASE_ITEMS if database else [])]
    items = [_ITEM.format(id=i, title=json.dumps(t), procedure=p) for i, t, p in wanted or [_SITE_ITEM]]
    text = _ROUTINE + "\n".join(items)
    return text if wanted else textwrap.indent(text, "#")


def _limits() -> str:
    names = textwrap.fill(", ".join(defaults().limits), 96)
    return textwrap.indent(names, "#   ")


def _check_name(name: str, what: str) -> None:
    if not NAME.fullmatch(name) or name == SANDBOX:
        raise ParameterError(
            f"{name!r} cannot be the name of {what}",
            hint="begin with a small letter, then small letters, digits and dashes, such as my-shop",
        )


def _checked(kind: Any, text: str, option: str) -> str:
    try:
        return TypeAdapter[str](kind).validate_python(text)
    except ValidationError as error:
        what = error.errors(include_url=False, include_input=False)[0]["ctx"]["what"]
        # The text is not repeated: an address may hold a password.
        raise ParameterError(f"{option} {what}", hint="see `opslib system new --help`") from None


def _reference(text: str) -> str:
    reference = text if is_reference(text) else f"env:{text}"
    if not is_reference(reference):
        raise ParameterError(
            "--dsn-env must be the name of an environment variable, not the address itself",
            hint="export DATABASE_URL=…, then --dsn-env DATABASE_URL",
        )
    return reference


def _parameters(root: Path | None) -> Path:
    """Return the folder `parameters` to write to, whether or not it exists."""
    given = os.environ.get("OPSLIB_PARAMETERS")
    if root is None and given:
        root = Path(given).expanduser().absolute()
    if root is None:
        try:
            return find_parameters()
        except ConfigError:
            root = Path.cwd()
    is_it = root.name == "parameters" or (root / "systems").is_dir()
    return root if is_it else root / "parameters"


def _split(url: str | None, health: str) -> tuple[str | None, str]:
    """Return the site's address and the path to ask: people paste the address of their health endpoint."""
    parts = urlsplit(url or "")
    if health != "/" or not parts.path.strip("/"):
        return url, health
    return f"{parts.scheme}://{parts.netloc}", parts.path
