-- The two roles that opslib uses, for the database that you are connected to.
-- Run it as the database's owner or administrator:   opslib doctor --sql | psql "$ADMIN_URL"
-- It can be run again. It sets no password: afterwards give each role one, in psql:
--
--   \password opslib_monitor
--   \password opslib_operator
--
-- and put each address where the system's file (parameters/systems/<system>.yml) refers to it, the first
-- as `direct`, the second as `operator`, for example
--   DATABASE_URL=postgresql://opslib_monitor:<password>@<host>:5432/<database>?sslmode=require
--   OPERATOR_URL=postgresql://opslib_operator:<password>@<host>:5432/<database>?sslmode=require
-- Never let the second lead through a transaction pooler; opslib refuses to change anything there.

-- 1. opslib_monitor looks. pg_monitor shows all sessions and statistics, but no row of your tables.
do $opslib$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'opslib_monitor') then
        create role opslib_monitor login connection limit 3;
    end if;
    grant pg_monitor to opslib_monitor;
    execute format('grant connect on database %I to opslib_monitor', current_database());
end
$opslib$;

-- It never writes, and never makes a sick database wait.
alter role opslib_monitor set default_transaction_read_only = on;
alter role opslib_monitor set statement_timeout = '15s';
alter role opslib_monitor set lock_timeout = '1s';
alter role opslib_monitor set idle_in_transaction_session_timeout = '30s';

-- From PostgreSQL 16 on it may use the slots kept free by reserved_connections, so that it can look
-- even when applications have taken all others. Without the right to grant this, nothing else is lost.
do $opslib$
begin
    if current_setting('server_version_num')::int >= 160000 then
        grant pg_use_reserved_connections to opslib_monitor;
    end if;
exception when insufficient_privilege then
    raise notice 'opslib_monitor gets no reserved slots: this account may not grant them';
end
$opslib$;

-- 2. opslib_operator acts, when a person has approved a plan: it cancels statements and ends sessions.
--    Sessions of superusers are out of its reach. It changes rows only where section 4 grants it.
do $opslib$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'opslib_operator') then
        create role opslib_operator login connection limit 3;
    end if;
    grant pg_monitor to opslib_operator;
    execute format('grant connect on database %I to opslib_operator', current_database());
end
$opslib$;

do $opslib$
begin
    grant pg_signal_backend to opslib_operator;
exception when insufficient_privilege then
    raise notice 'opslib_operator cannot end sessions: this account may not grant pg_signal_backend';
end
$opslib$;

-- The moment in which sessions must be ended is the one in which no slot is free.
do $opslib$
begin
    if current_setting('server_version_num')::int >= 160000 then
        grant pg_use_reserved_connections to opslib_operator;
    end if;
exception when insufficient_privilege then
    raise notice 'opslib_operator gets no reserved slots: this account may not grant them';
end
$opslib$;

-- It too reads only, but for the one statement of an approved plan.
alter role opslib_operator set default_transaction_read_only = on;
alter role opslib_operator set statement_timeout = '60s';
alter role opslib_operator set lock_timeout = '3s';

-- 3. Only for procedures that read your own tables (usage reports and the like); leave out what you
--    do not want to be read. Row-level security still applies.
-- grant usage on schema public to opslib_monitor;
-- grant select on table public.users to opslib_monitor;
-- For rls-audit on Supabase: it looks as a visitor, and as a stranger who is signed in, in transactions
-- that read only. From PostgreSQL 16 on add `with inherit false`: then it has their rights only while it
-- acts as them.
-- grant anon, authenticated to opslib_monitor;

--    Only for backups: a role that may read every row, also past row-level security; pg_dump refuses to
--    leave rows out. Give it a password, and put its address (the server itself, never a transaction
--    pooler) where the system's file names `backup` under database.
-- create role opslib_backup login bypassrls connection limit 10;
-- grant pg_read_all_data to opslib_backup;

-- 4. Only for procedures that change rows, and only those columns. Feature flags kept in a table (the
--    policies only where the table has row-level security):
-- grant usage on schema public to opslib_monitor, opslib_operator;
-- grant select on table public.feature_flags to opslib_monitor, opslib_operator;
-- grant update (enabled, kill_switch, rollout_percentage, updated_at) on table public.feature_flags
--   to opslib_operator;
-- create policy opslib_monitor on public.feature_flags for select to opslib_monitor using (true);
-- create policy opslib_operator on public.feature_flags to opslib_operator using (true) with check (true);

-- 5. Only for procedures that tend tables, indexes and views (vacuum, reindex, refresh, create and drop of
--    indexes): the server lets only an owner do that, so the operator becomes a member of the owner's role.
--    With it come all rights of that role; opslib itself does nothing but what an approved plan names.
-- grant app_owner to opslib_operator;
--    From PostgreSQL 17 on, where no index is to be made or dropped, this is enough:
-- grant maintain on all tables in schema public to opslib_operator;
