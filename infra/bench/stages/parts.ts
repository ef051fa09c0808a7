import { markdownTable, showSpread } from '../results/markdown.ts';
import { spreadOf } from '../results/statistics.ts';
import type { Shares } from './profile.ts';

/** CPU microseconds per request of everything measured in one round, by name. */
export type Parts = Readonly<Record<string, number>>;

/** The message from the measuring process. */
export type Measurement = Readonly<{ rounds: Parts[]; shares: Shares }>;

/** The message to the measuring process. */
export type PartsSettings = Readonly<{
  requestsFile: string;
  upstreamOrigin: string;
  clientCores: string | undefined;
  /** The gateway.yaml of a gateway that nginx asks. */
  decisionFile: string;
  configurations: readonly Readonly<{ algorithm: string; file: string }>[];
  warmUpRounds: number;
  rounds: number;
  /** Batches per round. */
  batches: number;
}>;

type Row = Readonly<{ name: string; of(parts: Parts): number }>;

const measured = (name: string, part = name): Row => ({ name, of: (parts) => parts[part] ?? Number.NaN });

/**
 * Returns the rows for a request with this signature algorithm. A part that cannot be measured alone is the
 * difference of two measurements.
 */
function rowsOf(algorithm: string): Row[] {
  const of = (parts: Parts, part: string) => parts[part] ?? Number.NaN;
  return [
    measured('node:http reads the request', 'bare in'),
    { name: 'listener, in addition', of: (parts) => of(parts, 'listener in') - of(parts, 'bare in') },
    measured('sanitize'),
    measured('match'),
    measured('authenticate, cached'),
    measured('authorize'),
    measured('limit'),
    measured(`sign, ${algorithm}`),
    measured('request out'),
    {
      name: 'response in',
      of: (parts) => of(parts, 'forward') - of(parts, 'request out') - of(parts, 'response out'),
    },
    measured('response out'),
    measured('log'),
    measured('metrics'),
  ];
}

/** Lists every part once, then the sum of the parts and the total for each algorithm. */
export function partsTable(rounds: readonly Parts[], algorithms: readonly string[]): string {
  const [first = ''] = algorithms;
  const rows: Row[] = [
    ...rowsOf(first).flatMap((row) =>
      row.name.startsWith('sign') ? algorithms.map((algorithm) => measured(`sign, ${algorithm}`)) : [row],
    ),
    measured('authenticate, first sight'),
    measured('node:http writes the response', 'bare out'),
    measured('the upstream client sends the request and reads the response', 'upstream client'),
    ...algorithms.flatMap((algorithm) => [
      {
        name: `sum, ${algorithm}`,
        of: (parts: Parts) => rowsOf(algorithm).reduce((sum, row) => sum + row.of(parts), 0),
      },
      measured(`whole, ${algorithm}`),
    ]),
  ];
  const bareDecision = (parts: Parts) => (parts['bare call in'] ?? Number.NaN) + (parts['bare answer'] ?? Number.NaN);
  rows.push(
    measured('the pipeline, the log line and the metrics, one request after another', 'pipeline'),
    { name: 'node:http reads a call of nginx and answers it', of: bareDecision },
    { name: 'sum, decision', of: (parts) => bareDecision(parts) + (parts.pipeline ?? Number.NaN) },
    measured('whole, decision'),
  );
  return markdownTable(
    ['part', 'CPU µs a request'],
    rows.map(({ name, of }) => [name, showSpread(spreadOf(rounds.map(of)), 1)]),
  );
}
