import { isDeepStrictEqual } from 'node:util';
import type { Document } from '../config/schema/schema.ts';
import { isMap } from '../config/schema/values/shapes.ts';
import { type KeyClass, keyClasses } from './key-classes.ts';
import type { AccessChange, Effect, SettingChange, Witness } from './report-schema.ts';

/**
 * Compares the keys of two files, with defaults filled in and groups resolved. Leaves out the keys of routes about
 * which `access` says who gains and who loses.
 */
export function compareSettings(
  before: Document,
  after: Document,
  access: readonly AccessChange[],
): readonly SettingChange[] {
  const told = new Set(access.flatMap((change) => [change.before?.route, change.after?.route]));
  return [...keyClasses].flatMap(([key, name]) => {
    const [old, now] = [valuesAt(before, key), valuesAt(after, key)];
    return [...new Set([...old.keys(), ...now.keys()])].flatMap((place): readonly SettingChange[] => {
      const [was, is] = [old.get(place), now.get(place)];
      if (isDeepStrictEqual(normal(was, key), normal(is, key)) || isPartOfNew(place, key, name, before, after))
        return [];
      const [owner, witness] = witnessFor(place, after.routes.length > 0 ? after : before);
      if (name === 'policy' && told.has(owner)) return [];
      const isSecret = /secret/i.test(place) && !/File$/.test(place);
      const shown = (value: unknown) => (isSecret || value === undefined ? null : withoutSecrets(value));
      return [
        {
          effect: effectOf(name, key, was, is),
          class: name,
          key: place,
          before: shown(was),
          after: shown(is),
          witness,
        },
      ];
    });
  });
}

/** The values of a key, by their place: `routes[NAME].limits`. Absent values have no place. */
function valuesAt(document: Document, key: string): ReadonlyMap<string, unknown> {
  let found = new Map<string, unknown>([['', document]]);
  for (const step of key.split(/\.(?=[a-zA-Z])/)) {
    const list = step.endsWith('[]');
    const name = list ? step.slice(0, -2) : step;
    const next = new Map<string, unknown>();
    for (const [place, value] of found) {
      if (!isMap(value)) continue;
      if (step === 'NAME') for (const [own, item] of Object.entries(value)) next.set(`${place}.${own}`, item);
      else if (value[name] === undefined) continue;
      else if (!list) next.set(place === '' ? name : `${place}.${name}`, value[name]);
      else
        for (const item of value[name] as readonly Record<string, unknown>[])
          next.set(`${name}[${item[name === 'routes' ? 'name' : 'issuer']}]`, item);
    }
    found = next;
  }
  return found;
}

/** Lists of values in one order, unless they are a path to a claim or a ranking. */
function normal(value: unknown, key: string): unknown {
  if (/^issuers\[\]\.(?:claims|machines)/.test(key)) return value;
  if (Array.isArray(value))
    return value.map((item) => normal(item, key)).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, normal(item, key)]));
}

/** Whether a key need not be listed, because its route, issuer or upstream is in one file only. */
function isPartOfNew(place: string, key: string, name: KeyClass, ...files: readonly Document[]): boolean {
  const [, kind, listed, owner = listed ?? ''] = ofOwner.exec(place) ?? [];
  if (kind === undefined || key === 'routes[].name' || key === 'issuers[].issuer') return false;
  const isIn = ({ routes, issuers, upstreams }: Document) =>
    kind === 'upstreams'
      ? Object.hasOwn(upstreams, owner)
      : kind === 'routes'
        ? routes.some((one) => one.name === owner)
        : issuers.some(({ issuer }) => issuer === owner);
  return !files.every(isIn) && (kind === 'routes' || name !== 'trust');
}

const ofOwner = /^(routes|issuers|upstreams)(?:\[([^\]]*)\]|\.([^.]+))/;

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
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (!isMap(value)) return value;
  const isText = (key: string) => /secret|^next$/i.test(key) && !/File$/.test(key);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, isText(key) ? '[secret]' : withoutSecrets(item)]),
  );
}

/** The route that a key concerns, if it does, and a request that shows it. */
function witnessFor(
  place: string,
  { routes, issuers }: Document,
): readonly [owner: string | undefined, Witness | null] {
  const [, kind, listed, named] = ofOwner.exec(place) ?? [];
  const name = listed ?? named;
  const isOwn = (route: Document['routes'][number]) =>
    kind === 'routes'
      ? route.name === name
      : kind === 'upstreams'
        ? route.upstream === name
        : kind === 'issuers'
          ? route.auth === 'required'
          : true;
  const route = routes.find(isOwn);
  const owner = kind === 'routes' ? name : undefined;
  if (route === undefined) return [owner, null];
  const path = route.path.replace(/\/\*\*$/, '').replace(/:\w+/g, 'other') || '/';
  const iss = issuers.find(({ issuer }) => issuer === name)?.issuer;
  const asked = iss === undefined || iss.includes('{') ? {} : { payload: JSON.stringify({ iss }) };
  const service = route.auth === 'service' ? { service: route.callers?.[0] ?? '' } : {};
  return [owner, { method: route.methods[0] ?? 'GET', path, ...asked, ...service }];
}
