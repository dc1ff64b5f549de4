"""The letter that lies in an export: what is in it, and how to check it without believing anybody."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from opslib.evidence.plain import shown
from opslib.evidence.population import Extent

_TEXT = """\
EVIDENCE FOR {control}
{period}

Runs of: {procedures}
That these procedures are evidence for {control} is what the team says. All else here can be checked.


CHECK IT (offline; no account, nothing to install)

  In a browser:  open index.html and drop the zip on it.
  With Python:   python3 -I verify_evidence.py .        (3.11 or newer; exit code 0 sound, 2 not sound)

Both say SOUND or NOT SOUND, name what is wrong, and say what they cannot prove. Python also looks at the
order and the times of events.

Before you trust the result, compare what you were told by another way (phone, paper, audit letter):

  - the digest of the zip:   sha256sum FILE.zip
  - the key of the log:      the line `log` in the file policy
  - the keys of the runners: ssh-keygen -lf runner-keys
  - who may approve changes: the file people-keys, in the form of OpenSSH's allowed_signers

Whoever could alter the zip could alter both verifiers, too. Take verify_evidence.py from a release of opslib
if that matters, and give it keys of your own with --policy, --runner-keys
and --people-keys.


WHAT IS HERE

  population.csv        all runs of the period that fit, one row each, in the order of the log
  log.csv               all leaves of the log of that period, each with the reason why it is in or not
  runs/                 the signed statement of every run of the population (run.dsse.json); of those that
                        were drawn also notebook, page (run.html, to be read) and proof
  changes/, notes/      what was signed to approve the changes that these runs have made, notes about them
  slots.json            the moments of the schedule for these procedures, and what became of each, where the
                        log holds a schedule; taken from its cron lines when this was put together
  log/                  the whole log: only digests, names and times of events
  policy, runner-keys   whom to believe
  people-keys           whose signatures are believed below approvals, where the team has named people
  export.dsse.json      the signed list of all these files
  checkpoints, consistency   an earlier head of the log, and the proof that this log continues it


THE FIGURES RECONCILE

{figures}

  runs = sealed + open + disposed. An open run was asked for and has no sealed record. Of a disposed one the
  content was destroyed as a rule demands; that it was there, and with which verdict, stays in the log.
  moments = run + skipped + missing, of the schedule that the log holds. A missing one is a fault.
  leaves = population + other control + other event. Leaves of runs at the edge of the period may lie beyond.


THE SAMPLE ({drawn} of {sealed})

  Nobody chose it. The seed is the SHA-256 digest of the log's head{word}:

    {command}
    {seed}

  Each sealed run has a number, the digest of seed, a space and its id:

    printf '%s' "SEED RUN" | sha256sum

  The runs with the smallest numbers are drawn:

{runs}


KEEP log/checkpoint. The next export can be asked to prove that its log continues this one
(--since-checkpoint), and verify_evidence.py --checkpoint FILE checks it against your own copy.
"""


def letter(
    extent: Extent, figures: Mapping[str, int], drawn: Sequence[str], seed: str, word: str
) -> str:  # fmt: skip
    """Return the text of the letter.

    Args:
        extent: control, procedures, period.
        figures: by which population and log reconcile.
        drawn: the runs of the sample.
        seed: of the draw.
        word: of the auditor, which went into it.
    """
    text = "sed '/^$/,$d' log/checkpoint"
    command = f"{{ {text}; printf '%s' {shlex.quote(word)}; }}" if word else text
    return _TEXT.format(
        control=extent.control,
        period=f"asked for from {shown(extent.since)} to before {shown(extent.until)}",
        procedures=", ".join(extent.procedures),
        figures="\n".join(f"  {name:<24}{count:>9}" for name, count in figures.items()),
        drawn=len(drawn),
        sealed=figures["runs sealed"],
        word=", followed by the auditor's word" if word else "",
        command=f"{command} | sha256sum",
        seed=seed,
        runs="\n".join(f"    {run}" for run in drawn),
    )
