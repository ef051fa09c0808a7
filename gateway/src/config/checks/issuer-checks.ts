import { resolve } from 'node:path';
import { isPlainHttp } from '@countersign/process-kit';
import { whyNoIssuerKeys } from '../files.ts';
import { presetOf } from '../presets.ts';
import type { ClaimPath, Conditions, ValueSource } from '../schema/issuers/issuer-values.ts';
import {
  algorithmsOf,
  hasKeys,
  type IssuerPieces,
  isDiscovered,
  isStrict,
  mayLackAudience,
  resolveIssuers,
  typesOf,
} from '../schema/issuers/issuers.ts';
import { isFetched, isForbiddenHost, plainHttp } from '../schema/values/urls.ts';
import { below, type CheckedFile, type Refuse, type UpstreamPieces } from './cross-checks.ts';
import { checkEvents } from './event-checks.ts';
import { checkTenants } from './tenant-checks.ts';

/** For checks of claims, which need nothing else from the file. */
export const unresolved = {
  directory: '',
  kept: { scopes: new Set<string>(), claims: [], copied: [] },
  redactedAt: () => '',
};

export function checkIssuers(file: CheckedFile, refuse: Refuse): void {
  const { issuers, isMalformed } = file;
  for (const [index, part] of issuers.entries()) {
    const isBad: IsBad = (...keys) => keys.some((key) => isMalformed('issuers', index, key));
    const refuseHere = below(refuse, 'issuers', index);
    checkKeys(part, isBad, refuseHere);
    checkAudience(part, isBad, refuseHere);
    checkTypes(part, isBad, refuseHere);
    checkTemplate(part, isBad, refuseHere);
    checkIssuerClaims(part, refuseHere);
    checkUrls(part, file, refuseHere);
    if (!isBad('algorithms')) checkKeyFiles(part, file, refuseHere);
    if (!isBad('events', 'name', 'provider', 'template', 'claims')) checkEvents(part, refuseHere);
    checkConflicts(part, issuers.slice(0, index), refuseHere);
    checkIntrospection(part, issuers.slice(0, index), isBad, refuseHere);
  }
  checkTenants(
    issuers.map((part, index) => {
      // The malformed part could be the one that limits the tenants.
      const isWhole = Object.keys(part).every((key) => !isMalformed('issuers', index, key));
      return isWhole && part.issuer !== undefined
        ? resolveIssuers(part as Parameters<typeof resolveIssuers>[0], unresolved)
        : undefined;
    }),
    refuse,
  );
}

type IsBad = (...keys: readonly (keyof IssuerPieces)[]) => boolean;

function checkKeys(part: IssuerPieces, isBad: IsBad, refuse: Refuse): void {
  const { jwks, discovery, template } = part;
  if (isBad('jwks', 'discovery', 'provider', 'template')) return;
  if (jwks !== undefined && discovery === true) {
    refuse(['discovery'], 'already finds the keys: remove "discovery" or "jwks"', { other: ['jwks'] });
  }
  if (jwks !== undefined && /[{}]|%7b|%7d/i.test(jwks)) {
    refuse(['jwks'], 'must be one URL: omit jwks and set discovery: true to find the keys of each issuer');
  }
  if (!hasKeys(part) && part.introspection === undefined && !isBad('introspection')) {
    const message =
      '"jwks" is required: must be the path of a JWK set, or a URL; or set discovery: true to read it from the issuer';
    refuse([], message, { absent: 'jwks' });
  }
  if (jwks === undefined && isDiscovered(part) && Object.values(template ?? {}).includes('any')) {
    refuse(['template'], 'any needs "jwks": the key URL must not depend on a token');
  }
}

function checkAudience(part: IssuerPieces, isBad: IsBad, refuse: Refuse): void {
  const { audience, clients, provider, require: required } = part;
  if (isBad('audience', 'provider', 'types', 'clients')) return;
  if (mayLackAudience(part)) {
    if (audience === undefined && clients === undefined) {
      const why = `tokens of ${provider} have no \`aud\`, so list the accepted OAuth clients instead`;
      refuse([], `"clients" is required: ${why}`, { absent: 'clients' });
    }
    return;
  }
  if (audience === undefined) {
    refuse([], '"audience" is required: must be a string, or a list of strings', { absent: 'audience' });
    return;
  }
  const named = audience.find((one) => presetOf(provider).sharedAudiences.includes(one));
  if (named !== undefined && clients === undefined && !proves(required) && !isBad('require')) {
    const why = `is in every token from ${provider}, whichever OAuth client it is for`;
    refuse(['audience'], `"${named}" ${why}: add "clients" or "require"`);
  }
}

