-- title: How this database writes text and sorts it
-- kind: read
-- returns: encoding text, provider text, collation text, ctype text, locale text, rules text
-- params: nothing
-- needs: nothing
-- cost: one row of one catalog
-- lock: none
-- since: 14
-- pooler: yes
-- `provider`: c for libc, i for ICU, b for the server's own; `locale` and `rules` are of the latter two.
select pg_encoding_to_char(d.encoding)::text as encoding,
       coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') as provider,
       d.datcollate::text as collation, d.datctype::text as ctype,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', '') as locale,
       coalesce(to_jsonb(d) ->> 'daticurules', '') as rules
from pg_database d
where d.datname = current_database()
