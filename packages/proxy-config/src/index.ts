import { printCaddy } from './caddy.ts';
import type { ProxyName } from './dialect.ts';
import { printEnvoy } from './envoy.ts';
import { printHaproxy } from './haproxy.ts';
import { printNginx } from './nginx.ts';
import type { Printed, ProxyPlan } from './plan.ts';
import { printTraefik } from './traefik.ts';

export { type Dialect, dialects, type ProxyName, proxies, proxyNames, supportTable } from './dialect.ts';
export { removedFromRequest } from './headers.ts';
export {
  decidePath,
  headersOfRequest,
  type PlannedRoute,
  type Printed,
  type ProxyPlan,
  proxySecretHeader,
  tokenHeadersOf,
} from './plan.ts';
export { type Locations, nginxLocations, type ProbeProblem, probe } from './probe.ts';

export const printers = {
  nginx: printNginx,
  caddy: printCaddy,
  haproxy: printHaproxy,
  traefik: printTraefik,
  envoy: printEnvoy,
} satisfies Readonly<Record<ProxyName, (plan: ProxyPlan) => Printed>>;
