-- title: The tables in which tools for migrations note what was applied
-- kind: read
-- returns: tool text, schema text, name text, owner text, readable bool
-- params: nothing
-- needs: nothing
-- cost: one look at the catalog
-- lock: none
-- since: 14
-- pooler: yes
-- By the catalog: to_regclass() fails where the role may not use the schema.
select known.tool, n.nspname as schema, c.relname as name, r.rolname as owner,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable
from (values ('supabase', 'supabase_migrations', 'schema_migrations'),
             ('prisma', 'public', '_prisma_migrations'),
             ('alembic', 'public', 'alembic_version'),
             ('plain', 'public', 'migrations')) known (tool, schema, name)
join pg_namespace n on n.nspname = known.schema
join pg_class c on c.relnamespace = n.oid and c.relname = known.name and c.relkind in ('r', 'p')
join pg_roles r on r.oid = c.relowner
order by known.tool = 'plain', known.tool
