insert into organizations
select pg_temp.uid('org', n), initcap(pg_temp.words(2)) || ' ' || n, pg_temp.pick('starter', 'growth', 'enterprise'), pg_temp.ago(600)
from generate_series(1, pg_temp.many(30)) n;

insert into users
select pg_temp.uid('user', n), pg_temp.uid('org', 1 + n % pg_temp.many(30)), 'user_' || substr(md5(n::text), 1, 20),
    pg_temp.person(n) || '@example.com', case when n <= pg_temp.many(30) then 'admin' when n % 9 = 0 then 'manager' else 'trainee' end,
    joined, joined + random() * (now() - joined)
from (select n, pg_temp.ago(500) as joined from generate_series(1, pg_temp.many(900)) n) u;

insert into scenarios
select pg_temp.uid('scenario', n), pg_temp.uid('org', 1 + n % pg_temp.many(30)), initcap(pg_temp.words(3)), n % 12 <> 0, pg_temp.ago(400)
from generate_series(1, pg_temp.many(120)) n;

insert into scenario_attempts (org_id, scenario_id, user_id, status, score, transcript, recording_path, started_at, ended_at)
select u.org_id, pg_temp.any_of('scenario', 120), u.id, case when good then 'completed' else 'abandoned' end,
    case when good then pg_temp.number(35, 100) end, pg_temp.words(20),
    case when good then 'recordings/' || u.org_id || '/' || n || '.mp3' end, began, began + pg_temp.number(3, 15) * interval '1 minute'
from (select n, now() - interval '20 minutes' - random() * interval '330 days' as began, random() < 0.92 as good,
          pg_temp.any_of('user', 900) as person
      from generate_series(1, pg_temp.many(4000)) n) t join users u on u.id = t.person;

insert into attempt_answers (attempt_id, question, answer, points)
select a.id, q, pg_temp.words(5), pg_temp.number(0, 10) from scenario_attempts a, generate_series(1, 3) q;

insert into scenario_attempts_archive
select 1000000000 + n, pg_temp.any_of('org', 30), pg_temp.any_of('scenario', 120), pg_temp.any_of('user', 900), 'completed',
    pg_temp.number(35, 100), pg_temp.words(10), null, ended - interval '8 minutes', ended, ended + interval '366 days'
from (select n, now() - interval '460 days' - random() * interval '200 days' as ended from generate_series(1, pg_temp.many(500)) n) t;

insert into attempt_answers_archive
select 1000000000 + 3 * (a.id - 1000000000) + q, a.id, q, 'an answer of long ago', 5 from scenario_attempts_archive a, generate_series(1, 3) q;

insert into voice_calls (attempt_id, vapi_call_id, status, ended_reason, browser, duration_s, cost_usd, created_at)
select a.id, 'call-' || a.id, case when good then 'ended' else 'failed' end,
    case when good then pg_temp.pick('customer-ended-call', 'assistant-ended-call') else 'customer-did-not-give-microphone-permission' end,
    pg_temp.pick('Chrome', 'Chrome', 'Safari', 'Firefox', 'Edge'), case when good then pg_temp.number(60, 900) end,
    case when good then round((0.05 + random() * 0.6)::numeric, 4) else 0 end, a.started_at
from (select *, random() < 0.985 as good from scenario_attempts) a;

insert into webhook_logs (provider, event_type, status_code, payload, created_at)
select 'vapi', 'end-of-call-report', 200, jsonb_build_object('call', vapi_call_id), created_at
from voice_calls where created_at > now() - interval '60 days';
insert into webhook_logs (provider, event_type, status_code, payload, created_at)
select 'clerk', pg_temp.pick('user.created', 'user.updated', 'session.created'), 200, '{}', pg_temp.ago(60)
from generate_series(1, pg_temp.many(600));

insert into email_queue (user_id, template, status, created_at, sent_at)
select pg_temp.any_of('user', 900), pg_temp.pick('assignment', 'feedback', 'weekly-summary'), 'sent', made, made + interval '3 seconds'
from (select pg_temp.ago(30) as made from generate_series(1, pg_temp.many(1200))) m;

refresh materialized view reporting_daily_attempts;
refresh materialized view reporting_leaderboard;
insert into reporting_refreshes values
    ('reporting_daily_attempts', now() - interval '25 minutes', 140), ('reporting_leaderboard', now() - interval '25 minutes', 90);

insert into supabase_migrations.schema_migrations (version, name, statements) values
    ('20250115080000', 'init', array['-- init', 'select 1']), ('20250228110000', 'attempts', array['-- attempts', 'select 1']), ('20250605093000', 'reporting_views', array['-- reporting_views', 'select 1']),
    ('20250820140000', 'archive', array['-- archive', 'select 1']), ('20250929070000', 'voice_calls', array['-- voice_calls', 'select 1']);
