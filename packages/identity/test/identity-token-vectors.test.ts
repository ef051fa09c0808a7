import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import {
  assertTokenRequest,
  IdentityRefused,
  type IdentityTokenOptions,
  memoryReplay,
  staticGatewayKeys,
  verifyIdentityToken,
} from '../src/index.ts';
import { makeIdentityTokenVectors } from './identity-token-vectors.ts';
import { signEs256, tokenJwks } from './token-forge.ts';
import type { VectorRequest } from './vector-verdict.ts';
import { toSnake } from './verifier.ts';

type Delivery = { token: string; request: VectorRequest };
type TokenVector = Delivery & {
  name: string;
  now: number;
  stream: boolean;
  delivered_before: number;
  before?: Delivery[];
  library: 'accept' | 'refuse';
  req: 'accept' | 'refuse';
  identity?: object;
  refused?: string;
};
const text = readFileSync(new URL('../identity-token-vectors.json', import.meta.url), 'utf8');
const file: {
  verifier: { issuer: string; audience: string; tolerance_sec: number };
  jwks: JSONWebKeySet;
  vectors: TokenVector[];
} = JSON.parse(text);
const { issuer, audience, tolerance_sec: toleranceSec } = file.verifier;

const requestOf = ({ method, target, headers, body_base64 }: VectorRequest, stream: boolean) => {
  return { method, target, rawHeaders: headers.flat(), body: Buffer.from(body_base64, 'base64'), stream };
};

async function verdictOf({ now, stream, delivered_before, before = [], token, request }: TokenVector) {
  const options: IdentityTokenOptions = {
    issuer,
    audience,
    toleranceSec,
    keys: staticGatewayKeys(file.jwks, { algorithm: 'ES256' }),
    replay: memoryReplay({ nowMs: () => 0 }),
    nowMs: () => now * 1000,
  };
  async function deliver(delivery: Delivery) {
    try {
      const { claims, ...identity } = await verifyIdentityToken(
        delivery.token,
        requestOf(delivery.request, stream),
        options,
      );
      return { identity: { ...(toSnake(identity) as object), claims } };
    } catch (error) {
      if (error instanceof IdentityRefused) return { refused: error.reason };
      throw error;
    }
  }
  for (const each of before) await deliver(each);
  for (let count = 0; count < delivered_before; count += 1) await deliver({ token, request });
  return deliver({ token, request });
}

const verdicts = (accepts: boolean) => (accepts ? 'accept' : 'refuse');

describe('identity-token-vectors.json', () => {
  test.each(file.vectors.map((vector) => [vector.name, vector] as const))('%s', async (_name, vector) => {
    const { identity, refused } = vector;
    expect(await verdictOf(vector)).toEqual(identity === undefined ? { refused } : { identity });
  });

  test.each(file.vectors.map((vector) => [vector.name, vector] as const))(
    'a library alone: %s',
    async (_name, { now, token, library }) => {
      const accepted = await jwtVerify(token, createLocalJWKSet(file.jwks), {
        issuer,
        audience,
        algorithms: ['ES256'],
        clockTolerance: toleranceSec,
        currentDate: new Date(now * 1000),
      }).then(
        () => true,
        () => false,
      );
      expect(verdicts(accepted)).toBe(library);
    },
  );

  const others = file.vectors.filter(({ library, refused }) => library === 'accept' && refused !== 'replayed');
  test.each(others.map((vector) => [vector.name, vector] as const))(
    'the check of req alone: %s',
    (_name, { token, request, stream, req }) => {
      const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
      const check = () => assertTokenRequest(claims, requestOf(request, stream));
      if (claims.req === undefined || req === 'refuse') expect(check).toThrow(IdentityRefused);
      else expect(check).not.toThrow();
    },
  );

  test('has 50 vectors, each with another name', () => {
    expect(new Set(file.vectors.map(({ name }) => name)).size).toBe(50);
    expect(file.vectors).toHaveLength(50);
  });

  test('is up to date: run `npm run vectors -w @countersign/identity`', () => {
    expect(makeIdentityTokenVectors()).toBe(text);
  });
});

test('signs as in RFC 6979 appendix A.2.5', () => {
  const signature = signEs256(tokenJwks[0], 'sample').toString('hex').toUpperCase();
  expect(signature.slice(0, 64)).toBe('EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716');
});
