import { printCaddy } from './caddy.ts';
import { printEnvoy } from './envoy.ts';
import { printHaproxy } from './haproxy.ts';
import { printNginx } from './nginx.ts';
import type { Printed, ProxyPlan } from './plan.ts';
import type { ProxyName } from './support.ts';
import { printTraefik } from './traefik.ts';

export { type Dialect, dialects } from './dialect.ts';
export { removedFromRequest } from './headers.ts';
export {
  decidePath,
  headersOfRequest,
  type PlannedRoute,
  type Printed,
  type ProxyPlan,
  proxySecretHeader,
} from './plan.ts';
export { type Finding, probe } from './probe.ts';
export { type ProxyName, proxies, proxyNames, supportTable } from './support.ts';

/** Generates the configuration of each proxy. */
export const printers = {
  nginx: printNginx,
  caddy: printCaddy,
  haproxy: printHaproxy,
  traefik: printTraefik,
  envoy: printEnvoy,
} satisfies Readonly<Record<ProxyName, (plan: ProxyPlan) => Printed>>;
