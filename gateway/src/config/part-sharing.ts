import type { Route } from './config.ts';

/** A text that is the same for equal values, sets included. */
export const textOf = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => (part instanceof Set ? { set: [...part] } : part));

/**
 * Routes with equal parts share one object for each. Otherwise the parts of ten thousand routes would not fit into the
 * caches of a processor.
 */
export function createPartSharing(): (route: Route) => Route {
  const known = new Map<string, unknown>();
  const shared = <Part>(part: Part): Part => {
    const text = textOf(part);
    if (!known.has(text)) known.set(text, part);
    return known.get(text) as Part;
  };
  return (route) => ({
    ...route,
    methods: shared(route.methods),
    allow: shared(route.allow),
    schemes: shared(route.schemes),
    callers: shared(route.callers),
    limits: shared(route.limits),
    body: shared(route.body),
    forward: shared(route.forward),
  });
}
