import { idPattern } from '@countersign/identity';
import { type Path, unknown } from '@countersign/strict-yaml';
import type { Condition, ValueSource } from '../schema/issuers/issuer-values.ts';
import type { Issuer, Template } from '../schema/issuers/issuers.ts';
import type { TestCaller } from '../schema/policy-tests.ts';
import type { Allow } from '../schema/routes.ts';
import type { Refuse } from './cross-checks.ts';

/**
 * Proves for each pair of issuers that they cannot name the same tenant. Otherwise a hostile issuer could impersonate
 * another issuer's users (docs/threat-model.md). Each template value counts as a separate issuer.
 *
 * @param resolved The issuers from each entry. Undefined if the entry is malformed.
 */
export function checkTenants(resolved: readonly (readonly Issuer[] | undefined)[], refuse: Refuse): void {
  const all = resolved.flatMap((issuers = [], index) => issuers.map((issuer) => knownOf(issuer, index)));
  const count = all.length + resolved.filter((issuers) => issuers === undefined).length;
  if (count < 2) return;
  const reported = new Set<number>();
  const known: Known[] = [];
  for (const one of all) {
    const { index, issuer, tenants } = one;
    if (reported.has(index)) continue;
    const report = (message: string, ...conflict: readonly { other: Path }[]) => {
      reported.add(index);
      refuse(['issuers', index], message, ...conflict);
    };
    if (tenants === undefined) report(required('tenants', 'or set claims.tenantId or tenantPrefix'));
    if (hasAnyRole(issuer)) report(required('roles', 'or map them in claims.role'));
    if (tenants === undefined) continue;
    const clash = known.find((other) => mustNotMeet(one, other));
    if (clash?.index === index) {
      const name = sharedBy(clash.tenants, tenants);
      report(`two values of the template can name the tenant "${name}": read it fromIssuer, or set sameSubjects: true`);
    } else if (clash !== undefined) {
      report(clashBetween(one, clash), { other: ['issuers', clash.index] });
    }
    known.push(one);
  }
}

/** The tenants of everyone that an issuer vouches for: its users and its machines. */
type Known = Readonly<{ index: number; issuer: Issuer; tenants: Names; users: Names; machines: Names }>;

function knownOf(issuer: Issuer, index: number): Known {
  const [users, machines] = [issuer.claims.tenantId, issuer.machines.tenantId];
  const tenants = tenantsOf(issuer, [users, machines]);
  return { index, issuer, tenants, users: tenantsOf(issuer, [users]), machines: tenantsOf(issuer, [machines]) };
}

function mustNotMeet(a: Known, b: Known): boolean {
  if (!meet(a.tenants, b.tenants) || haveSameSubjects(a.issuer, b.issuer)) return false;
  return !haveDistinctUsers(a.issuer, b.issuer) || mayShareMachines(a, b);
}

/** Whether a service could mistake their machines for each other: `userPrefix` does not change OAuth client ids. */
function mayShareMachines(a: Known, b: Known): boolean {
  if (!meet(a.machines, b.machines)) return false;
  const [ours, theirs] = [a.issuer.clients, b.issuer.clients];
  return ours === undefined || theirs === undefined || ours.some((client) => theirs.includes(client));
}

function clashBetween(one: Known, other: Known): string {
  const hasOwnUsers = haveDistinctUsers(one.issuer, other.issuer);
  const machines = mayShareMachines(one, other);
  const name = hasOwnUsers ? sharedBy(one.machines, other.machines) : sharedBy(one.tenants, other.tenants);
  const callers = [
    ...(!hasOwnUsers && meet(one.users, other.users) ? ['users'] : []),
    ...(machines ? ['machines'] : []),
  ];
  const both = `${nameOf(one)} and ${nameOf(other)}`;
  const why =
    callers.length === 0
      ? `callers of ${both} would share that tenant`
      : `${callers.join(' and ')} of ${both} could have the same id in that tenant`;
  const remedy = hasOwnUsers
    ? 'give each issuer its own machines.tenantId, or its own list of clients'
    : `give each issuer its own tenants, or its own userPrefix${machines ? ' and its own list of clients' : ''}`;
  return `can name the tenant "${name}" of issuers[${other.index}], so ${why}: ${remedy}; or set sameSubjects: true on both, if one id means one caller`;
}

