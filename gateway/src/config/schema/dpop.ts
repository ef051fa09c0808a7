import { z } from 'zod';
import type { RoutePart } from './routes.ts';
import type { Pieces, Refuse } from './rules.ts';
import { filePath, seconds, text } from './scalars.ts';

/** What the gateway asks of DPoP proofs beyond RFC 9449 section 4.3, which always applies. */
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

export type DpopPart = z.output<typeof dpop>;

type File = Readonly<{
  routes: readonly Pieces<RoutePart>[];
  dpop?: DpopPart | undefined;
  /** Undefined: malformed. */
  publicOrigins?: readonly string[] | undefined;
}>;

const noOrigins = 'needs publicOrigins: a proof names the address that it was made for, and Host is what a client says';

/** DPoP needs an origin that proofs can name, and clients that send tokens. */
export function checkDpop({ routes, publicOrigins, dpop }: File, refuse: Refuse): void {
  const hasOrigins = publicOrigins?.length !== 0;
  if (dpop?.nonces !== undefined && !hasOrigins) refuse(['dpop', 'nonces'], noOrigins);
  for (const [index, { auth, senderConstrained, forward }] of routes.entries()) {
    if (senderConstrained !== undefined && auth !== undefined) {
      const path = ['routes', index, 'senderConstrained'];
      if (auth !== 'required' && auth !== 'optional') {
        refuse(path, 'needs auth: required or optional: there is no token here');
      } else if (!hasOrigins) refuse(path, noOrigins);
    }
    if (forward?.dpop) {
      const path = ['routes', index, 'forward', 'dpop'];
      if (auth === 'service') refuse(path, 'is for clients: services sign their calls');
      else if (!hasOrigins) refuse(path, noOrigins);
    }
  }
}
