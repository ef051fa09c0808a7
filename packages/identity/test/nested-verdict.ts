import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type * as current from '../src/index.ts';
import type { Vector, VectorRequest } from './vector-verdict.ts';

export const nestedVectorsText = readFileSync(new URL('../nested-vectors.json', import.meta.url), 'utf8');
export type NestedVector = Omit<Vector, 'stream' | 'memory_began'> & {
  call?: { service_id: string; txn_token?: string };
};
type ServiceJwk = Readonly<Record<'kty' | 'crv' | 'x' | 'd' | 'kid', string>>;
export const nestedVectorFile: {
  verifier: { audience: string; tolerance_sec: number; max_lifetime_sec: number };
  services: { service_id: string; jwk: ServiceJwk }[];
  vectors: NestedVector[];
} = JSON.parse(nestedVectorsText);
export const privateKeyOf = (jwk: ServiceJwk) => createPrivateKey({ key: { ...jwk }, format: 'jwk' });

/** The gateway's verdict on a nested call: the calling service and its txn-token, or the reason for the refusal. */
export async function nestedVerdictOf(
  library: Pick<typeof current, 'createServiceVerifier' | 'memoryReplay' | 'IdentityRefused'>,
  { now, delivered_before, requests_before = [], request }: NestedVector,
): Promise<unknown> {
  const { verifier: options, services } = nestedVectorFile;
  const verifier = library.createServiceVerifier({
    audience: options.audience,
    toleranceSec: options.tolerance_sec,
    maxLifetimeSec: options.max_lifetime_sec,
    findKey(keyid) {
      const found = services.find(({ jwk }) => jwk.kid === keyid);
      return found && { serviceId: found.service_id, publicKey: createPublicKey(privateKeyOf(found.jwk)) };
    },
    replay: library.memoryReplay({ nowMs: () => 0 }),
    nowMs: () => now * 1000,
  });
  async function deliver({ method, target, headers, body_base64 }: VectorRequest): Promise<unknown> {
    try {
      const head = verifier.verifyHead({ method, target, rawHeaders: headers.flat() });
      await head.complete(Buffer.from(body_base64, 'base64'));
      return { service_id: head.serviceId, ...(head.txnToken !== undefined && { txn_token: head.txnToken }) };
    } catch (error) {
      if (error instanceof library.IdentityRefused) return error.reason;
      throw error;
    }
  }
  for (const before of requests_before) await deliver(before);
  for (let count = 0; count < delivered_before; count += 1) await deliver(request);
  return deliver(request);
}