const nameOf = ({ issuer }: Pick<Known, 'issuer'>): string => issuer.name ?? issuer.issuer;

const required = (key: string, instead: string): string =>
  `"${key}" is required with two or more issuers: list the ${key} that this issuer may name, ${instead}`;

const hasAnyRole = (issuer: Issuer): boolean =>
  rolesOf(issuer, [issuer.claims.role, issuer.machines.role]) === undefined;

const meet = (a: Names, b: Names): boolean => sharedBy(a, b) !== undefined;

/** Returns a tenant or prefix that both issuers can name. */
function sharedBy(a: Names, b: Names): string | undefined {
  if (a === undefined || b === undefined) return undefined;
  if ('list' in a) {
    return [...a.list].find((tenant) => ('list' in b ? b.list.has(tenant) : tenant.startsWith(b.prefix)));
  }
  if ('list' in b) return sharedBy(b, a);
  if (a.prefix.startsWith(b.prefix)) return a.prefix;
  return b.prefix.startsWith(a.prefix) ? b.prefix : undefined;
}

const haveSameSubjects = (a: Issuer, b: Issuer): boolean => a.sameSubjects && b.sameSubjects;

/** Whether user ids with one prefix always differ from those with the other. Every prefix starts with the empty one. */
const haveDistinctUsers = (a: Issuer, b: Issuer): boolean =>
  !a.userPrefix.startsWith(b.userPrefix) && !b.userPrefix.startsWith(a.userPrefix);

/**
 * The roles, tenants or OAuth clients that tokens can name: a list, or everything with a prefix. Undefined means any.
 */
export type Names = Readonly<{ list: ReadonlySet<string> }> | Readonly<{ prefix: string }> | undefined;

type Sources = readonly (ValueSource | undefined)[];

const tenantsOf = ({ tenants, tenantPrefix, template }: Issuer, sources: Sources): Names =>
  namesOf(sources, template, tenants, tenantPrefix);

export const rolesOf = ({ roles, template }: Issuer, sources: Sources): Names => namesOf(sources, template, roles, '');

function namesOf(
  sources: Sources,
  template: Template,
  allowed: ReadonlySet<string> | undefined,
  prefix: string,
): Names {
  const all = sources.map((source) => (source === undefined ? [] : valuesOf(source, template)));
  if (!all.includes(undefined)) {
    const values = all.flatMap((some = []) => some.map(([, value]) => prefix + value));
    return { list: new Set(values.filter((value) => allowed?.has(value) ?? true)) };
  }
  if (allowed !== undefined) return { list: allowed };
  return prefix === '' ? undefined : { prefix };
}

/** Returns the values that a source can have, each with its place in the source. Undefined means any. */
export function valuesOf(
  source: ValueSource,
  template: Template,
): readonly (readonly [at: Path, value: string])[] | undefined {
  switch (source.kind) {
    case 'constant':
      return [[['constant'], source.value]];
    case 'mapped': {
      const values = source.map.map(([from, value]) => [['map', from], value] as const);
      return source.otherwise === undefined ? values : [...values, [['otherwise'], source.otherwise]];
    }
    case 'fromIssuer':
      return template?.value === undefined ? undefined : [[[], template.value]];
    case 'claim':
      return undefined;
  }
}

/** What is impossible: the key in the caller, and the possible values. */
type Impossible = Readonly<{ key: keyof TestCaller; message: string }>;

/**
 * Says why no token of an issuer can have a test's caller. Undefined if one can.
 *
 * @param allow The rules of the test's route. A test may omit what they do not read.
 */
