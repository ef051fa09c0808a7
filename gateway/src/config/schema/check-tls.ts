import { resolveTls } from '../resolve-upstream.ts';
import { readTlsFiles, UnusableTlsFile } from '../tls-material.ts';
import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';

/** What holds of an upstream's `tls`: it goes with its targets, and its files are what they should be. */
export function checkTls({ upstreams }: Parts, directory: string): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [name, { tls, targets }] of upstreams) {
    if (tls === undefined) continue;
    const path = ['upstreams', name, 'tls'];
    if (targets?.some((target) => target.startsWith('http:'))) {
      findings.push({ path, message: 'is for https targets only' });
    }
    if ((tls.cert === undefined) !== (tls.key === undefined)) {
      findings.push({ path, message: '"cert" and "key" go together: set both or neither' });
    } else {
      const unusable = unusableOf(resolveTls(tls, directory));
      if (unusable !== undefined) findings.push({ path: [...path, unusable.key], message: unusable.why });
    }
  }
  return findings;
}

function unusableOf(tls: Parameters<typeof readTlsFiles>[0]): UnusableTlsFile | undefined {
  try {
    readTlsFiles(tls);
    return undefined;
  } catch (error) {
    if (error instanceof UnusableTlsFile) return error;
    throw error;
  }
}
