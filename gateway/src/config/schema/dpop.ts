import { z } from 'zod';
import { filePath, seconds, text } from './values/scalars.ts';

/** Additional checks of DPoP proofs. Those of RFC 9449 section 4.3 always apply. */
export const dpop = z.strictObject({
  nonces: z
    .strictObject({
      secret: text
        .optional()
        .describe('The secret, 32 bytes or more, from a variable without a default. The same for all replicas.'),
      secretFile: filePath.optional().describe('A file with the secret, instead of `secret`.'),
      lifetime: seconds({ min: '10s', max: '1h' })
        .prefault('5m')
        .describe('How long one nonce is issued. The previous one is still accepted.'),
    })
    .optional()
    .describe('Requires a nonce from the gateway in every DPoP proof.'),
});

export type DpopPart = z.output<typeof dpop>;
