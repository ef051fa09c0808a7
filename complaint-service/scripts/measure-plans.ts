/**
 * Fills a database with complaints of two tenants, and prints the cost of their lists, searches and statistics.
 * Argument: the number of complaints per tenant. A database that already has complaints is only measured. Needs
 * DATABASE_URL, a superuser on this machine. Filling a million takes some minutes.
 */
import { readFileSync } from 'node:fs';
import { openDatabase } from '@countersign/database';
import { runAsSuperuser } from '@countersign/testing';
import { sql } from 'kysely';
import { complaintsDatabase } from '../src/store/database.ts';
import { asUser, type Trx } from '../src/store/schema.ts';
import type { ComplaintsSchema } from '../src/store/tables.ts';
import { fillTenant } from '../test/scale/many-complaints.ts';
import { agent, queries } from '../test/scale/queries.ts';
import { rebuildStatistics } from '../test/scale/rebuild-statistics.ts';

const [large = 700_000, small = 300_000] = process.argv.slice(2).map(Number);
const runs = 30;
const name = 'countersign_measured_complaints';
const location = { serverUrl: process.env.DATABASE_URL ?? '' };
const db = await openDatabase<ComplaintsSchema>({ ...complaintsDatabase, location, name, maxConnections: 1 });

const isFilled = await asUser(db, agent, async (trx) => {
  const found = await trx.selectFrom('complaints').select('id').limit(1).execute();
  return found.length > 0;
});
if (!isFilled) {
  const statements = [
    ...fillTenant({ tenantId: 'acme', complaints: large, seed: 1 }),
    ...fillTenant({ tenantId: 'globex', complaints: small, seed: 2 }),
    ...rebuildStatistics,
    'vacuum analyze',
  ];
  await runAsSuperuser({ db, name, location, close: () => db.close() }, statements);
}
for (const { what, user, work } of queries) {
  const { cpuMs, wallMs } = await asUser(db, user, (trx) => measure(trx, work));
  process.stdout.write(`${what.padEnd(45)} ${cpuMs.toFixed(1)} ms of CPU time, ${wallMs.toFixed(1)} ms at best\n`);
}
await db.close();

async function measure(trx: Trx, work: (trx: Trx) => Promise<unknown>) {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(trx);
  const pid = rows[0]?.pid ?? 0;
  await work(trx);
  const before = cpuMsOf(pid);
  let wallMs = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run += 1) {
    const begun = performance.now();
    await work(trx);
    wallMs = Math.min(wallMs, performance.now() - begun);
  }
  return { cpuMs: (cpuMsOf(pid) - before) / runs, wallMs };
}

/** CPU time of a process on this machine: user and system time in ticks of 10 ms (proc_pid_stat(5)). */
function cpuMsOf(pid: number): number {
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [userTicks, systemTicks] = fields.split(' ').slice(11, 13).map(Number);
  return ((userTicks ?? 0) + (systemTicks ?? 0)) * 10;
}
