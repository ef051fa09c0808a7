import { isDeepStrictEqual } from 'node:util';
import type { Written } from '@countersign/strict-yaml';
import type { Outline } from '../config/load.ts';
import { algorithmsOf, typesOf } from '../config/schema/issuers/issuers.ts';
import { jsonSchema } from '../config/schema/json-schema.ts';
import type { Document } from '../config/schema/schema.ts';
import type { KeyClass, Wider } from '../config/schema/values/key-class.ts';
import { isMap, type JsonSchema } from '../config/schema/values/shapes.ts';
import { tenantSegment } from './callers.ts';
import type { RoutePair } from './compare.ts';
import type { AccessChange, Effect, SettingChange, Witness } from './report-schema.ts';

/** A value in one of the files, and the variables in it. */
type Value = Readonly<{ value: unknown; variables?: Written | undefined }>;

/** A key with another value. A map that only one file has is one difference. */
type Difference = Readonly<{ schema: JsonSchema; key: string; was: Value; is: Value }>;

const schema = jsonSchema();

/**
 * Compares the keys of two files, with defaults filled in and groups resolved. Compares the keys of routes wherever
 * both files serve a request, whatever the names of the routes. Leaves out the policy of routes about which `access`
 * says who gains and who loses.
 */
export function compareSettings(
  before: Outline,
  after: Outline,
  { access, pairs }: Readonly<{ access: readonly AccessChange[]; pairs: readonly RoutePair[] }>,
): readonly SettingChange[] {
  const told = new Set(access.flatMap((change) => [change.before?.route, change.after?.route]));
  const [old, now] = [comparable(before), comparable(after)];
  const changes = [
    ...Object.entries(schema.properties ?? {}).flatMap(([key, child]) => {
      if (key === 'routes') return routeChanges([before, after], pairs, told);
      if (key === 'issuers') return issuerChanges([before, after]);
      const all = [...differences(child, key, memberOf(old, key), memberOf(now, key))];
      return all.filter(isOfBoth).map((one) => changeOf(one, witnessFor(one.key, after.document)));
    }),
    ...guardedCookies([before, after]),
  ];
  return [...new Map(changes.map((change) => [JSON.stringify({ ...change, witness: null }), change])).values()];
}

/** An upstream decides nothing without routes, which are compared. */
const isOfBoth = ({ key, was, is }: Difference): boolean =>
  !/^upstreams\.[^.]+$/.test(key) || (was.value !== undefined && is.value !== undefined);

/** Identity tokens add names to the headers that the gateway removes. */
const comparable = ({ config, document, variablesAt }: Outline): Value => ({
  value: { ...document, headers: { ...document.headers, strip: config.headers.strip } },
  variables: variablesAt([]),
});

/** Follows the schema. Members that were parsed to a number have its unit in their names. */
function* differences(part: JsonSchema, key: string, was: Value, is: Value): Generator<Difference> {
  const isLeaf = part['x-class'] !== undefined || !isMap(was.value) || !isMap(is.value);
  if (isLeaf) {
    if (!isDeepStrictEqual(normal(was, key), normal(is, key))) yield { schema: part, key, was, is };
    return;
  }
  const names = [...new Set([...Object.keys(was.value as object), ...Object.keys(is.value as object)])];
  const others = part.additionalProperties;
  const members =
    typeof others === 'object' ? names.map((name) => [name, others] as const) : Object.entries(propertiesOf(part));
  for (const [name, child] of members)
    yield* differences(child, `${key}.${name}`, memberOf(was, name), memberOf(is, name));
}

const propertiesOf = ({ properties, oneOf = [] }: JsonSchema): Record<string, JsonSchema> =>
  Object.assign({}, properties, ...oneOf.map(propertiesOf));

function memberOf({ value, variables }: Value, name: string): Value {
  const map = value as Record<string, unknown>;
  const key = [name, `${name}Sec`, `${name}Ms`].find((one) => map[one] !== undefined) ?? name;
  return { value: map[key], variables: typeof variables === 'object' ? variables[name] : undefined };
}

/**
 * Lists of values in one order, unless they are a path to a claim or a ranking. A value from a variable equals only the
 * same variable with the same default.
 */
