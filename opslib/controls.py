"""Which controls of which standard the runs of a procedure are evidence for: the one table of it.

A procedure's metadata names themes; an auditor asks for a control. What stands here is a reading of public
texts (SOC 2 trust services criteria, ISO/IEC 27001 annex A, NIST SP 800-53), not the judgement of an auditor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

EVERY_RUN = "records"  # what each record is evidence for, whatever was run


@dataclass(frozen=True)
class Theme:
    """What runs can show, and where it is asked for.

    Args:
        shows: what they show, in a sentence.
        soc2: trust services criteria.
        iso: controls of ISO/IEC 27001:2022, annex A.
        nist: controls of NIST SP 800-53.
    """

    shows: str
    soc2: tuple[str, ...] = ()
    iso: tuple[str, ...] = ()
    nist: tuple[str, ...] = ()

    @property
    def controls(self) -> tuple[str, ...]:
        """All controls, of all standards."""
        return (*self.soc2, *self.iso, *self.nist)


THEMES: Mapping[str, Theme] = {
    "recovery": Theme(
        "recovery is tried: when, by whom, with which result",
        ("A1.2", "A1.3"), ("A.5.30", "A.8.13"), ("CP-4", "CP-9(1)"),
    ),
    "monitoring": Theme(
        "systems are looked at as the schedule demands, and what was found is judged",
        ("CC7.2", "CC7.3"), ("A.8.16",), ("CA-7",),
    ),
    "response": Theme(
        "incidents are answered by a defined procedure: each step, by whom, and what was seen then",
        ("CC7.4", "CC7.5"), ("A.5.24", "A.5.25", "A.5.26", "A.5.27"), ("IR-4", "IR-5"),
    ),
    "change": Theme(
        "changes are planned, approved, tried and recorded",
        ("CC8.1",), ("A.5.37", "A.8.32"), ("CM-3",),
    ),
    "remediation": Theme("what was found is followed until it is gone", ("CC4.1", "CC4.2")),
    EVERY_RUN: Theme(
        "records say who did what, where and when; they are signed, logged and kept",
        (), ("A.5.28", "A.5.33", "A.8.11", "A.8.15", "A.8.17"),
        ("AC-6(9)", "AU-2", "AU-3", "AU-8", "AU-9", "AU-9(2)", "AU-9(3)", "AU-10", "AU-11", "AU-12"),
    ),
}  # fmt: skip


def themes_of(control: str) -> tuple[str, ...]:
    """Return the themes that a control asks for; `SOC2:A1.3`, `a1.3` and `A1.3` are the same."""
    return tuple(name for name, theme in THEMES.items() if canonical(control) in theme.controls)


def canonical(control: str) -> str:
    """Return a control's name as the table has it."""
    return re.sub(r"^(SOC ?2|ISO ?27001|NIST|800-53):", "", control.strip().upper())


def controls_of(themes: Iterable[str]) -> tuple[str, ...]:
    """Return the controls that runs of a procedure with these themes are evidence for."""
    return tuple(control for name in (*themes, EVERY_RUN) for control in THEMES[name].controls)
