"""The simulated hosting vendor: projects with deployments and variables, in Vercel's own words."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from operator import itemgetter
from typing import Any

from opslib.sandbox import variables as env
from opslib.sandbox.names import DOMAIN
from opslib.sandbox.switching import BUILD_MS, PROMOTE, ROLLBACK, AliasRequest, Rejected

HOUR_MS = 3_600_000
PRODUCTION, PREVIEW = "production", "preview"
_AGES_H = (26.0, 74.0, 170.0, 340.0, 510.0)
_MESSAGES = (
    "Show the plan on the settings page",
    "Keep the session when the tab is reloaded",
    "Load the list page by page",
    "Raise dependencies",
    "Make the first paint faster",
)
_PREVIEWS = ((30.0, "Try a new colour for buttons"), (80.0, "Sketch of the export page"))


@dataclass(frozen=True)
class Deployment:
    """One deployment of a project.

    Args:
        id: Vercel's `dpl_...`.
        commit: commit it was built from.
        message: first line of the commit message.
        created: milliseconds since 1970.
        url: its own address, apart from the site's.
        variables: names of the variables that it was built with.
        broken: its code fails on every page.
        state: Vercel's readyState.
        target: production or preview.
        substate: PROMOTED once it has served production, STAGED before that.
        ready: when its build ends, milliseconds since 1970.
        notes: what its maker noted beside it, name and text.
    """

    id: str
    commit: str
    message: str
    created: int
    url: str
    variables: frozenset[str]
    broken: bool = False
    state: str = "READY"
    target: str = PRODUCTION
    substate: str = "PROMOTED"
    ready: int = 0
    notes: tuple[tuple[str, str], ...] = ()


@dataclass
class Project:
    """One system's project; the app runs whatever `current` is.

    Args:
        system: name of the system.
        port: port of its app, for the addresses of deployments.
        variables: by id; a deployment takes the names that are set when it is built.
        plan: hobby, pro or enterprise; on hobby only the deployment just before can be rolled back to.
        auto_assign: a new production deployment serves as soon as it is built; a rollback ends that,
            and a promotion begins it again.
        rolling: a rolling release is on, so that promotions are queued.
        jammed: requests to serve another deployment fail.
        clock: returns the time, milliseconds since 1970.
        request: the latest request to let another deployment serve.
    """

    system: str
    port: int
    variables: env.Variables = field(default_factory=dict)
    plan: str = "pro"
    auto_assign: bool = True
    rolling: bool = False
    jammed: bool = False
    clock: Callable[[], int] = field(default=lambda: int(time.time() * 1000), repr=False)
    _deployments: list[Deployment] = field(default_factory=list)
    _current: str = ""
    request: AliasRequest | None = None
    _waiting: bool = False
    _withdrawn: set[str] = field(default_factory=set, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def id(self) -> str:
        """Vercel's `prj_...`."""
        return f"prj_{env.hashed(self.system)[:24]}"

    @property
    def everything(self) -> list[Deployment]:
        """All deployments, the newest first, previews among them."""
        self._catch_up()
        return list(self._deployments)

    @property
    def deployments(self) -> list[Deployment]:
        """The production deployments, the newest first."""
        return [deployment for deployment in self.everything if deployment.target == PRODUCTION]

    @property
    def current(self) -> str:
        """Id of the deployment that serves production."""
        self._catch_up()
        return self._current

    @property
    def serving(self) -> Deployment:
        """The deployment that serves production."""
        return self.find(self.current)

    def find(self, name: str) -> Deployment:
        """Return a deployment by id or host name.

        Raises:
            KeyError: there is none.
        """
        for deployment in self.everything:
            if name in (deployment.id, deployment.url.split("://")[1].split(":")[0]):
                return deployment
        raise KeyError(name)

    def candidates(self) -> list[Deployment]:
        """Return what production can be rolled back to, the newest first."""
        now = self.serving
        served = [d for d in self.deployments if d.state == "READY" and d.substate == "PROMOTED" and d != now]
        if self.plan != "hobby":
            return served
        return [deployment for deployment in served if deployment.created < now.created][:1]

    def deploy(
        self, commit: str, message: str, *, created: int | None = None, broken: bool = False
    ) -> Deployment:
        """Add a production deployment with the variables as they are now, and let it serve."""
        made = self._make(commit, message, created=created, broken=broken)
        self._current = made.id
        return made

    def preview(self, commit: str, message: str, *, created: int | None = None) -> Deployment:
        """Add a preview deployment, which serves nobody but who knows its address."""
        return self._make(commit, message, created=created, target=PREVIEW, substate="STAGED")

    def redeploy(self, name: str, target: str, notes: Iterable[tuple[str, str]] = ()) -> Deployment:
        """Build the code of a deployment again, with the variables as they are now.

        Once built it serves if it is for production and new deployments are assigned by themselves.

        Raises:
            Rejected: there is no such deployment.
        """
        code = self._known(name)
        ready = self.clock() + BUILD_MS
        return self._make(
            code.commit, code.message, broken=code.broken, target=target,
            state="BUILDING", substate="STAGED", ready=ready, notes=tuple(notes),
        )  # fmt: skip

    def promote(self, deployment: str) -> None:
        """Let an existing deployment serve production at once, as if it always had.

        Raises:
            KeyError: there is none of that id.
        """
        self._current = self.find(deployment).id

    def switch(self, type: str, name: str) -> AliasRequest:
        """Ask for a deployment to serve production, in a moment.

        Args:
            type: promote or rollback.
            name: id of the deployment.

        Raises:
            Rejected: it cannot be done.
        """
        with self._lock:
            chosen, now = self._known(name), self.clock()
            self._refuse(type, chosen, now)
            queued = self.rolling and type == PROMOTE
            self.request = AliasRequest(type, self._current, chosen.id, now, queued, self.jammed)
            self._waiting = True
            return self.request

    def take_away(self, deployments: Iterable[Deployment]) -> None:
        """Remove deployments, as a retention policy does."""
        gone = set(deployments)
        self._deployments = [kept for kept in self.everything if kept not in gone]

    def put_back(self, deployments: Iterable[Deployment]) -> None:
        """Return what `take_away` removed, but for what was withdrawn meanwhile."""
        back = [deployment for deployment in deployments if deployment.id not in self._withdrawn]
        together = {deployment.id: deployment for deployment in (*self.everything, *back)}
        self._deployments = sorted(together.values(), key=lambda deployment: -deployment.created)

    def withdraw(self, deployment: str, before: str) -> None:
        """Take a deployment away as if it had never been, nor anybody had rolled it back.

        Args:
            deployment: its id.
            before: id of the one to serve if the withdrawn one serves; the newest if that is gone too.
        """
        serves = self.current == deployment
        self._withdrawn.add(deployment)
        self._deployments = [kept for kept in self._deployments if kept.id != deployment]
        if self.request and deployment in (self.request.source, self.request.to):
            self.request, self._waiting, self.auto_assign = None, False, True
        if serves:
            left = [kept.id for kept in self.deployments]
            self._current = before if before in left else left[0]

    def _make(self, commit: str, message: str, *, created: int | None = None, **more: Any) -> Deployment:
        moment = self.clock() if created is None else created
        mark = env.hashed(f"{self.system} {commit} {moment} {len(self._deployments)}")
        url = f"http://{self.system}-{mark[:9]}.{DOMAIN}:{self.port}"
        names = env.names(self.variables, more.get("target", PRODUCTION))
        made = Deployment(f"dpl_{mark[:24]}", commit, message, moment, url, names, **more)
        with self._lock:
            newer = sum(kept.created > moment for kept in self._deployments)
            self._deployments.insert(newer, made)
        return made

    def _known(self, name: str) -> Deployment:
        try:
            return self.find(name)
        except KeyError:
            raise Rejected(404, "not_found", "The deployment could not be found") from None

    def _refuse(self, type: str, chosen: Deployment, now: int) -> None:
        """Raise `Rejected` unless a deployment may be asked to serve."""
        if self.request and self.request.status(now) in ("pending", "in-progress"):
            raise Rejected(409, "conflict", f"A {self.request.type} is in progress")
        if chosen.target != PRODUCTION or chosen.state != "READY":
            status = 422 if type == ROLLBACK else 400
            what = chosen.state if chosen.target == PRODUCTION else "a preview deployment"
            raise Rejected(status, "bad_request", f"The deployment cannot serve production: it is {what}")
        if chosen.id == self._current:
            raise Rejected(409, "conflict", "The deployment already serves production")
        if type != ROLLBACK or chosen in self.candidates():
            return
        if chosen.substate == "PROMOTED":
            words = "To roll back further than the previous production deployment, upgrade to pro"
            raise Rejected(402, "payment_required", words)
        raise Rejected(422, "unprocessable", "The deployment has never served production")

    def _catch_up(self) -> None:
        """Let happen what is due by now, in its order."""
        with self._lock:
            now = self.clock()
            built = [d for d in self._deployments if d.state == "BUILDING" and d.ready <= now]
            due: list[tuple[int, Callable[[], None]]] = [(d.ready, partial(self._built, d)) for d in built]
            if self.request and self._waiting and self.request.ends <= now:
                due.append((self.request.ends, partial(self._switched, self.request)))
            for _, happen in sorted(due, key=itemgetter(0)):
                happen()

    def _built(self, deployment: Deployment) -> None:
        serves = deployment.target == PRODUCTION and self.auto_assign
        self._change(deployment.id, state="READY", substate="PROMOTED" if serves else "STAGED")
        if serves:
            self._current = deployment.id

    def _switched(self, request: AliasRequest) -> None:
        self._waiting = False
        if all(deployment.id != request.to for deployment in self._deployments):
            self.request = request = replace(request, fails=True)
        if not request.fails:
            self._current, self.auto_assign = request.to, request.type == PROMOTE
            self._change(request.to, substate="PROMOTED")

    def _change(self, name: str, **values: Any) -> None:
        self._deployments = [replace(d, **values) if d.id == name else d for d in self._deployments]


def project(system: str, port: int, variables: Iterable[str]) -> Project:
    """Return a system's project with a plausible past: five good deployments, the newest serving."""
    made = Project(system, port)
    now = made.clock()
    made.variables = env.made(system, variables, now - 600 * HOUR_MS)
    for number, (age, message) in enumerate(zip(reversed(_AGES_H), reversed(_MESSAGES), strict=True)):
        made.deploy(_commit(f"{system} {number}"), message, created=now - int(age * HOUR_MS))
    for age, message in _PREVIEWS:
        made.preview(_commit(f"{system} {message}"), message, created=now - int(age * HOUR_MS))
    return made


def _commit(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
