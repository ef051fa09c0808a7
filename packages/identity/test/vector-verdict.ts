import { readFileSync } from 'node:fs';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { stripIdentityHeaders } from '../src/adapters/node-request.ts';
import type * as library from '../src/index.ts';
import type { GatewayKeys } from '../src/index.ts';
import type { isExempt } from '../src/verify/exempt.ts';
import type { AnswerVector } from './vector-answers.ts';
import type { KeySetVector } from './vector-key-sets.ts';
import { combineKeys, toSnake } from './verifier.ts';

export type VectorRequest = { method: string; target: string; headers: [string, string][]; body_base64: string };
export type Vector = {
  name: string;
  now: number;
  stream: boolean;
  memory_began: number;
  delivered_before: number;
  requests_before?: VectorRequest[];
  request: VectorRequest;
  identity?: unknown;
  signature_base?: string;
  refused?: string;
  exempt?: true;
  headers_left?: string[];
};

export type VectorFile = {
  key_sets: KeySetVector[];
  answers: AnswerVector[];
  published: Record<'x' | 'secret_keyids' | 'kids', string[]>;
  verifier: { audience: string; tolerance_sec: number; max_lifetime_sec: number };
  keys: {
    jwks: { keys: unknown[] };
    secrets: { keyid: string; secret_base64: string }[];
    /** The service's private keys for agreement. */
    agreement?: unknown[];
  };
  vectors: Vector[];
};

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
export const vectorsText = read('vectors.json');
export const vectorFile: VectorFile = JSON.parse(vectorsText);
export const agreedVectorsText = read('agreed-vectors.json');
export const agreedVectorFile: VectorFile & { usable: string[] } = JSON.parse(agreedVectorsText);

/** The library functions that a vector needs, from the library itself or from a mutant. */
export type Library = Pick<
  typeof library,
  'agreementKeysIn' | 'createVerifier' | 'memoryReplay' | 'secretGatewayKeys' | 'staticGatewayKeys' | 'IdentityRefused'
> & { isExempt: typeof isExempt; stripIdentityHeaders: typeof stripIdentityHeaders };

/** Runs a vector, and returns the result in the form of vectors.json. */
export async function verdictOf(library: Library, vector: Vector, file = vectorFile): Promise<unknown> {
  const { now, stream, memory_began, delivered_before, requests_before = [], request } = vector;
  if (library.isExempt(request.method, request.target)) {
    const left = Object.assign(new IncomingMessage(new Socket()), { rawHeaders: request.headers.flat() });
    library.stripIdentityHeaders(left);
    return { exempt: true, headers_left: left.rawHeaders.filter((_text, index) => index % 2 === 0) };
  }
  const { verifier: options, keys } = file;
  const verifier = library.createVerifier({
    audience: options.audience,
    toleranceSec: options.tolerance_sec,
    maxLifetimeSec: options.max_lifetime_sec,
    keys: keysOf(library, keys),
    ...(keys.agreement && { agreement: { keys: keys.agreement } }),
    replay: library.memoryReplay({ nowMs: () => (memory_began - 1) * 1000 }),
    nowMs: () => now * 1000,
  });
  const deliver = ({ method, target, headers, body_base64 }: VectorRequest) =>
    verifier.verify({ method, target, rawHeaders: headers.flat(), body: Buffer.from(body_base64, 'base64'), stream });
  const earlier = [...requests_before, ...Array.from({ length: delivered_before }, () => request)];
  for (const before of earlier) await deliver(before).catch(() => {});
  try {
    return { identity: toSnake(await deliver(request)) };
  } catch (error) {
    if (error instanceof library.IdentityRefused) return { refused: error.reason };
    throw error;
  }
}

const combined = new WeakMap<Library, Map<VectorFile['keys'], GatewayKeys>>();

/** The keys of a file do not depend on a request, so they are imported once. */
function keysOf(library: Library, keys: VectorFile['keys']): GatewayKeys {
  const ofLibrary = combined.get(library) ?? new Map<VectorFile['keys'], GatewayKeys>();
  combined.set(library, ofLibrary);
  const known = ofLibrary.get(keys);
  if (known !== undefined) return known;
  const secrets = keys.secrets.map(({ secret_base64 }) => ({ secret: Buffer.from(secret_base64, 'base64') }));
  const made = combineKeys(
    keys.jwks,
    library.staticGatewayKeys(keys.jwks),
    secrets.length === 0 ? { lookup: () => undefined } : library.secretGatewayKeys(secrets),
  );
  ofLibrary.set(keys, made);
  return made;
}

/** The result that vectors.json expects. */
export function expectedOf({ identity, refused, exempt, headers_left }: Vector): unknown {
  if (exempt) return { exempt, headers_left };
  return refused === undefined ? { identity } : { refused };
}
