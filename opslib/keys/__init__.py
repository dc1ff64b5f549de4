"""Who signs what: Ed25519 keys as OpenSSH has them, and signatures that stock `ssh-keygen` can check.

    ssh-keygen -Y verify -f allowed_signers -I ada -n opslib-approval -s approval.sig < payload

A person has a key of their own in `OPSLIB_HOME/keys`, or lends the one that their SSH agent holds.
Nothing else is taken: one kind of key, one hash, so there is nothing to be talked down to.
"""

from __future__ import annotations

from opslib.keys.own import Signer as Signer
from opslib.keys.own import init as init
from opslib.keys.own import own as own
from opslib.keys.own import use_ssh as use_ssh
from opslib.keys.public import BadKey as BadKey
from opslib.keys.public import PublicKey as PublicKey
from opslib.keys.sshsig import BadSignature as BadSignature
from opslib.keys.sshsig import verify as verify
