import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { go, hasGo } from '../verifiers/build-go.ts';
import { runConformance } from './run-conformance.ts';

/** net/http merges equal lengths, and ignores one beside chunks. No handler can see the difference. */
const unseen = [
  'header_duplicated: a repeated content-length',
  'header_duplicated: a repeated content-length on a GET',
  'header_malformed: content-length and transfer-encoding',
];

(hasGo ? test : test.skip)('conformance finds only known faults in a service on net/http', async () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-go-'));
  try {
    const command = join(home, 'echo');
    go('infra/conformance/go', 'build', '-o', command, '.');
    const { faults, summary } = await runConformance({ command, args: () => [] });
    expect([faults, summary]).toEqual([unseen, expect.stringContaining(` ${unseen.length} faults`)]);
  } finally {
    rmSync(home, { recursive: true });
  }
});
