import type { ClaimPath, Issuer, ValueSource } from '../config/config.ts';
import { standardClientClaims } from '../config/presets.ts';
import type { Code } from '../errors.ts';
import { setClaim } from '../explain/assumed-claims.ts';
import type { RuleInput } from '../routing/policy.ts';
import { type Payload, pathText } from '../tokens/claim-mapping/claim-path.ts';
import { compileClaims } from '../tokens/claim-mapping/read-claims.ts';
import type { Claims } from '../tokens/claims.ts';

export type CallerKind = 'user' | 'client';

export type ClaimKey = string;

/** Stands for the parameters of the request's path among the claims that a rule reads. No claim has this name. */
export const pathParameters: ClaimPath = ['\0path'];

/** The codes of a refused token, in the order in which the gateway looks for them. */
export const tokenCodes: readonly Code[] = [
  'token_type_refused',
  'token_client_refused',
  'token_machine_refused',
  'token_claims_invalid',
  'token_tenant_refused',
  'token_role_refused',
  'token_context_too_long',
  'role_missing',
  'tenant_missing',
];

const pathOf = (source: ValueSource | undefined): ClaimPath | undefined =>
  source !== undefined && 'path' in source ? source.path : undefined;

/** The values that decide what a source reads: those of its map. Undefined if every value is taken as it is. */
const mappedFrom = (source: ValueSource | undefined): readonly string[] | undefined =>
  source?.kind === 'mapped' ? source.map.map(([from]) => from) : undefined;

/** Where an issuer's tokens have what the rules read. Undefined if no claim matters, such as for a constant role. */
export function claimsReadBy({ claims, machines }: Issuer, kind: CallerKind) {
  const { role, tenantId } = kind === 'user' ? claims : machines;
  return {
    role: pathOf(role),
    roles: mappedFrom(role),
    tenant: pathOf(tenantId),
    tenantIds: mappedFrom(tenantId),
    scope: claims.scope,
    client: claims.client.slice(0, 1),
  };
}

export const keyOf = (path: ClaimPath): ClaimKey => pathText(path);

/** The claims that a rule reads. */
export function pathsOf(input: RuleInput, issuer: Issuer, kind: CallerKind): readonly ClaimPath[] {
  const { role, tenant, scope, client } = claimsReadBy(issuer, kind);
  const known: Partial<Record<RuleInput, readonly (ClaimPath | undefined)[]>> = {
    caller: [['act']],
    binding: [['cnf']],
    actors: [['act']],
    clients: [client],
    scopes: [scope],
    roles: [role],
    tenant: [tenant, pathParameters],
  };
  const paths = known[input] ?? [[input.slice('claim:'.length)]];
  return paths.filter((path) => path !== undefined);
}

const constant = (value: string) => ({ kind: 'constant' as const, value });

export type Reading = Readonly<{ codes: ReadonlySet<Code>; claims: Claims }>;

const readers = new WeakMap<Issuer, Map<string, (payload: Payload) => Reading>>();

/**
 * Returns a reader of an issuer's claims, reduced to some of them: everything else about a token is as it should be.
 * Parts of a token that are read one by one have together the findings of the whole. Routes share what it has read.
 */
export function readerOf(issuer: Issuer, kind: CallerKind, keys: ReadonlySet<ClaimKey>): (payload: Payload) => Reading {
  const known = remembered(readers, issuer, () => new Map());
  return remembered(known, JSON.stringify([kind, ...keys]), () => compileReader(issuer, kind, keys));
}

export function remembered<Key, Value>(
  known: Readonly<{ get(key: Key): Value | undefined; set(key: Key, value: Value): unknown }>,
  key: Key,
  make: () => Value,
): Value {
  const value = known.get(key) ?? make();
  known.set(key, value);
  return value;
}

