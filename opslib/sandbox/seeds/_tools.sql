-- Helpers for the seeds of one session. random() was seeded before; `sandbox.scale` multiplies the rows.
create function pg_temp.many(base integer) returns integer language sql stable as
$$ select greatest(1, round(base * current_setting('sandbox.scale')::numeric))::integer $$;
create function pg_temp.uid(kind text, number bigint) returns uuid language sql immutable as
$$ select md5(kind || ':' || number)::uuid $$;
create function pg_temp.any_of(kind text, base integer) returns uuid language sql volatile as
$$ select md5(kind || ':' || (1 + floor(random() * greatest(1, round(base * current_setting('sandbox.scale')::numeric))))::bigint)::uuid $$;
create function pg_temp.pick(variadic choices text[]) returns text language sql volatile as
$$ select choices[1 + floor(random() * array_length(choices, 1))::integer] $$;
create function pg_temp.ago(days numeric) returns timestamptz language sql volatile as
$$ select now() - random() * days * interval '1 day' $$;
create function pg_temp.number(low integer, high integer) returns integer language sql volatile as
$$ select low + floor(random() * (high - low + 1))::integer $$;
create function pg_temp.words(amount integer) returns text language sql volatile as
$$ select string_agg(pg_temp.pick('plan', 'idea', 'call', 'draft', 'review', 'market', 'note', 'travel', 'budget',
    'design', 'garden', 'team', 'launch', 'question', 'answer', 'recipe', 'photo', 'story', 'music', 'reading'), ' ')
   from generate_series(1, amount) $$;
create function pg_temp.person(number bigint) returns text language sql immutable as
$$ select (array['ada','ben','cleo','dana','emil','fay','gus','hana','ivo','june','kofi','lena','milo','nora',
    'omar','pia','quin','rosa','sami','tess'])[1 + number % 20] || '.' ||
   (array['abel','birk','cruz','dahl','egan','frey','gold','hart','imai','jung','kane','lund','mora','nash',
    'oduya','park','rey'])[1 + number % 17] || number $$;
