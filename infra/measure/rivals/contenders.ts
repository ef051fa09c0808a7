import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { freePorts } from '@countersign/testing';
import type { RunningServer, ServerOptions } from '../machine/processes.ts';
import { limitName } from '../results/table.ts';
import { benchPath, nodeOf, signatures, startGateway } from '../site/gateway.ts';
import { expectOk, type Site } from '../site/site.ts';

export type Contender = Readonly<{
  name: string;
  start(site: Site, cores: string | undefined): Promise<RunningServer & Readonly<{ origin: string }>>;
}>;

export type ContenderOptions = Readonly<{
  /** The folders `gateway/` of the checkouts to compare. */
  gateways: readonly string[];
  /** Node flags for the limit and the rivals: the flags that the gateway sets for itself. */
  nodeFlags: readonly string[];
  /** Additional Node flags for the gateways, to try them out. */
  gatewayFlags: readonly string[];
}>;

/** Lists the limit, the rivals, and each gateway with each algorithm. Includes HAProxy only if it is installed. */
export function allContenders({ gateways, nodeFlags, gatewayFlags }: ContenderOptions): Contender[] {
  const program = (name: string, argsOf: (site: Site) => readonly string[]): Contender => ({
    name,
    start: (site, cores) =>
      serve(site, cores, (port) => ({
        // All run on the gateway's Node version.
        command: nodeOf(gateways[0] ?? ''),
        args: [
          ...nodeFlags,
          join(import.meta.dirname, `${name}-program.ts`),
          String(port),
          site.upstreamOrigin,
          ...argsOf(site),
        ],
      })),
  });
  return [
    program(limitName, () => []),
    program('recipe', (site) => [`${site.issuerOrigin}/jwks.json`, site.issuer, site.audience]),
    program('fastify', (site) => [site.publicKeyFile, site.issuer, site.audience]),
    ...(haproxyVersion() === undefined ? [] : [haproxy]),
    ...gateways.flatMap((folder) =>
      Object.keys(signatures).map((algorithm) => ({
        name: `gateway-${algorithm}${gateways.length === 1 ? '' : `@${basename(dirname(resolve(folder)))}`}`,
        start: (site: Site, cores: string | undefined) =>
          startGateway(site, { folder, algorithm, cores, nodeFlags: gatewayFlags }),
      })),
    ),
  ];
}

const haproxy: Contender = {
  name: 'haproxy',
  start: (site, cores) => startHaproxy(site, cores, verifiesTokens(site)),
};

/** One thread. @param checks Lines for the frontend. Default: it forwards every request. */
export const startHaproxy = (site: Site, cores: string | undefined, checks = '') =>
  serve(site, cores, (port) => {
    const file = join(site.directory, `haproxy-${port}.cfg`);
    writeFileSync(file, haproxyConfig(site, port, checks));
    return { command: 'haproxy', args: ['-db', '-f', file] };
  });

/** @returns HAProxy's version. Undefined if it is not installed, or too old for `jwt_verify` (2.5). */
function haproxyVersion(): string | undefined {
  const { stdout } = spawnSync('haproxy', ['-v'], { encoding: 'utf8' });
  const [, version = ''] = /version (\S+)/.exec(stdout) ?? [];
  return Number.parseFloat(version) >= 2.5 ? version : undefined;
}

const haproxyConfig = ({ upstreamOrigin }: Site, port: number, checks: string): string => `global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout connect 2s
  timeout server 30s
frontend public
  bind 127.0.0.1:${port}
${checks}  default_backend service
backend service
  http-reuse always
  server service ${new URL(upstreamOrigin).host}
`;

/** Verifies RS256 on every request, and checks `aud` and `exp`. HAProxy keeps no verified tokens. */
const verifiesTokens = ({
  publicKeyFile,
  audience,
}: Site): string => `  http-request set-var(txn.alg) http_auth_bearer,jwt_header_query('$.alg')
  http-request set-var(txn.aud) http_auth_bearer,jwt_payload_query('$.aud')
  http-request set-var(txn.exp) http_auth_bearer,jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str RS256 }
  http-request deny deny_status 401 unless { var(txn.aud) -m str ${audience} }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request deny deny_status 401 unless { http_auth_bearer,jwt_verify(txn.alg,"${publicKeyFile}") -m int 1 }
`;

/** Starts a server on a free port, and waits until it forwards a request. */
export async function serve(
  site: Site,
  cores: string | undefined,
  optionsFor: (port: number) => Pick<ServerOptions, 'command' | 'args'>,
) {
  const [port = 0] = await freePorts(1);
  const origin = `http://127.0.0.1:${port}`;
  const ready = () => expectOk(origin + benchPath, site.tokens[0]);
  return { ...(await site.start({ ...optionsFor(port), cores, ready })), origin };
}

/** Keeps the contenders that a name selects: in full, or before a `-` or `@`. `gateway` selects every gateway. */
export function selectContenders(all: readonly Contender[], names: readonly string[]): Contender[] {
  const isSelected = (contender: string, name: string) =>
    contender === name || contender.startsWith(`${name}-`) || contender.startsWith(`${name}@`);
  const unknown = names.filter((name) => !all.some((contender) => isSelected(contender.name, name)));
  if (unknown.length > 0) {
    throw new Error(`unknown: ${unknown.join(', ')}; known: ${all.map(({ name }) => name).join(', ')}`);
  }
  return all.filter((contender) => names.length === 0 || names.some((name) => isSelected(contender.name, name)));
}

/** The versions of the servers that the gateway is compared with. */
export function rivalVersions(): string {
  // Both files pin exact versions.
  const files = ['../../package.json', '../package.json'].map((file) => join(import.meta.dirname, file));
  const pinned: Readonly<Record<string, string>> = Object.assign(
    {},
    ...files.map((file) => JSON.parse(readFileSync(file, 'utf8')).dependencies),
  );
  const packages = ['undici', 'express', 'http-proxy-middleware', 'jose', '@fastify/http-proxy', 'fast-jwt'];
  const haproxy = haproxyVersion();
  const others = haproxy === undefined ? [] : [`HAProxy ${haproxy}`];
  return `${[...packages.map((name) => `${name} ${pinned[name]}`), ...others].join(', ')}.`;
}