function checkTypes(part: IssuerPieces, isBad: IsBad, refuse: Refuse): void {
  if (isBad('types', 'provider')) return;
  const types = typesOf(part);
  if (types.includes('id-token')) {
    if (types.length > 1)
      refuse(['types'], 'id-token must be the only type: an issuer sends ID tokens or access tokens');
  } else if (presetOf(part.provider).accessToken === undefined) {
    refuse(['types'], `${part.provider} sends ID tokens only: remove "types", or write [id-token]`);
  }
  if (isStrict(part) || part.provider !== undefined) return;
  if (!isBad('require')) {
    const message =
      '"require" is required with types other than at+jwt: name a claim that only these tokens have, because ID tokens look the same';
    requireProof(part.require, message, refuse);
  }
  if (part.machines === undefined && !isBad('machines')) {
    const message = '"machines" is required with types other than at+jwt: { when: … }, or none';
    refuse([], message, { absent: 'machines' });
  } else if (part.machines !== 'none' && part.machines !== undefined && part.machines.when === undefined) {
    refuse(
      ['machines'],
      '"when" is required without a provider: name the claims that only tokens of OAuth clients have',
    );
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

function checkIntrospection(part: IssuerPieces, before: readonly IssuerPieces[], isBad: IsBad, refuse: Refuse): void {
  const { introspection, events } = part;
  if (introspection === undefined) return;
  const at = ['introspection'];
  const other = before.findIndex((one) => one.introspection !== undefined);
  if (other !== -1) {
    const message = 'is written for two issuers: an opaque token does not name its issuer';
    refuse(at, message, { other: ['issuers', other, 'introspection'] });
  }
  const issuers = issuersOf(part);
  if (issuers.length > 1 || issuers.some((one) => one.includes(anyValue)))
    refuse(at, 'needs one literal issuer: an opaque token does not name its issuer');
  if (typesOf(part).includes('id-token')) refuse(at, 'does not go with id-token: ID tokens are never opaque');
  if (hasKeys(part) || isBad('jwks', 'discovery')) return;
  const needsKeys = 'needs keys: set jwks, or discovery: true';
  if (introspection.signed) refuse([...at, 'signed'], needsKeys);
  if (events !== undefined) refuse(['events'], needsKeys);
}

function checkUrls(part: IssuerPieces, { upstreams, insecureTransport }: CheckedFile, refuse: Refuse): void {
  const { jwks, revocations: feed, events, introspection } = part;
  const eventKeys = events?.sharedSignals?.jwks;
  // The metadata, which names the URL of the keys, is fetched from the issuer itself.
  const issuer = isDiscovered(part) ? part.issuer : undefined;
  if (issuer !== undefined && isForbiddenHost(new URL(issuer).hostname)) {
    refuse(['issuer'], 'is a link-local or metadata address, and the gateway fetches nothing from those');
  }
  // The gateway signs its feed requests with the identity of an upstream.
  if (feed !== undefined && isAtNoTarget(feed.url, upstreams)) {
    refuse(['revocations', 'url'], 'is not at a target of any upstream, so the gateway could not sign its requests');
  }
  if (insecureTransport) return;
  for (const [url, ...path] of [
    [issuer, 'issuer'],
    [jwks, 'jwks'],
    [feed?.url, 'revocations', 'url'],
    [eventKeys, 'events', 'sharedSignals', 'jwks'],
    [introspection?.url, 'introspection', 'url'],
  ]) {
    if (url !== undefined && isPlainHttp(url)) refuse(path as readonly string[], plainHttp);
  }
}

function isAtNoTarget(url: string, upstreams: UpstreamPieces): boolean {
  const all = Object.values(upstreams).map(({ targets }) => targets);
  // The URL may belong to a target that is malformed.
  return !all.includes(undefined) && !all.flat().includes(new URL(url).origin);
}

/** Checks that key files are usable. A URL without a scheme counts as a missing file. */
function checkKeyFiles(part: IssuerPieces, { directory, unread }: CheckedFile, refuse: Refuse): void {
  const sources = [
    [part.jwks, ['jwks']],
    [part.events?.sharedSignals?.jwks, ['events', 'sharedSignals', 'jwks']],
  ] as const;
  for (const [source, path] of sources) {
    if (source === undefined || isFetched(source)) continue;
    if (unread !== undefined) {
      unread.add(source);
      continue;
    }
    const why = whyNoIssuerKeys(resolve(directory, source), algorithmsOf(part));
    if (why !== undefined) refuse(path, `is a file that ${why}; a URL begins with http:// or https://`);
  }
}

function checkConflicts(part: IssuerPieces, before: readonly IssuerPieces[], refuse: Refuse): void {
  const named = before.findIndex(({ name }) => name !== undefined && name === part.name);
  if (named !== -1) refuse(['name'], 'is written twice', { other: ['issuers', named, 'name'] });
  const same = before.findIndex((one) => overlap(one, part));
  if (same === -1) return;
  const why = before[same]?.issuer === part.issuer ? 'is written twice' : 'overlaps with another issuer';
  refuse(['issuer'], why, { other: ['issuers', same, 'issuer'] });
}

const variable = /^\{([A-Za-z][A-Za-z0-9_]{0,31})\}$/;

/** Returns the variables in an issuer. Undefined if braces are used for anything but one whole path segment. */
function variablesIn(issuer: string): readonly string[] | undefined {
  const [, , , ...segments] = issuer.split('/');
  const found = segments.flatMap((segment) => variable.exec(segment)?.[1] ?? []);
  const rest = issuer.split('/').filter((segment, index) => index < 3 || !variable.test(segment));
  return rest.some((segment) => /[{}]/.test(segment)) || found.length > 1 ? undefined : found;
}

/** Stands for any value of a variable. */
const anyValue = '{}';

const overlap = (a: IssuerPieces, b: IssuerPieces): boolean =>
  issuersOf(a).some((ours) => issuersOf(b).some((theirs) => meet(ours, theirs)));

function issuersOf({ issuer, template = {} }: IssuerPieces): readonly string[] {
  const [name, values] = Object.entries(template)[0] ?? [];
  if (issuer === undefined || values === undefined) return [issuer ?? []].flat();
  return (values === 'any' ? [anyValue] : values).map((value) => issuer.replace(`{${name}}`, value));
}

function meet(a: string, b: string): boolean {
  if (a === b || !`${a}${b}`.includes(anyValue)) return a === b;
  const [ours, theirs] = [a.split('/'), b.split('/')];
  const fits = (one: string, other = '') => one === other || (one === anyValue && /^[A-Za-z0-9-]{1,64}$/.test(other));
  return ours.length === theirs.length && ours.every((one, at) => fits(one, theirs[at]) || fits(theirs[at] ?? '', one));
}

/** These can pass to another person, and some providers let people choose them. */
const reassignable = new Set(['email', 'upn', 'preferred_username', 'unique_name', 'username', 'nickname']);
/** Claims that people can set themselves at Auth0, Supabase and Clerk. */
const selfWritten = new Set(['user_metadata', 'unsafe_metadata']);

/** Refuses claims that do not identify a user permanently, or that people can set themselves. */
function checkIssuerClaims({ claims, provider, machines, require: required }: IssuerPieces, refuse: Refuse): void {
  if (claims === undefined) return;
  // Auth0 uses URLs as names of custom claims, such as https://example.com/email.
  const nameOf = (step: string) => step.slice(step.lastIndexOf('/') + 1);
  const name = claims.userId?.map(nameOf).find((step) => reassignable.has(step.toLowerCase()));
  if (name !== undefined) {
    refuse(['claims', 'userId'], `"${name}" can pass from one person to another: use a permanent id, such as sub`);
  }
  const ofMachines = machines === 'none' ? undefined : machines;
  const paths: readonly (readonly [part: string, key: string, path: ClaimPath | undefined])[] = [
    ['claims', 'userId', claims.userId],
    ['claims', 'role', pathIn(claims.role)],
    ['claims', 'tenantId', pathIn(claims.tenantId)],
    ['claims', 'scope', claims.scope],
    ['machines', 'role', pathIn(ofMachines?.role)],
    ['machines', 'tenantId', pathIn(ofMachines?.tenantId)],
  ];
  for (const [part, key, path] of paths) {
    const own = path?.map(nameOf).find((step) => selfWritten.has(step));
    if (own !== undefined) refuse([part, key], `people can write "${own}" themselves, so it proves nothing`);
  }
  const tenants = [claims.tenantId ?? presetOf(provider).claims.tenantId, ofMachines?.tenantId];
  const isForAll = tenants.some(
    (tenant) => tenant?.kind === 'constant' || (tenant?.kind === 'mapped' && tenant.otherwise !== undefined),
  );
  if (presetOf(provider).isOpen && isForAll) {
    const message = `"require" is required, such as { hd: [example.com] }: anyone can have a ${provider} account`;
    requireProof(required, message, refuse);
  }
}

/** Refuses an issuer if `require` does not prove that a token has some claim. An absent claim proves nothing. */
function requireProof(required: Conditions | undefined, message: string, refuse: Refuse): void {
  if (required === undefined) refuse([], message, { absent: 'require' });
  else if (!proves(required)) {
    const why = 'each map needs a condition on a claim that is present, not only on absent ones';
    refuse(['require'], `proves nothing: ${why}`);
  }
}

const proves = (required: Conditions | undefined): boolean =>
  required?.every((all) => all.some(({ expected }) => expected.is !== 'absent')) === true;

function pathIn(source: ValueSource | undefined): ClaimPath | undefined {
  return source?.kind === 'claim' || source?.kind === 'mapped' ? source.path : undefined;
}
