import { residentBytesOf } from '../machine/process-usage.ts';
import { sizesTable } from '../results/comparison.ts';
import { measureRounds, type RoundOptions, type Subject } from '../rounds.ts';
import type { RunningGateway } from '../site/gateway.ts';

export type Size = Readonly<{ size: number; requestsFile: string; start(): Promise<RunningGateway> }>;

/** Measures gateways of several sizes in interleaved rounds, and compares them with the first one. */
export async function compareSizes(what: string, sizes: readonly Size[], options: RoundOptions): Promise<string> {
  const running: RunningGateway[] = [];
  const subjects: Subject[] = [];
  try {
    for (const { size, requestsFile, start } of sizes) {
      const name = `${size.toLocaleString('en-US')} ${what}`;
      process.stderr.write(`starting with ${name}\n`);
      const gateway = await start();
      running.push(gateway);
      subjects.push({ ...gateway, name, requestsFile });
    }
    const samples = await measureRounds(subjects, options);
    const rows = subjects.map(({ name, pid }, index) => ({
      size: sizes[index]?.size ?? 0,
      samples: samples.get(name) ?? [],
      megabytes: residentBytesOf(pid) / 1_000_000,
    }));
    return sizesTable(what, rows);
  } finally {
    for (const gateway of running) await gateway.stop();
  }
}
