insert into users
select pg_temp.uid('user', n), pg_temp.person(n), pg_temp.person(n) || '@example.com',
    '+1' || (2000000000 + n * 7919)::text, joined, joined + random() * (now() - joined)
from (select n, pg_temp.ago(400) as joined from generate_series(1, pg_temp.many(1500)) n) u;

insert into sessions
select pg_temp.uid('session', n), pg_temp.any_of('user', 1500), initcap(pg_temp.words(3)), 'ended',
    'room-' || substr(md5('room' || n), 1, 16), pg_temp.number(5, 20), opened,
    opened + pg_temp.number(10, 50) * interval '1 minute'
from (select n, now() - interval '1 hour' - random() * interval '60 days' as opened
      from generate_series(1, pg_temp.many(2500)) n) s;
insert into sessions
select pg_temp.uid('live', n), pg_temp.any_of('user', 1500), initcap(pg_temp.words(3)), 'active',
    'room-' || substr(md5('live' || n), 1, 16), pg_temp.number(5, 20), now() - random() * interval '40 minutes', null
from generate_series(1, pg_temp.many(12)) n;

insert into session_participants (session_id, user_id, role, created_at, left_at)
select s.id, s.host_id, 'host', s.created_at, s.ended_at from sessions s;
insert into session_participants (session_id, user_id, created_at, left_at)
select s.id, pg_temp.any_of('user', 1500), s.created_at + interval '1 minute', s.ended_at
from sessions s, generate_series(1, 2) g
on conflict do nothing;

insert into credit_transactions (user_id, amount, type, reason, idempotency_key, created_at)
select u.id, 400, 'credit', 'signup bonus', 'signup-' || u.id, u.created_at from users u;
insert into credit_transactions (user_id, amount, type, reason, idempotency_key, created_at)
select pg_temp.any_of('user', 1500), pg_temp.number(1, 4) * 100, 'credit', 'purchase', 'purchase-' || n, pg_temp.ago(60)
from generate_series(1, pg_temp.many(800)) n;
insert into credit_transactions (user_id, amount, type, reason, session_id, idempotency_key, created_at)
select p.user_id, s.credit_cost, 'debit', 'session ' || s.title, s.id, 'join-' || s.id || '-' || p.user_id, p.created_at
from session_participants p join sessions s on s.id = p.session_id;

insert into credits
select u.id, coalesce(sum(case t.type when 'credit' then t.amount else -t.amount end), 0), max(t.created_at)
from users u left join credit_transactions t on t.user_id = u.id and t.status = 'completed' group by u.id;

insert into recordings (session_id, hms_recording_id, status, recording_url, metadata, created_at, updated_at)
select s.id, 'rec-' || substr(md5(s.id::text), 1, 16), 'completed',
    'https://media.example.com/' || s.id || '.mp4',
    jsonb_build_object('size', pg_temp.number(5, 900) * 1048576::bigint), s.ended_at, s.ended_at + interval '4 minutes'
from sessions s where s.ended_at is not null and random() < 0.4;
insert into recordings (session_id, hms_recording_id, status, created_at, updated_at)
select id, 'live-' || substr(md5(id::text), 1, 16), 'recording', created_at, now() from sessions where status = 'active' limit 4;

insert into webhook_logs (event_type, payload, created_at)
select event, jsonb_build_object('recording_id', r.hms_recording_id, 'session_id', r.session_id), r.updated_at
from recordings r, unnest(array['recording.started', 'recording.success']) event where r.status = 'completed';

insert into login_attempts (user_id, phone, succeeded, reason, created_at)
select u.id, u.phone, good, case when good then null else 'code expired' end, pg_temp.ago(14)
from (select *, random() < 0.97 as good from users) u;
