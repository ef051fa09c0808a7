import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { UpstreamIdentity } from './config.ts';
import { type FileRead, hashOf } from './files.ts';
import type { Parts } from './parts.ts';
import type { Finding } from './problems.ts';
import type { UpstreamPart } from './upstream-schema.ts';
import type { Source } from './yaml.ts';

/** How each upstream's identity is signed, and the files that this was read from. */
export type Secrets = Readonly<{ identities: ReadonlyMap<string, UpstreamIdentity>; files: readonly FileRead[] }>;

export const noSecrets: Secrets = { identities: new Map(), files: [] };

const shortest = 32;

/**
 * Reads the hmac secrets of all upstreams. A secret is the bytes of its text, without the newline that ends a file.
 * Written into the YAML, or given by a default, it would be no secret; shared, it would let one service be another.
 */
export function readSecrets(
  parts: Parts,
  source: Source,
  directory: string,
): Secrets & Readonly<{ findings: readonly Finding[] }> {
  const findings: Finding[] = [];
  const identities = new Map<string, UpstreamIdentity>();
  const owners = new Map<string, string>();
  const files: FileRead[] = [];
  for (const [name, upstream] of parts.upstreams) {
    if (upstream === undefined) continue;
    const reader = { upstream: name, source, directory, owners, files, findings };
    const identity = identityOf(upstream, reader);
    if (identity !== undefined) identities.set(name, identity);
  }
  return { identities, files, findings };
}

type Reader = {
  readonly upstream: string;
  readonly source: Source;
  readonly directory: string;
  readonly owners: Map<string, string>;
  readonly files: FileRead[];
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
  const bytes = text === undefined ? readFile(file ?? '', reader) : Buffer.from(text);
  if (typeof bytes === 'string') return refuse(bytes);
  if (bytes.length < shortest) return refuse(`must be at least ${shortest} bytes`);
  if (new Set(bytes).size < 8) return refuse('must be random: it repeats a few characters');
  const owner = reader.owners.get(bytes.toString('base64'));
  if (owner !== undefined) return refuse(`is the same as ${owner}: each upstream needs its own`);
  reader.owners.set(bytes.toString('base64'), `${reader.upstream}'s ${key}`);
  return bytes;
}

function readFile(file: string, { directory, files }: Reader): Buffer | string {
  const path = resolve(directory, file);
  try {
    const bytes = readFileSync(path);
    files.push({ path, hash: hashOf(bytes) });
    return Buffer.from(bytes.toString('utf8').replace(/\r?\n$/, ''));
  } catch (error) {
    return `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`;
  }
}
