import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { gatewayProcess } from './gateway-process.ts';

const bin = fileURLToPath(new URL('../bin/countersign.js', import.meta.url));

type Files = Readonly<Record<string, string>>;

/** Writes files like kubelet: into a new directory, to which the link `..data` is switched atomically. */
function publish(volume: string, files: Files): void {
  const version = `..${readdirSync(volume).length}_${process.hrtime.bigint()}`;
  mkdirSync(join(volume, version));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(volume, version, name), text);
    chmodSync(join(volume, version, name), 0o440);
  }
  symlinkSync(version, join(volume, '..data_tmp'));
  renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
  const entries = readdirSync(volume, { withFileTypes: true });
  const linked = entries.filter((entry) => entry.isSymbolicLink() && entry.name !== '..data').map(({ name }) => name);
  for (const name of Object.keys(files))
    if (!linked.includes(name)) symlinkSync(join('..data', name), join(volume, name));
  for (const name of linked) if (!Object.hasOwn(files, name)) rmSync(join(volume, name));
}

test('reloads a ConfigMap and a Secret when their links move, and the Secret is what keys rotate --to-stdout prints', async () => {
  const gateway = await gatewayProcess();
  try {
    const yaml = gateway.yaml.replace('{ keys: ./keys }', '{ keys: ./gateway-keys, keyFiles: group }');
    const secret = join(dirname(gateway.file), 'gateway-keys');
    const [first = ''] = readdirSync(gateway.keysDir);
    rmSync(gateway.file);
    publish(dirname(gateway.file), { 'gateway.yaml': yaml });
    mkdirSync(secret);
    publish(secret, { [first]: readFileSync(join(gateway.keysDir, first), 'utf8') });
    await gateway.start();

    publish(dirname(gateway.file), { 'gateway.yaml': yaml.replace('/v1/open/**', '/v2/open/**') });
    await eventually(async () => expect((await fetch(`${gateway.url}/v2/open/1`)).status).toBe(200));
    expect((await fetch(`${gateway.url}/v1/open/1`)).status).toBe(404);

    const printed = execFileSync(
      process.execPath,
      ['--conditions=source', bin, 'keys', 'rotate', '--to-stdout', '--config', gateway.file],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const manifest = parse(printed);
    expect(manifest).toMatchObject({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'gateway-keys' } });
    const files = Object.entries(manifest.data as Files).map(([name, data]) => [name, atob(data)] as const);
    expect(files.map(([name]) => name)).toContain(first);
    publish(secret, Object.fromEntries(files));
    const kids = files.map(([name]) => name.replace('.jwk.json', '')).sort();
    await eventually(async () => {
      const { keys } = (await (await fetch(`${gateway.internalUrl}/.well-known/jwks.json`)).json()) as {
        keys: readonly { kid: string }[];
      };
      expect(keys.map(({ kid }) => kid).sort()).toEqual(kids);
    }, 20_000);
    // The new key is published, but does not sign before its `nbf`.
    await fetch(`${gateway.url}/v2/open/1`);
    expect(gateway.upstream.requests.at(-1)?.headers['signature-input']).toContain(
      `keyid="${first.replace('.jwk.json', '')}"`,
    );
  } finally {
    await gateway.close();
  }
}, 60_000);
