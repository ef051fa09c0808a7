import { expect, test } from '@jest/globals';
import { isBearer, pushAccepted, pushRefused } from './push.ts';
import { SeenIds } from './seen-ids.ts';

test('a received token is 202 without a body', () => {
  expect(pushAccepted).toMatchObject({ status: 202, body: '' });
});

test.each([
  ['invalid_request', 400],
  ['invalid_key', 400],
  ['invalid_issuer', 400],
  ['invalid_audience', 400],
  ['authentication_failed', 401],
] as const)('%s is %i with the code in err', (code, status) => {
  const answer = pushRefused({ code });
  expect(answer).toMatchObject({ status, headers: { 'content-type': 'application/json', 'content-language': 'en' } });
  expect(JSON.parse(answer.body)).toEqual({ err: code, description: expect.any(String) });
});

test('a bearer matches one of two secrets, and nothing else', () => {
  const secrets = [Buffer.from('current'), Buffer.from('previous')];
  for (const right of ['Bearer current', 'bearer previous', 'Bearer  current'])
    expect(isBearer(right, secrets)).toBe(true);
  for (const wrong of [
    undefined,
    '',
    'current',
    'Bearer',
    'Bearer ',
    'Bearer current2',
    'Basic current',
    'Bearer current previous',
  ]) {
    expect(isBearer(wrong, secrets)).toBe(false);
  }
  expect(isBearer('Bearer current', [])).toBe(false);
});

test('seen ids forget the oldest first', () => {
  const seen = new SeenIds(2);
  for (const id of ['a', 'b', 'a', 'c']) seen.add(id);
  expect(['a', 'b', 'c'].map((id) => seen.has(id))).toEqual([false, true, true]);
});
