"""Parameters are read from the notebook's own cell and refused before a kernel starts."""

from __future__ import annotations

import pytest

from opslib import parameters
from opslib.errors import ConfigError, ParameterError, UnknownName

CELL = """
from typing import Literal, Optional

system: str = "kulti"  # which system (a file in parameters/systems)
environment: str = "sandbox"  # which of its environments
url: str = "https://x.test/?a=1&b=2#part"  # an address; with = and # in it
samples: int = 3  # samples per endpoint, 1-50
share: float = 0.5  # share of requests, 0-1
deep: bool = False  # look at sizes too
routine: Literal["daily", "weekly"] = "daily"  # which list
limit: Optional[int] = None  # rows at most, 1-100
tables: list[str] = ["users",  # not this one
                     "jobs"]  # tables to look at
since: str | None = None  # a day such as 2026-11-21
"""


def declared() -> tuple[parameters.Parameter, ...]:
    """Return the parameters of the cell above."""
    return parameters.read(CELL)


def one(name: str) -> parameters.Parameter:
    """Return one of them."""
    return next(parameter for parameter in declared() if parameter.name == name)


def test_every_annotated_literal_is_read_in_its_order() -> None:
    """Names, types and defaults are those of the cell."""
    assert [(p.name, p.type) for p in declared()] == [
        ("system", "str"),
        ("environment", "str"),
        ("url", "str"),
        ("samples", "int"),
        ("share", "float"),
        ("deep", "bool"),
        ("routine", "choice"),
        ("limit", "int"),
        ("tables", "list[str]"),
        ("since", "str"),
    ]


def test_a_default_may_hold_a_hash_and_an_equals_sign() -> None:
    """An address or a DSN is cut by readers that go by lines."""
    assert one("url").default == "https://x.test/?a=1&b=2#part"
    assert one("url").help == "an address; with = and # in it"


def test_a_range_at_the_end_of_the_comment_bounds_a_number() -> None:
    """The comment is for people and for the check alike."""
    assert (one("samples").minimum, one("samples").maximum) == (1, 50)
    assert one("samples").allowed == "a whole number, 1-50"


def test_a_remark_behind_the_range_does_not_lift_it() -> None:
    """Else `-p samples=0` is accepted, and nothing is looked at."""
    (found,) = parameters.read("samples: int = 5  # samples per endpoint, 1-50; from 5 on p95 is judged")
    assert (found.minimum, found.maximum) == (1, 50)


def test_a_date_in_a_comment_of_a_text_is_no_range() -> None:
    """Only numbers have one."""
    assert one("since").minimum is None


def test_a_default_over_several_lines_takes_the_comment_of_its_last() -> None:
    """A long list stays readable."""
    assert one("tables").default == ["users", "jobs"]
    assert one("tables").help == "tables to look at"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("samples", "50", 50),
        ("samples", 7, 7),
        ("share", "0.25", 0.25),
        ("share", 1, 1.0),
        ("deep", "yes", True),
        ("deep", "FALSE", False),
        ("routine", "weekly", "weekly"),
        ("limit", "none", None),
        ("limit", "9", 9),
        ("tables", "a, b", ["a", "b"]),
        ("tables", '["a,b"]', ["a,b"]),
        ("url", "x=1=2#3", "x=1=2#3"),
        ("since", "2026-11-21", "2026-11-21"),
    ],
)
def test_text_becomes_a_value_of_the_declared_type(name: str, text: object, value: object) -> None:
    """What the notebook gets is typed, whether it came from a command line or a file."""
    got = parameters.parse(declared(), {name: text})[name]
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("samples", "abc", "not a whole number"),
        ("samples", "1.5", "not a whole number"),
        ("samples", True, "not a whole number"),
        ("samples", "51", "above the largest value allowed, 50"),
        ("samples", "0", "below the smallest value allowed, 1"),
        ("share", "nan", "not a finite number"),
        ("share", "wide", "not a number"),
        ("deep", "perhaps", "neither true nor false"),
        ("routine", "weely", "did you mean weekly?"),
        ("limit", "101", "above the largest"),
        ("tables", [1], "not a list of texts"),
        ("tables", "[oops", "not a list"),
        ("since", 20261121, "not text"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(name: str, text: object, says: str) -> None:
    """The message names notebook, parameter, value; the hint says what is allowed."""
    with pytest.raises(ParameterError) as caught:
        parameters.parse(declared(), {name: text}, notebook="health-check")
    assert f"health-check: parameter {name}: {text!r} is" in caught.value.message
    assert says in caught.value.message
    assert one(name).allowed in caught.value.hint


def test_an_unknown_parameter_is_refused_with_the_near_ones() -> None:
    """A slip of the finger must not run with the default instead."""
    with pytest.raises(UnknownName, match=r"no parameter sample; did you mean samples"):
        parameters.parse(declared(), {"sample": "3"}, notebook="health-check")


def test_pairs_split_at_the_first_equals_sign() -> None:
    """A value may be an address with a query."""
    assert parameters.pairs(["url=x?a=1", "deep=yes"]) == {"url": "x?a=1", "deep": "yes"}


@pytest.mark.parametrize("words", [["samples"], ["=3"], ["a=1", "a=2"]])
def test_pairs_that_say_nothing_or_say_it_twice_are_refused(words: list[str]) -> None:
    """Better to ask than to choose one."""
    with pytest.raises(ParameterError):
        parameters.pairs(words)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("n = 3", "not of the form"),
        ("n: int = len('abc')", "not a literal"),
        ("n: int = 0  # rows, 1-9", "below the smallest"),
        ("n: dict = {}", "cannot be checked"),
        ("n: int = ", "not Python"),
        ("n: int = 1\nn: int = 2", "twice"),
        ('n: Literal["a"] = "b"', "not one of a"),
        ("for n in []: pass", "not of the form"),
    ],
)
def test_a_cell_that_cannot_be_checked_is_refused(cell: str, says: str) -> None:
    """A wrong cell is found when it is written, not at night."""
    with pytest.raises(ConfigError, match=says):
        parameters.read(cell)
