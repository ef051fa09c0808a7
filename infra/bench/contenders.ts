import { writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { freePorts } from '@countersign/testing';
import { type RunningServer, startServer } from './machine/processes.ts';
import { haproxyConfig, haproxyVersion } from './rivals/haproxy.ts';
import { benchPath, nodeOf, signatures, startGateway } from './site/gateway.ts';
import { expectOk, type Site } from './site/site.ts';

/** A server that is measured. */
export type Contender = Readonly<{
  name: string;
  start(site: Site, cores: string | undefined): Promise<RunningServer & Readonly<{ origin: string }>>;
  /** False for the baseline, which also forwards requests with invalid tokens. */
  checksTokens: boolean;
}>;

export type ContenderOptions = Readonly<{
  /** The folders `gateway/` of the checkouts to compare. */
  gateways: readonly string[];
  /** Node flags for the limit and the rivals: the flags that the gateway sets for itself. */
  nodeFlags: readonly string[];
  /** Additional Node flags for the gateways, to try them out. */
  gatewayFlags: readonly string[];
}>;

/** The name of the baseline server. */
export const limitName = 'limit';

/** Lists the limit, the rivals, and each gateway with each algorithm. Includes HAProxy only if it is installed. */
export function allContenders({ gateways, nodeFlags, gatewayFlags }: ContenderOptions): Contender[] {
  // All run on the gateway's Node version.
  const node = nodeOf(gateways[0] ?? '');
  const program = (name: string, argsOf: (site: Site) => readonly string[]): Contender => ({
    name,
    checksTokens: name !== limitName,
    async start(site, cores) {
      const [port = 0] = await freePorts(1);
      const file = join(import.meta.dirname, 'rivals', `${name}-program.ts`);
      const args = [...nodeFlags, '--conditions=source', file, String(port), site.upstreamOrigin, ...argsOf(site)];
      return serve(site, { command: node, args, cores, port });
    },
  });
  return [
    program(limitName, () => []),
    program('recipe', (site) => [`${site.issuerOrigin}/jwks.json`, site.issuer, site.audience]),
    program('fastify', (site) => [site.publicKeyFile, site.issuer, site.audience]),
    ...(haproxyVersion() === undefined ? [] : [haproxy]),
    ...gateways.flatMap((folder) =>
      Object.keys(signatures).map((algorithm) => ({
        name: `gateway-${algorithm}${gateways.length === 1 ? '' : `@${basename(dirname(resolve(folder)))}`}`,
        checksTokens: true,
        start: (site: Site, cores: string | undefined) =>
          startGateway(site, { folder, algorithm, cores, nodeFlags: gatewayFlags }),
      })),
    ),
  ];
}

const haproxy: Contender = {
  name: 'haproxy',
  checksTokens: true,
  async start(site, cores) {
    const [port = 0] = await freePorts(1);
    const file = join(site.directory, 'haproxy.cfg');
    writeFileSync(file, haproxyConfig({ ...site, port }));
    return serve(site, { command: 'haproxy', args: ['-db', '-f', file], cores, port });
  },
};

async function serve(
  site: Site,
  { port, ...options }: Readonly<{ command: string; args: readonly string[]; cores: string | undefined; port: number }>,
) {
  const origin = `http://127.0.0.1:${port}`;
  const server = await startServer({ ...options, ready: () => expectOk(origin + benchPath, site.tokens[0]) });
  return { ...server, origin };
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
