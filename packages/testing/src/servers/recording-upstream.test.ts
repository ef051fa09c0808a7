import { expect, test } from '@jest/globals';
import { rawRequest } from '../raw-request.ts';
import { recordingUpstream } from './recording-upstream.ts';

test('records the request target as received, every occurrence of a header, and the whole body', async () => {
  const upstream = await recordingUpstream();
  const answer = await rawRequest(
    upstream.port,
    'POST /a%2Fb?x HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc',
  );
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(upstream.last()).toMatchObject({ method: 'POST', target: '/a%2Fb?x', body: Buffer.from('abc') });
  expect(upstream.last().headers['x-a']).toBe('1, 2');
  expect(upstream.last().count('x-a')).toBe(2);
  await upstream.close();
});
