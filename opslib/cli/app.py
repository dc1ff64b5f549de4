"""The command line's root: commands are imported only when they are named."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

from opslib import __version__

# Command -> (heading in the help, module of this package that holds it under the same name).
COMMANDS: Mapping[str, tuple[str, str]] = {
    "list": ("Find out what is wrong", "procedures"),
    "run": ("Find out what is wrong", "runs"),
    "routine": ("Find out what is wrong", "routines"),
    "plan": ("Change something", "changes"),
    "approve": ("Change something", "approvals"),
    "apply": ("Change something", "changes"),
    "undo": ("Change something", "changes"),
    "plans": ("Change something", "approvals"),
    "keys": ("Change something", "keys"),
    "history": ("What was found before", "records"),
    "show": ("What was found before", "records"),
    "search": ("What was found before", "searches"),
    "diff": ("What was found before", "differences"),
    "report": ("What was found before", "reports"),
    "annotate": ("What was found before", "noting"),
    "verify": ("What was found before", "verifying"),
    "export": ("What was found before", "exporting"),
    "hold": ("What was found before", "keeping"),
    "dispose": ("What was found before", "keeping"),
    "witness": ("What was found before", "witnessing"),
    "archive": ("What was found before", "archives"),
    "schedule": ("Routine", "schedules"),
    "doctor": ("Routine", "readiness"),
    "system": ("Routine", "systems"),
    "sandbox": ("Rehearse", "rehearsal"),
    "lab": ("Build", "building"),
    "kernels": ("Build", "kernels"),
    "new": ("Build", "building"),
    "migration": ("Build", "migrating"),
    "version": ("Build", "building"),
}


class LazyGroup(click.Group):
    """A group whose commands live in modules that are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"opslib.cli.{COMMANDS[cmd_name][1]}")
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail with the near ones."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from opslib.errors import UnknownName
            from opslib.parameters import close

            raise UnknownName(
                f"there is no command {args[0]}{close(args[0], COMMANDS)}", hint="see `opslib --help`"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings."""
        for heading in dict.fromkeys(heading for heading, _ in COMMANDS.values()):
            names = [name for name, (own, _) in COMMANDS.items() if own == heading]
            with formatter.section(heading):
                formatter.write_dl([(name, self._short(ctx, name)) for name in names])

    def _short(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=80) if command else ""


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, "--version", message="opslib %(version)s")
def cli() -> None:
    """Executable runbooks: diagnose in seconds, keep the proof.

    Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown (could not look), 64 usage or
    configuration, 130 interrupted.

    \b
    opslib list "too many clients"                       what is there for this symptom?
    opslib run database-connections --system kulti       run it (in the sandbox, unless --env says otherwise)
    opslib routine daily --system klutr                  a system's daily list
    """
