-- What a Supabase project brings along, as far as the five systems rely on it. Run as the superuser.
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create schema extensions;
create schema auth;
create function auth.uid() returns uuid language sql stable as
$$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
create function auth.org_id() returns uuid language sql stable as
$$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'org_id')::uuid $$;
grant usage on schema public, extensions, auth to public;
-- So that the row security audit can look as a visitor and as a stranger who is signed in.
grant anon, authenticated to opslib_monitor;
