-- A Neon project keeps extensions where they were made. Run as the superuser.
create schema extensions;
grant usage on schema extensions to public;
-- Without pgvector an embedding is a plain array: every table and row stays the same, only its index is missing.
do $$
begin
    if exists (select from pg_available_extensions where name = 'vector') then
        create extension vector schema extensions;
    else
        create domain extensions.vector as real[];
    end if;
end $$;
