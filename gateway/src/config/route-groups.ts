import type { FileProblem, Path, Source } from '@countersign/strict-yaml';
import { isMap } from './schema/values/shapes.ts';

const maxDepth = 3;

/** A file in which each group was replaced by its routes. Paths refer to the resulting list. */
export type FlatFile = ReturnType<typeof flattenRoutes>;

/** `writtenIn` maps each key to the route or group that sets it. */
type FlatRoute = Readonly<{ value: unknown; path: Path; writtenIn: ReadonlyMap<string, Path> }>;

type Keys = Readonly<Record<string, unknown>>;
type Group = Readonly<{ keys: Keys; writtenIn: ReadonlyMap<string, Path> }>;

/** Replaces each group in a file by its routes: see docs/gateway-yaml.md. */
export function flattenRoutes(source: Source) {
  const { value } = source;
  const routes = isMap(value) && Array.isArray(value.routes) ? value.routes : [];
  if (!isMap(value) || !routes.some(isGroup)) {
    return { value, problems: [], pathInFile: (path: Path) => path, inheritedBy: () => [] };
  }
  const problems: FileProblem[] = [];
  const refuse = (path: Path, message: string) =>
    problems.push({ offset: source.placeOf(path).offset, message: `${pathText(path)}: ${message}` });
  const flat = routes.flatMap((route, index) => flatten(route, ['routes', index], undefined, refuse));
  return {
    value: { ...value, routes: flat.map((route) => route.value) },
    problems,
    /** Returns where a value stands in the file, which may be in a group. */
    pathInFile(path: Path): Path {
      const [key, index, ...rest] = path;
      const route = key === 'routes' && typeof index === 'number' ? flat[index] : undefined;
      if (route === undefined) return path;
      return [...(route.writtenIn.get(String(rest[0])) ?? route.path), ...rest];
    },
    inheritedBy: (index: number) => inheritedBy(flat[index], value),
  };
}

const isGroup = (route: unknown): route is Record<string, unknown> => isMap(route) && route.routes !== undefined;

function flatten(
  route: unknown,
  path: Path,
  group: Group | undefined,
  refuse: (path: Path, message: string) => void,
): readonly FlatRoute[] {
  if (!isMap(route)) return [{ value: route, path, writtenIn: new Map() }];
  const { routes, ...own }: Record<string, unknown> = isGroup(route) ? { path: '', ...route } : route;
  const keys = group === undefined ? own : { ...group.keys, ...own, ...joined(group.keys, own) };
  const writtenIn = new Map([...(group?.writtenIn ?? []), ...Object.keys(own).map((key) => [key, path] as const)]);
  if (!isGroup(route)) {
    if (group !== undefined) keys.name ??= wordsOf(keys.path);
    return [{ value: keys, path, writtenIn: writtenIn.set('name', path).set('path', path) }];
  }
  const at = [...path, 'routes'];
  if (!Array.isArray(routes) || routes.length === 0) refuse(at, 'must be a list of at least one route');
  else if (path.length / 2 > maxDepth) refuse(at, `groups may nest at most ${maxDepth} deep`);
  else return routes.flatMap((child, index) => flatten(child, [...at, index], { keys, writtenIn }, refuse));
  return [];
}

/** Joins the path and name of a route or group to those of its group. The schema reports values that are not text. */
function joined({ path = '', name }: Keys, own: Keys): Record<string, unknown> {
  const isText = typeof path === 'string' && typeof own.path === 'string';
  const last = own.name ?? (name === undefined ? undefined : wordsOf(own.path));
  return {
    path: isText ? `${path}${own.path}` : own.path,
    name: name === undefined || !last ? (name ?? last) : `${name}-${last}`,
  };
}

/** Turns `/:id/assign` into `id-assign`. */
function wordsOf(path: unknown): string | undefined {
  return typeof path === 'string' ? (path.toLowerCase().match(/[a-z0-9]+/g) ?? []).join('-') : undefined;
}

/** Returns the keys that a route inherits, by group, outermost first. `group` is the group's name or path. */
function inheritedBy(route: FlatRoute | undefined, file: unknown) {
  const groups = new Map<Path, string[]>();
  for (const [key, at] of route?.writtenIn ?? []) {
    if (at !== route?.path) groups.set(at, [...(groups.get(at) ?? []), key]);
  }
  return [...groups].map(([at, keys]) => ({ group: nameOf(at, file), keys, at }));
}

function nameOf(path: Path, file: unknown): string {
  const { name, path: prefix } = valueAt(file, path) as Record<string, unknown>;
  return String(name ?? prefix ?? pathText(path));
}

export function valueAt(raw: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => (value as Record<string | number, unknown> | undefined)?.[step], raw);
}

/** Writes a path as `routes[0].methods[1]`. */
export function pathText(path: Path): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('');
}
