"""A simulated container service: deployments of one service, as Railway has them.

Each deployment is an image and the variables that it was started with. The newest one that works
serves; another one is never switched on again: going back starts a new deployment of an old image.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from opslib.sandbox.switching import Rejected

HOUR_MS = 3_600_000
START_MS = 300
SUCCESS, DEPLOYING, FAILED, REMOVED = "SUCCESS", "DEPLOYING", "FAILED", "REMOVED"
_AGES_H = (20.0, 60.0, 150.0, 300.0)
_MESSAGES = (
    "Bill by the month",
    "Answer webhooks at once, work later",
    "Check the owner of each run",
    "Raise dependencies",
)


@dataclass(frozen=True)
class Image:
    """One deployment of a service.

    Args:
        id: Railway's, a UUID.
        commit: commit that its image was built from.
        message: first line of the commit message.
        created: milliseconds since 1970.
        variables: names of the variables that it was started with.
        status: Railway's word.
        reason: deploy or rollback.
        broken: its code fails on every request.
        ready: when it will have started, milliseconds since 1970.
    """

    id: str
    commit: str
    message: str
    created: int
    variables: frozenset[str]
    status: str = SUCCESS
    reason: str = "deploy"
    broken: bool = False
    ready: int = 0

    @property
    def digest(self) -> str:
        """What names its image: the same for all deployments of one commit."""
        return f"sha256:{hashlib.sha256(self.commit.encode()).hexdigest()}"


@dataclass
class Service:
    """One service in one environment of a project.

    Args:
        system: name of the system.
        variables: name -> value, as the next new deployment gets them.
        unstartable: new deployments fail, and the one before goes on serving.
        forgotten: ids of deployments whose image is gone, so that nobody can go back to them.
        clock: returns the time, milliseconds since 1970.
    """

    system: str
    variables: dict[str, str] = field(default_factory=dict)
    unstartable: bool = False
    forgotten: set[str] = field(default_factory=set)
    clock: Callable[[], int] = field(default=lambda: int(time.time() * 1000), repr=False)
    _deployments: list[Image] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def project_id(self) -> str:
        """Id of the project."""
        return _id(f"{self.system} project")

    @property
    def environment_id(self) -> str:
        """Id of the environment."""
        return _id(f"{self.system} environment")

    @property
    def id(self) -> str:
        """Id of the service."""
        return _id(f"{self.system} service")

    @property
    def deployments(self) -> list[Image]:
        """All deployments, the newest first."""
        self._catch_up()
        return list(self._deployments)

    @property
    def serving(self) -> Image:
        """The deployment that serves."""
        return next(image for image in self.deployments if image.status == SUCCESS)

    def find(self, name: str) -> Image:
        """Return a deployment by its id.

        Raises:
            Rejected: there is none.
        """
        found = [image for image in self.deployments if image.id == name]
        if not found:
            raise Rejected(200, "NOT_FOUND", "Deployment not found")
        return found[0]

    def can_roll_back(self, image: Image) -> bool:
        """Tell whether there is an image to go back to that is not the one that serves."""
        return image.status == REMOVED and image.id not in self.forgotten

    def deploy(self, commit: str, message: str, *, created: int | None = None, broken: bool = False) -> Image:
        """Let a commit serve at once, as if it had started a while ago."""
        moment = self.clock() if created is None else created
        made = self._made(Image("", commit, message, moment, frozenset(self.variables), broken=broken))
        self._retire(made)
        return made

    def roll_back(self, name: str) -> Image:
        """Start the image of an old deployment again, with the variables that it had.

        Raises:
            Rejected: it is not known, or cannot be gone back to.
        """
        old = self.find(name)
        if not self.can_roll_back(old):
            raise Rejected(200, "BAD_USER_INPUT", "Cannot rollback to this deployment")
        return self._started(old, "rollback", old.variables)

    def withdraw(self, name: str) -> None:
        """Take a deployment away, and all that came after it, as if they had never been."""
        with self._lock:
            names = [image.id for image in self.deployments]
            left = self._deployments[names.index(name) + 1 :] if name in names else self._deployments
            serves = next((image for image in left if image.status == SUCCESS), left[0])
            self._deployments = [replace(i, status=SUCCESS) if i is serves else i for i in left]

    def _started(self, old: Image, reason: str, variables: frozenset[str]) -> Image:
        now = self.clock()
        return self._made(
            replace(
                old, created=now, ready=now + START_MS, status=DEPLOYING, reason=reason, variables=variables
            )
        )

    def _made(self, image: Image) -> Image:
        with self._lock:
            made = replace(
                image, id=_id(f"{self.system} {image.commit} {len(self._deployments)} {image.created}")
            )
            self._deployments.insert(0, made)
        return made

    def _catch_up(self) -> None:
        """Let those serve that have started by now."""
        with self._lock:
            now = self.clock()
            due = [i for i in self._deployments if i.status == DEPLOYING and i.ready <= now]
            for image in sorted(due, key=lambda one: one.ready):
                status = FAILED if self.unstartable else SUCCESS
                self._deployments = [
                    replace(other, status=status) if other is image else other for other in self._deployments
                ]
                if status == SUCCESS:
                    self._retire(image)

    def _retire(self, serving: Image) -> None:
        """Remove all that served before; their images stay."""
        with self._lock:
            self._deployments = [
                replace(i, status=REMOVED) if i.status == SUCCESS and i.id != serving.id else i
                for i in self._deployments
            ]


def service(system: str, variables: Iterable[str]) -> Service:
    """Return a system's service with a plausible past: four good deployments, the newest serving."""
    made = Service(system, {name: f"sandbox-{_id(f'{system} {name}')}" for name in variables})
    now = made.clock()
    for number, (age, message) in enumerate(zip(reversed(_AGES_H), reversed(_MESSAGES), strict=True)):
        commit = hashlib.sha1(f"{system} backend {number}".encode(), usedforsecurity=False).hexdigest()
        made.deploy(commit, message, created=now - int(age * HOUR_MS))
    return made


def _id(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, text))
