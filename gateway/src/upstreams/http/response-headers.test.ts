import { expect, test } from '@jest/globals';
import { lifetimeOf } from './response-headers.ts';

test.each([
  ['endless', ['content-type', 'text/event-stream']],
  ['endless', ['Content-Type', 'Text/Event-Stream ; charset=utf-8', 'content-length', '5']],
  ['endless', ['x', 'y', 'CONTENT-TYPE', 'application/x-ndjson']],
  ['long', ['content-type', 'text/event-streams']],
  ['long', ['content-type', 'application/json']],
  ['long', ['content-length', '65537', 'content-type', 'application/pdf']],
  ['long', ['content-length', 'nonsense']],
  ['long', []],
  ['short', ['content-type', 'application/json', 'Content-Length', '65536']],
  ['short', ['content-length', '0']],
])('a response is %s with %j', (lifetime, headers) => {
  expect(lifetimeOf(headers)).toBe(lifetime);
});
