import { presets } from '../../presets.ts';
import type { IsMalformed, Refuse } from '../cross-checks.ts';
import { checkIssuerClaims, proves, requireProof } from './issuer-claim-checks.ts';
import { overlaps, variablesIn } from './issuer-templates.ts';
import { checkIssuerKeyFile, checkIssuerUrls, type IssuerSurroundings } from './issuer-url-checks.ts';
import { type IssuerPieces, isDiscovered, isStrict, mayLackAudience, resolveIssuers, typesOf } from './issuers.ts';
import { checkTenants } from './tenant-checks.ts';

const unresolved = { directory: '', kept: { scopes: new Set<string>(), claims: [] }, redactedAt: () => '' };

type IssuersFile = IssuerSurroundings & Readonly<{ issuers: readonly IssuerPieces[] }>;

/** Checks each issuer, and that no two of them issue the same `iss` or name the same tenant. */
export function checkIssuers({ issuers, ...around }: IssuersFile, isMalformed: IsMalformed, refuse: Refuse): void {
  for (const [index, part] of issuers.entries()) {
    const path = ['issuers', index];
    const isBad = (key: keyof IssuerPieces) => isMalformed('issuers', index, key);
    const refuseHere: Refuse = (at, ...problem) => refuse([...path, ...at], ...problem);
    checkKeys(part, isBad, refuseHere);
    checkAudience(part, isBad, refuseHere);
    checkTypes(part, isBad, refuseHere);
    checkTemplate(part, isBad, refuseHere);
    checkIssuerClaims(part, refuseHere);
    checkIssuerUrls(part, around, refuseHere);
    if (!isBad('algorithms')) checkIssuerKeyFile(part, around.directory, refuseHere);
  }
  checkNames(issuers, refuse);
  checkOverlaps(issuers, refuse);
  checkTenants(
    issuers.map((part, index) => {
      const whole = Object.keys(part).every((key) => !isMalformed('issuers', index, key));
      // A malformed part could be the one that bounds the tenants.
      return whole && part.issuer !== undefined
        ? resolveIssuers(part as Parameters<typeof resolveIssuers>[0], unresolved)
        : undefined;
    }),
    refuse,
  );
}

type IsBad = (key: keyof IssuerPieces) => boolean;

function checkKeys(part: IssuerPieces, isBad: IsBad, refuse: Refuse): void {
  const { jwks, discovery, template } = part;
  if (isBad('jwks') || isBad('discovery') || isBad('provider') || isBad('template')) return;
  if (jwks !== undefined && discovery === true) {
    refuse(['discovery'], 'finds the keys already: remove it, or "jwks"', { other: ['jwks'] });
  }
  if (jwks !== undefined && /[{}]|%7b|%7d/i.test(jwks)) {
    refuse(['jwks'], 'must be one URL: leave jwks out and set discovery: true to find the keys of each issuer');
  }
  if (jwks === undefined && !isDiscovered(part)) {
    const message =
      '"jwks" is required: must be the path of a JWK set, or a URL; or set discovery: true to read it from the issuer';
    refuse([], message, { absent: 'jwks' });
  }
  if (jwks === undefined && isDiscovered(part) && Object.values(template ?? {}).includes('any')) {
    refuse(['template'], 'any needs "jwks": the URL of the keys must not depend on a token');
  }
}

function checkAudience(part: IssuerPieces, isBad: IsBad, refuse: Refuse): void {
  const { audience, clients, provider, require: required } = part;
  if (isBad('audience') || isBad('provider') || isBad('types') || isBad('clients')) return;
  if (mayLackAudience(part)) {
    if (audience === undefined && clients === undefined) {
      refuse([], `"clients" is required: tokens of ${provider} have no \`aud\`, so a list of clients takes its place`, {
        absent: 'clients',
      });
    }
    return;
  }
  if (audience === undefined) {
    refuse([], '"audience" is required: must be a string, or a list of strings', { absent: 'audience' });
    return;
  }
  const shared = provider === undefined ? [] : presets[provider].sharedAudiences;
  const named = audience.find((one) => shared.includes(one));
  if (named !== undefined && clients === undefined && !proves(required) && !isBad('require')) {
    refuse(['audience'], `"${named}" is in the tokens of every client of ${provider}: add "clients" or "require"`);
  }
}

