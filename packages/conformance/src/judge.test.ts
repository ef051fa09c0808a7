import { expect, test } from '@jest/globals';
import { judge, judgeClosed, resolvedByServers } from './judge.ts';
import { readVectors } from './vectors.ts';

const names = new Set(readVectors().vectors.map(({ name }) => name));
const request = { method: 'GET', target: '/', headers: [], body_base64: '' };
const judged = (status: number, reason?: string, name = 'a case') =>
  judge(
    { name, before: [], request, refused: 'expired' },
    { status, headers: new Map(reason === undefined ? [] : [['x-identity-refused', reason]]), body: '' },
  ).kind;

test.each([
  [401, 'expired', 'right'],
  [401, 'replayed', 'note'],
  [403, undefined, 'note'],
  [400, undefined, 'right'],
  [501, undefined, 'right'],
  [500, undefined, 'fault'],
  [503, undefined, 'fault'],
  [200, undefined, 'fault'],
] as const)('judges %s %s in place of a refusal as %s', (status, reason, kind) => {
  expect(judged(status, reason)).toBe(kind);
});

test.each([
  ['target_malformed', '', 'note'],
  ['target_malformed', '<!doctype html><title>400</title>', 'note'],
  ['target_malformed', '{"kind":"user"}', 'fault'],
  ['signature_invalid', '', 'fault'],
  [undefined, '', 'fault'],
] as const)(
  'judges a connection closed without a status, in place of %s and after "%s", as a %s',
  (refused, text, kind) => {
    expect(judgeClosed(refused === undefined ? {} : { refused }, text).kind).toBe(kind);
  },
);

test('notes that a server has resolved what HTTP allows it to, if the request is accepted', () => {
  for (const name of resolvedByServers.keys()) expect([name, judged(200, undefined, name)]).toEqual([name, 'note']);
  expect([...resolvedByServers.keys()].filter((name) => !names.has(name))).toEqual([]);
});
