-- title: Note in Supabase's ledger that a migration was applied, if it is not there
-- kind: write
-- returns: version text
-- params: version text, name text, content text
-- needs: insert on supabase_migrations.schema_migrations
-- cost: one row, by its primary key
-- lock: row exclusive
-- since: 14
-- pooler: no
insert into supabase_migrations.schema_migrations (version, name, statements)
select %(version)s, %(name)s, array[%(content)s]
where %(version)s <> ''
  and not exists (select from supabase_migrations.schema_migrations where version = %(version)s)
returning version
