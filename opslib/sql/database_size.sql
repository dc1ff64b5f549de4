-- title: Size of the database on its server's disk
-- kind: read
-- returns: bytes int
-- params: nothing
-- needs: nothing
-- cost: reads the sizes of all its files; seconds with very many tables
-- lock: none
-- since: 14
-- pooler: yes
select pg_database_size(current_database()) as bytes
