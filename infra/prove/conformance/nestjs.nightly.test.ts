import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { dependenciesOf } from '../../stacks/installed-packages.ts';
import { repository } from '../../stacks/stack.ts';
import { runConformance } from './run-conformance.ts';

test('conformance finds no fault in a service on nestjs', async () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-nestjs-'));
  try {
    writeFileSync(join(home, 'package.json'), '{ "private": true, "type": "module" }');
    const install = ['install', '--prefer-offline', '--ignore-scripts', ...dependenciesOf('nestjs')];
    const { status, stderr } = spawnSync('npm', install, { cwd: home, encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, expect.anything()]);
    mkdirSync(join(home, 'node_modules/@countersign'));
    symlinkSync(resolve(repository, 'packages/identity'), join(home, 'node_modules/@countersign/identity'));
    for (const file of ['nestjs.js', 'echo-service.js']) cpSync(join(import.meta.dirname, file), join(home, file));
    const args = () => ['--conditions=source', '--max-http-header-size=65536', 'nestjs.js'];
    const { faults, summary } = await runConformance({ command: process.execPath, args, cwd: home });
    expect([faults, summary]).toEqual([[], expect.stringContaining(' 0 faults')]);
  } finally {
    rmSync(home, { recursive: true });
  }
});
