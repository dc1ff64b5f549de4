"""A definition is equal after a restore, however the server writes it then, and a change is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from opslib.backup import comparing
from opslib.backup.definitions import settled
from tests import majors
from tests.restored import drilled, held, make, server

# What the server writes in another way once it has read what it wrote itself, wherever a condition may stand.
CONDITIONS = {
    "in": "v in ('a', 'b')",
    "not_in": "v not in ('a', 'b')",
    "in_null": "v in ('a', null, left('C', 1))",
    "in_domain": "d in ('a', 'b')",
    "in_typed": "v::varchar(3) in ('a', 'b')",
    "in_texts": "d2 in ('a', 'b') or x in ('a', 'it''s ((', E'b\\\\')",
    "between": "n between 1 and 5 and n <> 3",
    "betweens": "n between 1 and 5 and i between 2 and 3 and v = 'x' or n between 7 and 8",
    "not_between": "n not between 1 and 5 or n = 3",
    "symmetric": "n between symmetric 5 and 1 or n is null",
    "nested": "((n = 1 and i = 2) and v = 'a') or ((n = 2 or i = 3) or (v = 'b' and (n = 4 and i = 5)))",
    "not": "not (n = 1 and not (i = 2 or i = 3)) and n is distinct from 5",
    "array": "w && array['a', 'b']::varchar[] and w <> array['a', 'b']::varchar(5)[]",
    "numbers": "b in (1, -2) and s in (1, 2) and n in (1, 2.5) and n = any (array[1, 2])",
    "widened": "any_of(array[1, i], b) and any_of(array[s, 2], b)",
    "case": "case when v in ('a', 'b') then n between 1 and 2 and i = 3 else v = any (array['a', 'b']) end",
    "moods": "o in ('low', 'high')",
    "row": "(n, v) in ((1, 'a'), (2, 'b')) and (n, i) <> (1, 2)",
    "names": "k in ('a', 'b') and c in ('a', 'b') and t between '2026-01-01' and '2026-02-01'",
}
VOLATILE = {"names"}  # a time depends on the session's zone, so no index and no stored column may have it
VIEWS = {
    "outer_join": "select a.id from zoo a left join zoo b on a.id = b.id and b.v in ('x', 'y')"
    " and b.n between 1 and 2 where b.id is null",
    "counted": "select v, count(*) filter (where v in ('a', 'b')) as n from zoo group by rollup (v)"
    " having count(*) between 1 and 2 and v is not null",
    "united": "select v from zoo union all (select x from zoo where n between 1 and 2 and v in ('a', 'b')"
    " except select 'a')",
    "framed": "select sum(n) over (partition by v in ('a', 'b') order by id rows between 1 preceding and"
    " current row) as s from zoo",
    "walked": "with recursive r (n) as (select 1 union all select n + 1 from r where n between 1 and 5"
    " and n <> 3) select * from r where exists (select from zoo z where z.n = r.n and z.v in ('a', 'b'))",
    "chosen": "select distinct on (v) v, arrays.* from zoo, lateral (select array[v, 'x'] as q) arrays"
    " where any_of(array[[1, i], [3, 4]], b) order by v, id desc",
}
ZOO = """
create domain code as varchar(8)
  check (value in ('a', 'b') and length(value) between 1 and 5 and value <> 'c');
create domain words as text check (value not in ('x', 'y'));
create type mood as enum ('low', 'high');
create function any_of(bigint[], bigint) returns boolean immutable language sql as 'select $2 = any ($1)';
create table zoo (id int primary key, n numeric(10, 2) default 1, i int, b bigint, s smallint, v varchar(20),
  x text default 'x'::varchar(3), d code default 'a', d2 words, w varchar(5)[] default array['a', 'b'],
  m numeric(5, 1)[] default array[1, 2], o mood default 'low', k name, c char(3), t timestamptz);
alter table zoo enable row level security;
create function fires() returns trigger language plpgsql as 'begin return new; end';
create function standard(v varchar default 'a', f boolean default 'a'::varchar in ('a', 'b')) returns boolean
  begin atomic
    select v in ('a', 'b') and (select count(*) from zoo where n between 1 and 5 and i <> 3) = 0;
  end;
create rule r as on update to zoo where old.v in ('a', 'b') and new.n between 1 and 5 and new.n <> 3
  do also select 1;
