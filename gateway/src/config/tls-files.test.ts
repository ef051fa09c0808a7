import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testAuthority } from '@countersign/testing';
import { afterAll, describe, expect, test } from '@jest/globals';
import { exampleConfig, exampleRoutes } from '../../test/kit/example-config.ts';

const home = mkdtempSync(join(tmpdir(), 'countersign-certificate-'));
afterAll(() => rmSync(home, { recursive: true }));

const authority = testAuthority();
const good = authority.issue(['gateway.test']);
const other = authority.issue(['gateway.test']);
const encrypted = createPrivateKey(good.key)
  .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
  .toString();

function load(cert: string | undefined, key: string | undefined) {
  for (const [name, text] of [
    ['a.pem', cert],
    ['a.key', key],
  ] as const) {
    if (text === undefined) rmSync(join(home, name), { force: true });
    else writeFileSync(join(home, name), text);
  }
  return exampleConfig(`listen: { tls: { cert: "${home}/a.pem", key: "${home}/a.key" } }\n${exampleRoutes}`);
}

describe('a certificate for the public listener', () => {
  test('is loaded with its key, chain and expiry time', () => {
    const { certificate, files } = load(good.cert + authority.ca, good.key);
    expect(certificate).toMatchObject({ cert: good.cert + authority.ca, key: good.key });
    expect(certificate?.expiresAtMs).toBeGreaterThan(Date.now());
    expect(files.map(({ path }) => path)).toEqual(expect.arrayContaining([join(home, 'a.pem'), join(home, 'a.key')]));
  });

  test.each([
    ['no files', undefined, undefined, 'listen.tls.cert: cannot be read (ENOENT)'],
    ['no key', good.cert, undefined, 'listen.tls.key: cannot be read (ENOENT)'],
    [
      'the key of another certificate',
      good.cert,
      other.key,
      'listen.tls.key: is not the key of the first certificate in "cert"',
    ],
    ['its chain first', authority.ca + good.cert, good.key, 'is not the key of the first certificate in "cert"'],
    ['a key instead of the certificate', good.key, good.key, 'listen.tls.cert: contains no certificate in PEM'],
    ['a certificate instead of the key', good.cert, good.cert, 'listen.tls.key: contains no private key in PEM'],
    [
      'a truncated certificate',
      good.cert.replace(/\n.{20}/, '\n'),
      good.key,
      'listen.tls.cert: contains a malformed certificate',
    ],
    ['a broken chain', good.cert + authority.ca.replace(/\n.{20}/, '\n'), good.key, 'contains a malformed certificate'],
    ['an encrypted key', good.cert, encrypted, 'listen.tls.key: is encrypted: the gateway cannot ask for a passphrase'],
    ['empty files', '', '', 'listen.tls.cert: contains no certificate in PEM'],
  ])('is refused with %s, and the error shows nothing from the files', (_name, cert, key, problem) => {
    let said = '';
    try {
      load(cert, key);
    } catch (error) {
      said = (error as { problems: readonly string[] }).problems.join('\n');
    }
    expect(said).toContain(problem);
    for (const line of (key ?? '').split('\n').filter((text) => text.length > 40)) expect(said).not.toContain(line);
  });
});
