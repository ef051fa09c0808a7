import { parseArgs } from 'node:util';
import { staticKeySet } from '@countersign/jwks';
import { freePorts } from '@countersign/testing';
import { loadConfig } from '../../gateway/src/config/load.ts';
import { createTokenVerifier } from '../../gateway/src/tokens/verify-access-token.ts';
import { type Bench, inRounds, measure, runBench, type Subject, warmUp } from './load/rounds.ts';
import { type PartSample, partsTable } from './results/table.ts';
import { nginxVersion, startBehindNginx } from './rivals/decision.ts';
import { benchPath, ownGateway, signatures, startGateway } from './site/gateway.ts';
import { divide, openProfiler, type Parts, parts } from './stages/profile.ts';

/*
 * `npm run bench:stages`: measures the CPU time of each part of a request through the gateway (docs/benchmarks.md).
 *
 *   --rounds N           rounds; default 5
 *   --seconds S          seconds for each gateway in a round; default 3
 *   --node-flags="…"     Node flags for the gateways, in addition to their own
 *   --write              write the result into docs/benchmarks.md
 */

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    'node-flags': { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const decision = 'decision';
/** The algorithm of the parts that every algorithm shares. */
const algorithm = 'hmac-sha256';
/** How often each token is verified before the verification is measured. */
const warmUpRounds = 20;

type Profiled = Subject & Readonly<{ file: string; profile: Awaited<ReturnType<typeof openProfiler>> }>;

await runBench('stages', { ...values, gateways: [ownGateway] }, async (bench) => {
  const subjects: Profiled[] = [];
  for (const name of Object.keys(signatures)) subjects.push(await start(name, bench));
  if (nginxVersion() !== undefined) subjects.push(await start(decision, bench));
  for (const subject of subjects) await warmUp(subject, bench);
  const rounds = await inRounds(subjects, bench.rounds, (subject) => measureParts(subject, bench));
  const rows = new Map<string, PartSample[]>();
  const add = (row: string, name: string, part: keyof Parts) => {
    const ofDecision = name === algorithm ? rounds.get(decision) : undefined;
    const samples = (rounds.get(name) ?? []).map((parts, round) => ({
      request: parts[part],
      decision: ofDecision?.[round]?.[part] ?? Number.NaN,
    }));
    rows.set(row, samples);
  };
  for (const part of parts) {
    if (part !== 'sign' && part !== 'whole') add(part, algorithm, part);
    else for (const name of Object.keys(signatures)) add(`${part}, ${name}`, name, part);
  }
  const firstSight = await measureFirstSight(subjects[0]?.file ?? '', bench);
  rows.set(
    'authenticate, first sight',
    firstSight.map((request) => ({ request, decision: Number.NaN })),
  );
  return [bench.machine, bench.conditions, partsTable(rows)];
});

/** Starts a gateway that can be profiled, behind nginx for a decision. */
async function start(name: string, { site, cores }: Bench): Promise<Profiled> {
  process.stderr.write(`starting ${name}\n`);
  const [inspectorPort = 0] = await freePorts(1);
  const nodeFlags = [`--inspect=127.0.0.1:${inspectorPort}`, ...values['node-flags'].split(' ').filter(Boolean)];
  const options = { folder: ownGateway, algorithm, cores: cores?.server, nodeFlags };
  const server =
    name === decision
      ? await startBehindNginx(site, options)
      : await startGateway(site, { ...options, algorithm: name });
  const requestsFile = site.writeRequests('requests', [benchPath]);
  return { ...server, name, requestsFile, profile: await openProfiler(inspectorPort) };
}

/** @returns The gateway's CPU microseconds per request in each part. */
async function measureParts({ profile, ...subject }: Profiled, bench: Bench): Promise<Parts> {
  let micros = Number.NaN;
  const profiled = await profile(async () => {
    const { cpuMicros, askedMicros } = await measure(subject, bench);
    micros = subject.asks === undefined ? cpuMicros : askedMicros;
  });
  return divide(micros, profiled);
}

/** Measures the verification of every token, as at its first sight. @returns CPU microseconds for each, by round. */
async function measureFirstSight(file: string, { site, rounds }: Bench): Promise<number[]> {
  const [config] = loadConfig(file, {}).issuers;
  if (config === undefined) throw new Error('the configuration has no issuer');
  const issuer = { config, keys: staticKeySet(site.jwks, config), revocations: undefined };
  const verify = createTokenVerifier(new Map([[config.issuer, issuer]]), Date.now);
  const verifyAll = async () => {
    const before = process.cpuUsage();
    for (const token of site.tokens) await verify(token);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / site.tokens.length;
  };
  const micros: number[] = [];
  for (let round = 0; round < warmUpRounds + rounds; round += 1) micros.push(await verifyAll());
  return micros.slice(warmUpRounds);
}
