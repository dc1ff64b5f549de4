"""Ways in which the credits of users go wrong."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status

_SYSTEM = "kulti"
# Somebody with credits to spare, so that one fault does not bring another with it.
_RICH = "select user_id from credits where balance between 200 and 5000 order by user_id limit 1"
_SPEND = f"""
with rich as ({_RICH}),
spent as (
  insert into credit_transactions (user_id, amount, type, reason, idempotency_key)
  select c.user_id, c.balance + 50, 'debit', 'session that nobody checked', 'rehearsal:negative'
  from credits c join rich using (user_id) returning user_id, amount
)
update credits c set balance = c.balance - spent.amount from spent where c.user_id = spent.user_id
"""
_TWICE = f"""
with rich as ({_RICH}),
asked as (
  insert into credit_transactions (user_id, amount, type, reason, session_id, idempotency_key, created_at)
  select rich.user_id, 15, 'debit', 'session by a double click',
         (select id from sessions order by id limit 1), 'rehearsal:' || n,
         now() - interval '10 minutes' + n * interval '2 seconds'
  from rich, generate_series(1, 2) n returning user_id, amount
)
update credits c set balance = c.balance - 30 where c.user_id = (select min(user_id::text)::uuid from asked)
"""
_CHANGE = f"update credits set balance = balance + 70 where user_id = ({_RICH})"
_CLEAN = "delete from credit_transactions where idempotency_key ~ '^(rehearsal|opslib):'"
_BALANCE = """
update credits c set balance = s.ledger
from (select user_id, sum(case type when 'credit' then amount else -amount end) as ledger
      from credit_transactions where status = 'completed' group by user_id) s
where s.user_id = c.user_id and c.balance <> s.ledger
"""


def _run(world: World, system: str, *statements: str) -> None:
    with world.databases.admin(system) as admin:
        for statement in statements:
            admin.execute(statement.encode())


def _put_right(world: World, system: str) -> None:
    """Take out what the rehearsal and its corrections wrote; what is left adds up to the balances again."""
    _run(world, system, _CLEAN, _BALANCE)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "credit-negative",
        "a debit was larger than the balance, and went through",
        lambda world, system: _run(world, system, _SPEND),
        {"credits": (Status.CRITICAL, "credit-negative")},
        systems=(_SYSTEM,),
        heal=_put_right,
    ),
    Scenario(
        "credit-duplicate",
        "a double click charged the same session twice",
        lambda world, system: _run(world, system, _TWICE),
        {"credits": (Status.CRITICAL, "credit-duplicate")},
        systems=(_SYSTEM,),
        heal=_put_right,
    ),
    Scenario(
        "ledger-mismatch",
        "somebody changed a balance by hand, and wrote no entry",
        lambda world, system: _run(world, system, _CHANGE),
        {"credits": (Status.CRITICAL, "ledger-mismatch")},
        systems=(_SYSTEM,),
        heal=_put_right,
    ),
)
