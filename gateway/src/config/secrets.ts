import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { UpstreamIdentity } from './config.ts';
import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';
import type { UpstreamPart } from './schema.ts';
import type { Source } from './yaml.ts';

export type Identities = ReadonlyMap<string, UpstreamIdentity>;

const shortest = 32;

/**
 * Reads the hmac secrets of all upstreams. A secret is the bytes of its text, without the newline that ends a file.
 * Written into the YAML, or given by a default, it would be no secret; shared, it would let one service be another.
 */
export function readSecrets(
  parts: Parts,
  source: Source,
  directory: string,
): { identities: Identities; findings: Finding[] } {
  const findings: Finding[] = [];
  const identities = new Map<string, UpstreamIdentity>();
  const owners = new Map<string, string>();
  for (const [name, upstream] of parts.upstreams) {
    if (upstream === undefined) continue;
    const reader = { upstream: name, source, directory, owners, findings };
    const identity = identityOf(upstream, reader);
    if (identity !== undefined) identities.set(name, identity);
  }
  return { identities, findings };
}

type Reader = {
  readonly upstream: string;
  readonly source: Source;
  readonly directory: string;
  readonly owners: Map<string, string>;
  readonly findings: Finding[];
};

function identityOf({ identity }: UpstreamPart, reader: Reader): UpstreamIdentity | undefined {
  if (identity.algorithm === 'ed25519') return { algorithm: 'ed25519' };
  const path = ['upstreams', reader.upstream, 'identity'];
  if (identity.secret === undefined && identity.secretFile === undefined) {
    const message = '"secret" or "secretFile" is required: from a variable, or the path of a file';
    reader.findings.push({ path, message, absent: 'secret' });
    return undefined;
  }
  const secret = readSecret('secret', identity.secret, identity.secretFile, reader);
  const next = readSecret('next', identity.next, identity.nextFile, reader);
  return secret === undefined ? undefined : { algorithm: 'hmac-sha256', secret, next };
}

function readSecret(
  key: 'secret' | 'next',
  text: string | undefined,
  file: string | undefined,
  reader: Reader,
): Uint8Array | undefined {
  const path = ['upstreams', reader.upstream, 'identity', text === undefined ? `${key}File` : key];
  const refuse = (message: string) => {
    reader.findings.push({ path, message });
    return undefined;
  };
  if (text === undefined && file === undefined) return undefined;
  if (text !== undefined && file !== undefined) return refuse(`"${key}" and "${key}File" are both set: set one`);
  if (text !== undefined && reader.source.originOf(path) !== 'variable') {
    return refuse(`must come from a variable without a default, such as "\${COMPLAINT_SECRET}", or from "${key}File"`);
  }
  const bytes = text === undefined ? readFile(resolve(reader.directory, file ?? '')) : Buffer.from(text);
  if (typeof bytes === 'string') return refuse(bytes);
  if (bytes.length < shortest) return refuse(`must be at least ${shortest} bytes`);
  if (new Set(bytes).size < 8) return refuse('must be random: it repeats a few characters');
  const owner = reader.owners.get(bytes.toString('base64'));
  if (owner !== undefined) return refuse(`is the same as ${owner}: each upstream needs its own`);
  reader.owners.set(bytes.toString('base64'), `${reader.upstream}'s ${key}`);
  return bytes;
}

function readFile(path: string): Buffer | string {
  try {
    return Buffer.from(readFileSync(path, 'utf8').replace(/\r?\n$/, ''));
  } catch (error) {
    return `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`;
  }
}
