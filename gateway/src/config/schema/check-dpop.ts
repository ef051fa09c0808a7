import type { PartialRoute, Parts } from './parts.ts';
import type { Finding } from './problems.ts';

/** What has to be there before a DPoP proof can be checked, and where one can be asked for at all. */
export function checkDpop({ routes, publicOrigins, dpop }: Parts): readonly Finding[] {
  const findings: Finding[] = [];
  // Origins that are not well-formed are a problem of their own.
  const hasOrigins = publicOrigins?.length !== 0;
  if (dpop?.nonces !== undefined && !hasOrigins) findings.push({ path: ['dpop', 'nonces'], message: noOrigins });
  for (const [index, route] of routes.entries()) {
    const refuse = (path: readonly string[], message: string) =>
      findings.push({ path: ['routes', index, ...path], message });
    if (route.senderConstrained !== undefined && route.auth !== undefined) {
      if (!takesTokens(route))
        refuse(['senderConstrained'], 'needs auth: required or optional: there is no token here');
      else if (!hasOrigins) refuse(['senderConstrained'], noOrigins);
    }
    if (route.forward?.dpop) {
      if (route.auth === 'service') refuse(['forward', 'dpop'], 'is for clients: services sign their calls');
      else if (!hasOrigins) refuse(['forward', 'dpop'], noOrigins);
    }
  }
  return findings;
}

const noOrigins = 'needs publicOrigins: a proof names the address that it was made for, and Host is what a client says';

const takesTokens = ({ auth }: PartialRoute): boolean => auth === 'required' || auth === 'optional';
