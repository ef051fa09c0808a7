import { describe, expect, test } from '@jest/globals';
import { parseJwt } from './parse-jwt.ts';

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const header = part({ alg: 'ES256' });
const payload = part({ sub: 'u1' });

describe('a compact token', () => {
  test('is parsed', () => {
    expect(parseJwt(`${header}.${payload}.AAAA`)).toEqual({ header: { alg: 'ES256' }, payload: { sub: 'u1' } });
  });

  test.each([
    ['one part', header, 'not three parts'],
    ['two parts', `${header}.${payload}`, 'not three parts'],
    ['four parts', `${header}.${payload}.AAAA.AAAA`, 'not three parts'],
    ['five parts, like an encrypted token', `${header}.a.b.c.d`, 'not three parts'],
    ['an empty header', `.${payload}.AAAA`, 'an empty part'],
    ['an empty payload', `${header}..AAAA`, 'an empty part'],
    ['an empty signature', `${header}.${payload}.`, 'no signature'],
    ['padding', `${header}.${payload}.AAA=`, 'not canonical base64url'],
    ['the other base64 alphabet', `${header}.${payload}.AA+/`, 'not canonical base64url'],
    ['an impossible length', `${header}.${payload}.AAAAA`, 'not canonical base64url'],
    ['set unused bits', `${header}.${payload}.AB`, 'not canonical base64url'],
    ['a line feed', `${header}.${payload}.AAAA\n`, 'not canonical base64url'],
    ['a header that is not JSON', `AAAA.${payload}.AAAA`, 'the header is not one JSON object'],
    [
      'a payload with a repeated name',
      `${header}.${Buffer.from('{"a":1,"a":2}').toString('base64url')}.AAAA`,
      'the payload is not one JSON object',
    ],
  ])('is refused with %s', (_name, token, reason) => {
    const code = reason === 'no signature' ? 'token_algorithm_refused' : 'token_malformed';
    expect(() => parseJwt(token)).toThrow(expect.objectContaining({ code, detail: { reason } }));
  });
});
