-- title: Note in Supabase's ledger that a migration was applied, if it is not there
-- kind: write
-- returns: version text
-- params: table name, version text, name text, content text
-- needs: insert on the ledger
-- cost: one row, by its primary key
-- lock: row exclusive
-- since: 14
-- pooler: no
insert into {table} (version, name, statements)
select %(version)s, %(name)s, array[%(content)s]
where not exists (select from {table} where version = %(version)s)
returning version
