import { StartupError } from '@countersign/service-kit';
import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';
import { resolveTls } from './resolve-upstream.ts';
import { readTlsFiles } from './tls-material.ts';

/** What holds of an upstream's `tls`: it goes with its targets, and its files are what they should be. */
export function checkTls({ upstreams }: Parts, directory: string): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [name, upstream] of upstreams) {
    if (upstream?.tls === undefined) continue;
    const { tls, targets } = upstream;
    const path = ['upstreams', name, 'tls'];
    const refuse = (message: string) => findings.push({ path, message });
    if (targets.some((target) => target.startsWith('http:'))) refuse('is for https targets only');
    if ((tls.cert === undefined) !== (tls.key === undefined))
      refuse('"cert" and "key" go together: set both or neither');
    else {
      const trouble = troubleWith(resolveTls(tls, directory));
      if (trouble !== undefined) refuse(trouble);
    }
  }
  return findings;
}

function troubleWith(tls: Parameters<typeof readTlsFiles>[0]): string | undefined {
  try {
    readTlsFiles(tls);
    return undefined;
  } catch (error) {
    if (error instanceof StartupError) return error.message;
    throw error;
  }
}
