"""Evidence: what happened stands in a log that can only grow, and anybody can check it.

An event is a leaf of a Merkle tree (RFC 6962) in plain files (C2SP tlog-tiles). The log signs its head,
witnesses cosign it, a proof beside each record leads from the record to that head. Verification names
what was done to the evidence, and says what it cannot prove.
"""

from __future__ import annotations

from opslib.evidence.alone import verify_record as verify_record
from opslib.evidence.findings import Finding as Finding
from opslib.evidence.findings import Kind as Kind
from opslib.evidence.findings import Report as Report
from opslib.evidence.findings import Scope as Scope
from opslib.evidence.findings import Slot as Slot
from opslib.evidence.log import Log as Log
from opslib.evidence.proofs import Proof as Proof
from opslib.evidence.proofs import Trust as Trust
from opslib.evidence.sealing import finished as finished
from opslib.evidence.sealing import seal as seal
from opslib.evidence.sealing import seal_of as seal_of
from opslib.evidence.signing import LogSigner as LogSigner
from opslib.evidence.signing import sign_statement as sign_statement
from opslib.evidence.standalone import standalone_verifier as standalone_verifier
from opslib.evidence.trusting import load_trust as load_trust
from opslib.evidence.trusting import trust as trust
from opslib.evidence.verifying import verify_archive as verify_archive
