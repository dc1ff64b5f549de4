-- title: Note in a ledger of names that a migration was applied, if it is not there
-- kind: write
-- returns: version text
-- params: table name, version text
-- needs: insert on the ledger
-- cost: one row
-- lock: row exclusive
-- since: 14
-- pooler: no
insert into {table} (name, applied_at)
select %(version)s, now()
where not exists (select from {table} where name = %(version)s)
returning name as version
