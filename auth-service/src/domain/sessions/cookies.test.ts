import { describe, expect, test } from '@jest/globals';
import { parseKeyRing } from '../keys/key-ring.ts';
import { knownBrowserCookie, knownBrowserIn } from './cookies.ts';

const ring = (id: string, fill: number) => `${id}:${Buffer.alloc(32, fill).toString('base64url')}`;
const keys = parseKeyRing(`${ring('new', 1)},${ring('old', 2)}`);
const email = 'ann@acme.test';
const passwordChangedAt = new Date('2026-01-01T00:00:00Z');
const nowMs = Date.parse('2026-02-01T00:00:00Z');
const ninetyDaysMs = 90 * 24 * 3600 * 1000;
const setCookie = knownBrowserCookie({ email, passwordChangedAt }, keys, nowMs);
const [cookie = ''] = setCookie.split(';');

describe('the cookie of a known browser', () => {
  test('is for this host and for no script, lasts 90 days, and contains no id', () => {
    expect(setCookie).toMatch(/^__Host-known=[\w.-]+; Max-Age=7776000; Path=\/; Secure; HttpOnly; SameSite=Strict$/);
    for (const part of cookie.split(/[=.]/))
      expect(Buffer.from(part, 'base64url').toString('latin1')).not.toContain('ann');
  });

  test('counts until the password changes', () => {
    const isCurrent = knownBrowserIn(cookie, email, keys, nowMs + ninetyDaysMs - 1);
    expect(isCurrent?.(passwordChangedAt)).toBe(true);
    expect(isCurrent?.(new Date(passwordChangedAt.getTime() + 1))).toBe(false);
    expect(isCurrent?.(undefined)).toBe(false);
  });

  const [id, untilSec, version, mac] = cookie.slice('__Host-known='.length).split('.');
  test.each([
    ['for another account', cookie, 'bob@acme.test', keys, nowMs],
    ['after 90 days', cookie, email, keys, nowMs + ninetyDaysMs],
    ['under another key', cookie, email, parseKeyRing(ring('new', 3)), nowMs],
    ['after its key was removed', cookie, email, parseKeyRing(ring('old', 2)), nowMs],
    ['of an older key under another id', cookie.replace('=new.', '=old.'), email, keys, nowMs],
    ['with a later expiry', cookie.replace(String(untilSec), String(Number(untilSec) + 1)), email, keys, nowMs],
    ['with another version', `__Host-known=${id}.${untilSec}.${mac}.${mac}`, email, keys, nowMs],
    ['without a MAC', `__Host-known=${id}.${untilSec}.${version}`, email, keys, nowMs],
    ['with more', `${cookie}.more`, email, keys, nowMs],
    ['twice', `${cookie}; ${cookie}`, email, keys, nowMs],
    ['under another name', cookie.replace('__Host-', ''), email, keys, nowMs],
    ['empty', '__Host-known=', email, keys, nowMs],
    ['absent', undefined, email, keys, nowMs],
  ])('does not count %s', (_, header, account, ring, atMs) => {
    expect(knownBrowserIn(header, account, ring, atMs)).toBeUndefined();
  });
});
