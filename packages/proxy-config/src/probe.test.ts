import { expect, test } from '@jest/globals';
import { nginxLocations } from './probe.ts';

test.each<[string, readonly string[], readonly string[]]>([
  ['location /static/ { root /srv; }', ['/static/'], []],
  ['location = /ping{return 200;}', ['/ping'], []],
  ['location =/ping { return 200; }', ['/ping'], []],
  ['location ^~ /files/ {\n  root /srv;\n}', ['/files/'], []],
  ['location\n  /a\n{\n}', ['/a'], []],
  ['location "/a b/" { }\nlocation \'/c\' { }', ['/a b/', '/c'], []],
  ['location /a { location /a/b { return 200; } }', ['/a', '/a/b'], []],
  ['location /a { if ($x) { return 403; } }', ['/a'], []],
  ['location /a { }\nserver { location /a { } }', ['/a'], []],
  ['location ~ \\.php$ { }\nlocation ~* "^/v[0-9]{1,2}/" { }', [], ['~ \\.php$', '~* ^/v[0-9]{1,2}/']],
  ['location @named { }\nlocation = /50x.html { internal; root /srv; }', [], []],
  ['# location /old/ { }\nset $a 1; # location /older/ { }\nlocation /new/ { } # location', ['/new/'], []],
  ['rewrite ^ /location/ last;\nproxy_cookie_path / /;\nadd_header location /x;', [], []],
])('%j has the paths %j and the patterns %j', (text, paths, patterns) => {
  expect(nginxLocations(text)).toEqual({ paths, patterns });
});
