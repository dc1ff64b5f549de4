"""`opslib system`: the systems that opslib knows, and adding one's own."""

from __future__ import annotations

import click

from opslib.cli import options, output
from opslib.errors import UsageError


@click.group("system")
def system_command() -> None:
    """The systems that opslib knows, and adding your own.

    \b
    opslib system list
    opslib system new shop --url https://shop.example --dsn-env DATABASE_URL
    """


@system_command.command("list")
@options.as_json
def list_systems(as_json: bool) -> int:
    """List the files in parameters/systems.

    \b
    opslib system list --json
    """
    from opslib import config

    found = [config.load_system(name) for name in config.list_systems()]
    if as_json:
        rows = [
            {
                "name": s.name,
                "title": s.title,
                "owner": s.owner,
                "environments": list(s.environment_names),
                "routines": list(s.routines),
            }
            for s in found
        ]
        output.emit({"systems": rows})
        return 0
    table = [(s.name, s.title, s.owner, ", ".join(s.environment_names), ", ".join(s.routines)) for s in found]
    output.table(("SYSTEM", "TITLE", "OWNER", "ENVIRONMENTS", "ROUTINES"), table)
    return 0


@system_command.command("new")
@click.argument("name")
@click.option("--url", help="Where its site begins, e.g. https://shop.example")
@click.option("--dsn-env", metavar="VARIABLE", help="Environment variable that holds the database's address.")
def new_system(name: str, url: str | None, dsn_env: str | None) -> int:
    """Write a first, commented parameters/systems/NAME.yml.

    Only the name of the variable is written, never the database's address itself.

    \b
    opslib system new shop --url https://shop.example --dsn-env DATABASE_URL
    opslib doctor --system shop --env production
    """
    from opslib.config import scaffold

    if not url and not dsn_env:
        raise UsageError("nothing to look at", hint="give --url, --dsn-env, or both")
    path = scaffold.new_system(name, url=url, dsn_env=dsn_env)
    output.say(f"Written: {path}")
    output.say(f"Now try what it names: opslib doctor --system {name} --env production")
    return 0
