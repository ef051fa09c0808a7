import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { go, hasGo } from '../../stacks/languages.ts';
import { runConformance } from './run-conformance.ts';

(hasGo ? test : test.skip)('conformance finds no fault in a service on net/http', async () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-go-'));
  try {
    const command = join(home, 'echo');
    go('infra/prove/conformance/go', 'build', '-o', command, '.');
    const { faults, summary } = await runConformance({ command, args: () => [] });
    expect([faults, summary]).toEqual([[], expect.stringContaining(' 0 faults')]);
  } finally {
    rmSync(home, { recursive: true });
  }
});
