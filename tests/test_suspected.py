"""What nobody registered and yet looks like a secret, or like somebody's own: not in what is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opslib.runner.execute import run
from opslib.runner.request import Outcome
from opslib.verdict import Status
from tests import small
from tests.conftest import ROOT

# Put together when it runs, so that the code of the cell shows none of it.
SHOWN = """
key = "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc"
print(key, "ada@" + "lovelace.example.org", "support@" + "example.org")
"""
CARD = 4539578763621486
NUMBER = f"""
from IPython.display import display
display({{"application/json": {{"bytes": {CARD}, "text": "{str(CARD)[:8]}" + "{str(CARD)[8:]}"}}}}, raw=True)
"""

Policy = Callable[[str], None]


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Policy:
    """Write what the system's file says of records."""
    folder = tmp_path / "parameters"
    shutil.copytree(ROOT / "parameters", folder)
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(folder))
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))

    def write(said: str) -> None:
        with (folder / "systems" / "klutr.yml").open("a", encoding="utf-8") as file:
            file.write(f"\nrecords:\n  {said}\n")

    return write


def kept(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """Return what the first cell showed, as the record has it, and what the record says of masking."""
    notebook = json.loads((outcome.record / "run.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    stated = json.loads((outcome.record / "run.json").read_text(encoding="utf-8"))["predicate"]
    return json.dumps(outputs[:1]), stated["redaction"]


def test_what_looks_like_a_key_or_a_person_is_masked_and_counted(tmp_path: Path) -> None:
    """A record is read by many, for years."""
    outcome = run(small.request(tmp_path, SHOWN, small.verdict("ok")))
    shown, redaction = kept(outcome)
    assert "[redacted:stripe-key] [redacted:e-mail] support@example.org" in shown
    assert redaction["found"] == {"stripe-key": 1, "e-mail": 1} and redaction["withheld"] == 0
    page = (outcome.record / "run.html").read_text(encoding="utf-8")
    assert "2 redacted by their looks: e-mail, stripe-key" in page
    assert outcome.status is Status.OK


def test_personal_data_is_kept_where_the_system_says_so(tmp_path: Path, policy: Policy) -> None:
    """A procedure that lists accounts is of no use without their addresses; keys stay masked."""
    policy("personal_data: kept")
    shown, _ = kept(run(small.request(tmp_path, SHOWN, small.verdict("ok"))))
    assert "[redacted:stripe-key] ada@lovelace.example.org" in shown


def test_nothing_is_kept_of_a_run_that_showed_a_suspected_secret_where_the_system_says_so(
    tmp_path: Path, policy: Policy
) -> None:
    """The record says that there was one, of which kind, and no more."""
    policy("suspected_secrets: withheld")
    outcome = run(small.request(tmp_path, SHOWN, small.verdict("ok")))
    assert (outcome.status, outcome.document["cause"]["id"]) == (Status.UNKNOWN, "withheld")
    assert "stripe-key" in outcome.document["cause"]["text"]
    assert json.loads((outcome.record / "run.ipynb").read_text(encoding="utf-8"))["cells"] == []
    for path in (tmp_path / "archive").rglob("*"):
        assert not path.is_file() or b"support@" not in path.read_bytes()


def test_personal_data_alone_withholds_nothing(tmp_path: Path, policy: Policy) -> None:
    """It is masked, and the run has found what it has found."""
    policy("suspected_secrets: withheld")
    outcome = run(small.request(tmp_path, "print('ada@' + 'lovelace.example.org')", small.verdict("ok")))
    assert outcome.status is Status.OK and "[redacted:e-mail]" in kept(outcome)[0]


def test_who_ran_it_is_told_even_where_that_is_an_address(tmp_path: Path) -> None:
    """Else nobody would have run it; what they typed in goes, and their secrets too."""
    asked = small.request(tmp_path, small.verdict("ok"), actor="ada@lovelace.example.org")
    outcome = run(replace(asked, parameters={"note": "for bob@babbage.example.org"}))
    stated = json.loads((outcome.record / "run.json").read_text(encoding="utf-8"))["predicate"]
    assert stated["actor"]["user"]["name"] == "ada@lovelace.example.org"
    assert "babbage" not in json.dumps(stated)


def test_a_number_that_looks_like_a_card_stays_a_number(tmp_path: Path) -> None:
    """Sizes have as many digits; written as text it goes."""
    shown, _ = kept(run(small.request(tmp_path, NUMBER, small.verdict("ok"))))
    assert f'"bytes": {CARD}' in shown and '"text": "[redacted:card]"' in shown


def test_a_wrong_word_in_the_policy_is_told_with_its_place(tmp_path: Path, policy: Policy) -> None:
    """A typing error must not keep what was to go."""
    from opslib.errors import ConfigError

    policy("personal_data: keep")
    with pytest.raises(ConfigError, match=r"klutr\.yml:\d+: records\.personal_data"):
        run(small.request(tmp_path, SHOWN))
