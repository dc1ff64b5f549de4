-- title: Ways of planning that were switched off, and for whom
-- kind: read
-- returns: name text, setting text, holds_for text, way_back text
-- params: nothing
-- needs: nothing
-- cost: settings from memory, and one small catalog
-- lock: none
-- since: 14
-- pooler: yes
select name, setting, 'the server' as holds_for,
       concat('set ', name, ' = on in postgresql.conf or the vendor''s console, and reload') as way_back
from pg_settings
where starts_with(name, 'enable_') and setting = 'off' and boot_val = 'on'
  and source in ('configuration file', 'command line', 'environment variable', 'global')
union all
select split_part(one.setting, '=', 1), split_part(one.setting, '=', 2),
       concat_ws(' in ', case when s.setrole <> 0 then concat('role ', r.rolname) end,
                 case when s.setdatabase <> 0 then concat('database ', d.datname) end),
       concat_ws(' ', 'alter', case when s.setrole <> 0 then concat('role ', quote_ident(r.rolname)) end,
                 case when s.setrole <> 0 and s.setdatabase <> 0 then 'in' end,
                 case when s.setrole = 0 and s.setdatabase = 0 then 'role all'
                      when s.setdatabase <> 0 then concat('database ', quote_ident(d.datname)) end,
                 'reset', split_part(one.setting, '=', 1))
from pg_db_role_setting s
cross join lateral unnest(s.setconfig) as one(setting)
left join pg_roles r on r.oid = s.setrole
left join pg_database d on d.oid = s.setdatabase
where (s.setdatabase = 0 or d.datname = current_database())
  and starts_with(one.setting, 'enable_') and split_part(one.setting, '=', 2) in ('off', 'false', 'no', '0')
order by 1, 3
