import { isDeepStrictEqual } from 'node:util';
import { algorithmsOf, typesOf } from '../config/schema/issuers/issuers.ts';
import type { Document } from '../config/schema/schema.ts';
import { isMap } from '../config/schema/values/shapes.ts';
import { type KeyClass, keyClasses } from './key-classes.ts';
import type { AccessChange, Effect, SettingChange, Witness } from './report-schema.ts';

/**
 * Compares the keys of two files, with defaults filled in and groups resolved. Leaves out the keys of routes about
 * which `access` says who gains and who loses.
 */
export function compareSettings(
  oldFile: Document,
  newFile: Document,
  access: readonly AccessChange[],
): readonly SettingChange[] {
  const [before, after] = [withPresets(oldFile), withPresets(newFile)];
  const told = new Set(access.flatMap((change) => [change.before?.route, change.after?.route]));
  return [...keyClasses].flatMap(([key, name]) => {
    const [old, now] = [valuesAt(before, key), valuesAt(after, key)];
    return [...new Set([...old.keys(), ...now.keys()])].flatMap((place): readonly SettingChange[] => {
      const [was, is, owner] = [old.get(place), now.get(place), ownerOf(place)];
      if (isDeepStrictEqual(normal(was, key), normal(is, key))) return [];
      if (isPartOfNew(owner, key, name, before, after)) return [];
      if (name === 'policy' && owner?.kind === 'routes' && told.has(owner.name)) return [];
      const witness = witnessFor(owner, after.routes.length > 0 ? after : before);
      const [shownBefore, shownAfter] = [withoutSecrets(was), withoutSecrets(is)];
      const effect = effectOf(name, key, was, is);
      return [{ effect, class: name, key: place, before: shownBefore, after: shownAfter, witness }];
    });
  });
}

const withPresets = (document: Document): Document => ({
  ...document,
  issuers: document.issuers.map((one) => ({ ...one, algorithms: [...algorithmsOf(one)], types: [...typesOf(one)] })),
});

/** The values of a key, by their place: `routes[NAME].limits`. Absent values have no place. */
function valuesAt(document: Document, key: string): ReadonlyMap<string, unknown> {
  let found: (readonly [place: string, value: unknown])[] = [['', document]];
  for (const step of key.split(/\.(?=[a-zA-Z])/)) {
    const name = step.replace('[]', '');
    found = found.flatMap(([place, value]): typeof found => {
      if (!isMap(value)) return [];
      if (step === 'NAME') return Object.entries(value).map(([own, item]) => [`${place}.${own}`, item]);
      if (value[name] === undefined) return [];
      if (name === step) return [[place === '' ? name : `${place}.${name}`, value[name]]];
      const items = value[name] as readonly Record<string, unknown>[];
      return items.map((item) => [`${name}[${item[name === 'routes' ? 'name' : 'issuer']}]`, item]);
    });
  }
  return new Map(found);
}

/**
 * Lists of values in one order, unless they are a path to a claim or a ranking. GET implies HEAD, and the rules that read
 * a parameter name it too.
 */
function normal(value: unknown, key: string): unknown {
  if (key === 'routes[].path') return String(value).replaceAll(/:\w+/g, ':');
  if (key === 'routes[].methods' && Array.isArray(value) && value.includes('GET'))
    return normal([...new Set([...value, 'HEAD'])], '');
  if (/^issuers\[\]\.(?:claims|machines)/.test(key)) return value;
  if (Array.isArray(value))
    return value.map((item) => normal(item, key)).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, normal(item, key)]));
}

type Owner = Readonly<{ kind: 'routes' | 'issuers' | 'upstreams'; name: string }>;

/** The route, issuer or upstream that has the key. */
function ownerOf(place: string): Owner | undefined {
  const [, kind, listed, name = listed] = /^(routes|issuers|upstreams)(?:\[([^\]]*)\]|\.([^.]+))/.exec(place) ?? [];
  return name === undefined ? undefined : { kind: kind as Owner['kind'], name };
}

/** Whether a key need not be listed, because its route, issuer or upstream is in one file only. */
function isPartOfNew(owner: Owner | undefined, key: string, name: KeyClass, ...files: readonly Document[]): boolean {
  if (owner === undefined || key === 'routes[].name' || key === 'issuers[].issuer') return false;
  const isIn = ({ routes, issuers, upstreams }: Document) =>
    ({
      routes: () => routes.some((one) => one.name === owner.name),
      issuers: () => issuers.some(({ issuer }) => issuer === owner.name),
      upstreams: () => Object.hasOwn(upstreams, owner.name),
    })[owner.kind]();
  const [wasIn = false, isInNew = false] = files.map(isIn);
  if (wasIn === isInNew) return false;
  return owner.kind === 'routes' || name !== 'trust' || (owner.kind === 'issuers' && !isInNew);
}

/** More trust is wider. What cannot be ordered counts as wider too. */
function effectOf(name: KeyClass, key: string, was: unknown, is: unknown): Effect {
  if (key === 'issuers[].issuer') return was === undefined ? 'wider' : 'narrower';
  if (name !== 'trust') return 'changed';
  if (was === true && (is === undefined || is === false)) return 'narrower';
  if (typeof was === 'number' && typeof is === 'number') return is < was ? 'narrower' : 'wider';
  if (!Array.isArray(was) || !Array.isArray(is)) return 'wider';
  const texts = new Set(was.map((item) => JSON.stringify(item)));
  // Without public origins, every `Host` is accepted.
  const isPart = is.every((item) => texts.has(JSON.stringify(item))) && (is.length > 0 || key !== 'publicOrigins');
  return isPart ? 'narrower' : 'wider';
}

function withoutSecrets(value: unknown): unknown {
  const isSecret = (key: string) => /secret|^next$/i.test(key) && !/File$/.test(key);
  const shown = (key: string, item: unknown) => (isSecret(key) && item !== undefined ? '[secret]' : item);
  return JSON.parse(JSON.stringify(value, shown) ?? 'null');
}

/** A request that the key concerns. */
function witnessFor(owner: Owner | undefined, { routes, issuers }: Document): Witness | null {
  const isOwn = ({ name, upstream, auth }: Document['routes'][number]) =>
    owner === undefined ||
    { routes: name === owner.name, upstreams: upstream === owner.name, issuers: auth === 'required' }[owner.kind];
  const route = routes.find(isOwn);
  if (route === undefined) return null;
  const iss = owner?.kind === 'issuers' && issuers.some(({ issuer }) => issuer === owner.name) ? owner.name : '{';
  return {
    method: route.methods[0] ?? 'GET',
    path: route.path.replace(/\/\*\*$/, '').replace(/:\w+/g, 'other') || '/',
    ...(!iss.includes('{') && { payload: JSON.stringify({ iss }) }),
    ...(route.auth === 'service' && { service: route.callers?.[0] ?? '' }),
  };
}
