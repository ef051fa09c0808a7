import type { Reload as LoggedReload, RouteChange } from '@countersign/console';
import type { Route } from '../../config/config.ts';
import type { Reload } from '../../reload/reload.ts';
import { describeRoute, timeOf } from '../describe.ts';

const keptReloads = 10;
const keptChanges = 100;
const keptProblems = 100;

/** Keeps the last ten reloads, with the changes to the routes. */
export class ReloadLog {
  readonly #reloads: LoggedReload[] = [];

  /** Newest first. */
  all(): readonly LoggedReload[] {
    return this.#reloads.toReversed();
  }

  readonly add = (reload: Reload): void => {
    const { result } = reload;
    const none = { at: timeOf(reload.atMs), result, problems: [], changed_routes: null, changes: [] };
    if (reload.result === 'refused') {
      const { hash = null, problems } = reload;
      this.#push({ ...none, hash, problems: problems.slice(0, keptProblems) });
      return;
    }
    const { config, before } = reload;
    const changes = compareRoutes(before.routes, config.routes);
    const changed = { changed_routes: changes.length, changes: changes.slice(0, keptChanges) };
    this.#push({ ...none, hash: config.hash, ...changed });
  };

  #push(reload: LoggedReload): void {
    this.#reloads.push(reload);
    this.#reloads.splice(0, this.#reloads.length - keptReloads);
  }
}

function compareRoutes(before: readonly Route[], after: readonly Route[]): readonly RouteChange[] {
  const old = new Map(before.map((route) => [route.name, route]));
  const changes: RouteChange[] = [];
  for (const route of after) {
    const previous = old.get(route.name);
    old.delete(route.name);
    const keys = changedKeys(previous, route);
    if (keys.length > 0)
      changes.push({ route: route.name, change: previous === undefined ? 'added' : 'changed', keys });
  }
  for (const route of old.values()) {
    changes.push({ route: route.name, change: 'removed', keys: changedKeys(route, undefined) });
  }
  return changes;
}

function changedKeys(before: Route | undefined, after: Route | undefined): RouteChange['keys'] {
  const [old, fresh] = [before, after].map((route) => (route === undefined ? {} : describeRoute(route))) as [
    Record<string, unknown>,
    Record<string, unknown>,
  ];
  const text = (value: unknown) => (value === undefined ? null : JSON.stringify(value));
  return Object.keys({ ...old, ...fresh }).flatMap((key) => {
    const change = { key, before: text(old[key]), after: text(fresh[key]) };
    return change.before === change.after ? [] : [change];
  });
}
