import type { Pieces, Refuse } from './cross-checks.ts';
import type { DpopPart } from './dpop.ts';
import type { RoutePart } from './routes.ts';

type DpopFile = Readonly<{
  routes: readonly Pieces<RoutePart>[];
  dpop?: DpopPart | undefined;
  /** Undefined: malformed. */
  publicOrigins?: readonly string[] | undefined;
}>;

const noOrigins = 'needs publicOrigins: a proof names its URL, and the client controls the Host header';

/** Refuses keys of DPoP without `publicOrigins`, and on routes without client tokens. */
export function checkDpop({ routes, publicOrigins, dpop }: DpopFile, refuse: Refuse): void {
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
