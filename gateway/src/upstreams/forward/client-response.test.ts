import { expect, test } from '@jest/globals';
import { exampleRoute } from '../../../test/kit/example-route.ts';
import { RequestRecord } from '../../pipeline/request-record.ts';
import { filterHeaders } from './client-response.ts';

test.each([
  ['endless', ['content-type', 'text/event-stream']],
  ['endless', ['Content-Type', 'Text/Event-Stream ; charset=utf-8', 'content-length', '5']],
  ['endless', ['x', 'y', 'CONTENT-TYPE', 'application/x-ndjson']],
  ['long', ['content-type', 'text/event-streams']],
  ['long', ['content-type', 'text/event-stream\xa0; charset=utf-8']],
  ['long', ['content-type', 'application/json']],
  ['long', ['content-length', '65537', 'content-type', 'application/pdf']],
  ['long', ['content-length', 'nonsense']],
  ['long', []],
  ['long', ['content_length', '5']],
  ['short', ['content-type', 'application/json', 'Content-Length', '65536']],
  ['short', ['content-length', '0']],
])('a response is %s with %j', (lifetime, headers) => {
  const client = { address: '192.0.2.1', protocol: 'http', host: 'gateway.test', origin: undefined } as const;
  const record = new RequestRecord('id', 'GET', '/', 0);
  expect(filterHeaders(200, headers, { route: exampleRoute({ path: '/' }), client, record }, '').lifetime).toBe(
    lifetime,
  );
});
