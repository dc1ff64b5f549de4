"""Ways in which an app itself is unwell."""

from __future__ import annotations

from opslib.sandbox.scenario import Act, Scenario, World
from opslib.verdict import Status

SLOW_MS = 1200


def _fail(world: World, system: str) -> None:
    app = world.web.app(system)
    app.failing.add("app-500")
    world.hold("app-500", system).callback(app.failing.discard, "app-500")


def _slow_down(world: World, system: str) -> None:
    app = world.web.app(system)
    app.delays["app-slow"] = SLOW_MS
    world.hold("app-slow", system).callback(app.delays.pop, "app-slow")


def _forget_the_password(world: World, system: str) -> None:
    from psycopg.conninfo import make_conninfo

    app = world.web.app(system)
    right = app.dsn
    app.dsn = make_conninfo(right, password="was-rotated-yesterday")
    world.hold("app-database-disconnected", system).callback(setattr, app, "dsn", right)


def _empty_the_pool(world: World, system: str) -> None:
    pool = world.web.app(system).pool
    world.hold("app-pool-exhausted", system).callback(pool.give_back)
    pool.take(pool.size + pool.overflow)


def _say_something_else(world: World, system: str) -> None:
    app = world.web.app(system)
    app.odd_json.add("app-wrong-json")
    world.hold("app-wrong-json", system).callback(app.odd_json.discard, "app-wrong-json")


def _close_the_port(world: World, system: str) -> None:
    world.hold("app-down", system).callback(world.web.listen, system, True)
    world.web.listen(system, False)


def _scenario(
    id: str, text: str, make: Act, systems: tuple[str, ...] = (), *, site_down: bool = True
) -> Scenario:
    expects = {"health-check": (Status.CRITICAL, id)}
    if site_down:
        expects["site-down"] = (Status.CRITICAL, id)
    return Scenario(id, text, make, expects, systems)


SCENARIOS = (
    _scenario("app-500", "every page of the app answers 500", _fail),
    _scenario("app-slow", "every answer takes more than a second", _slow_down, ("klutr",), site_down=False),
    _scenario(
        "app-database-disconnected",
        "the app has a wrong password for its database, which is well",
        _forget_the_password,
    ),
    _scenario(
        "app-pool-exhausted",
        "all connections of the app's pool are checked out",
        _empty_the_pool,
        site_down=False,
    ),
    _scenario(
        "app-wrong-json",
        "health endpoints answer 200 with other JSON than promised",
        _say_something_else,
        site_down=False,
    ),
    _scenario("app-down", "nothing listens on the app's port", _close_the_port),
)
