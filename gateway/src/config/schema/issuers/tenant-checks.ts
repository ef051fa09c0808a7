import type { Issuer, ValueSource } from '../../issuer.ts';
import type { Path } from '../../yaml/source.ts';
import type { Refuse } from '../cross-checks.ts';
import type { IssuerPieces } from './issuers.ts';

/** The tenants that an issuer can name: a list, or everything under a prefix. Undefined: any. */
type Tenants = Readonly<{ list: ReadonlySet<string> }> | Readonly<{ prefix: string }> | undefined;

/**
 * Proves for each pair of issuers that they cannot name the same tenant. Otherwise a hostile issuer could impersonate the users
 * of another (docs/threat-model.md). The values of a template are issuers of their own.
 *
 * @param resolved The issuers of each entry. Undefined: the entry is malformed.
 */
export function checkTenants(
  resolved: readonly (readonly Issuer[] | undefined)[],
  parts: readonly IssuerPieces[],
  refuse: Refuse,
): void {
  const all = resolved.flatMap((issuers = [], index) => issuers.map((issuer) => ({ index, issuer })));
  const count = all.length + resolved.filter((issuers) => issuers === undefined).length;
  if (count < 2) return;
  const reported = new Set<number>();
  const known: { index: number; tenants: NonNullable<Tenants>; hasMachines: boolean }[] = [];
  for (const { index, issuer } of all) {
    if (reported.has(index)) continue;
    const tenants = tenantsOf(issuer);
    const report = (message: string, ...conflict: readonly { other: Path }[]) => {
      reported.add(index);
      refuse(['issuers', index], message, ...conflict);
    };
    if (tenants === undefined) report(required('tenants', 'or set claims.tenantId or tenantPrefix'));
    if (hasAnyRole(issuer)) report(required('roles', 'or map them in claims.role'));
    if (tenants === undefined) continue;
    // Clients have no prefix that would tell those of two issuers apart.
    const hasMachines = issuer.machines.tenantId !== undefined;
    const clash = known.find(
      (other) =>
        meet(other.tenants, tenants) &&
        !haveSameSubjects(parts[other.index], parts[index]) &&
        ((hasMachines && other.hasMachines) || !haveDistinctUsers(parts[other.index], parts[index])),
    );
    if (clash !== undefined) {
      const name = sharedBy(clash.tenants, tenants);
      const prefix = hasMachines && clash.hasMachines ? '' : ', or its own userPrefix';
      const remedy = `give each its own tenants${prefix}; or set sameSubjects: true on both`;
      if (clash.index === index)
        report(
          `two values of the template can name the tenant "${name}": read it fromIssuer, or set sameSubjects: true`,
        );
      else
        report(`can name the tenant "${name}" of issuers[${clash.index}]: ${remedy}`, {
          other: ['issuers', clash.index],
        });
    }
    known.push({ index, tenants, hasMachines });
  }
}

const required = (key: string, instead: string): string =>
  `"${key}" is required with two or more issuers: the ${key} this one may name, ${instead}`;

/** The tenants of people and of machines. */
function tenantsOf({ tenants, tenantPrefix, claims, machines, template }: Issuer): Tenants {
  if (tenants !== undefined) return { list: tenants };
  const values = valuesOfAll([claims.tenantId, machines.tenantId], template);
  if (values !== undefined) return { list: new Set(values.map((value) => tenantPrefix + value)) };
  return tenantPrefix === '' ? undefined : { prefix: tenantPrefix };
}

/** The values that some sources can have together. Undefined: any. */
function valuesOfAll(
  sources: readonly (ValueSource | undefined)[],
  template: Issuer['template'],
): readonly string[] | undefined {
  const all = sources.map((source) => (source === undefined ? [] : valuesOf(source, template)));
  return all.includes(undefined) ? undefined : all.flatMap((values) => values ?? []);
}

/** The values that a source can have. Undefined: any. */
function valuesOf(source: ValueSource, template: Issuer['template']): readonly string[] | undefined {
  switch (source.kind) {
    case 'constant':
      return [source.value];
    case 'mapped':
      return [...source.map.map(([, to]) => to), ...(source.otherwise === undefined ? [] : [source.otherwise])];
    case 'fromIssuer':
      return template?.value === undefined ? undefined : [template.value];
    case 'claim':
      return undefined;
  }
}

const hasAnyRole = ({ roles, claims, machines, template }: Issuer): boolean =>
  roles === undefined && valuesOfAll([claims.role, machines.role], template) === undefined;

function meet(a: NonNullable<Tenants>, b: NonNullable<Tenants>): boolean {
  return sharedBy(a, b) !== undefined;
}

/** A tenant or prefix that both can name. */
function sharedBy(a: Tenants, b: Tenants): string | undefined {
  if (a === undefined || b === undefined) return undefined;
  if ('list' in a) {
    return [...a.list].find((tenant) => ('list' in b ? b.list.has(tenant) : tenant.startsWith(b.prefix)));
  }
  if ('list' in b) return sharedBy(b, a);
  if (a.prefix.startsWith(b.prefix)) return a.prefix;
  return b.prefix.startsWith(a.prefix) ? b.prefix : undefined;
}

const haveSameSubjects = (a: IssuerPieces | undefined, b: IssuerPieces | undefined): boolean =>
  a?.sameSubjects === true && b?.sameSubjects === true;

/** No user id under one prefix can be one under the other, unless one prefix begins the other. */
function haveDistinctUsers(a: IssuerPieces | undefined, b: IssuerPieces | undefined): boolean {
  const [ours, theirs] = [a?.userPrefix, b?.userPrefix];
  if (ours === undefined || theirs === undefined) return false;
  return !ours.startsWith(theirs) && !theirs.startsWith(ours);
}
