-- title: Extensions that this server could install
-- kind: read
-- returns: name text, version text
-- params: nothing
-- needs: nothing
-- cost: reads the control files of the server
-- lock: none
-- since: 14
-- pooler: yes
select name, default_version as version
from pg_available_extensions
order by name
