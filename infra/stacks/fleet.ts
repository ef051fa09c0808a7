import { freePorts } from '@countersign/testing';
import { describeParts, type Part, startParts } from './parts.ts';
import { makePlace, writeGatewayConfig } from './stack.ts';

export type FleetOptions = Readonly<{
  authServices: number;
  gateways: number;
  /** The server that all auth-services share. The fleet creates its own database there. */
  databaseUrl: string;
  redisUrl: string;
  /** The upstream for the routes under `/recorded`. */
  recorderUrl: string;
}>;

export type Member = Part & Readonly<{ url: string }>;

export type Fleet = Awaited<ReturnType<typeof startFleet>>;

const issuer = 'http://fleet.test';

/**
 * Starts several auth-services and gateways, each as a process, with one Postgres and one Redis, like a cluster.
 * Resolves when all are ready.
 */
export async function startFleet(options: FleetOptions) {
  const { databaseUrl, redisUrl, recorderUrl } = options;
  const place = await makePlace({ databaseUrl, redisUrl });
  const auths = await portsFor(options.authServices, ['AUTH_PORT']);
  const gateways = await portsFor(options.gateways, ['GATEWAY_PORT', 'GATEWAY_ADMIN_PORT', 'GATEWAY_INTERNAL_PORT']);
  const targets = auths.map(({ AUTH_PORT }) => `http://127.0.0.1:${AUTH_PORT}`);
  const configFile = writeGatewayConfig(place, 'gateway.yaml', (config) => {
    // Lets each login use a separate address, so that the throttle does not affect these tests.
    config.trustedProxies = ['127.0.0.1/32'];
    for (const followed of config.issuers) {
      followed.issuer = issuer;
      followed.jwks = `${targets[0]}/.well-known/jwks.json`;
      followed.revocations.url = `${targets[0]}/internal/revocations`;
    }
    config.upstreams = { 'auth-service': { targets }, recorder: { targets: [recorderUrl] } };
    const recorded = { upstream: 'recorder', auth: 'required' };
    config.routes = [
      { name: 'login', path: '/v1/auth/login', methods: ['POST'], upstream: 'auth-service', auth: 'public' },
      { name: 'logout', path: '/v1/auth/logout', methods: ['POST'], upstream: 'auth-service', auth: 'optional' },
      { name: 'recorded', path: '/recorded/**', methods: ['GET', 'POST'], ...recorded },
      { name: 'recorded-socket', path: '/recorded/socket', methods: ['GET'], websocket: true, ...recorded },
    ];
    delete config.tests;
  });
  const common = { GATEWAY_CONFIG: configFile, LOG_LEVEL: 'warn', AUTH_ISSUER: issuer, REPLAY_WITHOUT_REDIS: 'memory' };
  const specs = [
    ...auths.flatMap((ports) => describeParts(place, ['auth-service'], { ...common, ...gateways[0], ...ports })),
    ...gateways.flatMap((ports) => describeParts(place, ['gateway'], { ...common, ...ports })),
  ];
  // Instances that share a directory would create two keys for agreement.
  const alone = { AGREEMENT_KEYS: '' };
  const members = await startParts(
    specs.map((spec, at) => ({ ...spec, env: { ...spec.env, ...alone, ...(at > 0 && { SEED_FILE: '' }) } })),
  );
  const ports = [...auths.map(({ AUTH_PORT }) => AUTH_PORT), ...gateways.map(({ GATEWAY_PORT }) => GATEWAY_PORT)];
  const all = members.map((member, at): Member => ({ ...member, url: `http://127.0.0.1:${ports[at]}` }));
  return {
    authServices: all.slice(0, auths.length),
    gateways: all.slice(auths.length),
    /** The gateway.yaml for all gateways, which uses each gateway's variables. */
    configFile,
    /** Stops the processes and drops the database. */
    async remove() {
      await Promise.all(all.map(({ stop }) => stop()));
      await place.remove();
    },
  };
}

/** Reserves the ports of several instances, each with its variables. */
async function portsFor<Name extends string>(count: number, names: readonly Name[]) {
  const ports = await freePorts(count * names.length);
  return Array.from(
    { length: count },
    () => Object.fromEntries(names.map((name) => [name, String(ports.shift())])) as Record<Name, string>,
  );
}
