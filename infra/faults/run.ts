import { cpus, totalmem } from 'node:os';
import { stopRequested } from '@countersign/service-kit';
import { clientFaults } from './cases/clients.ts';
import { clockFaults } from './cases/clocks.ts';
import { diskFaults } from './cases/disks.ts';
import { keyFaults } from './cases/keys.ts';
import { memoryFaults } from './cases/memory.ts';
import { processFaults } from './cases/processes.ts';
import { storeFaults } from './cases/stores.ts';
import { type Measured, measure } from './measure.ts';
import { notesOf, tableOf } from './report.ts';
import { startFaultStack } from './stack.ts';

// `npm run faults [-- WORD…]`: causes each fault whose name contains one of the words, by default every fault, and
// prints how it affected clients. Runs the whole stack with its own PostgreSQL and Redis. Exits with 1 if a promise
// was broken.

const responseMs = 10_000;
const perSecond = 40;

const words = process.argv.slice(2);
const all = [
  ...storeFaults,
  ...processFaults,
  ...diskFaults,
  ...clockFaults,
  ...keyFaults,
  ...clientFaults,
  ...memoryFaults,
];
const chosen = all.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
const rows: Measured[] = [];
const skipped: string[] = [];
const say = (line: string) => process.stdout.write(`${line}\n`);

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
    say(tableOf([row], responseMs).split('\n').at(-1) ?? '');
    if (notesOf([row]) !== '') say(notesOf([row]));
    rows.push(row);
  }
} finally {
  await stack.stop();
}
const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`;
say(`\n${perSecond} requests a second, two workers, time-out of routes ${responseMs / 1000} s; ${machine}\n`);
say(tableOf(rows, responseMs));
say(`\n${[notesOf(rows), ...skipped].filter(Boolean).join('\n')}`);
if (rows.some(({ broken }) => broken.length > 0)) process.exitCode = 1;
