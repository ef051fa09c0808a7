import { expect, test } from '@jest/globals';
import type { Request } from 'express';
import { assertIfMatch, entityTag } from './entity-tag.ts';

const asking = (ifMatch?: string) => ({ headers: { 'if-match': ifMatch } }) as Request;

test.each([
  ['no If-Match', undefined],
  ['any', '*'],
  ['the tag', '"r2"'],
  ['the tag among others', 'W/"r2", "r1",  "r2"'],
  ['the tag behind one with a comma in it', '"a,b","r2"'],
])('lets %s pass', (_what, header) => {
  expect(() => assertIfMatch(asking(header), 'r2')).not.toThrow();
});

test.each([
  ['another tag', '"r1"'],
  ['the weak tag', 'W/"r2"'],
  ['a tag that only begins so', '"r2 "'],
  ['the tag within another', '"x"r2"'],
  ['no tag', 'r2'],
  ['nothing', ''],
])('refuses %s, and says what the state is', (_what, header) => {
  let refused: unknown;
  try {
    assertIfMatch(asking(header), 'r2');
  } catch (error) {
    refused = error;
  }
  expect(refused).toMatchObject({ code: 'precondition_failed', headers: { etag: entityTag('r2') } });
});
