-- platform: supabase
create table users (
    id uuid primary key,
    email text not null unique,
    role text not null default 'member',
    created_at timestamptz not null default now(),
    last_sign_in_at timestamptz
);
create index users_created_at_idx on users (created_at);

create table sessions (
    id uuid primary key,
    user_id uuid not null references users (id),
    ip_address inet not null,
    user_agent text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);
create index sessions_user_id_idx on sessions (user_id, created_at);

create table events (
    id bigint generated always as identity primary key,
    user_id uuid references users (id),
    session_id uuid references sessions (id) on delete set null,
    name text not null,
    properties jsonb not null default '{}',
    timestamp timestamptz not null default now()
);
create index events_user_id_idx on events (user_id, timestamp);
create index events_session_id_idx on events (session_id);
create index events_timestamp_idx on events (timestamp);

create table security_audit (
    id bigint generated always as identity primary key,
    event_type text not null,
    severity text not null check (severity in ('info', 'warning', 'critical')),
    user_id uuid references users (id),
    ip_address inet,
    details jsonb not null default '{}',
    created_at timestamptz not null default now()
);
create index security_audit_created_at_idx on security_audit (created_at);
create index security_audit_user_id_idx on security_audit (user_id);

create table feature_flags (
    name text primary key,
    description text not null default '',
    owner text not null,
    enabled boolean not null default false,
    kill_switch boolean not null default false,
    rollout_percentage integer not null default 0 check (rollout_percentage between 0 and 100),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table error_logs (
    id bigint generated always as identity primary key,
    level text not null,
    endpoint text not null,
    message text not null,
    user_id uuid references users (id),
    created_at timestamptz not null default now()
);
create index error_logs_created_at_idx on error_logs (created_at);
create index error_logs_user_id_idx on error_logs (user_id);

create table retention_policies (
    table_name text primary key,
    column_name text not null,
    keep_days integer not null check (keep_days > 0),
    legal_hold boolean not null default false,
    last_cleanup_at timestamptz,
    last_deleted integer
);

create schema supabase_migrations;
create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);

alter table users enable row level security;
alter table sessions enable row level security;
alter table events enable row level security;
alter table security_audit enable row level security;
alter table feature_flags enable row level security;
alter table error_logs enable row level security;
alter table retention_policies enable row level security;
create policy users_self on users for select to authenticated using (id = auth.uid());
create policy sessions_self on sessions for select to authenticated using (user_id = auth.uid());
create policy events_self on events for select to authenticated using (user_id = auth.uid());
create policy feature_flags_read on feature_flags for select to authenticated using (enabled and not kill_switch);
grant select on users, sessions, events, feature_flags to authenticated;
