import type { Database } from '@countersign/database';
import { silentLogger } from '@countersign/testing';
import { parseKeyRing } from '../../src/domain/keys/key-ring.ts';
import type { SecondStepParts } from '../../src/flows/second-factor/second-factor.ts';
import type { Grant } from '../../src/flows/sessions/admit.ts';
import { type LoginParts, logIn } from '../../src/flows/sessions/log-in.ts';
import { createThrottle, type HttpCaller } from '../../src/flows/sessions/throttle.ts';
import type { AuthSchema } from '../../src/store/schema.ts';
import { databaseAttempts } from '../../src/store/sessions/attempts.ts';
import { type Person, password, ring, type Tenant, testPasswords } from './people.ts';

export const keks = parseKeyRing(ring('kek', 3));

export const macKeys = parseKeyRing(ring('mac', 2));

export const caller: HttpCaller = { requestId: 'test', ip: '192.0.2.1', userAgent: 'jest', jkt: null };

/** The real parts that the flows are called with. */
export async function loginParts(db: Database<AuthSchema>): Promise<LoginParts & SecondStepParts> {
  return {
    db,
    passwords: await testPasswords(),
    throttle: createThrottle(databaseAttempts(db)),
    macKeys,
    keks,
    logger: silentLogger(),
  };
}

export async function grantFor(parts: LoginParts, { email }: Person, tenant: Tenant): Promise<Grant> {
  const result = await logIn(parts, { email, password, tenant: tenant.slug, transport: 'body' }, caller);
  if (result.kind !== 'granted') throw new Error('no grant');
  return result.grant;
}

/** The error code of a refusal, or the value. */
export async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return 'ok';
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
}
