-- title: Note in a ledger of names that a migration was applied, if it is not there
-- kind: write
-- returns: version text
-- params: table name, key name, time name, version text
-- needs: insert on the ledger
-- cost: one row
-- lock: row exclusive
-- since: 14
-- pooler: no
-- key and time are the ledger's columns for the name of a migration and for when it was applied.
insert into {table} ({key}, {time})
select %(version)s, now()
where %(version)s <> ''
  and not exists (select from {table} where {key} = %(version)s)
returning {key} as version
