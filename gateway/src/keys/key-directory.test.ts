import { createPublicKey, sign, verify } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capturingLogger } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { loadGatewayKeys, openGatewayKeys } from './key-directory.ts';
import { createKey, newSigningJwk, readKeys, removeKey, retireKey } from './key-files.ts';

const now = 1_800_000_000;
let directory = '';
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'countersign-keys-')), 'gateway-keys');
});
afterEach(() => rmSync(join(directory, '..'), { recursive: true }));

const fileOf = (keyid: string) => join(directory, `${keyid}.jwk.json`);
const rewrite = (keyid: string, change: (jwk: Record<string, unknown>) => void) => {
  const jwk = JSON.parse(readFileSync(fileOf(keyid), 'utf8')) as Record<string, unknown>;
  change(jwk);
  writeFileSync(fileOf(keyid), JSON.stringify(jwk));
};

/** RFC 8037 appendix A. */
const publishedJwk = {
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
  kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
};

describe('the gateway keys', () => {
  test('a new key signs, and its published key verifies', () => {
    const keyid = createKey('ed25519', directory, now);
    const set = loadGatewayKeys(directory, now);
    const key = set.signingKey(now);
    expect(key.kid).toBe(keyid);
    const { keys } = set.publicJwks(now);
    expect(keys).toEqual([{ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid: keyid, x: expect.any(String) }]);
    const [jwk] = keys;
    const publicKey = createPublicKey({ format: 'jwk', key: { ...jwk } });
    expect(verify(null, Buffer.from('a'), publicKey, sign(null, Buffer.from('a'), key.privateKey))).toBe(true);
  });

  test('creates files that only the owner can read', () => {
    const keyid = createKey('ed25519', directory, now);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(fileOf(keyid)).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual([`${keyid}.jwk.json`]);
  });

  test('publishes the next key before it signs, and signs with it from its nbf on', () => {
    const first = createKey('ed25519', directory, now);
    const second = createKey('ed25519', directory, now + 900);
    const set = loadGatewayKeys(directory, now);
    expect(set.publicJwks(now).keys.map((key) => key.kid)).toEqual([first, second]);
    expect(set.signingKey(now + 899).kid).toBe(first);
    expect(set.signingKey(now + 900).kid).toBe(second);
  });

  test('keeps a retired key published until its last signatures expire', () => {
    const first = createKey('ed25519', directory, now - 1000);
    createKey('ed25519', directory, now - 10);
    const [oldest] = readKeys(directory);
    if (oldest === undefined) throw new Error('no key');
    retireKey(directory, oldest, now + 65);
    const set = loadGatewayKeys(directory, now);
    const published = (at: number) => set.publicJwks(at).keys.some((key) => key.kid === first);
    expect([published(now), published(now + 69), published(now + 70)]).toEqual([true, true, false]);
  });

  test('never signs with a key before its nbf or after its exp', () => {
    const keyid = createKey('ed25519', directory, now);
    rewrite(keyid, (jwk) => Object.assign(jwk, { exp: now + 10 }));
    const set = loadGatewayKeys(directory, now);
    expect(() => set.signingKey(now - 1)).toThrow('no key is currently valid for signing');
    expect(() => set.signingKey(now + 10)).toThrow(
      /no key is currently valid for signing. All have expired. Run countersign keys rotate/,
    );
    expect(() => loadGatewayKeys(directory, now + 10)).toThrow('no key is currently valid for signing');
  });

  test('says that the clock is behind, and not that a key is missing, if a key is valid later', () => {
    const expired = createKey('ed25519', directory, now - 100);
    rewrite(expired, (jwk) => Object.assign(jwk, { exp: now - 90 }));
    const [next] = [createKey('ed25519', directory, now), createKey('ed25519', directory, now + 900)];
    const at = (sec: number) => new Date(sec * 1000).toISOString();
    expect(() => loadGatewayKeys(directory, now - 60)).toThrow(
      `${directory}: no key is currently valid for signing. ${next} is valid from ${at(now)}, and the clock of this machine says ${at(now - 60)}. Correct the clock, or wait`,
    );
  });

  test('never generates a keyid that starts with a dash, which a command line would read as an option', () => {
    const keyids = Array.from({ length: 500 }, () => newSigningJwk().kid);
    expect(keyids.filter((keyid) => keyid.startsWith('-'))).toEqual([]);
  });

  test('does not publish a removed key', () => {
    createKey('ed25519', directory, now - 10);
    const [key] = readKeys(directory);
    if (key === undefined) throw new Error('no key');
    createKey('ed25519', directory, now);
    removeKey(directory, key);
    expect(readKeys(directory).map((other) => other.kid)).not.toContain(key.kid);
  });

  test('refuses a missing or empty directory', () => {
    expect(() => loadGatewayKeys(directory, now)).toThrow(`${directory}: cannot be read (ENOENT). To create one,`);
    mkdirSync(directory);
    writeFileSync(join(directory, 'README'), '');
    expect(() => loadGatewayKeys(directory, now)).toThrow('contains no keys');
  });

  test('keys that another user owns: says whose they are, and not to create others', () => {
    createKey('ed25519', directory, now - 10);
    chmodSync(directory, 0);
    const uid = process.geteuid?.() ?? 0;
    if (uid === 0) process.seteuid?.(65_534);
    try {
      loadGatewayKeys(directory, now);
      throw new Error('it was read');
    } catch (error) {
      expect(String(error)).toMatch(
        /: cannot be read \(EACCES\): .* belongs to user \d+ and has mode [0-7]+\b(?!.*keys create)/,
      );
    } finally {
      if (uid === 0) process.seteuid?.(uid);
      chmodSync(directory, 0o700);
    }
  });

  test.each([0o644, 0o660, 0o604, 0o620])('refuses a key file that others can access, mode %o', (mode) => {
    chmodSync(fileOf(createKey('ed25519', directory, now)), mode);
    expect(() => loadGatewayKeys(directory, now)).toThrow(`others may read it (mode ${mode.toString(8)})`);
  });

  test.each([0o440, 0o640])('accepts a key file that its group may read only with keyFiles: group, mode %o', (mode) => {
    const keyid = createKey('ed25519', directory, now);
    chmodSync(fileOf(keyid), mode);
    expect(() => loadGatewayKeys(directory, now)).toThrow(
      `its group may read it (mode ${mode.toString(8)}). Run chmod 600 on it, or set identity.keyFiles: group`,
    );
    expect(loadGatewayKeys(directory, now, 'group').signingKey(now).kid).toBe(keyid);
  });

  test.each([0o644, 0o660, 0o444, 0o620])(
    'keyFiles: group refuses files that others may read or the group may write, mode %o',
    (mode) => {
      chmodSync(fileOf(createKey('ed25519', directory, now)), mode);
      expect(() => loadGatewayKeys(directory, now, 'group')).toThrow(`others may read it (mode ${mode.toString(8)})`);
    },
  );

  test("keyFiles: group checks the mode of a link's target, and refuses a file of another group", () => {
    const keyid = createKey('ed25519', directory, now);
    const target = join(directory, '..', 'target');
    renameSync(fileOf(keyid), target);
    symlinkSync(target, fileOf(keyid));
    chmodSync(target, 0o440);
    expect(loadGatewayKeys(directory, now, 'group').signingKey(now).kid).toBe(keyid);
    // Only root can give a file to another group.
    if (process.geteuid?.() !== 0) return;
    chownSync(target, 0, 54_321);
    expect(() => loadGatewayKeys(directory, now, 'group')).toThrow('group 54321 may read it (mode 440)');
  });

  test('suggests the command for a Secret if the directory cannot be written', () => {
    // Not even root can create a file in sysfs.
    expect(() => createKey('ed25519', '/sys', now)).toThrow(
      /^\/sys: cannot be written \(E(?:ACCES|PERM|ROFS)\)\. For a Kubernetes Secret, run countersign keys rotate --to-stdout$/,
    );
  });

  test.each<[string, (jwk: Record<string, unknown>) => void, string]>([
    ['another curve', (jwk) => Object.assign(jwk, { crv: 'X25519' }), 'is not an ed25519 private JWK (crv)'],
    ['no d', (jwk) => void Reflect.deleteProperty(jwk, 'd'), 'is not an ed25519 private JWK (d)'],
    ['a short x', (jwk) => Object.assign(jwk, { x: 'AAAA' }), 'is not an ed25519 private JWK (x)'],
    ["another key's kid", (jwk) => Object.assign(jwk, { kid: 'mine' }), "not the key's RFC 7638 thumbprint"],
    ['exp before nbf', (jwk) => Object.assign(jwk, { exp: now - 1 }), 'expires before it becomes valid'],
    ['an unknown member', (jwk) => Object.assign(jwk, { note: 'x' }), 'is not an ed25519 private JWK'],
    ['a published d', (jwk) => Object.assign(jwk, publishedJwk), 'is a published test key'],
    ['the d of another key', (jwk) => Object.assign(jwk, { d: 'A'.repeat(43) }), 'an x that does not match its d'],
  ])('refuses a directory in which one key has %s, and reveals nothing about the key', (_name, change, problem) => {
    createKey('ed25519', directory, now);
    const keyid = createKey('ed25519', directory, now);
    const { d } = JSON.parse(readFileSync(fileOf(keyid), 'utf8')) as { d: string };
    rewrite(keyid, change);
    expect(() => loadGatewayKeys(directory, now)).toThrow(problem);
    expect(() => loadGatewayKeys(directory, now)).not.toThrow(d);
  });

  test('refuses a file that is not JSON', () => {
    const keyid = createKey('ed25519', directory, now);
    writeFileSync(fileOf(keyid), '{');
    expect(() => loadGatewayKeys(directory, now)).toThrow(`${fileOf(keyid)}: is not JSON`);
  });
});

