-- title: How this database writes amounts of the type money, and whether it has any
-- kind: read
-- returns: monetary text, used bool
-- params: nothing
-- needs: nothing
-- cost: two catalogs
-- lock: none
-- since: 14
-- pooler: yes
-- Their text has signs, points and commas of lc_monetary, and is read back by no other locale. `used` where a
-- column, an attribute or a domain is of that type, or an array of it.
select current_setting('lc_monetary') as monetary,
       exists (
         select from pg_attribute
         where atttypid in ('money'::regtype, 'money[]'::regtype) and attrelid >= 16384 and not attisdropped)
       or exists (
         select from pg_type
         where typbasetype in ('money'::regtype, 'money[]'::regtype) and oid >= 16384) as used
