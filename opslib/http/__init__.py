"""The one way in which opslib talks HTTP: it reads, within bounds, and leaves a trace of each call."""

from opslib.http.client import MAX_BYTES, Answer, Client
from opslib.http.retry import ONCE, Policy

__all__ = ["MAX_BYTES", "ONCE", "Answer", "Client", "Policy"]
