import { generateKeyPairSync } from 'node:crypto';

/** A key of the service's own, for a test. */
export const testServiceKey = (): string =>
  JSON.stringify({
    ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }),
    kid: 'auth-service-test',
  });
