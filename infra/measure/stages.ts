import { parseArgs } from 'node:util';
import { staticKeySet } from '@countersign/jwks';
import { Revocations } from '@countersign/revocations';
import { freePorts, mintIssuer } from '@countersign/testing';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { type Issuer, toleranceMs } from '../../gateway/src/config/config.ts';
import { loadConfig } from '../../gateway/src/config/load.ts';
import { assertStillValid } from '../../gateway/src/tokens/verified-tokens.ts';
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
  for (const [row, micros] of await measureFirstSight(subjects[0]?.file ?? '', bench)) {
    const samples = micros.map((request) => ({ request, decision: Number.NaN }));
    rows.set(row, samples);
  }
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
async function measureFirstSight(file: string, { rounds }: Bench): Promise<Map<string, number[]>> {
  const [config] = loadConfig(file, {}).issuers;
  if (config === undefined) throw new Error('the configuration has no issuer');
  const verifiers = (await Promise.all((['RS256', 'ES256'] as const).map((alg) => verifiersOf(config, alg)))).flat();
  const all = await inRounds(verifiers, warmUpRounds + rounds, async ({ tokens, verify }) => {
    const before = process.cpuUsage();
    for (const token of tokens) await verify(token);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / tokens.length;
  });
  return new Map(Array.from(all, ([name, micros]) => [name, micros.slice(warmUpRounds)]));
}

/** The gateway's verification, revocations included, and the one that services use without a gateway. */
async function verifiersOf(config: Issuer, alg: 'RS256' | 'ES256') {
  const { issuer, audience } = config;
  const { jwks, accessToken } = await mintIssuer({ issuer, audience: audience[0] ?? '', alg });
  const tokens = await Promise.all(Array.from({ length: 200 }, () => accessToken()));
  const revocations = new Revocations({ toleranceMs, maxStalenessMs: 10_000, onStale: 'allow' });
  const [notBeforeMs, expiresAtMs] = [Date.now(), Date.now() + 3_600_000];
  revocations.applySnapshot([{ kind: 'session', names: ['another'], notBeforeMs, expiresAtMs }], notBeforeMs);
  const ofAlgorithm = { ...config, algorithms: [alg] };
  const issuers = new Map([[issuer, { config: ofAlgorithm, keys: staticKeySet(jwks, ofAlgorithm), revocations }]]);
  const verify = createTokenVerifier(issuers, Date.now);
  const keySet = createLocalJWKSet(jwks);
  const rules = { issuer, audience: [...audience], algorithms: [alg], typ: 'at+jwt' };
  const ours = async (token: string) => assertStillValid(await verify(token), Date.now());
  return [
    { name: `authenticate, first sight, ${alg}`, tokens, verify: ours },
    { name: `jwtVerify of jose, ${alg}`, tokens, verify: (token: string) => jwtVerify(token, keySet, rules) },
  ];
}
