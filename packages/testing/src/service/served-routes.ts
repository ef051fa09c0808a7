import type { Express } from 'express';

type Layer = Readonly<{
  route?: Readonly<{ path: string; methods: Readonly<Record<string, boolean>> }>;
  handle: Readonly<{ stack?: readonly Layer[] }>;
}>;

/** Routes that every service serves before the identity check. They are not declared. */
const open: readonly string[] = ['get /healthz', 'get /readyz', 'get /metrics'];

/** Returns the routes in Express's tables, as `get /v1/users`, for comparison with the declared ones. */
export function servedRoutes(app: Express): string[] {
  const walk = (layers: readonly Layer[]): string[] =>
    layers.flatMap(({ route, handle }) =>
      route === undefined
        ? walk(handle.stack ?? [])
        : Object.keys(route.methods).map((method) => `${method} ${route.path}`),
    );
  const { router } = app as unknown as Readonly<{ router: Readonly<{ stack: readonly Layer[] }> }>;
  return walk(router.stack)
    .filter((route) => !open.includes(route))
    .sort();
}
