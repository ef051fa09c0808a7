import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { agreementKeyFromJwk, newAgreementJwk } from './agreement-jwk.ts';
import { type AgreementEvent, type AgreementKeys, type AgreementOptions, openAgreementKeys } from './agreement-keys.ts';
import { rotateAfterSec, scheduleKeys } from './agreement-schedule.ts';

let home: string;
let nowMs: number;
let events: AgreementEvent[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'countersign-agreement-'));
  nowMs = 1_800_000_000_000;
  events = [];
});
afterEach(() => rmSync(home, { recursive: true }));

const open = (keys: AgreementOptions['keys'], more: Partial<AgreementOptions> = {}) =>
  openAgreementKeys({ keys, onEvent: (event) => events.push(event), ...more }, 'orders', () => nowMs);
const advance = (sec: number) => {
  nowMs += sec * 1000;
};
const kids = (keys: AgreementKeys) => keys.published().map(({ kid }) => kid);
const day = 24 * 3600;

describe('keys in a directory', () => {
  test('are made once, with mode 0600, and shared by instances and restarts', () => {
    const directory = join(home, 'a', 'b');
    const one = open(directory);
    expect(kids(one)).toHaveLength(1);
    expect(kids(open(directory))).toEqual(kids(one));
    expect(readdirSync(directory)).toEqual(['agreement-1.jwk.json']);
    expect(statSync(join(directory, 'agreement-1.jwk.json')).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(one.isInMemory).toBe(false);
    expect(events).toEqual([]);
  });

  test('publish no private half', () => {
    expect(Object.keys(open(home).published()[0] ?? {}).sort()).toEqual([
      'alg',
      'aud',
      'crv',
      'kid',
      'kty',
      'use',
      'x',
    ]);
  });

  test('rotate: every instance accepts a new key before one publishes it, and the old one for 75 minutes after', () => {
    const [one, other] = [open(home), open(home)];
    const [old = ''] = kids(one);
    advance(90 * day);
    // The first instance that gets a request makes the next key.
    expect(kids(one)).toEqual([old]);
    expect(readdirSync(home)).toHaveLength(2);
    advance(5);
    const fresh = agreementKeyIn(one, old);
    expect(other.find(fresh)).toBeDefined();
    advance(24);
    expect([kids(one), kids(other)]).toEqual([[old], [old]]);
    advance(10);
    expect([kids(one), kids(other)]).toEqual([
      [fresh, old],
      [fresh, old],
    ]);
    advance(15 * 60);
    expect([kids(one), kids(other)]).toEqual([[fresh], [fresh]]);
    expect(other.find(old)).toBeDefined();
    advance(75 * 60 - 20);
    expect(other.find(old)).toBeDefined();
    advance(30);
    expect(one.find(old)).toBeUndefined();
    expect(other.find(old)).toBeUndefined();
    expect(readdirSync(home)).toEqual(['agreement-2.jwk.json']);
  });

  /** Returns the kid of the key that an instance accepts in addition to `known`. That key is not published yet. */
  function agreementKeyIn(keys: AgreementKeys, known: string): string {
    const schedule = readdirSync(home).map((name) => join(home, name));
    const found = schedule.map((path) => agreementKeyFromFile(path)).find((kid) => kid !== known) ?? '';
    expect(keys.find(found)).toBeDefined();
    return found;
  }
  const agreementKeyFromFile = (path: string) => {
    const { iat: _iat, ...jwk } = JSON.parse(readFileSync(path, 'utf8'));
    return agreementKeyFromJwk(jwk).kid;
  };

  test('are no longer accepted once their file is deleted, and a new key is created', () => {
    const keys = open(home);
    const [old = ''] = kids(keys);
    rmSync(join(home, 'agreement-1.jwk.json'));
    advance(5);
    expect(keys.find(old)).toBeUndefined();
    expect(kids(keys)).toHaveLength(1);
    expect(kids(keys)).not.toEqual([old]);
  });

  test('stay in use while a file is broken, which is reported once', () => {
    const keys = open(home);
    const before = kids(keys);
    writeFileSync(join(home, 'agreement-2.jwk.json'), '{"d":"secret', { mode: 0o600 });
    for (let count = 0; count < 3; count += 1) {
      advance(5);
      expect(kids(keys)).toEqual(before);
    }
    expect(events).toEqual([{ type: 'failed', error: expect.objectContaining({ message: expect.any(String) }) }]);
    expect(String((events[0] as { error: unknown }).error)).toContain('agreement-2.jwk.json');
    expect(String((events[0] as { error: unknown }).error)).not.toContain('secret');
  });

  test.each([
    ['is broken', () => writeFileSync(join(home, 'agreement-1.jwk.json'), 'x', { mode: 0o600 }), 'it is not JSON'],
    [
      'has no date',
      () => writeFileSync(join(home, 'agreement-1.jwk.json'), JSON.stringify(newAgreementJwk()), { mode: 0o600 }),
      'no iat',
    ],
    [
      'can be read by others',
      () => {
        open(home);
        chmodSync(join(home, 'agreement-1.jwk.json'), 0o644);
      },
      'others may read it',
    ],
    ['is a directory', () => mkdirSync(join(home, 'agreement-1.jwk.json'), { mode: 0o700 }), 'EISDIR'],
  ])('are refused at start when a file %s', (_what, prepare, message) => {
    prepare();
    expect(() => open(home)).toThrow(message);
  });

  test('name their service: another service that shares the directory refuses them', () => {
    const [published] = open(home).published();
    expect(published?.aud).toBe('orders');
    expect(JSON.parse(readFileSync(join(home, 'agreement-1.jwk.json'), 'utf8')).aud).toBe('orders');
    expect(() => openAgreementKeys({ keys: home }, 'billing')).toThrow('its aud is not billing');
  });

  test('of older versions, which name no service, stay valid', () => {
    const jwk = newAgreementJwk();
    writeFileSync(join(home, 'agreement-1.jwk.json'), JSON.stringify({ ...jwk, iat: 1_799_999_999 }), { mode: 0o600 });
    expect(kids(open(home))).toEqual([jwk.kid]);
  });

  test('leave other files alone', () => {
    writeFileSync(join(home, 'notes.txt'), 'x');
    writeFileSync(join(home, 'agreement-1.jwk.json.abc.new'), 'x');
    expect(kids(open(home))).toHaveLength(1);
  });

  test('are read at most every 5 s, also after the clock was set back', () => {
    const keys = open(home);
    const [old = ''] = kids(keys);
    rmSync(join(home, 'agreement-1.jwk.json'));
    advance(4);
    expect(keys.find(old)).toBeDefined();
    advance(-3600);
    expect(keys.find(old)).toBeUndefined();
    expect(kids(keys)).toHaveLength(1);
  });
});

describe('keys in memory', () => {
  test('are announced once, and rotate', () => {
    const keys = open('memory');
    const [old = ''] = kids(keys);
    expect(keys.isInMemory).toBe(true);
    expect(events).toEqual([{ type: 'memory', kid: old }]);
    advance(90 * day);
    expect(kids(keys)).toEqual([old]);
    advance(40);
    expect(kids(keys)).toHaveLength(2);
    advance(2 * 3600);
    expect(kids(keys)).toHaveLength(1);
    expect(keys.find(old)).toBeUndefined();
    expect(events).toHaveLength(1);
  });

  test('differ between instances', () => {
    expect(kids(open('memory'))).not.toEqual(kids(open('memory')));
  });
});

describe('given keys', () => {
  test('the first is published, and all are accepted', () => {
    const [first, second] = [newAgreementJwk('orders'), newAgreementJwk()];
    const keys = open([first, second]);
    expect(kids(keys)).toEqual([first.kid]);
    expect(keys.find(second.kid)?.kid).toBe(second.kid);
    expect(keys.find('x')).toBeUndefined();
  });

  test.each([[[]], [[{ kty: 'OKP' }]], [[newAgreementJwk('billing')]]])('%j are refused', (jwks) => {
    expect(() => open(jwks)).toThrow(RangeError);
  });
});

test('a key is used for an hour at least', () => {
  expect(() => open('memory', { rotateAfterSec: 3599 })).toThrow(RangeError);
  expect(() => open('memory', { rotateAfterSec: Number.NaN })).toThrow(RangeError);
});

test('schedule: a key is published, and every published key is accepted before and long after', () => {
  const pair = agreementKeyFromJwk(newAgreementJwk());
  const gaps = fc.array(fc.integer({ min: 3600, max: 2 * rotateAfterSec }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(gaps, fc.integer({ min: -100, max: 12 * rotateAfterSec }), (made, at) => {
      let createdSec = 0;
      const keys = made.map((gap, index) => {
        createdSec += index === 0 ? 0 : gap;
        return { ...pair, kid: String(index), createdSec };
      });
      const existing = keys.filter((key) => key.createdSec <= at);
      const { published, accepted, over } = scheduleKeys(existing.length > 0 ? existing : keys.slice(0, 1), at);
      expect(published.length).toBeGreaterThanOrEqual(1);
      expect(published.length).toBeLessThanOrEqual(2);
      for (const key of published) expect(accepted).toContain(key);
      expect(accepted.length + over.length).toBe(Math.max(1, existing.length));
      // Whatever was published in the last 75 minutes is accepted.
      const earlier = keys.filter((key) => key.createdSec <= at - 4500);
      if (earlier.length > 0) {
        for (const key of scheduleKeys(earlier, at - 4500).published) expect(accepted).toContainEqual(key);
      }
    }),
  );
});
