"""The literal acts that can change something, and the one-time leave to carry one out.

An act is data: it is shown in a plan, covered by the plan's digest, and carried out exactly as it
stands there. Whoever carries it out (`http.Client.act`, `pg.Database.act`) takes it from an opening,
and only the gate makes openings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opslib.errors import ProcedureError, Refused

SECRET = "secret"  # {"secret": label} in a body stands for a value that is put in at the last moment


@dataclass(frozen=True)
class Request:
    """An HTTP request that changes something at a vendor.

    Args:
        source: the vendor's name, as in the system's file.
        method: POST, PUT, PATCH or DELETE.
        path: appended to the address of the vendor's API.
        params: query parameters.
        body: JSON to send, or None; `{"secret": label}` in it stands for a secret value.
    """

    source: str
    method: str
    path: str
    params: Mapping[str, str | int | bool] = field(default_factory=dict)
    body: Any = None

    @property
    def text(self) -> str:
        """The act in one line; of a GraphQL request, which has but one address, the operation."""
        body = self.body if isinstance(self.body, Mapping) else {}
        if "operationName" in body:
            given = ", ".join(f"{name}={value}" for name, value in body.get("variables", {}).items())
            return f"{self.method} {self.source}:{self.path} {body['operationName']}({given})"
        query = "&".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.method} {self.source}:{self.path}{f'?{query}' if query else ''}"

    @property
    def sent(self) -> str:
        """What is sent along, as JSON; nothing where the line above says it all."""
        named = isinstance(self.body, Mapping) and "operationName" in self.body
        return "" if self.body is None or named else json.dumps(self.body, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class Statement:
    """A packaged SQL statement of kind `write`; before it, in the same transaction, a file of people's own.

    Args:
        name: a file in `opslib/sql`, without its ending.
        params: its parameters; times as RFC 3339 text, so that they can be signed.
        script: the whole text of the file that goes before; "" for none.
        script_name: what the file is called.
        role: who both are done as, where there is a file.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    script: str = ""
    script_name: str = ""
    role: str = ""

    @property
    def text(self) -> str:
        """The act in one line."""
        given = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{f'{self.script_name} as {self.role}, then ' if self.script else ''}{self.name}({given})"

    @property
    def sent(self) -> str:
        """The text of the file; of a packaged statement, the line above says it all."""
        return self.script


@dataclass(frozen=True)
class Work:
    """A piece of work that takes more than one request: PostgreSQL's own programs, or bytes that are copied.

    Args:
        name: what is done.
        params: with what; texts and numbers.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The act in one line."""
        given = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.name}({given})"

    @property
    def sent(self) -> str:
        """Nothing: the line above says it all."""
        return ""


Act = Request | Statement | Work


def to_dict(act: Act) -> dict[str, Any]:
    """Return an act as JSON has it; `from_dict` reads it back."""
    if isinstance(act, Statement):
        file = {"script": act.script, "script_name": act.script_name, "role": act.role}
        return {"statement": act.name, "params": dict(act.params), **(file if act.script else {})}
    if isinstance(act, Work):
        return {"work": act.name, "params": dict(act.params)}
    given = {"source": act.source, "method": act.method, "path": act.path}
    return {**given, "params": dict(act.params), "body": act.body}


def from_dict(found: Mapping[str, Any]) -> Act:
    """Return the act that `to_dict` wrote."""
    if "statement" in found:
        file = {name: found[name] for name in ("script", "script_name", "role") if "script" in found}
        return Statement(found["statement"], dict(found["params"]), **file)
    if "work" in found:
        return Work(found["work"], dict(found["params"]))
    return Request(found["source"], found["method"], found["path"], dict(found["params"]), found["body"])


def secret_labels(act: Act) -> tuple[str, ...]:
    """Return the labels of the secret values that an act needs."""
    return tuple(_labels(getattr(act, "body", None)))


def _labels(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping) and set(part) == {SECRET}:
        yield str(part[SECRET])
    elif isinstance(part, Mapping | list | tuple):
        for value in part.values() if isinstance(part, Mapping) else part:
            yield from _labels(value)


class Opening:
    """A leave for one act, spent by its first use. Only the gate makes any.

    Args:
        act: exactly what may be done.
        key: identity of the attempt, for vendors that take an idempotency key.
        secrets: label -> value for the secret parts of a body.
    """

    def __init__(self, act: Act, key: str, secrets: Mapping[str, str] | None = None) -> None:
        self._act, self.key, self._secrets = act, key, dict(secrets or {})
        self._spent = False

    @property
    def act(self) -> Act:
        """What may be done; reading it does not spend the leave."""
        return self._act

    def use(self) -> Act:
        """Spend the leave and return its act, secret values put in.

        Raises:
            Refused: it was used before.
        """
        if self._spent:
            raise Refused(f"the leave for {self._act.text} was used already")
        self._spent = True
        if isinstance(self._act, Statement | Work):
            return self._act
        act = self._act
        return Request(act.source, act.method, act.path, act.params, self._filled(act.body))

    def _filled(self, body: Any) -> Any:
        if isinstance(body, Mapping):
            if set(body) == {SECRET}:
                return self._value(str(body[SECRET]))
            return {name: self._filled(value) for name, value in body.items()}
        if isinstance(body, list | tuple):
            return [self._filled(value) for value in body]
        return body

    def _value(self, label: str) -> str:
        if label not in self._secrets:
            raise ProcedureError(f"the value of {label} was not given to the act that needs it")
        return self._secrets[label]
