-- platform: supabase
create table organizations (
    id uuid primary key,
    name text not null,
    plan text not null check (plan in ('starter', 'growth', 'enterprise')),
    created_at timestamptz not null default now()
);

create table users (
    id uuid primary key,
    org_id uuid not null references organizations (id),
    clerk_id text not null unique,
    email text not null unique,
    role text not null check (role in ('admin', 'manager', 'trainee')),
    created_at timestamptz not null default now(),
    last_seen_at timestamptz
);
create index users_org_id_idx on users (org_id);

create table scenarios (
    id uuid primary key,
    org_id uuid not null references organizations (id),
    title text not null,
    published boolean not null default true,
    created_at timestamptz not null default now()
);
create index scenarios_org_id_idx on scenarios (org_id);

create table scenario_attempts (
    id bigint generated always as identity primary key,
    org_id uuid not null references organizations (id),
    scenario_id uuid not null references scenarios (id),
    user_id uuid not null references users (id),
    status text not null check (status in ('running', 'completed', 'abandoned')),
    score integer check (score between 0 and 100),
    transcript text not null default '',
    recording_path text,
    started_at timestamptz not null default now(),
    ended_at timestamptz
);
create index scenario_attempts_org_id_idx on scenario_attempts (org_id, ended_at);
create index scenario_attempts_scenario_id_idx on scenario_attempts (scenario_id);
create index scenario_attempts_user_id_idx on scenario_attempts (user_id);
create index scenario_attempts_ended_at_idx on scenario_attempts (ended_at);

create table attempt_answers (
    id bigint generated always as identity primary key,
    attempt_id bigint not null references scenario_attempts (id) on delete cascade,
    question integer not null,
    answer text not null,
    points integer not null
);
create index attempt_answers_attempt_id_idx on attempt_answers (attempt_id);

create table scenario_attempts_archive (
    id bigint primary key,
    org_id uuid not null,
    scenario_id uuid not null,
    user_id uuid not null,
    status text not null,
    score integer,
    transcript text not null,
    recording_path text,
    started_at timestamptz not null,
    ended_at timestamptz,
    archived_at timestamptz not null default now()
);

create table attempt_answers_archive (
    id bigint primary key,
    attempt_id bigint not null,
    question integer not null,
    answer text not null,
    points integer not null
);
create index attempt_answers_archive_attempt_id_idx on attempt_answers_archive (attempt_id);

create table voice_calls (
    id bigint generated always as identity primary key,
    attempt_id bigint references scenario_attempts (id) on delete set null,
    vapi_call_id text not null unique,
    status text not null check (status in ('in-progress', 'ended', 'failed')),
    ended_reason text,
    browser text not null,
    duration_s integer,
    cost_usd numeric(8, 4) not null default 0,
    created_at timestamptz not null default now()
);
create index voice_calls_attempt_id_idx on voice_calls (attempt_id);
create index voice_calls_created_at_idx on voice_calls (created_at);

create table webhook_logs (
    id bigint generated always as identity primary key,
    provider text not null,
    event_type text not null,
    status_code integer not null,
    payload jsonb not null default '{}',
    created_at timestamptz not null default now()
);
create index webhook_logs_created_at_idx on webhook_logs (created_at);

create table email_queue (
    id bigint generated always as identity primary key,
    user_id uuid references users (id),
    template text not null,
    status text not null check (status in ('queued', 'sent', 'bounced', 'failed')),
    error text,
    created_at timestamptz not null default now(),
    sent_at timestamptz
);
create index email_queue_status_idx on email_queue (status, created_at);
create index email_queue_user_id_idx on email_queue (user_id);

create materialized view reporting_daily_attempts as
select org_id, date_trunc('day', ended_at)::date as day, count(*) as attempts, round(avg(score), 1) as average_score
from scenario_attempts where ended_at is not null group by 1, 2;
create unique index reporting_daily_attempts_key on reporting_daily_attempts (org_id, day);

create materialized view reporting_leaderboard as
select org_id, user_id, count(*) as attempts, max(score) as best_score
from scenario_attempts where status = 'completed' group by 1, 2;
create unique index reporting_leaderboard_key on reporting_leaderboard (org_id, user_id);

create table reporting_refreshes (view_name text primary key, refreshed_at timestamptz not null, took_ms integer not null);

create function refresh_reporting_views() returns void language plpgsql as $$
declare
    view text;
    began timestamptz;
begin
    foreach view in array array['reporting_daily_attempts', 'reporting_leaderboard'] loop
        began := clock_timestamp();
        execute format('refresh materialized view concurrently %I', view);
        insert into reporting_refreshes
        values (view, now(), extract(milliseconds from clock_timestamp() - began)::integer)
        on conflict (view_name) do update set refreshed_at = excluded.refreshed_at, took_ms = excluded.took_ms;
    end loop;
end $$;

create schema supabase_migrations;
create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);

alter table organizations enable row level security;
alter table users enable row level security;
alter table scenarios enable row level security;
alter table scenario_attempts enable row level security;
alter table scenario_attempts_archive enable row level security;
alter table attempt_answers enable row level security;
alter table attempt_answers_archive enable row level security;
alter table voice_calls enable row level security;
alter table webhook_logs enable row level security;
alter table email_queue enable row level security;
alter table reporting_refreshes enable row level security;
create policy organizations_own on organizations for select to authenticated using (id = auth.org_id());
create policy users_own_org on users for select to authenticated using (org_id = auth.org_id());
create policy scenarios_own_org on scenarios for select to authenticated using (org_id = auth.org_id());
create policy attempts_own_org on scenario_attempts for select to authenticated using (org_id = auth.org_id());
create policy answers_own_org on attempt_answers for select to authenticated
    using (exists (select from scenario_attempts a where a.id = attempt_id and a.org_id = auth.org_id()));
grant select on organizations, users, scenarios, scenario_attempts, attempt_answers to authenticated;