export function whyImpossible(as: TestCaller, issuer: Issuer, allow: Allow = {}): Impossible | undefined {
  const { claims, machines, clients } = issuer;
  const isUser = as.userId !== undefined;
  // The gateway refuses every machine of this issuer, and a test may expect that.
  if (!isUser && !machines.isAccepted) return undefined;
  const source = isUser ? claims : machines;
  const whom = `${issuer.name ?? issuer.issuer} gives to ${isUser ? 'users' : 'machines'}`;
  const kinds = [
    ['role', 'a role', rolesOf(issuer, [source.role])],
    ['tenantId', 'a tenant', tenantsOf(issuer, [source.tenantId])],
    ['client', 'an OAuth client', clients && { list: new Set(clients) }],
  ] as const;
  for (const [key, kind, names] of kinds) {
    const value = as[key];
    if (value === undefined || names === undefined) continue;
    if ('prefix' in names ? value.startsWith(names.prefix) : names.list.has(value)) continue;
    const known = 'prefix' in names ? [`${names.prefix}…`] : [...names.list];
    return { key, message: unknown(`${kind} that ${whom}`, value, known) };
  }
  return idProblem(as, issuer) ?? lacking(as, issuer, allow) ?? unmetClaim(as, issuer);
}

function idProblem({ userId, client }: TestCaller, issuer: Issuer): Impossible | undefined {
  const { userPrefix, subjectEncoding, claims, isStrict } = issuer;
  const isClient = client === undefined || idPattern.test(client) || (userId !== undefined && !isStrict);
  if (!isClient) return { key: 'client', message: `"${client}" is not an id, so the gateway refuses such a token` };
  if (userId === undefined) return undefined;
  const refused = (why: string): Impossible => ({ key: 'userId', message: `"${userId}" ${why}` });
  if (!userId.startsWith(userPrefix)) return refused(`lacks the issuer's userPrefix "${userPrefix}"`);
  const own = userId.slice(userPrefix.length);
  if (subjectEncoding === 'none') {
    const isSubject = claims.userId.length === 1 && claims.userId[0] === 'sub';
    return isSubject && own === client
      ? refused('is also the OAuth client, so the token belongs to a machine')
      : undefined;
  }
  const isEncoded = Buffer.from(own, 'base64url').toString('base64url') === own;
  return isEncoded ? undefined : refused('is not base64url, in which this issuer encodes user ids');
}

/** Finds what every token of the issuer has. Only a machine's role may be absent, if it is read from one claim. */
function lacking(as: TestCaller, issuer: Issuer, { roles, tenant, clients }: Allow): Impossible | undefined {
  const { role, tenantId } = as.userId === undefined ? issuer.machines : issuer.claims;
  const always = {
    role: roles !== undefined && role !== undefined && role.kind !== 'claim',
    tenantId: tenant !== undefined && tenantId !== undefined,
    client: Array.isArray(clients) && issuer.clients !== undefined,
  };
  const key = (['role', 'tenantId', 'client'] as const).find((one) => always[one] && as[one] === undefined);
  return key && { key, message: `is required: the route reads it, and every token of ${nameOf({ issuer })} has one` };
}

/** Finds a claim that the issuer's own conditions exclude. Claims that the test does not name may have any value. */
function unmetClaim({ claims = {} }: TestCaller, { require: required, typeTest }: Issuer): Impossible | undefined {
  const isExcluded = ({ claim, expected }: Condition): boolean => {
    const values = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
    if (values === undefined) return false;
    return expected.is === 'oneOf'
      ? !values.some((value) => expected.values.includes(value))
      : expected.is === 'absent';
  };
  const isUnmet = [required, typeTest].some((all) => all.length > 0 && all.every((one) => one.some(isExcluded)));
  return isUnmet ? { key: 'claims', message: "do not meet the issuer's `require` or its token type" } : undefined;
}
