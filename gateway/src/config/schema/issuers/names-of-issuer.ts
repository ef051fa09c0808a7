import type { Path } from '@countersign/strict-yaml';
import { unknown } from '@countersign/strict-yaml';
import type { TestCaller } from '../policy-tests.ts';
import type { ValueSource } from './issuer-values.ts';
import type { Issuer, Template } from './issuers.ts';

/**
 * The roles, tenants or OAuth clients that tokens can name: a list, or everything with a prefix. Undefined means any.
 */
export type Names = Readonly<{ list: ReadonlySet<string> }> | Readonly<{ prefix: string }> | undefined;

type Sources = readonly (ValueSource | undefined)[];

/** Returns the tenants that an issuer can read from these sources. */
export const tenantsOf = ({ tenants, tenantPrefix, template }: Issuer, sources: Sources): Names =>
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

/** Says why no token of an issuer can have a test's caller: the key, and the possible values. Undefined if one can. */
export function whyImpossible(as: TestCaller, issuer: Issuer): Readonly<{ key: string; message: string }> | undefined {
  const { claims, machines, clients, name = issuer.issuer } = issuer;
  const isUser = as.userId !== undefined;
  // The gateway refuses every machine of this issuer, and a test may expect that.
  if (!isUser && !machines.isAccepted) return undefined;
  const source = isUser ? claims : machines;
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
    return { key, message: unknown(`${kind} that ${name} gives to ${isUser ? 'users' : 'machines'}`, value, known) };
  }
  return undefined;
}