describe('the keys of a running gateway', () => {
  /** Returns the gateway's keys at a given time, after it has read the directory. */
  function opened() {
    let nowSec = now;
    const keys = openGatewayKeys(directory, () => nowSec, capturingLogger().logger);
    return (at: number) => {
      nowSec = now + at;
      keys.reload();
      const published = keys.publicJwks(nowSec).keys.map(({ kid }) => kid);
      return { signs: keys.signingKey(nowSec).kid, agrees: keys.agreementKey(nowSec)?.kid, published };
    };
  }

  test('publish a new key ten seconds before it signs, so that every worker has read it', () => {
    const old = createKey('ed25519', directory, now - 60);
    const oldAgreement = createKey('x25519', directory, now - 60);
    const at = opened();
    const fresh = createKey('ed25519', directory, now + 1);
    const freshAgreement = createKey('x25519', directory, now + 1);
    const published = expect.arrayContaining([old, oldAgreement, fresh, freshAgreement]);
    for (const second of [4, 9, 13]) {
      expect(at(second)).toEqual({ signs: old, agrees: oldAgreement, published });
    }
    expect(at(14)).toEqual({ signs: fresh, agrees: freshAgreement, published });
  });

  test('keep using the old key until a new one is published, even if its file is gone', () => {
    const old = createKey('ed25519', directory, now - 60);
    const at = opened();
    const fresh = createKey('ed25519', directory, now + 1);
    rmSync(fileOf(old));
    expect(at(4)).toMatchObject({ signs: old, published: [old, fresh] });
    expect(at(13)).toMatchObject({ signs: old, published: [old, fresh] });
    expect(at(14)).toMatchObject({ signs: fresh, published: [fresh] });
  });

  test('drop a removed key immediately if another one is already published', () => {
    const old = createKey('ed25519', directory, now - 60);
    const next = createKey('ed25519', directory, now - 30);
    const at = opened();
    rmSync(fileOf(next));
    expect(at(4)).toMatchObject({ signs: old, published: [old] });
  });

  test('sign tokens with the first ES256 key immediately, and with the next ones after they are published', () => {
    createKey('ed25519', directory, now - 60);
    let nowSec = now;
    const keys = openGatewayKeys(directory, () => nowSec, capturingLogger().logger);
    const at = (second: number) => {
      nowSec = now + second;
      keys.reload();
      return { signs: keys.tokenKey(nowSec)?.kid, published: keys.tokenJwks(nowSec).keys.map(({ kid }) => kid) };
    };
    expect(at(1)).toEqual({ signs: undefined, published: [] });
    const first = createKey('es256', directory, now + 1);
    expect(at(2)).toEqual({ signs: first, published: [first] });
    const next = createKey('es256', directory, now + 3);
    rmSync(join(directory, `${first}.es256.json`));
    expect(at(4)).toEqual({ signs: first, published: [first, next] });
    expect(at(14)).toEqual({ signs: next, published: [next] });
    expect(keys.publicJwks(nowSec).keys.map(({ kty }) => kty)).toEqual(['OKP']);
  });

  test('use a new key immediately if no other key may sign', () => {
    const old = createKey('ed25519', directory, now - 60);
    rewrite(old, (jwk) => Object.assign(jwk, { exp: now + 3 }));
    const at = opened();
    const fresh = createKey('ed25519', directory, now + 1);
    expect(at(4)).toMatchObject({ signs: fresh, published: [old, fresh] });
  });
});
