import type { Limit, Route, Upstream } from '../config/config.ts';
import type { IdentityToken } from '../config/schema/identity-token.ts';

/** Formats a limit as `600 in 60 s by user`. */
export const limitText = ({ requests, perSec, by, onStoreFailure }: Limit): string =>
  `${requests} in ${perSec} s by ${by}${onStoreFailure === 'deny' ? '; 503 while Redis is unavailable' : ''}`;

/** Formats inherited keys as `auth, limits: from the group complaints (gateway.yaml:60:5)`. */
export const inheritedText = ({ group, keys, at }: Route['inherited'][number]): string =>
  `${keys.join(', ')}: from the group ${group} (${at})`;

/** Formats an upstream's identity token, with what a copy of it can do. Undefined if the upstream receives none. */
export function tokenText({ identity: { headers, token } }: Upstream): string | undefined {
  if (token === undefined) return undefined;
  const { header, callers, lifetimeSec } = token;
  const form = headers ? '' : '; without signed headers, so without agreed keys and remembered nonces';
  return `identity token in ${header} for ${callers.join(', ')}, ${lifetimeSec} s: ${replayText(token)}${form}`;
}

/** A library checks the signature, the issuer and the audience of a token, and nothing else. */
const replayText = ({ bind, lifetimeSec }: IdentityToken): string =>
  bind === 'request'
    ? 'bound to the request, and replayable unless the service checks req'
    : `not bound, so anyone who copies it is the caller at this service for ${lifetimeSec} s`;
