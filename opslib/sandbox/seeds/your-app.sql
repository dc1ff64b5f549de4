insert into users
select pg_temp.uid('user', n), pg_temp.person(n) || '@example.com', case when n <= 3 then 'admin' else 'member' end,
    joined, joined + random() * (now() - joined)
from (select n, pg_temp.ago(500) as joined from generate_series(1, pg_temp.many(1200)) n) u;

insert into sessions
select pg_temp.uid('session', n), pg_temp.any_of('user', 1200), ('10.' || n % 200 || '.' || n % 240 || '.7')::inet,
    pg_temp.pick('Firefox on Linux', 'Safari on iPhone', 'Chrome on Windows', 'Chrome on Android'), opened, opened + interval '7 days', null
from (select n, pg_temp.ago(80) as opened from generate_series(1, pg_temp.many(3000)) n) s;

insert into events (user_id, session_id, name, properties, timestamp)
select s.user_id, s.id, pg_temp.pick('page_view', 'page_view', 'search', 'export', 'settings_saved', 'sign_in'),
    jsonb_build_object('path', pg_temp.pick('/', '/projects', '/reports', '/settings')),
    s.created_at + random() * least(interval '2 hours', now() - s.created_at)
from sessions s, generate_series(1, 4);

insert into security_audit (event_type, severity, user_id, ip_address, details, created_at)
select pg_temp.pick('login', 'login', 'logout', 'password_changed', 'api_key_used'), 'info',
    pg_temp.any_of('user', 1200), ('10.1.' || n % 200 || '.9')::inet, '{}', pg_temp.ago(80)
from generate_series(1, pg_temp.many(2500)) n;
insert into security_audit (event_type, severity, user_id, ip_address, details, created_at)
select 'login_failed', 'warning', pg_temp.any_of('user', 1200), ('10.2.' || n % 200 || '.9')::inet,
    '{"reason": "wrong password"}', pg_temp.ago(80)
from generate_series(1, pg_temp.many(80)) n;

insert into feature_flags (name, description, owner, enabled, rollout_percentage, created_at, updated_at) values
    ('new-editor', 'the second editor', 'web', true, 25, now() - interval '40 days', now() - interval '3 days'),
    ('fast-export', 'exports in the background', 'data', true, 100, now() - interval '60 days', now() - interval '20 days'),
    ('beta-search', 'search by meaning', 'web', false, 0, now() - interval '30 days', now() - interval '9 days'),
    ('dark-theme', 'dark colours', 'web', true, 50, now() - interval '50 days', now() - interval '12 days');

insert into error_logs (level, endpoint, message, user_id, created_at)
select 'error', pg_temp.pick('/api/export', '/api/search', '/api/projects'),
    pg_temp.pick('upstream timed out', 'validation failed: name', 'not found'), pg_temp.any_of('user', 1200), pg_temp.ago(25)
from generate_series(1, pg_temp.many(150)) n;

insert into retention_policies values
    ('events', 'timestamp', 90, false, now() - interval '9 hours', 214),
    ('sessions', 'created_at', 90, false, now() - interval '9 hours', 37),
    ('security_audit', 'created_at', 365, true, now() - interval '9 hours', 0),
    ('error_logs', 'created_at', 30, false, now() - interval '9 hours', 12);

insert into supabase_migrations.schema_migrations (version, name, statements) values
    ('20250105090000', 'init', array['-- init', 'select 1']), ('20250220120000', 'feature_flags', array['-- feature_flags', 'select 1']), ('20250611083000', 'security_audit', array['-- security_audit', 'select 1']),
    ('20250914150000', 'retention', array['-- retention', 'select 1']), ('20251002101500', 'rls', array['-- rls', 'select 1']);
