-- platform: supabase
create table user_profiles (
    id uuid primary key,
    email text not null unique,
    display_name text not null,
    tier text not null default 'free' check (tier in ('free', 'premium')),
    created_at timestamptz not null default now(),
    last_active_at timestamptz
);
create index user_profiles_created_at_idx on user_profiles (created_at);

create table prompt_atoms (
    id bigint generated always as identity primary key,
    user_id uuid references user_profiles (id),
    kind text not null,
    body text not null,
    created_at timestamptz not null default now()
);
create index prompt_atoms_user_id_idx on prompt_atoms (user_id);

create table vibe_configs (
    id bigint generated always as identity primary key,
    user_id uuid not null references user_profiles (id),
    name text not null,
    settings jsonb not null default '{}',
    updated_at timestamptz not null default now(),
    unique (user_id, name)
);

create table agent_runs (
    id bigint generated always as identity primary key,
    user_id uuid not null references user_profiles (id),
    vibe_config_id bigint references vibe_configs (id),
    status text not null check (status in ('queued', 'running', 'succeeded', 'failed')),
    error text,
    tokens integer not null default 0,
    started_at timestamptz not null default now(),
    finished_at timestamptz
);
create index agent_runs_user_id_idx on agent_runs (user_id, started_at);
create index agent_runs_vibe_config_id_idx on agent_runs (vibe_config_id);
create index agent_runs_started_at_idx on agent_runs (started_at);

create table background_events (
    id bigint generated always as identity primary key,
    source text not null,
    event_type text not null,
    payload jsonb not null default '{}',
    processed_at timestamptz,
    created_at timestamptz not null default now()
);
create index background_events_created_at_idx on background_events (created_at);
create index background_events_unprocessed_idx on background_events (created_at) where processed_at is null;

create table user_template_customizations (
    id bigint generated always as identity primary key,
    user_id uuid not null references user_profiles (id),
    template text not null,
    overrides jsonb not null default '{}',
    created_at timestamptz not null default now(),
    unique (user_id, template)
);

create table organizations (
    id uuid primary key,
    name text not null,
    stripe_customer_id text unique,
    created_at timestamptz not null default now()
);

create table organization_members (
    organization_id uuid not null references organizations (id),
    user_id uuid not null references user_profiles (id),
    role text not null default 'member',
    primary key (organization_id, user_id)
);
create index organization_members_user_id_idx on organization_members (user_id);

create table subscriptions (
    id bigint generated always as identity primary key,
    organization_id uuid not null references organizations (id),
    stripe_subscription_id text not null unique,
    status text not null check (status in ('trialing', 'active', 'past_due', 'canceled')),
    current_period_end timestamptz not null,
    created_at timestamptz not null default now()
);
create index subscriptions_organization_id_idx on subscriptions (organization_id);

create table stripe_events (
    id text primary key,
    type text not null,
    status_code integer not null,
    error text,
    received_at timestamptz not null default now()
);
create index stripe_events_received_at_idx on stripe_events (received_at);

create table usage_metrics (
    id bigint generated always as identity primary key,
    user_id uuid not null references user_profiles (id),
    metric text not null,
    quantity integer not null,
    created_at timestamptz not null default now()
);
create index usage_metrics_user_id_idx on usage_metrics (user_id, created_at);
create index usage_metrics_created_at_idx on usage_metrics (created_at);

create table migrations (id integer generated always as identity primary key, name text not null unique, applied_at timestamptz not null);

alter table user_profiles enable row level security;
alter table prompt_atoms enable row level security;
alter table vibe_configs enable row level security;
alter table agent_runs enable row level security;
alter table background_events enable row level security;
alter table user_template_customizations enable row level security;
alter table organizations enable row level security;
alter table organization_members enable row level security;
alter table subscriptions enable row level security;
alter table stripe_events enable row level security;
alter table usage_metrics enable row level security;
alter table migrations enable row level security;
create policy user_profiles_self on user_profiles for select to authenticated using (id = auth.uid());
create policy prompt_atoms_read on prompt_atoms for select to authenticated using (user_id is null or user_id = auth.uid());
create policy vibe_configs_self on vibe_configs to authenticated using (user_id = auth.uid());
create policy agent_runs_self on agent_runs for select to authenticated using (user_id = auth.uid());
create policy customizations_self on user_template_customizations to authenticated using (user_id = auth.uid());
create policy members_self on organization_members for select to authenticated using (user_id = auth.uid());
create policy organizations_member on organizations for select to authenticated
    using (exists (select from organization_members m where m.organization_id = id and m.user_id = auth.uid()));
create policy usage_metrics_self on usage_metrics for select to authenticated using (user_id = auth.uid());
grant select on user_profiles, prompt_atoms, agent_runs, organizations, organization_members, usage_metrics to authenticated;
grant select, insert, update, delete on vibe_configs, user_template_customizations to authenticated;
