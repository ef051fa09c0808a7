import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startProcess } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { loadGatewayKeys } from '../../gateway/src/keys/key-directory.ts';
import { ensureAuthSecrets, ensureGatewayKey, ensureServiceKey } from './secrets.ts';

const here = resolve(import.meta.dirname, 'secrets.ts');
const ensureAll = (home: string) => {
  ensureAuthSecrets(home);
  ensureGatewayKey(home);
  ensureServiceKey(home, 'some-service');
};

describe('this machine’s secrets', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'countersign-secrets-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));

  const filesUnder = () =>
    readdirSync(home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort();
  /** Runs a function in a process that cannot write any file content, as on a full disk. */
  const onFullDisk = (name: string, ...args: string[]) => {
    const call = `import('${here}').then((it) => it.${name}(...${JSON.stringify([home, ...args])}))`;
    const limited = ['-c', 'ulimit -f 0; exec "$@"', 'bash', process.execPath, '--conditions=source', '-e', call];
    return spawnSync('bash', limited, { encoding: 'utf8' });
  };

  test('a full disk at the first start leaves no files, and the next start succeeds', () => {
    for (const [name, ...args] of [
      ['ensureAuthSecrets'],
      ['ensureGatewayKey'],
      ['ensureServiceKey', 'some-service'],
    ] as [string, ...string[]][]) {
      const { status, stderr } = onFullDisk(name, ...args);
      expect([status, stderr]).toEqual([1, expect.stringMatching(/EFBIG|ENOSPC/)]);
    }
    expect(filesUnder()).toEqual([]);
    ensureAll(home);
    expect(filesUnder()).toHaveLength(7);
    expect(loadGatewayKeys(join(home, 'gateway-keys'), 1).keys).toHaveLength(1);
  });

  test('secrets are created once, and only this user can read them', () => {
    ensureAll(home);
    const texts = () => filesUnder().map((file) => readFileSync(file, 'utf8'));
    const before = texts();
    ensureAll(home);
    expect(texts()).toEqual(before);
    const open = filesUnder().filter((file) => (statSync(file).mode & 0o077) !== 0);
    expect(open).toEqual([join(home, 'service-keys', 'some-service.jwks.json')]);
  });

  test('processes that start at the same time get the same secrets', async () => {
    const call = `import('${here}').then((it) => { it.ensureAuthSecrets('${home}'); it.ensureServiceKey('${home}', 's'); })`;
    const started = Array.from({ length: 4 }, () => startProcess({ args: ['-e', call] }));
    expect(await Promise.all(started.map(({ exited }) => exited))).toEqual([0, 0, 0, 0]);
    const { kid, x } = JSON.parse(readFileSync(join(home, 'service-keys', 's.jwk.json'), 'utf8'));
    const { keys } = JSON.parse(readFileSync(join(home, 'service-keys', 's.jwks.json'), 'utf8'));
    expect(keys).toEqual([{ kty: 'OKP', crv: 'Ed25519', kid, x, alg: 'EdDSA', use: 'sig' }]);
    expect(filesUnder()).toHaveLength(5);
  });

  test.each(['', '\n', 'local:abc'])(
    'an error names a file with the content %j, and the consequence of deleting it',
    (text) => {
      const { AUTH_SIGNING_KEK_FILE: file = '' } = ensureAuthSecrets(home);
      writeFileSync(file, text);
      expect(() => ensureAuthSecrets(home)).toThrow(
        `${file}: is empty or broken. Restore it from a backup. Without a backup, delete it`,
      );
      expect(readFileSync(file, 'utf8')).toBe(text);
    },
  );

  test('an error names a service’s empty key file, and a missing public key file is created again', () => {
    const { privateFile } = ensureServiceKey(home, 'some-service');
    const publicFile = privateFile.replace('.jwk.json', '.jwks.json');
    const half = readFileSync(publicFile, 'utf8');
    writeFileSync(publicFile, '');
    ensureServiceKey(home, 'some-service');
    expect(readFileSync(publicFile, 'utf8')).toBe(half);
    writeFileSync(privateFile, '');
    expect(() => ensureServiceKey(home, 'some-service')).toThrow(`${privateFile}: is empty or broken. Delete it and`);
  });

  test('an error names an empty gateway key file', () => {
    ensureGatewayKey(home);
    const [file = ''] = filesUnder();
    writeFileSync(file, '');
    chmodSync(file, 0o600);
    expect(() => loadGatewayKeys(join(home, 'gateway-keys'), 1)).toThrow(
      `${file}: is empty, so it never contained a key.`,
    );
  });
});
