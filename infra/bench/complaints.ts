import { spawnSync } from 'node:child_process';
import { call, logIn } from '../e2e/client.ts';
import { makePlace, startEverything } from '../e2e/stack.ts';
import { cpuMicrosOf, residentBytesOf } from './machine/process-usage.ts';

// Measures what a complaint costs each process and the database. Files and lists complaints through the gateway.
//   DATABASE_URL=postgres://… node --conditions=source infra/bench/complaints.ts
// The server must run on this machine, for the CPU of its backends. Figures: docs/operations/sizes.md

// The complaint-service limits each person to 60 filings per minute.
const each = 60;
const databaseUrl = process.env.DATABASE_URL ?? '';
const place = await makePlace({ databaseUrl, redisUrl: process.env.REDIS_URL });
const gateway = `http://127.0.0.1:${place.ports.gateway}`;
const complaints = `${place.env.DATABASE_PREFIX}_complaints`;

const ask = (sql: string) =>
  spawnSync('psql', [new URL(`/${complaints}`, databaseUrl).href, '-tAc', sql], { encoding: 'utf8' }).stdout.trim();

/** The measured processes, by name. */
function processes(launcher: number): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>();
  const children = spawnSync('ps', ['--ppid', String(launcher), '-ww', '-o', 'pid=,args='], {
    encoding: 'utf8',
  }).stdout;
  for (const [, pid, name = ''] of children.matchAll(/^ *(\d+) .* ([a-z-]+)\/src\/main\.ts/gm))
    found.set(name, [Number(pid)]);
  const backends = ask(`select pid from pg_stat_activity where datname = '${complaints}' and pid <> pg_backend_pid()`);
  return found.set('its PostgreSQL backends', backends.split('\n').map(Number));
}

async function measure(what: string, launcher: number, work: () => Promise<number>): Promise<void> {
  const before = new Map([...processes(launcher).values()].flat().map((pid) => [pid, cpuMicrosOf(pid) ?? 0]));
  const startedAt = performance.now();
  const requests = await work();
  const perSecond = requests / ((performance.now() - startedAt) / 1000);
  process.stdout.write(`${what}: ${requests} requests, ${perSecond.toFixed(0)}/s\n`);
  for (const [name, pids] of processes(launcher)) {
    const micros = pids.reduce((sum, pid) => sum + (cpuMicrosOf(pid) ?? 0) - (before.get(pid) ?? 0), 0);
    const megabytes = pids.reduce((sum, pid) => sum + residentBytesOf(pid), 0) / 2 ** 20;
    process.stdout.write(`  ${name} ${(micros / requests / 1000).toFixed(2)} ms, ${megabytes.toFixed(0)} MB\n`);
  }
}

const stack = await startEverything(place);
try {
  const people = ['complainant', 'agent', 'admin'].flatMap((name) => [`${name}@acme.test`, `${name}@globex.test`]);
  const tokens = await Promise.all(people.map(async (email) => (await logIn(gateway, email)).token));
  const read = async (path: string) => {
    // Runs each person's requests one after the other, within the limits in gateway.yaml.
    const readAll = async (token: string) => {
      for (let count = 0; count < 300; count += 1) await call(`${gateway}/v1/complaints${path}`, { token });
    };
    await Promise.all(tokens.map(readAll));
    return tokens.length * 300;
  };
  await measure('list 20, and compile', stack.pid, () => read('?limit=20'));
  let filed = 0;
  const body = {
    title: 'The lamp is dark',
    description: 'Since Monday, at the corner by the school. '.repeat(5),
    category: 'other',
  };
  const bytesBefore = Number(ask(`select pg_database_size('${complaints}')`));
  await measure('file a complaint', stack.pid, async () => {
    const file = async (token: string) => {
      for (let count = 0; count < each; count += 1) {
        const { status, text } = await call(`${gateway}/v1/complaints`, { token, body });
        if (status !== 201) throw new Error(`${status} ${text}`);
        filed += 1;
      }
    };
    await Promise.all(tokens.map(file));
    return filed;
  });
  const bytes = Number(ask(`select pg_database_size('${complaints}')`)) - bytesBefore;
  process.stdout.write(`  database: ${(bytes / filed / 1024).toFixed(1)} KiB each\n`);
  await measure('list 50', stack.pid, () => read('?limit=50'));
} finally {
  await stack.stop();
  await place.remove();
}