create table parted (id int, v varchar) partition by list ((v in ('a', 'b')));
create table parted_1 partition of parted for values in (true);
create materialized view kept as select * from zoo where v in ('a', 'b') and n between 1 and 2 and i = 3;
create publication p for table zoo
"""
EVERYWHERE = """
alter table zoo add constraint check_{0} check ({1});
create policy policy_{0} on zoo using ({1}) with check ({1});
create view view_{0} as select id, v, {1} as found from zoo where {1};
create view over_{0} as select * from view_{0} where v in ('a', 'b') and id between 1 and 5 and found
"""
STORED = """
create index index_{0} on zoo (({1})) where {1};
alter table zoo add column column_{0} boolean generated always as ({1}) stored
"""


def zoo() -> str:
    """Return the statements that make every kind of definition with every condition."""
    stored = {name: said for name, said in CONDITIONS.items() if name not in VOLATILE}
    fired = {
        name: f"create trigger fires_{name} before update on zoo for each row when ({said})"
        " execute function fires()"
        for name, said in {
            "in": "old.v in ('a', 'b') and new.n between 1 and 5 and new.n <> 3",
            "argued": "(old.id is distinct from new.id or old.v <> new.v) or old.n between 1 and 2",
        }.items()
    }
    return ";\n".join(
        [
            ZOO,
            *(EVERYWHERE.format(*one) for one in CONDITIONS.items()),
            *(STORED.format(*one) for one in stored.items()),
            *(f"create view {name} as {said}" for name, said in VIEWS.items()),
            *fired.values(),
        ]
    )


CHANGES = {
    "constraint public.zoo.check_in": "alter table zoo drop constraint check_in;"
    " alter table zoo add constraint check_in check (v in ('a', 'c'))",
    "constraint public.zoo.check_between": "alter table zoo drop constraint check_between;"
    " alter table zoo add constraint check_between check (n between 1 and 5 or n <> 3)",
    "constraint public.zoo.check_nested": "alter table zoo drop constraint check_nested;"
    " alter table zoo add constraint check_nested check ((n = 1 and i = 2) and (v = 'a' or i = 3))",
    "policy public.zoo.policy_in": "alter policy policy_in on zoo using (v in ('a', 'b') or true)",
    "view public.view_not": "create or replace view view_not as select id, v, not (n = 1) as found from zoo",
    "index public.index_in": "drop index index_in; create index index_in on zoo ((v in ('a', 'b')))",
    "function public.standard(character varying,boolean)": "create or replace function"
    " standard(v varchar default 'a', f boolean default 'a'::varchar in ('a', 'c')) returns boolean"
    " begin atomic select v in ('a', 'b'); end",
    "trigger public.zoo.fires_in": "drop trigger fires_in on zoo; create trigger fires_in before update"
    " on zoo for each row when (old.v in ('a')) execute function fires()",
    "domain public.words": "alter domain words drop constraint words_check;"
    " alter domain words add constraint words_check check (value not in ('x', 'z'))",
}


@pytest.mark.parametrize("major", majors.folders())
def test_every_definition_of_a_zoo_is_equal_after_a_restore_and_a_change_is_seen(
    major: str, tmp_path: Path
) -> None:
    """On its own version each is compared as the server settles on it, on a newer one by its name."""
    with server(major) as door:
        make(door, zoo())
        made = drilled(door, tmp_path, major)
        assert (made.broke, made.differences) == (None, [])
        newer = drilled(door, tmp_path, major, majors.PACKAGED)
        assert newer.broke is None and not [*filter(comparing.grave, newer.differences)]
        was = held(door)
        for change in CHANGES.values():
            make(door, change)
        found = {one.name for one in comparing.differences(was, held(door))}
    assert set(CHANGES) - found == set()


def test_a_manifest_of_before_has_its_definitions_compared_where_they_were_written_alike() -> None:
    """It has them as the server wrote them; of functions, triggers and views it has other checksums."""
    with server() as door:
        make(door, zoo())
        now = held(door)
        nested = "CHECK ((((n >= (1)::numeric) AND (n <= (5)::numeric)) AND (n <> (3)::numeric)))"
        was = replace(
            now,
            written=1,
            objects={
                **{name: "md5" if name.startswith(("function", "trigger", "view")) else said
                   for name, said in now.objects.items()},
                "constraint public.zoo.check_between": nested,
            },
        )  # fmt: skip
        assert not [*filter(comparing.grave, comparing.differences(was, now))]
        make(door, CHANGES["policy public.zoo.policy_in"] + "; drop view over_in")
        found = [one.name for one in comparing.differences(was, held(door)) if comparing.grave(one)]
    assert found == [
        "policy public.zoo.policy_in", "rights view public.over_in", "view public.over_in"
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["it's", "a)", "(a]", "((a", '"', "(ARRAY[,])::text[]", "", "$$ ' $$"])
def test_what_is_no_definition_is_compared_all_the_same(text: str) -> None:
    """A label of an enum or the name of a column may look like anything."""
    assert settled(text) == settled(settled(text))
    assert settled(text + "x") != settled(text)


@pytest.mark.parametrize(
    "one, other",
    [
        ("(a AND (b OR c))", "((a AND b) OR c)"),
        ("(a AND (b AND c))", "(a AND b AND c)"),
        ("(v = 'a  b'::text)", "(v = 'a b'::text)"),
        ("(v = '((a AND b) AND c)'::text)", "(v = '(a AND b AND c)'::text)"),
        ("(ARRAY[1, 2])::bigint[]", "(ARRAY[1, 2])::numeric[]"),
        ("$f$ ((a AND b) AND c) $f$", "$f$ (a AND b AND c) $f$"),
    ],
)
def test_what_means_something_else_stays_different(one: str, other: str) -> None:
    """Brackets and blanks are put right only where the server itself does."""
    assert settled(one) != settled(other)
