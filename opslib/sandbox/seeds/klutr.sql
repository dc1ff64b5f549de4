insert into users
select pg_temp.uid('user', n), pg_temp.person(n) || '@example.com', joined, joined + random() * (now() - joined)
from (select n, pg_temp.ago(300) as joined from generate_series(1, pg_temp.many(800)) n) u;

insert into stacks (user_id, name, created_at)
select pg_temp.uid('user', 1 + n % pg_temp.many(800)), initcap(pg_temp.words(1)) || ' ' || n, pg_temp.ago(200)
from generate_series(1, pg_temp.many(1000)) n;

insert into notes (user_id, stack_id, kind, body, tags, embedding, archived, created_at, updated_at)
select pg_temp.any_of('user', 800), 1 + n % pg_temp.many(1000), pg_temp.pick('text', 'text', 'link', 'image', 'voice'),
    pg_temp.words(12), array[pg_temp.pick('work', 'home', 'later'), pg_temp.pick('ideas', 'todo', 'quote')],
    (select array_agg(round((random() * 2 - 1)::numeric, 3)::real) from generate_series(1, 32) where n > 0)::extensions.vector,
    random() < 0.1, written, written + random() * (now() - written)
from (select n, pg_temp.ago(200) as written from generate_series(1, pg_temp.many(3000)) n) t;

insert into messages (user_id, note_id, role, body, embedding, created_at)
select pg_temp.any_of('user', 800), 1 + n % pg_temp.many(3000), pg_temp.pick('user', 'assistant'), pg_temp.words(8),
    (select array_agg(round((random() * 2 - 1)::numeric, 3)::real) from generate_series(1, 32) where n > 0)::extensions.vector,
    pg_temp.ago(120)
from generate_series(1, pg_temp.many(2000)) n;

do $$
begin
    if exists (select from pg_extension where extname = 'vector') then
        alter table notes alter column embedding type extensions.vector(32);
        alter table messages alter column embedding type extensions.vector(32);
        create index notes_embedding_idx on notes
            using hnsw (embedding extensions.vector_cosine_ops) with (m = 8, ef_construction = 24);
        create index messages_embedding_idx on messages
            using hnsw (embedding extensions.vector_cosine_ops) with (m = 8, ef_construction = 24);
    end if;
end $$;

insert into ai_usage (user_id, feature, model, job, prompt_digest, prompt_tokens, completion_tokens, cost_usd, latency_ms, succeeded, created_at)
select pg_temp.any_of('user', 800), feature, 'gpt-4o-mini',
    case feature when 'clustering' then 'nightly-cluster' when 'insights' then 'weekly-insights' end,
    md5(n::text), tokens, tokens / 4, round(tokens * 0.000012, 6), pg_temp.number(300, 1800), random() < 0.985, pg_temp.ago(30)
from (select n, pg_temp.pick('chat', 'chat', 'embedding', 'clustering', 'insights') as feature, pg_temp.number(200, 4000) as tokens
      from generate_series(1, pg_temp.many(6000)) n) u;

insert into job_runs (job, status, processed, started_at, finished_at)
select job, 'succeeded', pg_temp.number(50, 400), began, began + pg_temp.number(20, 90) * interval '1 second'
from (values ('nightly-cluster', 1, 35), ('nightly-stacks', 1, 35), ('weekly-insights', 7, 5)) as jobs (job, every, times),
    lateral (select now() - interval '5 hours' - n * every * interval '1 day' as began from generate_series(0, times) n) runs;

insert into login_attempts (user_id, succeeded, reason, created_at)
select u.id, good, case when good then null else 'wrong password' end, pg_temp.ago(14)
from (select *, random() < 0.97 as good from users) u;

insert into _prisma_migrations (id, checksum, migration_name, started_at, finished_at)
select md5(name)::uuid, encode(sha256(convert_to('-- ' || name || chr(10), 'UTF8')), 'hex'), name, now() - age, now() - age + interval '2 seconds'
from (values ('20250110090000_init', interval '300 days'), ('20250302140000_stacks', interval '250 days'),
    ('20250518101500_embeddings', interval '170 days'), ('20250901080000_ai_usage', interval '70 days')) m (name, age);
