-- platform: neon
create table users (
    id uuid primary key,
    email text not null unique,
    created_at timestamptz not null default now(),
    last_seen_at timestamptz
);
create index users_created_at_idx on users (created_at);

create table stacks (
    id bigint generated always as identity primary key,
    user_id uuid not null references users (id),
    name text not null,
    created_at timestamptz not null default now(),
    unique (user_id, name)
);

create table notes (
    id bigint generated always as identity primary key,
    user_id uuid not null references users (id),
    stack_id bigint references stacks (id),
    kind text not null check (kind in ('text', 'link', 'image', 'voice')),
    body text not null,
    tags text[] not null default '{}',
    embedding extensions.vector,
    archived boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index notes_user_id_idx on notes (user_id, created_at);
create index notes_stack_id_idx on notes (stack_id);

create table messages (
    id bigint generated always as identity primary key,
    user_id uuid not null references users (id),
    note_id bigint references notes (id) on delete set null,
    role text not null check (role in ('user', 'assistant')),
    body text not null,
    embedding extensions.vector,
    created_at timestamptz not null default now()
);
create index messages_user_id_idx on messages (user_id, created_at);
create index messages_note_id_idx on messages (note_id);

create table ai_usage (
    id bigint generated always as identity primary key,
    user_id uuid references users (id),
    feature text not null,
    model text not null,
    job text,
    prompt_digest text not null,
    prompt_tokens integer not null,
    completion_tokens integer not null,
    cost_usd numeric(10, 6) not null,
    latency_ms integer not null,
    succeeded boolean not null default true,
    created_at timestamptz not null default now()
);
create index ai_usage_created_at_idx on ai_usage (created_at);
create index ai_usage_user_id_idx on ai_usage (user_id);

create table job_runs (
    id bigint generated always as identity primary key,
    job text not null,
    status text not null check (status in ('running', 'succeeded', 'failed')),
    processed integer not null default 0,
    error text,
    started_at timestamptz not null default now(),
    finished_at timestamptz
);
create index job_runs_job_idx on job_runs (job, started_at);

create table login_attempts (
    id bigint generated always as identity primary key,
    user_id uuid references users (id),
    succeeded boolean not null,
    reason text,
    created_at timestamptz not null default now()
);
create index login_attempts_created_at_idx on login_attempts (created_at);
create index login_attempts_user_id_idx on login_attempts (user_id);

create table _prisma_migrations (
    id uuid primary key,
    checksum text not null,
    migration_name text not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    rolled_back_at timestamptz,
    applied_steps_count integer not null default 1
);

alter table notes enable row level security;
alter table messages enable row level security;
create policy notes_owner on notes using (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
create policy messages_owner on messages using (user_id = nullif(current_setting('app.user_id', true), '')::uuid);
