import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { freePorts } from '@countersign/testing';
import { isCompletelyReady } from '../../run/spawn.ts';
import type { RunningServer } from '../machine/processes.ts';
import type { Site } from './site.ts';

/** The gateway of this checkout. */
export const ownGateway = resolve(import.meta.dirname, '../../../gateway');

/** How the gateway hands on identity, as `upstreams.*.identity` in gateway.yaml. */
export const signatures: Readonly<Record<string, string>> = {
  ed25519: '{ algorithm: ed25519 }',
  'hmac-sha256': '{ algorithm: hmac-sha256, secretFile: ./secret }',
  agreed: '{ algorithm: agreed }',
  'token-bound': '{ headers: false, token: {} }',
  'token-unbound': '{ headers: false, token: { bind: none } }',
};

export type GatewayOptions = Readonly<{
  /** The folder `gateway/` of a checkout. */
  folder: string;
  /** A key of {@link signatures}. */
  algorithm: string;
  cores: string | undefined;
  /** Node flags in addition to those that the gateway sets for itself. */
  nodeFlags?: readonly string[];
  /** Default 1,000. */
  revocations?: number;
  /** Routes in addition to the one that every benchmark uses. Default 10. */
  moreRoutes?: number;
  /**
   * Default: one process. With this option, even with 1, routes have no limits, because workers count them only in
   * Redis.
   */
  workers?: number;
  /** The path of a Unix socket on which nginx asks for decisions. Default: none. */
  decision?: string;
  /** Lines of gateway.yaml that let the service call further ones: services, upstreams and routes. Default: none. */
  nested?: Readonly<{ services: string; upstreams: string; routes: string }>;
}>;

/** A checkout has its own Node, which may be another version. */
export function nodeOf(folder: string): string {
  const own = resolve(folder, '../node_modules/.bin/node');
  return existsSync(own) ? own : process.execPath;
}

/** The Node arguments that run a checkout's CLI. */
export const cliOf = (folder: string): string[] => ['--conditions=source', resolve(folder, 'bin/countersign.js')];

/**
 * Runs `countersign serve` as an operator would: defaults, verified tokens, loaded revocations, a policy with roles, a
 * limit by user, a signature, the access log in a file, and metrics.
 *
 * @returns The server, with the origins of its public and internal listeners and the path of its gateway.yaml.
 */
export async function startGateway(
  site: Site,
  options: GatewayOptions,
): Promise<RunningServer & Readonly<{ origin: string; internal: string; file: string }>> {
  const { folder, cores, workers, nodeFlags = [] } = options;
  const ports = await freePorts(3);
  const home = mkdtempSync(join(site.directory, 'gateway-'));
  const file = join(home, 'gateway.yaml');
  writeFileSync(file, gatewayYaml(site, options, ports));
  writeFileSync(join(home, 'secret'), randomBytes(32).toString('base64url'), { mode: 0o600 });
  const cli = cliOf(folder);
  const create = [...cli, 'keys', 'create', '--dir', join(home, 'keys')];
  execFileSync(nodeOf(folder), create);
  if (isToken(options)) execFileSync(nodeOf(folder), [...create, '--algorithm', 'ES256']);
  const severalWorkers = workers === undefined ? [] : ['--workers', String(workers)];
  const server = await site.start({
    command: nodeOf(folder),
    args: [...nodeFlags, ...cli, 'serve', '--config', file, ...severalWorkers],
    cores,
    env: { LOG_LEVEL: 'info' },
    logFile: join(home, 'access.log'),
    async ready() {
      if (!(await isCompletelyReady(`http://127.0.0.1:${ports[1]}/readyz`)))
        throw new Error('the gateway is not ready');
    },
  });
  const [origin = '', , internal = ''] = ports.map((port) => `http://127.0.0.1:${port}`);
  return { ...server, origin, internal, file };
}

/** Gateways of earlier versions know no identity tokens. */
const isToken = ({ algorithm }: GatewayOptions): boolean => algorithm.startsWith('token-');

export const benchPath = '/v1/complaints/01890a5d-ac96-774b-bcce-b302099a8057';

export const pathOfRoute = (index: number): string => `/v1/area-${index % 100}/things-${index}/7`;

/**
 * The measured configuration. Other settings have their defaults.
 *
 * @param ports The ports of the public, admin and internal listeners.
 */
function gatewayYaml(site: Site, options: GatewayOptions, ports: readonly number[]): string {
  const { algorithm, revocations = 1_000, moreRoutes = 10, workers, decision, nested } = options;
  const [publicPort, admin, internal] = ports.map((port) => `"127.0.0.1:${port}"`);
  const limits = workers === undefined ? ', limits: [{ requests: 1000000, per: 1s, by: user }]' : '';
  // nginx does not send the body, so a route for POST would have to declare that the body is not signed.
  const methods = decision === undefined ? '[GET, POST, PATCH]' : '[GET]';
  const route = (name: string, path: string) =>
    `  - { name: ${name}, path: "${path}", methods: ${methods}, upstream: service, auth: required, allow: { roles: [complainant, agent, admin] }${limits} }`;
  const more = Array.from({ length: moreRoutes }, (_, index) =>
    route(`route-${index}`, pathOfRoute(index).replace(/7$/, ':id')),
  );
  return `version: 1
listen: { public: ${publicPort}, admin: ${admin}, internal: ${internal}${decision ? `, decision: "unix:${decision}"` : ''} }
${decision ? 'decision: { proxy: nginx }' : ''}
issuers:
  - issuer: ${site.issuer}
    audience: ${site.audience}
    jwks: ${site.issuerOrigin}/jwks.json
    algorithms: [RS256]
    revocations: { url: ${site.issuerOrigin}/revocations/${revocations} }
identity: { keys: ./keys${isToken(options) ? `, issuer: "http://127.0.0.1:${ports[2]}"` : ''} }
upstreams:
  issuer: { targets: ["${site.issuerOrigin}"] }
  service:
    targets: ["${site.upstreamOrigin}"]
    identity: ${signatures[algorithm]}
    health: { path: /healthz }
    retry: { attempts: 1 }
    breaker: {}
    txnToken: ${nested !== undefined}
${nested?.upstreams ?? ''}
${nested?.services ?? ''}
routes:
${[route('complaints', '/v1/complaints/**'), ...more].join('\n')}
${nested?.routes ?? ''}
`;
}
