"""The one way in which opslib talks HTTP: within bounds, leaving a trace of each call, and changing
something only for an opening of the gate.
"""

from opslib.http.answer import Answer
from opslib.http.carrying import Carrier
from opslib.http.client import MAX_BYTES, Client
from opslib.http.retry import ONCE, Policy

__all__ = ["MAX_BYTES", "ONCE", "Answer", "Carrier", "Client", "Policy"]