function compileReader(issuer: Issuer, kind: CallerKind, keys: ReadonlySet<ClaimKey>) {
  const { role, tenant, scope, client } = claimsReadBy(issuer, kind);
  const reads = (path: ClaimPath | undefined) => (path === undefined ? keys.size === 0 : keys.has(keyOf(path)));
  const readsTenant = reads(tenant) || (tenant === undefined && keys.has(keyOf(pathParameters)));
  const { claims, machines } = issuer;
  const read = compileClaims({
    ...issuer,
    audience: ['example'],
    clients: reads(client) ? issuer.clients : undefined,
    require: [],
    typeTest: [],
    revocations: undefined,
    events: undefined,
    subjectEncoding: 'none',
    userPrefix: '',
    roles: reads(role) ? issuer.roles : undefined,
    tenants: readsTenant ? issuer.tenants : undefined,
    tenantPrefix: readsTenant ? issuer.tenantPrefix : '',
    claims: {
      ...claims,
      userId: ['sub'],
      sessionId: ['sid'],
      scope: reads(scope) ? scope : ['countersign-no-scope'],
      role: reads(role) ? claims.role : constant('example'),
      tenantId: readsTenant ? claims.tenantId : constant('example'),
    },
    machines: {
      isAccepted: keys.size > 0 || machines.isAccepted,
      when: [],
      role: reads(role) ? machines.role : undefined,
      tenantId: readsTenant ? machines.tenantId : undefined,
    },
  });
  const known = new Map<string, Reading>();
  return (payload: Payload): Reading =>
    remembered(known, JSON.stringify(payload), () => {
      const whole = { aud: 'example', jti: 'JTI', iat: 0, exp: 60, ...payload };
      const { findings, claims: found } = read({ typ: 'at+jwt' }, whole, 0);
      return { codes: new Set(findings.map(({ code }) => code)), claims: found };
    });
}

/** The claims that every token of this kind has: a client's token names the client as its subject. */
export function completed(payload: Record<string, unknown>, iss: string, kind: CallerKind, client: ClaimPath) {
  const [name = 'client_id'] = client;
  if (kind === 'user') return { iss, sub: 'example-user', ...payload };
  const id = payload[name] ?? 'example-client';
  return { iss, sub: id, ...payload, [name]: id };
}

/** Writes claims by their paths. */
export function payloadOf(values: Iterable<readonly [ClaimPath, unknown]>): Record<string, unknown> {
  const payload: Record<string, unknown> = {};
  for (const [path, value] of values) if (value !== undefined) setClaim(payload, path, value);
  return payload;
}

/** Claims that are needed for every token, so no rule can be compared that reads them. */
const ofEveryToken =
  'iss aud exp iat nbf jti sub sid amr auth_time typ token_use nonce at_hash c_hash s_hash events token_introspection htm';

/** Says why the callers of one issuer cannot be compared. */
export function whyIncomparable(
  issuers: readonly Issuer[],
  kind: CallerKind,
  paths: readonly ClaimPath[],
): string | undefined {
  const differ = (read: (issuer: Issuer) => unknown) =>
    new Set(issuers.map((issuer) => JSON.stringify(read(issuer)))).size > 1;
  if (differ(({ machines }) => machines.when)) return 'machines.when differs';
  if (differ(({ claims }) => claims.client)) return 'claims.client differs';
  const reserved = new Set([...ofEveryToken.split(' '), ...standardClientClaims]);
  for (const { claims, template, require: required, machines } of issuers) {
    const conditions = [...required, ...machines.when].flat().map(({ claim }) => claim);
    const names = [claims.userId[0], claims.sessionId[0], template?.variable, ...claims.client, ...conditions];
    for (const name of names) if (name !== undefined) reserved.add(name);
  }
  const clients = new Set(issuers.map((issuer) => keyOf(claimsReadBy(issuer, kind).client)));
  const shared = paths.find((path) => reserved.has(path[0] ?? '') && !clients.has(keyOf(path)));
  if (shared !== undefined) return `${keyOf(shared)} is read, which decides more about a token`;
  const isInside = (path: ClaimPath, other: ClaimPath) =>
    other.length < path.length && other.every((step, at) => step === path[at]);
  const inner = paths.find((path) => paths.some((other) => isInside(path, other)));
  return inner && `${keyOf(inner)} is inside another claim that is read`;
}

/** Everything in an issuer that decides what the gateway reads from its tokens. Equal texts mean equal readings. */
export function readingOf(issuer: Issuer): string {
  const { claims, machines, clients, roles, tenants, tenantPrefix, template, types, isStrict } = issuer;
  const all = [issuer.issuer, claims, machines, clients, roles, tenants, tenantPrefix, template, types, isStrict];
  return JSON.stringify(all, (_key, part: unknown) => (part instanceof Set ? [...part] : part));
}
