import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeySetUnavailable } from '@countersign/jwks';
import { StartupError } from '@countersign/process-kit';
import { capturingLogger, mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { openIssuerKeyFile } from './issuer-keys.ts';

const directory = mkdtempSync(join(tmpdir(), 'countersign-issuer-keys-'));
const file = join(directory, 'issuer.jwks.json');
afterAll(() => rmSync(directory, { recursive: true }));

describe('issuer keys in a file', () => {
  let first: TestIssuer;
  let second: TestIssuer;
  beforeAll(async () => {
    [first, second] = [await mintIssuer(), await mintIssuer()];
  });
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['performance'] });
    write(first.jwks);
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const write = (jwks: unknown) => writeFileSync(file, typeof jwks === 'string' ? jwks : JSON.stringify(jwks));
  const log = capturingLogger();
  const open = () => openIssuerKeyFile({ issuer: 'http://issuer.test', jwks: file, algorithms: ['ES256'] }, log.logger);

  test('are read at start, and replaced when the file changes', async () => {
    const keys = open();
    keys.start();
    expect(keys.ready).toBe(true);
    expect(keys.find(first.kid, 'ES256')).toBeDefined();
    expect(keys.find(first.kid, 'RS256')).toBeUndefined();
    const { generation } = keys;
    write(second.jwks);
    jest.advanceTimersByTime(5_000);
    expect(keys.find(first.kid, 'ES256')).toBeUndefined();
    expect(await keys.lookup(second.kid, 'ES256')).toBeDefined();
    expect(keys.generation).toBe(generation + 1);
    keys.stop();
    write(first.jwks);
    jest.advanceTimersByTime(60_000);
    expect(keys.find(second.kid, 'ES256')).toBeDefined();
  });

  test('that are unusable are logged once, not at every read', () => {
    const keys = open();
    const warnings = () => log.text().split('issuer key ignored').length - 1;
    const before = warnings();
    keys.start();
    write({ keys: [...first.jwks.keys, { ...second.jwks.keys[0], use: 'enc' }] });
    jest.advanceTimersByTime(60_000);
    expect(warnings()).toBe(before + 1);
    keys.stop();
  });

  test.each([
    ['is empty', ''],
    ['is truncated', '{"keys":[{'],
    ['has no keys', '{"keys":[]}'],
    ['has a symmetric key', '{"keys":[{"kty":"oct","k":"AAAA","kid":"a","alg":"HS256"}]}'],
    ['holds null', 'null'],
  ])('stay in use when the file %s, and such a file is refused at start', async (_name, text) => {
    const keys = open();
    keys.start();
    const { generation } = keys;
    expect(await keys.lookup(second.kid, 'ES256')).toBeUndefined();
    write(text);
    jest.advanceTimersByTime(5_000);
    expect(keys.find(first.kid, 'ES256')).toBeDefined();
    // The issuer may have added the other key since then.
    await expect(keys.lookup(second.kid, 'ES256')).rejects.toThrow(KeySetUnavailable);
    expect(keys.generation).toBe(generation);
    keys.stop();
    expect(open).toThrow(StartupError);
    expect(open).toThrow(/issuer\.jwks\.json: (?:is not a JWK set|contains no key)/);
  });

  test('in a missing file are refused with the path', () => {
    rmSync(file);
    expect(open).toThrow(/issuer\.jwks\.json: cannot be read \(ENOENT\)/);
  });
});