function normal({ value, variables }: Value, key: string): unknown {
  const isOrdered = /^issuers\[.*\]\.(?:claims|machines)\b/.test(key);
  const names = typeof variables === 'object' ? Object.keys(variables) : [];
  const isMember = (name: string) => isMap(value) || (Array.isArray(value) && Number(name) < value.length);
  const here = typeof variables === 'string' || !names.every(isMember) ? variables : null;
  const inside = (name: string | number) => (typeof variables === 'object' ? variables[name] : undefined);
  if (Array.isArray(value)) {
    const items = value.map((item, at) => normal({ value: item, variables: inside(at) }, key));
    return [isOrdered ? items : items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)), here];
  }
  if (!isMap(value)) return [value, here ?? null];
  const members = new Set([...Object.keys(value), ...names]);
  return [
    Object.fromEntries(
      Array.from(members, (name) => [name, normal({ value: value[name], variables: inside(name) }, key)]),
    ),
    here,
  ];
}

/** The keys with variables, without the positions in lists. */
function variablesIn(written: Written | undefined, key = ''): readonly string[] {
  if (typeof written !== 'object') return written === undefined ? [] : [`${key} ${written}`];
  return Object.entries(written)
    .flatMap(([name, inner]) => variablesIn(inner, /^\d+$/.test(name) ? key : `${key}.${name}`))
    .sort();
}

const hasOtherVariables = ({ was, is }: Difference): boolean =>
  !isDeepStrictEqual(variablesIn(was.variables), variablesIn(is.variables));

function changeOf(difference: Difference, witness: Witness | null): SettingChange {
  const { key, was, is } = difference;
  const name = classOf(difference.schema);
  return {
    effect: effectOf(difference, name),
    class: name,
    key,
    before: shown(was, key),
    after: shown(is, key),
    witness,
  };
}

const ranking: readonly KeyClass[] = ['trust', 'policy', 'services', 'operations'];

/** Of a map, the class that matters most. */
export function classOf(part: JsonSchema): KeyClass {
  if (part['x-class'] !== undefined) return part['x-class'];
  const { items, additionalProperties: others } = part;
  const inside = [...Object.values(propertiesOf(part)), items, others].filter((one) => typeof one === 'object');
  const classes = new Set(inside.map(classOf));
  return ranking.find((one) => classes.has(one)) ?? 'trust';
}

/** More trust is wider. What cannot be ordered counts as wider too. */
function effectOf(difference: Difference, name: KeyClass): Effect {
  const { schema: part, was, is } = difference;
  if (name === 'policy') return hasOtherVariables(difference) ? 'unknown' : 'changed';
  if (name !== 'trust') return 'changed';
  return hasOtherVariables(difference) ? 'wider' : trustEffect(part['x-wider'], was.value, is.value);
}

function trustEffect(wider: Wider | undefined, was: unknown, is: unknown): Effect {
  if (wider === undefined) return 'wider';
  if (wider === 'less') return isWithin(was, is) ? 'narrower' : 'wider';
  const isOpen = wider === 'more or none' && Array.isArray(is) && is.length === 0;
  return isWithin(is, was) && !isOpen ? 'narrower' : 'wider';
}

/** Whether a value says no more than another one. False for what has no order. */
function isWithin(part: unknown, whole: unknown): boolean {
  if (typeof part === 'number' && typeof whole === 'number') return part <= whole;
  if (!Array.isArray(part) || !Array.isArray(whole)) return (part === false || part === undefined) && whole === true;
  const texts = new Set(whole.map((item) => JSON.stringify(item)));
  return part.every((item) => texts.has(JSON.stringify(item)));
}

/** The value for people: variables by their names, and no secret. Null if there is none. */
function shown({ value, variables }: Value, key: string): unknown {
  const isSecret = (name: string) => /secret|^next$/i.test(name) && !/File$/.test(name);
  if (isSecret(key.replace(/.*[.\]]/, '')) && (value ?? variables) !== undefined) return '[secret]';
  const inside = (name: string) => (typeof variables === 'object' ? variables[name] : undefined);
  if (typeof variables === 'string') return variables;
  if (Array.isArray(value)) return value.map((item, at) => shown({ value: item, variables: inside(`${at}`) }, ''));
  if (!isMap(value)) return value ?? null;
  const members = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(
    members.map(([name, item]) => [name, shown({ value: item, variables: inside(name) }, `.${name}`)]),
  );
}

