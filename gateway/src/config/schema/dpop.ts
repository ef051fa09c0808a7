import { z } from 'zod';
import type { Refuse } from './cross-checks.ts';
import type { RoutePieces } from './routes.ts';
import { filePath, seconds, text } from './values/scalars.ts';

/** Additional checks of DPoP proofs. The checks of RFC 9449 section 4.3 always apply. */
export const dpop = z.strictObject({
  nonces: z
    .strictObject({
      secret: text
        .optional()
        .describe('The secret, at least 32 bytes, from a variable. All replicas need the same secret.'),
      secretFile: filePath.optional().describe('A file with the secret, instead of `secret`.'),
      lifetime: seconds({ min: '10s', max: '1h' })
        .prefault('5m')
        .describe('How long the gateway issues the same nonce. It also accepts the previous one.'),
    })
    .optional()
    .describe('Requires a nonce from the gateway in every DPoP proof.'),
});

export type DpopPart = z.output<typeof dpop>;

type DpopFile = Readonly<{
  routes: readonly RoutePieces[];
  dpop?: DpopPart | undefined;
  /** Undefined if malformed. */
  publicOrigins?: readonly string[] | undefined;
}>;

const noOrigins = 'needs publicOrigins: a proof names its URL, and the client controls the Host header';

export function checkDpop({ routes, publicOrigins, dpop }: DpopFile, refuse: Refuse): void {
  const hasOrigins = publicOrigins?.length !== 0;
  if (dpop?.nonces !== undefined && !hasOrigins) refuse(['dpop', 'nonces'], noOrigins);
  for (const [index, { auth, senderConstrained, forward }] of routes.entries()) {
    if (senderConstrained !== undefined && auth !== undefined) {
      const path = ['routes', index, 'senderConstrained'];
      if (auth !== 'required' && auth !== 'optional') {
        refuse(path, 'needs auth: required or optional: this route takes no token');
      } else if (!hasOrigins) refuse(path, noOrigins);
    }
    if (forward?.dpop) {
      const path = ['routes', index, 'forward', 'dpop'];
      if (auth === 'service') refuse(path, 'works only on routes for clients: services sign their calls instead');
      else if (!hasOrigins) refuse(path, noOrigins);
    }
  }
}
