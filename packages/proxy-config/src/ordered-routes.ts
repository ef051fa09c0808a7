import type { PathSegment, PlannedRoute, ProxyPlan } from './plan.ts';

/** A route, for a proxy that chooses the service itself. */
export type OrderedRoute = Readonly<{
  route: PlannedRoute;
  /** Matches the whole path. Means the same in RE2 and Go. */
  pattern: string;
  /** Undefined if every method at this path goes to the same service. */
  methods: readonly string[] | undefined;
}>;

const rank = { literal: 0, param: 1, rest: 2 } as const;

/**
 * Sorts the routes by precedence. In each segment, a literal comes before a parameter, and a parameter before `**`. If
 * a proxy chose another service than the gateway, the signature would have the wrong audience, and the service would
 * refuse it.
 */
export function orderedRoutes({ routes }: Pick<ProxyPlan, 'routes'>): readonly OrderedRoute[] {
  const all = routes.toSorted((a, b) => compare(a.segments, b.segments));
  const byPattern = Map.groupBy(all, ({ segments }) => patternOf(segments));
  return [...byPattern].flatMap(([pattern, same]): readonly OrderedRoute[] => {
    const destinations = new Set(same.map(({ upstream, rewrite }) => JSON.stringify([upstream.name, rewrite])));
    const [first] = same;
    if (destinations.size === 1 && first !== undefined) return [{ route: first, pattern, methods: undefined }];
    return same.map((route) => ({ route, pattern, methods: route.methods }));
  });
}

function compare(a: readonly PathSegment[], b: readonly PathSegment[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const [one, other] = [a[at], b[at]];
    if (one === undefined || other === undefined) return one === undefined ? (other?.kind === 'rest' ? -1 : 1) : -1;
    const difference = rank[one.kind] - rank[other.kind];
    if (difference !== 0) return difference;
  }
  return 0;
}

function patternOf(segments: readonly PathSegment[]): string {
  const parts = segments.map((segment) => {
    if (segment.kind === 'literal') return `/${segment.text.replace(/[.+*?^$()[\]{}|\\]/g, '\\$&')}`;
    return segment.kind === 'param' ? '/[^/]+' : '(/.*)?';
  });
  return `^${parts.join('') || '/'}$`;
}