/** The keys of routes that decide what arrives at whom, at each place where two routes serve the same requests. */
function routeChanges(
  files: readonly [Outline, Outline],
  pairs: readonly RoutePair[],
  told: ReadonlySet<string | null | undefined>,
): readonly SettingChange[] {
  const part = schema.properties?.routes?.items ?? {};
  const valuesOf = ({ document, variablesAt }: Outline) => {
    const keys = Object.keys(propertiesOf(part));
    const values = document.routes.map((value, index): Value => {
      const written = keys.flatMap((key) => {
        const found = variablesAt(['routes', index, key]);
        return found === undefined ? [] : [[key, found]];
      });
      return { value, variables: written.length === 0 ? undefined : Object.fromEntries(written) };
    });
    return new Map(document.routes.map(({ name }, index) => [name, values[index] as Value]));
  };
  const [old, now] = [valuesOf(files[0]), valuesOf(files[1])];
  return pairs.flatMap(({ before, after, isSentAlike, witness }) => {
    const [was, is] = [old.get(before.name), now.get(after.name)];
    if (was === undefined || is === undefined) throw new Error(`no route ${before.name}, ${after.name}`);
    const place = `routes[${after.name}]`;
    const isTold = told.has(before.name) || told.has(after.name);
    const isSame = (difference: Difference) => {
      const key = difference.key.slice(place.length + 1);
      if (hasOtherVariables(difference)) return false;
      if (key === 'rewrite') return isSentAlike;
      if (key === 'allow.tenant' && tenantSegment({ route: before }) === tenantSegment({ route: after })) return true;
      return key === 'path' || key === 'methods' || (isTold && classOf(difference.schema) === 'policy');
    };
    return [...differences(part, place, was, is)].filter((one) => !isSame(one)).map((one) => changeOf(one, witness));
  });
}

function issuerChanges(files: readonly [Outline, Outline]): readonly SettingChange[] {
  const part = schema.properties?.issuers?.items ?? {};
  const valuesOf = ({ document, variablesAt }: Outline) =>
    new Map(
      document.issuers.map((one, index): [string, Value] => {
        const value = { ...one, algorithms: [...algorithmsOf(one)], types: [...typesOf(one)] };
        return [one.issuer, { value, variables: variablesAt(['issuers', index]) }];
      }),
    );
  const [old, now] = [valuesOf(files[0]), valuesOf(files[1])];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((name): readonly SettingChange[] => {
    const [key, was, is] = [`issuers[${name}]`, old.get(name), now.get(name)];
    const witness = witnessFor(key, files[1].document);
    if (was !== undefined && is !== undefined)
      return [...differences(part, key, was, is)].map((one) => changeOf(one, witness));
    const [effect, before, after] = [is ? 'wider' : 'narrower', was ?? { value: null }, is ?? { value: null }] as const;
    return [{ effect, class: 'trust', key, before: shown(before, ''), after: shown(after, ''), witness }];
  });
}

/** A cookie that no route names any more reaches every upstream. */
function guardedCookies(files: readonly [Outline, Outline]): readonly SettingChange[] {
  const [was = [], is = []] = files.map(({ config: { routes } }) =>
    [...(routes[0]?.forward.guarded ?? [])].filter((name) => name !== '__host-rt').sort(),
  );
  if (isDeepStrictEqual(was, is)) return [];
  const effect = trustEffect('less', was, is);
  return [{ effect, class: 'trust', key: 'routes[].forward.cookies', before: was, after: is, witness: null }];
}

/** A request that the key concerns. */
function witnessFor(key: string, { routes, issuers }: Document): Witness | null {
  const [, kind, name] =
    /^(issuers|upstreams)(?:\[(.*)\]|\.([^.]+))/.exec(key)?.filter((one) => one !== undefined) ?? [];
  const route = routes.find(
    ({ upstream, auth }) => kind === undefined || (kind === 'upstreams' ? upstream === name : auth === 'required'),
  );
  if (route === undefined) return null;
  const iss = kind === 'issuers' && issuers.some(({ issuer }) => issuer === name) ? (name ?? '{') : '{';
  return {
    method: route.methods[0] ?? 'GET',
    path: route.path.replace(/\/\*\*$/, '').replace(/:\w+/g, 'other') || '/',
    ...(!iss.includes('{') && { payload: JSON.stringify({ iss }) }),
    ...(route.auth === 'service' && { service: route.callers?.[0] ?? '' }),
  };
}