function checkTypes(part: IssuerPieces, isBad: IsBad, refuse: Refuse): void {
  if (isBad('types') || isBad('provider')) return;
  const types = typesOf(part);
  const preset = part.provider && presets[part.provider];
  if (types.includes('id-token')) {
    if (types.length > 1) refuse(['types'], 'id-token stands alone: an issuer sends ID tokens or access tokens');
  } else if (preset !== undefined && preset.accessToken === undefined) {
    refuse(['types'], `${part.provider} sends ID tokens only: remove "types", or write [id-token]`);
  }
  if (isStrict(part) || preset !== undefined) return;
  if (!isBad('require')) {
    const message =
      '"require" is required with types other than at+jwt: a claim that only these tokens have, since ID tokens look the same';
    requireProof(part.require, message, refuse);
  }
  if (part.machines === undefined && !isBad('machines')) {
    const message = '"machines" is required with types other than at+jwt: { when: … }, or none';
    refuse([], message, { absent: 'machines' });
  } else if (part.machines !== 'none' && part.machines !== undefined && part.machines.when === undefined) {
    refuse(['machines'], '"when" is required without a provider: the claims that only a machine token has');
  }
}

function checkTemplate(part: IssuerPieces, isBad: IsBad, refuse: Refuse): void {
  const { issuer, template, claims, provider } = part;
  if (issuer === undefined || isBad('template')) return;
  const [variable, values] = Object.entries(template ?? {})[0] ?? [];
  const variables = variablesIn(issuer);
  if (variables === undefined) {
    refuse(['issuer'], 'may have one variable, as a whole segment of its path, such as /{tid}/');
  } else if (variable !== undefined && variables[0] !== variable) {
    refuse(['template'], `the issuer has no "{${variable}}"`, { other: ['issuer'] });
  } else if (variable === undefined && variables.length > 0) {
    refuse(['issuer'], `has a variable, so "template" is required: { ${variables[0]}: [...] }, or any`);
  }
  const source = claims?.tenantId;
  if (source?.kind === 'fromIssuer' && source.variable !== (variable ?? (provider === 'entra' ? 'tid' : undefined))) {
    refuse(['claims', 'tenantId'], `the template has no variable "${source.variable}"`);
  }
  const isFromIssuer = source?.kind === 'fromIssuer' || (source === undefined && provider === 'entra');
  if (values === 'any' && !isFromIssuer && !isBad('claims')) {
    const message = `any needs claims.tenantId: { fromIssuer: ${variable} }: every tenant of the provider could log in`;
    refuse(['template'], message);
  }
}

function checkNames(issuers: readonly IssuerPieces[], refuse: Refuse): void {
  const seen = new Map<string, number>();
  for (const [index, { name }] of issuers.entries()) {
    if (name === undefined) continue;
    const other = seen.get(name);
    if (other === undefined) seen.set(name, index);
    else refuse(['issuers', index, 'name'], 'is written twice', { other: ['issuers', other, 'name'] });
  }
}

function checkOverlaps(issuers: readonly IssuerPieces[], refuse: Refuse): void {
  for (const [index, part] of issuers.entries()) {
    const other = issuers.slice(0, index).findIndex((before) => overlaps(before, part));
    if (other === -1) continue;
    const isSame = issuers[other]?.issuer === part.issuer;
    refuse(['issuers', index, 'issuer'], isSame ? 'is written twice' : 'overlaps with another issuer', {
      other: ['issuers', other, 'issuer'],
    });
  }
}
