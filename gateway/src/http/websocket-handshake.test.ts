import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AppError } from '../errors.ts';
import { readSubprotocols } from './websocket-handshake.ts';

/** Joins several headers like the sanitize stage does. */
const read = (values: readonly string[]) => readSubprotocols(values.length === 0 ? undefined : values.join(','));

describe('parsing Sec-WebSocket-Protocol', () => {
  test.each([
    [[], [], false, undefined],
    [['chat'], ['chat'], false, undefined],
    [['chat, superchat'], ['chat', 'superchat'], false, undefined],
    [['countersign'], [], true, undefined],
    [['countersign, bearer.a.b.c'], [], true, 'a.b.c'],
    [['bearer.a.b.c,countersign\t,  v2.chat'], ['v2.chat'], true, 'a.b.c'],
    [['v1', 'countersign', 'bearer.a.b.c', 'v2'], ['v1', 'v2'], true, 'a.b.c'],
    [['bearer'], ['bearer'], false, undefined],
    [['bearers.x'], ['bearers.x'], false, undefined],
  ])('parses %j', (values, offered, isMarked, token) => {
    expect(read(values)).toEqual({ offered, isMarked, token });
  });

  test.each([
    ['the token alone', ['bearer.a.b.c']],
    ['the token without countersign', ['chat, bearer.a.b.c']],
    ['an empty token', ['countersign, bearer.']],
    ['two tokens', ['countersign, bearer.a.b.c, bearer.d.e.f']],
    ['two tokens in two headers', ['countersign, bearer.a.b.c', 'bearer.d.e.f']],
    ['a repeated name', ['chat, chat']],
    ['the token twice', ['countersign, bearer.a, bearer.a']],
    ['the token in capitals', ['countersign, Bearer.a.b.c']],
    ['countersign with a capital', ['Countersign, bearer.a.b.c']],
    ['countersign in mixed case', ['counterSIGN, bearer.a.b.c']],
    ['an empty header', ['']],
    ['an empty name', ['countersign,, bearer.a']],
    ['a space in a name', ['countersign, bearer a.b.c']],
    ['a quoted name', ['"countersign", bearer.a']],
    ['a padded token', ['countersign, bearer.a.b.c==']],
    ['a slash', ['countersign, bearer.a/b']],
  ])('refuses %s', (_name, values) => {
    expect(() => read(values)).toThrow(new AppError('invalid_request'));
  });

  test('never passes a name that looks like a token to the service', () => {
    const name = fc.oneof(
      fc.stringMatching(/^[A-Za-z.,\t -]{0,8}$/),
      fc.constantFrom('countersign', 'bearer.x', 'BEARER.y'),
    );
    fc.assert(
      fc.property(fc.array(fc.array(name).map((names) => names.join(','))), (values) => {
        try {
          for (const left of read(values).offered) expect(left).not.toMatch(/^(?:bearer\.|countersign$)/i);
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
        }
      }),
    );
  });
});
