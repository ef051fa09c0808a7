import type { Route } from '../../config/config.ts';
import { inSlices } from '../../config/in-slices.ts';
import type { Reload } from '../../reload/reload.ts';
import { describeRoute } from '../describe.ts';

/** One line of a diff: a key of a route, as JSON. */
export type KeyChange = Readonly<{ key: string; before: string | undefined; after: string | undefined }>;

export type RouteChange = Readonly<{
  route: string;
  change: 'added' | 'removed' | 'changed';
  keys: readonly KeyChange[];
}>;

export type LoggedReload = Readonly<{
  atMs: number;
  result: 'applied' | 'refused';
  hash: string | undefined;
  problems: readonly string[];
  /** Undefined: not compared yet, or refused. */
  changes: readonly RouteChange[] | undefined;
  /** All of them; `changes` has the first 100. */
  changed: number;
}>;

const keptReloads = 10;
const keptChanges = 100;
const keptProblems = 100;

/** The last ten reloads, with what each changed in the routes. */
export class ReloadLog {
  readonly #reloads: LoggedReload[] = [];

  /** Newest first. */
  all(): readonly LoggedReload[] {
    return this.#reloads.toReversed();
  }

  readonly add = (reload: Reload): void => {
    const { atMs, result } = reload;
    if (reload.result === 'refused') {
      const { hash, problems } = reload;
      this.#push({ atMs, result, hash, problems: problems.slice(0, keptProblems), changes: undefined, changed: 0 });
      return;
    }
    const { config, before } = reload;
    const logged = { atMs, result, hash: config.hash, problems: [] };
    const at = { ...logged, changes: undefined, changed: 0 };
    this.#push(at);
    void compareRoutes(before.routes, config.routes).then((changes) => {
      const place = this.#reloads.indexOf(at);
      if (place !== -1) {
        this.#reloads[place] = { ...logged, changes: changes.slice(0, keptChanges), changed: changes.length };
      }
    });
  };

  #push(reload: LoggedReload): void {
    this.#reloads.push(reload);
    this.#reloads.splice(0, this.#reloads.length - keptReloads);
  }
}

/** Compares two lists of routes by name. There may be ten thousand, so it yields to requests. */
export async function compareRoutes(
  before: readonly Route[],
  after: readonly Route[],
): Promise<readonly RouteChange[]> {
  const old = new Map(before.map((route) => [route.name, route]));
  const changes: RouteChange[] = [];
  await inSlices(after, (route) => {
    const previous = old.get(route.name);
    old.delete(route.name);
    const keys = changedKeys(previous, route);
    if (keys.length > 0)
      changes.push({ route: route.name, change: previous === undefined ? 'added' : 'changed', keys });
  });
  for (const route of old.values()) {
    changes.push({ route: route.name, change: 'removed', keys: changedKeys(route, undefined) });
  }
  return changes;
}

function changedKeys(before: Route | undefined, after: Route | undefined): readonly KeyChange[] {
  const [old, fresh] = [before, after].map((route) => (route === undefined ? {} : describeRoute(route))) as [
    Record<string, unknown>,
    Record<string, unknown>,
  ];
  const text = (value: unknown) => (value === undefined ? undefined : JSON.stringify(value));
  return Object.keys({ ...old, ...fresh }).flatMap((key) => {
    const change = { key, before: text(old[key]), after: text(fresh[key]) };
    return change.before === change.after ? [] : [change];
  });
}
