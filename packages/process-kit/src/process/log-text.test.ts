import { expect, test } from '@jest/globals';
import { logText } from './log-text.ts';

const line = (members: object) =>
  logText(
    JSON.stringify({ level: 30, time: '2027-01-15T08:00:00.123Z', name: 'gateway', pid: 7, ...members }),
    (style, text) => (style === 'bad' ? `!${text}!` : text),
  ).replace(/^\d\d:\d\d:\d\d /, 'TIME ');

test.each<[string, object, string]>([
  [
    'an event',
    { ports: { public: 1 }, routes: 2, msg: 'gateway listens' },
    'gateway listens ports={"public":1} routes=2',
  ],
  ['a warning', { level: 40, issuer: 'https://a.test', msg: 'no keys' }, '!warning: no keys! issuer=https://a.test'],
  ['text with spaces', { reason: 'no "keys" yet', msg: 'x' }, 'x reason="no \\"keys\\" yet"'],
  [
    'a request',
    { method: 'GET', path: '/a', status: 200, route: 'r', ip: '::1', duration_ms: 3.1, user_id: 'ada', msg: 'request' },
    'GET /a 200 3.1 ms route=r user_id=ada',
  ],
  [
    'a refused request',
    {
      method: 'GET',
      path: '/a',
      status: 401,
      code: 'token_expired',
      detail: { kid: 'k' },
      duration_ms: 1,
      msg: 'request',
    },
    'GET /a 401 1 ms code=token_expired detail={"kid":"k"}',
  ],
  [
    'a request that the parser refused',
    { method: '', path: '', status: 400, code: 'invalid_request', duration_ms: 1, msg: 'request' },
    '- - 400 1 ms code=invalid_request',
  ],
  [
    'an error',
    { level: 50, err: { type: 'Error', message: 'm', stack: 'Error: m\n    at here' }, msg: 'failed' },
    '!error: failed!\n  Error: m\n  at here',
  ],
])('formats %s for people', (_what, members, expected) => {
  expect(line(members)).toBe(`TIME ${expected}\n`);
});

test('escapes everything from a client that a terminal would interpret', () => {
  const commands = '\x1b[2J\u009b1A\u202e\r\n';
  const hostile = {
    method: 'GET',
    path: `/${commands}`,
    status: 400,
    duration_ms: 1,
    user_id: commands,
    msg: 'request',
  };
  const text = line({ ...hostile, err: { stack: `Error: ${commands}` } });
  expect(text.replaceAll('\n', '')).toMatch(/^[\x20-\x7e]+$/);
});
