insert into user_profiles
select pg_temp.uid('user', n), pg_temp.person(n) || '@example.com', initcap(split_part(pg_temp.person(n), '.', 1)),
    case when n % 6 = 0 then 'premium' else 'free' end, joined, joined + random() * (now() - joined)
from (select n, pg_temp.ago(350) as joined from generate_series(1, pg_temp.many(1000)) n) u;

insert into prompt_atoms (user_id, kind, body, created_at)
select case when n % 5 = 0 then null else pg_temp.any_of('user', 1000) end, pg_temp.pick('tone', 'task', 'format', 'guard'),
    pg_temp.words(15), pg_temp.ago(300)
from generate_series(1, pg_temp.many(2000)) n;

insert into vibe_configs (user_id, name, settings, updated_at)
select pg_temp.uid('user', 1 + n % pg_temp.many(1000)), 'vibe ' || n,
    jsonb_build_object('warmth', pg_temp.number(0, 10), 'length', pg_temp.pick('short', 'long')), pg_temp.ago(200)
from generate_series(1, pg_temp.many(1200)) n;

insert into agent_runs (user_id, vibe_config_id, status, error, tokens, started_at, finished_at)
select pg_temp.any_of('user', 1000), 1 + n % pg_temp.many(1200), case when good then 'succeeded' else 'failed' end,
    case when not good then 'model refused the prompt' end, pg_temp.number(100, 6000), began, began + pg_temp.number(2, 90) * interval '1 second'
from (select n, now() - interval '10 minutes' - random() * interval '60 days' as began, random() < 0.98 as good
      from generate_series(1, pg_temp.many(4000)) n) r;

insert into background_events (source, event_type, payload, created_at, processed_at)
select pg_temp.pick('github', 'stripe', 'scheduler'), pg_temp.pick('push', 'invoice.paid', 'tick'), jsonb_build_object('n', n), made, made + interval '2 seconds'
from (select n, now() - interval '5 minutes' - random() * interval '30 days' as made from generate_series(1, pg_temp.many(3000)) n) e;

insert into user_template_customizations (user_id, template, overrides, created_at)
select pg_temp.uid('user', 1 + n % pg_temp.many(1000)), 'template ' || n % 7 || '-' || n, '{"accent": "teal"}', pg_temp.ago(150)
from generate_series(1, pg_temp.many(700)) n;

insert into organizations
select pg_temp.uid('org', n), initcap(pg_temp.words(2)) || ' ' || n, 'cus_' || substr(md5(n::text), 1, 14), pg_temp.ago(250)
from generate_series(1, pg_temp.many(80)) n;
insert into organization_members
select pg_temp.uid('org', 1 + n % pg_temp.many(80)), pg_temp.uid('user', n), case when n <= pg_temp.many(80) then 'owner' else 'member' end
from generate_series(1, pg_temp.many(600)) n;
insert into subscriptions (organization_id, stripe_subscription_id, status, current_period_end, created_at)
select id, 'sub_' || substr(md5(id::text), 1, 14), pg_temp.pick('active', 'active', 'active', 'trialing', 'canceled'),
    now() + random() * interval '30 days', created_at
from organizations;

insert into stripe_events
select 'evt_' || substr(md5('evt' || n), 1, 18),
    pg_temp.pick('checkout.session.completed', 'customer.subscription.updated', 'customer.subscription.deleted'), 200, null, pg_temp.ago(30)
from generate_series(1, pg_temp.many(900)) n;

insert into usage_metrics (user_id, metric, quantity, created_at)
select pg_temp.any_of('user', 1000), pg_temp.pick('agent_run', 'tokens', 'template_render'), pg_temp.number(1, 500), pg_temp.ago(45)
from generate_series(1, pg_temp.many(6000)) n;

insert into migrations (name, applied_at)
select name, now() - (330 - row * 20) * interval '1 day' from unnest(array[
    '001_create_user_profiles.sql', '002_create_prompt_atoms.sql', '003_create_vibe_configs.sql', '004_create_agent_runs.sql',
    '005_create_background_events.sql', '006_add_indexes.sql', '007_add_constraints.sql', '008_add_premium_features.sql',
    '010_create_user_template_customizations.sql', '011_enhance_template_system.sql', '012_add_rls_core_tables.sql',
    '013_add_billing_and_orgs.sql']) with ordinality as m (name, row);
