import { parseArgs } from 'node:util';
import { installTools } from '@countersign/testing';
import { type Bench, inRounds, measureAtRate, measureRounds, runBench, type Subject } from './load/rounds.ts';
import { comparisonTable, decisionTable, latencyTable, limitName } from './results/table.ts';
import { allContenders, rivalVersions, selectContenders } from './rivals/contenders.ts';
import { nginxVersion, startDecisionSubjects } from './rivals/decision.ts';
import { benchPath, ownGateway } from './site/gateway.ts';

/*
 * `npm run bench`: compares the gateway with the limit and its rivals, on one core (docs/benchmarks.md).
 *
 *   --rounds N           rounds; default 5
 *   --seconds S          seconds for each server in a round; default 4
 *   --only NAME,…        limit, recipe, fastify, haproxy, gateway, gateway-ed25519, …; default: all
 *   --gateway FOLDER     the folder `gateway/` of a checkout, more than once to compare; default: this one's
 *   --node-flags="…"     Node flags for the limit and the rivals; default: none
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
const contenders = selectContenders(
  allContenders({
    gateways,
    nodeFlags: words(values['node-flags'], ' '),
    gatewayFlags: words(values['gateway-flags'], ' '),
  }),
  words(values.only, ','),
);
if (values.decision) await runBench('decision', { ...values, gateways }, compareDecisions);
else await runBench('bench', { ...values, gateways }, compareGateways);

async function compareGateways(bench: Bench): Promise<string[]> {
  const { site, cores, machine, conditions } = bench;
  const requestsFile = site.writeRequests('requests', [benchPath]);
  const subjects: Subject[] = [];
  for (const { name, start } of contenders) {
    process.stderr.write(`starting ${name}\n`);
    const server = await start(site, cores?.server);
    if (name !== limitName) await expectRefusal(name, server.origin, site.tokens);
    subjects.push({ ...server, name, requestsFile });
  }
  const samples = await measureRounds(subjects, bench);
  return [machine, `${conditions} ${rivalVersions()}`, comparisonTable(samples)];
}

/** CPU and throughput in interleaved rounds, then latencies at a constant rate. */
async function compareDecisions(bench: Bench): Promise<string[]> {
  const { site, cores, machine, conditions, seconds } = bench;
  const { algorithm } = values;
  const requestsFile = site.writeRequests('requests', [benchPath]);
  const [folder = ownGateway] = gateways;
  const subjects = await startDecisionSubjects(site, { folder, algorithm, requestsFile, cores: cores?.server });
  const samples = await measureRounds(subjects, bench);
  const perSecond = 500;
  const options = { perSecond, seconds, bench };
  const latencies = await inRounds(subjects, bench.rounds, (subject) => measureAtRate(subject, options));
  return [
    machine,
    `${conditions} nginx ${nginxVersion()}. Signature: ${algorithm}.`,
    decisionTable(samples),
    `At ${perSecond} requests a second, \`added\` to the first row:`,
    latencyTable(latencies),
  ];
}

/** A server that forwards a request with an invalid token would win by skipping the work. */
async function expectRefusal(name: string, origin: string, tokens: readonly string[]): Promise<void> {
  const [header, payload] = (tokens[0] ?? '').split('.');
  const [, , signature] = (tokens[1] ?? '').split('.');
  const headers = { authorization: `Bearer ${header}.${payload}.${signature}` };
  const { status } = await fetch(origin + benchPath, { headers });
  if (status !== 401) throw new Error(`${name} responded with ${status} to an invalid token`);
}
