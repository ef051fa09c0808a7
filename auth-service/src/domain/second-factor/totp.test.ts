import { describe, expect, test } from '@jest/globals';
import { base32, matchTotp, totpCode, totpStep, totpUri } from './totp.ts';

const secret = Buffer.from('12345678901234567890');
const at = (sec: number) => new Date(sec * 1000);

describe('one-time codes', () => {
  // RFC 6238 appendix B, SHA-1, the last six of its eight digits.
  test.each([
    [59, '287082'],
    [1111111109, '081804'],
    [1111111111, '050471'],
    [1234567890, '005924'],
    [2000000000, '279037'],
    [20000000000, '353130'],
  ])('a code matches RFC 6238 at second %d', (sec, code) => {
    expect(totpCode(secret, totpStep(at(sec)))).toBe(code);
  });

  test.each([
    ['of the current step', 0, true],
    ['of the previous step', -1, true],
    ['of the next step', 1, true],
    ['from two steps earlier', -2, false],
    ['from two steps later', 2, false],
  ])('a code %s (%s steps away) is accepted: %s', (_name, steps, taken) => {
    const now = at(1234567890);
    const step = totpStep(now) + steps;
    const matched = matchTotp(secret, totpCode(secret, step), { now, lastStep: null });
    expect(matched).toBe(taken ? step : undefined);
  });

  test('a code is accepted once, and older codes are refused', () => {
    const now = at(1234567890);
    const step = totpStep(now);
    const match = (from: number, lastStep: number) => matchTotp(secret, totpCode(secret, from), { now, lastStep });
    expect(match(step, step)).toBeUndefined();
    expect(match(step - 1, step)).toBeUndefined();
    expect(match(step + 1, step)).toBe(step + 1);
  });

  test.each(['', '12345', '1234567', '00592４', '005 24', '-05924'])('%j is not a valid code', (code) => {
    expect(matchTotp(secret, code, { now: at(1234567890), lastStep: null })).toBeUndefined();
  });

  test('the key URI has the secret in the form that authenticator apps read', () => {
    expect(base32(Buffer.from('foobar'))).toBe('MZXW6YTBOI');
    expect(base32(secret)).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
    expect(totpUri(secret, 'a&b@acme.test')).toBe(
      'otpauth://totp/Countersign:a%26b%40acme.test?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Countersign&algorithm=SHA1&digits=6&period=30',
    );
  });
});
