-- platform: supabase
create table users (
    id uuid primary key,
    username text not null unique,
    email text not null unique,
    phone text not null,
    created_at timestamptz not null default now(),
    last_seen_at timestamptz
);
create index users_created_at_idx on users (created_at);

create table credits (
    user_id uuid primary key references users (id),
    balance integer not null default 0,
    updated_at timestamptz not null default now()
);

create table sessions (
    id uuid primary key,
    host_id uuid not null references users (id),
    title text not null,
    status text not null check (status in ('scheduled', 'active', 'ended')),
    hms_room_id text,
    credit_cost integer not null default 0,
    created_at timestamptz not null default now(),
    ended_at timestamptz
);
create index sessions_host_id_idx on sessions (host_id);
create index sessions_created_at_idx on sessions (created_at);
create index sessions_active_idx on sessions (status) where status = 'active';

create table session_participants (
    id bigint generated always as identity primary key,
    session_id uuid not null references sessions (id) on delete cascade,
    user_id uuid not null references users (id),
    role text not null default 'guest',
    created_at timestamptz not null default now(),
    left_at timestamptz,
    unique (session_id, user_id)
);
create index session_participants_user_id_idx on session_participants (user_id);
create index session_participants_created_at_idx on session_participants (created_at);

create table credit_transactions (
    id bigint generated always as identity primary key,
    user_id uuid not null references users (id),
    amount integer not null check (amount > 0),
    type text not null check (type in ('credit', 'debit')),
    reason text not null,
    status text not null default 'completed' check (status in ('pending', 'completed', 'failed')),
    session_id uuid references sessions (id),
    idempotency_key text unique,
    created_at timestamptz not null default now()
);
create index credit_transactions_user_id_idx on credit_transactions (user_id, created_at);
create index credit_transactions_session_id_idx on credit_transactions (session_id);
create index credit_transactions_created_at_idx on credit_transactions (created_at);

create table recordings (
    id bigint generated always as identity primary key,
    session_id uuid not null references sessions (id),
    hms_recording_id text unique,
    status text not null check (status in ('recording', 'processing', 'completed', 'failed')),
    recording_url text,
    metadata jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index recordings_session_id_idx on recordings (session_id);
create index recordings_status_idx on recordings (status, created_at);

create table webhook_logs (
    id bigint generated always as identity primary key,
    event_type text not null,
    payload jsonb not null,
    status_code integer not null default 200,
    created_at timestamptz not null default now()
);
create index webhook_logs_created_at_idx on webhook_logs (created_at);

create table login_attempts (
    id bigint generated always as identity primary key,
    user_id uuid references users (id),
    phone text not null,
    succeeded boolean not null,
    reason text,
    created_at timestamptz not null default now()
);
create index login_attempts_created_at_idx on login_attempts (created_at);
create index login_attempts_user_id_idx on login_attempts (user_id);

alter table users enable row level security;
alter table credits enable row level security;
alter table credit_transactions enable row level security;
alter table sessions enable row level security;
alter table session_participants enable row level security;
alter table recordings enable row level security;
alter table webhook_logs enable row level security;
alter table login_attempts enable row level security;
create policy users_self on users for select to authenticated using (id = auth.uid());
create policy credits_self on credits for select to authenticated using (user_id = auth.uid());
create policy credit_transactions_self on credit_transactions for select to authenticated
    using (user_id = auth.uid());
create policy sessions_visible on sessions for select to authenticated using (status <> 'scheduled' or host_id = auth.uid());
create policy sessions_host on sessions for update to authenticated using (host_id = auth.uid());
create policy session_participants_self on session_participants for select to authenticated
    using (user_id = auth.uid());
create policy recordings_host on recordings for select to authenticated
    using (exists (select from sessions s where s.id = session_id and s.host_id = auth.uid()));
grant select on users, credits, credit_transactions, sessions, session_participants, recordings to authenticated;
grant update on sessions to authenticated;
