import { expect, test } from '@jest/globals';
import type { Request } from 'express';
import { assertIfMatch, entityTag } from './entity-tag.ts';

const asking = (ifMatch?: string) => ({ headers: { 'if-match': ifMatch } }) as Request;

test.each([
  ['no If-Match', undefined],
  ['*', '*'],
  ['* between a space and a tab', ' *\t'],
  ['the tag', '"r2"'],
  ['a tag with a hash of the representation', '"r2.a1"'],
  ['the tag in a list of tags', 'W/"r2", "r1",  "r2"'],
  ['the tag after one that contains a comma', '"a,b","r2"'],
])('accepts %s', (_what, header) => {
  expect(() => assertIfMatch(asking(header))('r2')).not.toThrow();
});

test.each([
  ['another tag', '"r1"'],
  ['the tag as a weak tag', 'W/"r2"'],
  ['a weak tag with a hash of the representation', 'W/"r2.a1"'],
  ['a tag that starts with the same characters', '"r2 "'],
  ['the tag inside another tag', '"x"r2"'],
  ['an unquoted tag', 'r2'],
  ['an empty header', ''],
  ['* before U+00A0', '*\xa0'],
])('refuses %s, and returns the current tag', (_what, header) => {
  let refused: unknown;
  try {
    assertIfMatch(asking(header))('r2');
  } catch (error) {
    refused = error;
  }
  expect(refused).toMatchObject({ code: 'precondition_failed', headers: { etag: entityTag('r2') } });
});
