import { cpus, totalmem } from 'node:os';
import { stopRequested } from '@countersign/process-kit';
import { clientFaults } from './cases/clients.ts';
import { clockFaults } from './cases/clocks.ts';
import { diskFaults } from './cases/disks.ts';
import { keyFaults } from './cases/keys.ts';
import { processFaults } from './cases/processes.ts';
import { storeFaults } from './cases/stores.ts';
import { columns, type Measured, measure } from './measure.ts';
import { startFaultStack } from './stack.ts';

// `npm run faults [-- WORD…]`: causes each fault whose name contains one of the words, by default every fault, and
// prints how it affected clients. Runs the whole stack with its own PostgreSQL and Redis. Exits with 1 if a promise
// was broken.

const responseMs = 10_000;
const perSecond = 40;

const words = process.argv.slice(2);
const all = [...storeFaults, ...processFaults, ...diskFaults, ...clockFaults, ...keyFaults, ...clientFaults];
const chosen = all.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
const rows: Measured[] = [];
const skipped: string[] = [];
const say = (line: string) => process.stdout.write(`${line}\n`);

const lineOf = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const notesOf = ({ name, note, broken }: Measured) => [
  ...(typeof note === 'string' ? [`${name}: ${note}`] : []),
  ...broken.map((promise) => `${name}: BROKEN: ${promise}`),
];

const stack = await startFaultStack({ responseMs, form: 'whole' });
// Otherwise PostgreSQL would keep running, and the small disks would stay mounted.
void stopRequested().then(async () => {
  await stack.stop();
  process.exit(1);
});
try {
  for (const fault of chosen) {
    const missing = fault.missing?.();
    if (missing !== undefined) {
      skipped.push(`${fault.name}: not run: ${missing}`);
      continue;
    }
    const row = await measure(stack, fault, perSecond);
    for (const line of [lineOf(row.cells), ...notesOf(row)]) say(line);
    rows.push(row);
  }
} finally {
  await stack.stop();
}
const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`;
say(`\n${perSecond} requests a second, two workers, time-out of routes ${responseMs / 1000} s; ${machine}\n`);
for (const cells of [columns, columns.map(() => '---'), ...rows.map((row) => row.cells)]) say(lineOf(cells));
say(['', ...rows.flatMap(notesOf), ...skipped].join('\n'));
if (rows.some(({ broken }) => broken.length > 0)) process.exitCode = 1;
