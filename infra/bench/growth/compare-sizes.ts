import { residentBytesOf } from '../machine/process-usage.ts';
import { markdownTable, showNumber, showSpread } from '../results/markdown.ts';
import { ratioOf, spreadOf } from '../results/statistics.ts';
import { measureRounds, type RoundOptions, type Sample, type Subject } from '../rounds.ts';
import type { RunningGateway } from '../site/gateway.ts';

/** One size, such as a number of routes, and a gateway of that size. */
export type Size = Readonly<{ size: number; requestsFile: string; start(): Promise<RunningGateway> }>;

/** Measures gateways of several sizes in interleaved rounds, and compares them with the first. */
export async function compareSizes(what: string, sizes: readonly Size[], options: RoundOptions): Promise<string> {
  const running: RunningGateway[] = [];
  const subjects: Subject[] = [];
  const megabytes: number[] = [];
  try {
    for (const { size, requestsFile, start } of sizes) {
      const name = `${size.toLocaleString('en-US')} ${what}`;
      process.stderr.write(`starting with ${name}\n`);
      const gateway = await start();
      running.push(gateway);
      subjects.push({ ...gateway, name, requestsFile });
    }
    const samples = await measureRounds(subjects, options);
    for (const { pid } of running) megabytes.push(residentBytesOf(pid) / 1_000_000);
    return sizesTable(what, sizes, [...samples.values()], megabytes);
  } finally {
    for (const gateway of running) await gateway.stop();
  }
}

function sizesTable(
  what: string,
  sizes: readonly Size[],
  samples: readonly (readonly Sample[])[],
  megabytes: readonly number[],
): string {
  const [first = []] = samples;
  const rows = sizes.map(({ size }, index) => {
    const own = samples[index] ?? [];
    const rates = own.map(({ perSecond }) => perSecond);
    const cpu = own.map(({ cpuMicros }) => cpuMicros);
    const known = cpu.flatMap((micros) => micros ?? []);
    const firstRates = first.map(({ perSecond }) => perSecond);
    const firstCpu = first.map(({ cpuMicros }) => cpuMicros);
    return [
      size.toLocaleString('en-US'),
      showSpread(spreadOf(rates)),
      showNumber(ratioOf(rates, firstRates), 2),
      known.length === 0 ? '–' : showSpread(spreadOf(known), 1),
      showNumber(ratioOf(cpu, firstCpu), 2),
      showNumber(megabytes[index]),
    ];
  });
  const header = [what, 'requests/s', 'of the first', 'CPU µs a request', 'CPU / first', 'resident MB'];
  return markdownTable(header, rows);
}
