import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { eventually, freePorts } from '@countersign/testing';
import { type Bench, measureRounds, runBench, type Subject } from './load/rounds.ts';
import { wholeTable } from './results/table.ts';
import { startHaproxy } from './rivals/contenders.ts';
import type { ServiceOptions } from './rivals/service-program.ts';
import { benchPath, nodeOf, ownGateway, signatures, startGateway } from './site/gateway.ts';
import { expectOk, type Site } from './site/site.ts';

/*
 * `npm run bench:whole`: the CPU time of a request in the gateway and in the services together, beside services that
 * verify the client's token with jose behind HAProxy, which only forwards (docs/benchmarks.md).
 *
 *   --rounds N           rounds; default 5
 *   --seconds S          seconds for each in a round; default 3
 *   --write              write the result into docs/benchmarks.md
 */

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
  },
});

type Framework = ServiceOptions['framework'];

await runBench('whole', { ...values, gateways: [ownGateway] }, async (bench) => {
  const { machine, conditions, site } = bench;
  const text = [machine, conditions];
  for (const framework of ['express', 'fastify'] as const) {
    const subjects: Subject[] = [];
    for (const form of ['jose', 'jose-once'] as const) subjects.push(await rival(form, framework, 1, bench));
    for (const form of Object.keys(signatures)) subjects.push(await ours(form, framework, 1, bench));
    text.push(`One service with ${framework}:`, wholeTable(await measureRounds(subjects, bench)));
    await site.stopServers();
  }
  for (const count of [2, 5]) {
    const subjects = [await rival('jose', 'express', count, bench), await ours('agreed', 'express', count, bench)];
    text.push(
      `${count} services with express, each called by the one before:`,
      wholeTable(await measureRounds(subjects, bench)),
    );
    await site.stopServers();
  }
  return text;
});

/** HAProxy before services that verify the client's token, and pass it on. */
async function rival(form: 'jose' | 'jose-once', framework: Framework, count: number, bench: Bench): Promise<Subject> {
  const { site, cores } = bench;
  const { issuer, audience } = site;
  const ports = await freePorts(count);
  const services = ports.map((port, at) => {
    const next = ports[at + 1] && `http://127.0.0.1:${ports[at + 1]}${benchPath}`;
    return { port, framework, form, jwks: `${site.issuerOrigin}/jwks.json`, issuer, audience, ...(next && { next }) };
  });
  const running = await startServices(services, bench);
  const proxy = await startHaproxy({ ...site, upstreamOrigin: `http://127.0.0.1:${ports[0]}` }, cores?.server);
  return subject(`${form}, behind HAProxy`, { ...proxy, asks: running }, bench);
}

/** The gateway before services that verify what it signs, and call each other through it. */
async function ours(algorithm: string, framework: Framework, count: number, bench: Bench): Promise<Subject> {
  const { site, cores } = bench;
  const ports = await freePorts(count);
  const names = ports.map((_, at) => (at === 0 ? 'service' : `service-${at + 1}`));
  const keys = names.map((name) => createServiceKey(name, site));
  const pathTo = (name: string) => `/internal/${name}`;
  const options = { folder: ownGateway, algorithm, cores: cores?.server };
  const services = names.map((name, at) => `  ${name}: { keys: ${keys[at]?.file} }\n`);
  const further = names.slice(1).map((name, at) => ({ name, caller: names[at], port: ports[at + 1] }));
  const upstreams = further.map(
    ({ name, port }) =>
      `  ${name}: { targets: ["http://127.0.0.1:${port}"], identity: ${signatures[algorithm]}, txnToken: true }\n`,
  );
  const routes = further.map(
    ({ name, caller }) =>
      `  - { name: ${name}, path: ${pathTo(name)}, methods: [GET], upstream: ${name}, auth: service, callers: [${caller}] }\n`,
  );
  const nested = {
    services: `services:\n${services.join('')}`,
    upstreams: upstreams.join(''),
    routes: routes.join(''),
  };
  const upstream = { ...site, upstreamOrigin: `http://127.0.0.1:${ports[0]}` };
  const gateway = await startGateway(upstream, { ...options, ...(count > 1 && { nested }) });
  const isToken = algorithm.startsWith('token-');
  const programs = names.map(
    (audience, at): ServiceOptions => ({
      port: ports[at] ?? 0,
      framework,
      form: isToken ? (algorithm as ServiceOptions['form']) : 'headers',
      jwks: `${gateway.internal}/.well-known/${isToken ? 'identity-token-' : ''}jwks.json`,
      issuer: `${gateway.internal}/${audience}`,
      audience,
      ...(algorithm === 'hmac-sha256' && { secretFile: join(dirname(gateway.file), 'secret') }),
      ...(names[at + 1] && { next: gateway.internal + pathTo(names[at + 1] ?? ''), key: keys[at]?.jwk }),
    }),
  );
  const running = await startServices(programs, bench);
  return subject(algorithm, { ...gateway, asks: running }, bench);
}

async function startServices(services: readonly ServiceOptions[], { site, cores }: Bench): Promise<number[]> {
  const pids: number[] = [];
  for (const options of services) {
    const { pid } = await site.start({
      command: nodeOf(ownGateway),
      args: ['--conditions=source', join(import.meta.dirname, 'rivals/service-program.ts'), JSON.stringify(options)],
      cores: cores?.server,
      // Any response: the services alone refuse this request.
      ready: async () => void (await fetch(`http://127.0.0.1:${options.port}/`)),
    });
    pids.push(pid);
  }
  return pids;
}

/** @returns The private key, and the name of a file with the public one. */
function createServiceKey(name: string, site: Site) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const kid = `${name}-key`;
  const file = join(site.directory, `${randomUUID()}.jwks.json`);
  writeFileSync(file, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid }] }));
  return { jwk: { ...privateKey.export({ format: 'jwk' }), kid }, file };
}

async function subject(name: string, server: Omit<Subject, 'name' | 'requestsFile'>, { site }: Bench) {
  process.stderr.write(`started ${name}\n`);
  await eventually(() => expectOk(server.origin + benchPath, site.tokens[0]), 30_000);
  return { ...server, name, requestsFile: site.writeRequests('requests', [benchPath]) };
}
