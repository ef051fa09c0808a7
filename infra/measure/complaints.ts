import { execFileSync } from 'node:child_process';
import { call, logIn, people } from '../stacks/client.ts';
import { makePlace, startEverything } from '../stacks/stack.ts';
import { cpuMicrosOf, residentBytesOf } from './machine/process-usage.ts';

// Measures what a complaint costs each process and the database. Files and lists complaints through the gateway.
//   DATABASE_URL=postgres://… node --conditions=source infra/measure/complaints.ts
// The server must run on this machine, for the CPU of its backends. Figures: docs/operations/sizes.md

const databaseUrl = process.env.DATABASE_URL ?? '';
const place = await makePlace({ databaseUrl, redisUrl: process.env.REDIS_URL });
const complaints = `http://127.0.0.1:${place.ports.gateway}/v1/complaints`;
const database = `${place.env.DATABASE_PREFIX}_complaints`;
const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' }).trim();
const ask = (sql: string) => run('psql', new URL(`/${database}`, databaseUrl).href, '-tAc', sql);
const databaseBytes = () => Number(ask(`select pg_database_size('${database}')`));

function processes(launcher: number): [name: string, pids: readonly number[]][] {
  const children = run('ps', '--ppid', String(launcher), '-ww', '-o', 'pid=,args=').matchAll(
    /^ *(\d+) .* ([a-z-]+)\/src\/main\.ts/gm,
  );
  const backends = ask(`select pid from pg_stat_activity where datname = '${database}' and pid <> pg_backend_pid()`);
  return [
    ...Array.from(children, ([, pid, name = '']): [string, number[]] => [name, [Number(pid)]]),
    ['its PostgreSQL backends', backends.split('\n').map(Number)],
  ];
}

const stack = await startEverything(place);
try {
  const gateway = new URL(complaints).origin;
  const tokens = await Promise.all(people.map(async (email) => (await logIn(gateway, email)).token));

  /** Each person sends requests one after the other, within the limits in gateway.yaml. */
  async function measure(what: string, each: number, query: string, body?: object): Promise<number> {
    const before = new Map(processes(stack.pid).flatMap(([, pids]) => pids.map((pid) => [pid, cpuMicrosOf(pid)])));
    const startedAt = performance.now();
    const sendAll = async (token: string) => {
      for (let count = 0; count < each; count += 1) {
        const { status, text } = await call(complaints + query, { token, body });
        if (status >= 400) throw new Error(`${status} ${text}`);
      }
    };
    await Promise.all(tokens.map(sendAll));
    const requests = tokens.length * each;
    const perSecond = requests / ((performance.now() - startedAt) / 1000);
    process.stdout.write(`${what}: ${requests} requests, ${perSecond.toFixed(0)}/s\n`);
    for (const [name, pids] of processes(stack.pid)) {
      const sum = (of: (pid: number) => number) => pids.reduce((total, pid) => total + of(pid), 0);
      const ms = sum((pid) => cpuMicrosOf(pid) - (before.get(pid) ?? 0)) / requests / 1000;
      const megabytes = sum(residentBytesOf) / 2 ** 20;
      process.stdout.write(`  ${name} ${ms.toFixed(2)} ms, ${megabytes.toFixed(0)} MB\n`);
    }
    return requests;
  }

  await measure('list 20, and compile', 300, '?limit=20');
  const before = databaseBytes();
  const description = 'Since Monday, at the corner by the school. '.repeat(5);
  // The complaint-service limits each person to 60 filings per minute.
  const filed = await measure('file a complaint', 60, '', {
    title: 'The lamp is dark',
    description,
    category: 'other',
  });
  process.stdout.write(`  database: ${((databaseBytes() - before) / filed / 1024).toFixed(1)} KiB each\n`);
  await measure('list 50', 300, '?limit=50');
} finally {
  await stack.stop();
  await place.remove();
}
