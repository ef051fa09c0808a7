import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import {
  createVerifier,
  type GatewayKeys,
  IdentityRefused,
  refusalReasons,
  secretGatewayKeys,
  secretKeyid,
  staticGatewayKeys,
} from '../src/index.ts';
import { makeVectors, startedAt, toSnake } from './vectors.ts';

type VectorRequest = { method: string; target: string; headers: [string, string][]; body_base64: string };
type Vector = {
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
};

const text = readFileSync(new URL('../vectors.json', import.meta.url), 'utf8');
const file: {
  verifier: { audience: string; tolerance_sec: number; max_lifetime_sec: number };
  keys: { jwks: { keys: unknown[] }; secrets: { keyid: string; secret_base64: string }[] };
  vectors: Vector[];
} = JSON.parse(text);

const ed = staticGatewayKeys(file.keys.jwks);
const hmac = secretGatewayKeys(
  file.keys.secrets.map(({ secret_base64 }) => ({ secret: Buffer.from(secret_base64, 'base64') })),
);
const keys: GatewayKeys = { lookup: async (keyid) => (await ed.lookup(keyid)) ?? hmac.lookup(keyid) };

async function verdictOn(vector: Vector): Promise<unknown> {
  const { now, stream, memory_began, delivered_before, requests_before = [], request } = vector;
  const verifier = createVerifier({
    audience: file.verifier.audience,
    toleranceSec: file.verifier.tolerance_sec,
    maxLifetimeSec: file.verifier.max_lifetime_sec,
    keys,
    replay: startedAt(memory_began),
    nowMs: () => now * 1000,
  });
  const deliver = ({ method, target, headers, body_base64 }: VectorRequest) =>
    verifier.verify({ method, target, rawHeaders: headers.flat(), body: Buffer.from(body_base64, 'base64'), stream });
  const earlier = [...requests_before, ...Array.from({ length: delivered_before }, () => request)];
  for (const before of earlier) await deliver(before).catch(() => {});
  try {
    return { identity: toSnake(await deliver(request)) };
  } catch (error) {
    if (error instanceof IdentityRefused) return { refused: error.reason };
    throw error;
  }
}

describe('vectors.json', () => {
  test.each(file.vectors.map((vector): [string, Vector] => [vector.name, vector]))('%s', async (_name, vector) => {
    const { identity, refused } = vector;
    expect(await verdictOn(vector)).toEqual(refused === undefined ? { identity } : { refused });
  });

  test('has each secret under the keyid that follows from it', () => {
    for (const { keyid, secret_base64 } of file.keys.secrets) {
      expect(keyid).toBe(secretKeyid(Buffer.from(secret_base64, 'base64')));
    }
  });

  test('shows every reason, and at least twenty good requests', () => {
    const reasons = new Set(file.vectors.flatMap(({ refused }) => refused ?? []));
    expect([...reasons].sort()).toEqual([...refusalReasons].sort());
    expect(file.vectors.filter(({ identity }) => identity !== undefined).length).toBeGreaterThanOrEqual(20);
    expect(new Set(file.vectors.map(({ name }) => name)).size).toBe(file.vectors.length);
  });

  test('is what the script makes: run `npm run vectors -w @countersign/identity`', async () => {
    expect(await makeVectors()).toBe(text);
  });
});
