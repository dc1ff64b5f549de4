"""Witnesses: somebody outside holds the head of the log, so that it cannot be cut or rewritten unseen."""

from __future__ import annotations

from opslib.evidence.witnesses.asking import Read as Read
from opslib.evidence.witnesses.asking import Told as Told
from opslib.evidence.witnesses.asking import ask_all as ask_all
from opslib.evidence.witnesses.asking import read_all as read_all
from opslib.evidence.witnesses.asking import worst as worst
from opslib.evidence.witnesses.known import Asked as Asked
from opslib.evidence.witnesses.known import cosigners as cosigners
from opslib.evidence.witnesses.known import log_keys as log_keys
from opslib.evidence.witnesses.known import policy_text as policy_text
from opslib.evidence.witnesses.stamps import read_stamps as read_stamps
from opslib.evidence.witnesses.standing import Standing as Standing
from opslib.evidence.witnesses.standing import standing as standing
