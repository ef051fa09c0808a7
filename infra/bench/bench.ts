import { parseArgs } from 'node:util';
import { installTools } from '@countersign/testing';
import { allContenders, type Contender, selectContenders } from './contenders.ts';
import { startDecisionSubjects } from './decision/contenders.ts';
import { measureDecision } from './decision/decision.ts';
import { nginxVersion } from './decision/nginx.ts';
import { findLoadGenerator } from './load/load.ts';
import { findCores } from './machine/cores.ts';
import { describeMachine, rivalVersions } from './machine/versions.ts';
import { comparisonTable } from './results/comparison.ts';
import { report } from './results/report.ts';
import { measureRounds, type Subject } from './rounds.ts';
import { benchPath, ownGateway } from './site/gateway.ts';
import { openSite, type Site } from './site/site.ts';

/*
 * `npm run bench`: compares the gateway with the limit and its rivals, on one core (docs/benchmarks.md).
 *
 *   --rounds N           rounds; default 5
 *   --seconds S          seconds for each server in a round; default 4
 *   --only NAME,…        limit, recipe, fastify, haproxy, gateway, gateway-ed25519, …; default: all
 *   --gateway FOLDER     the folder `gateway/` of a checkout, more than once to compare; default: this one's
 *   --node-flags="…"     Node flags for the limit and the rivals; default: the gateway's own
 *   --gateway-flags="…"  additional Node flags for the gateways
 *   --decision           instead: nginx alone, nginx that asks a server of node:http, nginx that asks the gateway, and
 *                        the gateway in its place
 *   --algorithm NAME     with --decision, how the gateway signs: ed25519, hmac-sha256 (default)
 *   --write              write the result into docs/benchmarks.md
 */

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    only: { type: 'string', default: '' },
    gateway: { type: 'string', multiple: true, default: [ownGateway] },
    'node-flags': { type: 'string', default: '' },
    'gateway-flags': { type: 'string', default: '' },
    decision: { type: 'boolean', default: false },
    algorithm: { type: 'string', default: 'hmac-sha256' },
    write: { type: 'boolean', default: false },
  },
});
installTools(import.meta.dirname);
const words = (text: string, separator: string) => text.split(separator).filter((word) => word !== '');
const gateways = values.gateway;
const nodeFlags = words(values['node-flags'], ' ');
const gatewayFlags = words(values['gateway-flags'], ' ');
const only = words(values.only, ',');
const contenders = selectContenders(allContenders({ gateways, nodeFlags, gatewayFlags }), only);
const cores = findCores();
const load = findLoadGenerator();
const seconds = Number(values.seconds);
const options = { load, cores, connections: 64, rounds: Number(values.rounds), seconds };

const site = await openSite(cores?.load);
const running: Readonly<{ stop(): Promise<void> }>[] = [];
try {
  const requestsFile = site.writeRequests('requests', [benchPath]);
  const machine = describeMachine({ cores, load: load.name, gateways });
  const conditions = `64 connections, ${site.tokens.length} tokens in rotation, ${options.rounds} rounds of ${seconds} s.`;
  if (values.decision) {
    const subjects = await startDecisionSubjects(
      site,
      { folder: gateways[0] ?? ownGateway, algorithm: values.algorithm, requestsFile, cores: cores?.server },
      (server) => running.push(server),
    );
    const measured = await measureDecision(subjects, options);
    const versions = `nginx ${nginxVersion()}. Signature: ${values.algorithm}.`;
    report('decision', [machine, `${conditions} ${versions}`, ...measured], values);
  } else {
    const samples = await measureRounds(await startContenders(requestsFile), options);
    report('bench', [machine, `${conditions} ${rivalVersions()}`, comparisonTable(samples)], values);
  }
} finally {
  for (const server of running) await server.stop();
  await site.close();
}

async function startContenders(requestsFile: string): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const contender of contenders) {
    process.stderr.write(`starting ${contender.name}\n`);
    const server = await contender.start(site, cores?.server);
    running.push(server);
    await expectRefusal(contender, server.origin, site);
    subjects.push({ ...server, name: contender.name, requestsFile });
  }
  return subjects;
}

/** A server that forwards a request with an invalid token would win by skipping the work. */
async function expectRefusal({ name, checksTokens }: Contender, origin: string, { tokens }: Site): Promise<void> {
  if (!checksTokens) return;
  const [header, payload] = (tokens[0] ?? '').split('.');
  const [, , signature] = (tokens[1] ?? '').split('.');
  const headers = { authorization: `Bearer ${header}.${payload}.${signature}` };
  const { status } = await fetch(origin + benchPath, { headers });
  if (status !== 401) throw new Error(`${name} responded with ${status} to an invalid token`);
}
