import type { Path } from '@countersign/strict-yaml';
import type { Refuse } from '../cross-checks.ts';
import type { Issuer } from './issuers.ts';
import { rolesOf, type Names as Tenants, tenantsOf } from './names-of-issuer.ts';

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
type Known = Readonly<{ index: number; issuer: Issuer; tenants: Tenants; users: Tenants; machines: Tenants }>;

function knownOf(issuer: Issuer, index: number): Known {
  const [users, machines] = [issuer.claims.tenantId, issuer.machines.tenantId];
  const tenants = tenantsOf(issuer, [users, machines]);
  return { index, issuer, tenants, users: tenantsOf(issuer, [users]), machines: tenantsOf(issuer, [machines]) };
}

function mustNotMeet(a: Known, b: Known): boolean {
  if (!meet(a.tenants, b.tenants) || haveSameSubjects(a.issuer, b.issuer)) return false;
  return !haveDistinctUsers(a.issuer, b.issuer) || mayShareMachines(a, b);
}

/**
 * Whether a service could mistake a machine of one issuer for a machine of the other. `userPrefix` does not change
 * OAuth client ids.
 */
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

const nameOf = ({ issuer }: Known): string => issuer.name ?? issuer.issuer;

const required = (key: string, instead: string): string =>
  `"${key}" is required with two or more issuers: list the ${key} that this issuer may name, ${instead}`;

const hasAnyRole = (issuer: Issuer): boolean =>
  rolesOf(issuer, [issuer.claims.role, issuer.machines.role]) === undefined;

const meet = (a: Tenants, b: Tenants): boolean => sharedBy(a, b) !== undefined;

/** Returns a tenant or prefix that both issuers can name. */
function sharedBy(a: Tenants, b: Tenants): string | undefined {
  if (a === undefined || b === undefined) return undefined;
  if ('list' in a) {
    return [...a.list].find((tenant) => ('list' in b ? b.list.has(tenant) : tenant.startsWith(b.prefix)));
  }
  if ('list' in b) return sharedBy(b, a);
  if (a.prefix.startsWith(b.prefix)) return a.prefix;
  return b.prefix.startsWith(a.prefix) ? b.prefix : undefined;
}

const haveSameSubjects = (a: Issuer, b: Issuer): boolean => a.sameSubjects && b.sameSubjects;

/**
 * Whether user ids with one prefix always differ from user ids with the other. They may be equal if one prefix starts
 * with the other; every prefix starts with the empty one.
 */
const haveDistinctUsers = (a: Issuer, b: Issuer): boolean =>
  !a.userPrefix.startsWith(b.userPrefix) && !b.userPrefix.startsWith(a.userPrefix);
