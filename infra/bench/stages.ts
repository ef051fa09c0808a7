import { openSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findCores } from './machine/cores.ts';
import { forkPinned } from './machine/processes.ts';
import { describeMachine } from './machine/versions.ts';
import { report } from './results/report.ts';
import { benchPath, ownGateway, signatures, writeGatewayFiles } from './site/gateway.ts';
import { openSite } from './site/site.ts';
import { type Measurement, type PartsSettings, partsTable } from './stages/parts.ts';
import { describeShares } from './stages/profile.ts';

/*
 * `npm run bench:stages`: measures the CPU time of each part of a request through the gateway (docs/benchmarks.md).
 *
 *   --rounds N           rounds; default 15
 *   --batches N          batches of 64 requests in a round; default 30
 *   --node-flags="…"     Node flags, such as those that `countersign serve` sets for itself
 *   --write              write the result into docs/benchmarks.md
 */

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    batches: { type: 'string', default: '30' },
    'node-flags': { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const cores = findCores();
const algorithms = Object.keys(signatures);
const site = await openSite(cores?.load);
try {
  const settings: PartsSettings = {
    requestsFile: site.writeRequests('requests', [benchPath]),
    upstreamOrigin: site.upstreamOrigin,
    clientCores: cores?.load,
    decisionFile: decisionFile(),
    configurations: algorithms.map((algorithm) => {
      const { file } = writeGatewayFiles(site, { folder: ownGateway, algorithm }, [0, 0, 0]);
      return { algorithm, file };
    }),
    warmUpRounds: 3,
    rounds: Number(values.rounds),
    batches: Number(values.batches),
  };
  const machine = describeMachine({ cores, load: 'batches of 64 requests', gateways: [ownGateway] });
  const { rounds, shares } = await measureParts(settings, openSync(join(site.directory, 'access.log'), 'a'));
  report('stages', [machine, partsTable(rounds, algorithms), describeShares(shares)], values);
} finally {
  await site.close();
}

/** A gateway that nginx asks, with the same signature algorithm as the table's other rows. */
function decisionFile(): string {
  const decision = join(site.directory, 'decision.sock');
  return writeGatewayFiles(site, { folder: ownGateway, algorithm: 'hmac-sha256', decision }, [0, 0, 0]).file;
}

async function measureParts(settings: PartsSettings, log: number): Promise<Measurement> {
  const program = forkPinned(join(import.meta.dirname, 'stages/parts-program.ts'), {
    args: [JSON.stringify(settings)],
    cores: cores?.server,
    nodeFlags: values['node-flags'].split(' ').filter((flag) => flag !== ''),
    stdout: log,
  });
  return (await program.message()) as Measurement;
}
