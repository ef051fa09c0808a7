import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capturingLogger } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openServiceKeys } from './issuer-keys.ts';
import { openGatewayKeys } from './key-directory.ts';
import { createKey } from './key-files.ts';

const now = 1_800_000_000;
let home = '';
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'countersign-keys-'));
  createKey('ed25519', join(home, 'gateway'), now - 60);
  writeService('complaint-service', publicJwk('c-1'));
  writeService('mail-service', publicJwk('m-1'));
});
afterEach(() => rmSync(home, { recursive: true }));

const publicJwk = (kid: string, more: Record<string, unknown> = {}) => ({
  ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }),
  kid,
  ...more,
});
const fileOf = (service: string) => join(home, `${service}.jwks.json`);
const writeService = (service: string, ...keys: unknown[]) => writeFileSync(fileOf(service), JSON.stringify({ keys }));
const open = (log = capturingLogger()) => {
  const services = ['complaint-service', 'mail-service'].map(
    (name) => [name, { name, keysFile: fileOf(name) }] as const,
  );
  const keys = {
    gateway: openGatewayKeys(join(home, 'gateway'), () => now, log.logger),
    services: openServiceKeys(new Map(services), log.logger),
  };
  const reload = () => {
    keys.gateway.reload();
    keys.services.reload();
  };
  return { ...keys, reload };
};

describe("the gateway's own keys while it runs", () => {
  test('every replica publishes a new key before any replica signs with it, and all start to use it at its nbf', () => {
    const replicas = [open(), open()];
    const first = replicas[0]?.gateway.signingKey(now).kid;
    const second = createKey('ed25519', join(home, 'gateway'), now + 900);
    for (const { reload, gateway } of replicas) {
      reload();
      expect(gateway.publicJwks(now).keys.map(({ kid }) => kid)).toEqual([first, second]);
      expect(gateway.signingKey(now + 899).kid).toBe(first);
      expect(gateway.signingKey(now + 900).kid).toBe(second);
    }
  });

  test('if the directory becomes invalid, the keys do not change and one line is logged', () => {
    const log = capturingLogger();
    const { gateway, reload } = open(log);
    const { kid } = gateway.signingKey(now);
    const bad = createKey('ed25519', join(home, 'gateway'), now);
    chmodSync(join(home, 'gateway', `${bad}.jwk.json`), 0o644);
    for (let count = 0; count < 3; count += 1) reload();
    expect(gateway.signingKey(now).kid).toBe(kid);
    expect(log.lines().filter(({ msg }) => String(msg).includes('the last valid ones stay in use'))).toHaveLength(1);
    chmodSync(join(home, 'gateway', `${bad}.jwk.json`), 0o600);
    reload();
    expect(gateway.keys).toHaveLength(2);
    expect(log.lines().map(({ msg }) => msg)).toContain('gateway keys were read again');
  });

  test('stay the same object while nothing changes', () => {
    const { gateway, reload } = open();
    const key = gateway.signingKey(now);
    reload();
    expect(gateway.signingKey(now)).toBe(key);
  });
});

describe('service keys', () => {
  test('are found by keyid, together with the owning service', () => {
    const { services } = open();
    expect(services.find('c-1')?.serviceId).toBe('complaint-service');
    expect(services.find('m-1')?.serviceId).toBe('mail-service');
    expect(services.find('x')).toBeUndefined();
  });

  test('are replaced while the gateway runs, except by an unreadable file', () => {
    const { services, reload } = open();
    writeService('complaint-service', publicJwk('c-1'), publicJwk('c-2'));
    reload();
    expect(services.find('c-2')?.serviceId).toBe('complaint-service');
    writeFileSync(fileOf('complaint-service'), '{');
    reload();
    expect(services.find('c-2')?.serviceId).toBe('complaint-service');
    writeService('complaint-service', publicJwk('c-3'));
    reload();
    expect([services.find('c-1'), services.find('c-3')?.serviceId]).toEqual([undefined, 'complaint-service']);
  });

  test.each<[string, () => void, RegExp]>([
    [
      'is missing',
      () => rmSync(fileOf('mail-service')),
      /mail-service\.jwks\.json: keys of mail-service: cannot be read \(ENOENT\)/,
    ],
    ['is not JSON', () => writeFileSync(fileOf('mail-service'), '{'), /is not JSON/],
    ['is not a key set', () => writeFileSync(fileOf('mail-service'), '[]'), /contains no ed25519 public key/],
    ['is empty', () => writeService('mail-service'), /contains no ed25519 public key/],
    ['has a private key', () => writeService('mail-service', publicJwk('m-1', { d: 'A'.repeat(43) })), /m-1: /],
    [
      'has a key of another kind next to a valid one',
      () =>
        writeService('mail-service', publicJwk('m-1'), {
          ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
          kid: 'm-2',
        }),
      /m-2: /,
    ],
    [
      'has a key without kid',
      () => writeService('mail-service', publicJwk('m-1', { kid: undefined })),
      /a key: kid_missing/,
    ],
    [
      "has another service's keyid",
      () => writeService('mail-service', publicJwk('c-1')),
      /key c-1 of mail-service also belongs to complaint-service/,
    ],
  ])('are refused at start when a file %s', (_name, spoil, problem) => {
    spoil();
    expect(() => open()).toThrow(problem);
  });
});
