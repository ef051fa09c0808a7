import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createVerifier, gatewayKeys, memoryReplay } from '@countersign/identity';
import { verifyIdentity } from '@countersign/identity/express';
import { eventually } from '@countersign/testing';
import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import { readKeys } from '../src/keys/key-files.ts';
import { gatewayProcess, loadOn } from './gateway-process.ts';
import { gatewayUnderTest } from './gateway-under-test.ts';

const bin = fileURLToPath(new URL('../bin/countersign.js', import.meta.url));
const readEveryMs = 5_000;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A real service that records which keys signed the accepted requests, in order of first use. */
async function startService() {
  const signers = new Set<string>();
  let app = express();
  const server = createServer((req, res) => app(req, res)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close().closeAllConnections());
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    signers,
    async trust(keysUrl: string): Promise<void> {
      const keys = gatewayKeys({ url: keysUrl });
      await keys.start();
      closing.push(() => keys.stop());
      // Behaves as if the memory had started some time ago.
      const replay = memoryReplay({ nowMs: () => Date.now() - 60_000 });
      app = express();
      app.use(verifyIdentity({ verifier: createVerifier({ audience: 'things', keys, replay }) }), (req, res) => {
        signers.add(/;keyid="([^"]+)"/.exec(String(req.headers['signature-input']))?.[1] ?? '');
        res.json({ ok: true });
      });
    },
  };
}

const ways: readonly (readonly [name: string, rotate: (directory: string) => void])[] = [
  ['keys rotate --now', (directory) => command(directory, 'rotate', '--now')],
  [
    'keys rotate --now, with the old key removed immediately',
    (directory) => {
      const before = readKeys(directory);
      command(directory, 'rotate', '--now');
      for (const { kid } of before) command(directory, 'retire', kid, '--now');
    },
  ],
];

const command = (directory: string, ...args: string[]) =>
  execFileSync(process.execPath, [bin, 'keys', ...args, '--dir', directory], { stdio: 'ignore' });

type Rotation = Readonly<{
  url: string;
  token: string;
  directory: string;
  service: Awaited<ReturnType<typeof startService>>;
  rotate(directory: string): void;
  /** Settles when the key may be written. */
  whenToRotate(): Promise<void>;
}>;

/** Rotates under load, and returns the clients' results until the new key had signed for ten seconds. */
async function outcomesOf({ url, token, directory, service, rotate, whenToRotate }: Rotation) {
  const load = loadOn(url, { path: '/v1/things/1', perSecond: 100, token });
  await eventually(() => expect(load.outcomes['200']).toBeGreaterThan(100));
  await whenToRotate();
  rotate(directory);
  const newest = readKeys(directory).at(-1)?.kid ?? '';
  try {
    await eventually(() => expect([...service.signers].at(-1)).toBe(newest), 60_000);
    await delay(2 * readEveryMs);
  } finally {
    await load.stop();
  }
  return load.outcomes;
}

describe.each(ways)('%s refuses no request', (_name, rotate) => {
  test('with two gateways that share the directory, if one reads it before the other', async () => {
    const service = await startService();
    const others = await gatewayUnderTest();
    closing.push(others.close);
    const readAtMs = performance.now();
    await service.trust(`http://127.0.0.1:${others.running.ports.internal}/.well-known/jwks.json`);
    const directory = join(dirname(others.file), 'keys');
    await delay(readEveryMs / 2);
    const gateway = await gatewayUnderTest({ edits: [['publicOrigins: ["http://gateway.test"]\n', '']] });
    closing.push(gateway.close);
    await gateway.reload([
      ['publicOrigins: ["http://gateway.test"]\n', ''],
      [join(dirname(gateway.file), 'keys'), directory],
      [gateway.upstream.url, service.url],
    ]);
    const whenToRotate = () => delay(readEveryMs - ((performance.now() - readAtMs) % readEveryMs) + 1_000);
    const token = await gateway.issuer.accessToken();
    const url = `http://127.0.0.1:${gateway.port}`;
    const outcomes = await outcomesOf({ url, token, directory, service, rotate, whenToRotate });
    expect(outcomes).toEqual({ 200: expect.any(Number) });
  }, 120_000);

  test('with two workers, if one was restarted and reads the directory at other times', async () => {
    const service = await startService();
    const place = await gatewayProcess();
    closing.push(place.close);
    place.write(place.yaml.replace(place.upstream.url, service.url));
    const primary = await place.start('--workers', '2');
    const [one] = execFileSync('ps', ['-o', 'pid=', '--ppid', String(primary.pid)])
      .toString()
      .trim()
      .split(/\s+/);
    process.kill(Number(one), 'SIGKILL');
    await eventually(() => expect(primary.output().match(/"worker serves"/g)).toHaveLength(3), 30_000);
    await service.trust(`${place.internalUrl}/.well-known/jwks.json`);
    const outcomes = await outcomesOf({
      url: place.url,
      token: await place.issuer.accessToken(),
      directory: place.keysDir,
      service,
      rotate,
      whenToRotate: async () => {},
    });
    expect(outcomes).toEqual({ 200: expect.any(Number) });
  }, 120_000);
});
