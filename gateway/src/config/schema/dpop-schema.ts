import { z } from 'zod';
import { filePath, seconds, text } from './scalars.ts';

/** Proofs of possession: what is asked of them beyond RFC 9449 section 4.3, which always holds. */
export const dpop = z.strictObject({
  nonces: z
    .strictObject({
      secret: text.optional().describe('32 bytes or more, from a variable without a default. Shared by all replicas.'),
      secretFile: filePath.optional().describe('Instead of `secret`: a file with it.'),
      lifetime: seconds({ min: '10s', max: '1h' })
        .prefault('5m')
        .describe('How long one nonce is handed out; the one before is still taken.'),
    })
    .optional()
    .describe('Asks for a nonce of ours in every DPoP proof.'),
});
