import { generateKeyPairSync } from 'node:crypto';
import { keyAlgorithmOf, staticKeySet } from '@countersign/jwks';
import { expect, test } from '@jest/globals';
import { CompactSign, exportJWK } from 'jose';
import { verifySignature } from './verify-signature.ts';

test.each(['RS256', 'PS256', 'PS384', 'PS512'])(
  'verifies a token signed with %s whose signature begins with a zero byte, and not without that byte',
  async (alg) => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg: keyAlgorithmOf(alg), use: 'sig' };
    const keys = staticKeySet({ keys: [jwk] }, { algorithms: [keyAlgorithmOf(alg)] });
    for (let attempt = 0; ; attempt += 1) {
      const token = await new CompactSign(Buffer.from(`{"n":${attempt}}`))
        .setProtectedHeader({ alg, kid: 'k' })
        .sign(privateKey);
      const signature = Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url');
      if (signature[0] !== 0) continue;
      const verify = (bytes: Buffer) =>
        verifySignature(
          `${token.slice(0, token.lastIndexOf('.'))}.${bytes.toString('base64url')}`,
          { alg, kid: 'k' },
          keys,
          'https://issuer.test',
        );
      await verify(signature);
      await expect(verify(signature.subarray(1))).rejects.toMatchObject({ code: 'token_signature_invalid' });
      return;
    }
  },
);
