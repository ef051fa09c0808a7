import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { dropDatabases, eventually, freePorts, startProcess, testGateway } from '@countersign/testing';
import { sendCommand } from '../../auth-service/src/operator/client.ts';
import { password } from '../e2e/client.ts';
import { ensureAuthSecrets, ensureServiceKey } from '../local/secrets.ts';
import { quantile } from './results/statistics.ts';

/*
 * `npm run bench:logins`: measures two promises of the auth-service about time.
 *
 * 1. While 200 people log in at once, a refresh stays quick: hashes have two threads and a bounded queue, beyond which a login
 *    is 503.
 * 2. A wrong password takes as long for an existing account as for an unknown or disabled one.
 *
 * On PGlite, or on DATABASE_URL. TRIES attempts of each kind (40), REFRESHES with and without the logins (300).
 */

const tries = Number(process.env.TRIES ?? '40');
const refreshes = Number(process.env.REFRESHES ?? '300');
const repository = resolve(import.meta.dirname, '../..');

const home = mkdtempSync(join(tmpdir(), 'countersign-logins-'));
const gateway = await testGateway();
const [port = 0] = await freePorts(1);
const prefix = `countersign_logins_${process.pid}`;
const socket = join(home, 'operator.sock');
const service = startProcess({
  args: ['auth-service/src/main.ts'],
  cwd: repository,
  env: {
    ...ensureAuthSecrets(home),
    SERVICE_KEY_FILE: ensureServiceKey(home, 'auth-service').privateFile,
    COUNTERSIGN_HOME: home,
    DATABASE_PREFIX: prefix,
    AUTH_PORT: String(port),
    AUTH_OPERATOR_SOCKET: socket,
    GATEWAY_KEYS_URL: gateway.keysUrl,
    SEED_FILE: join(repository, 'infra/local/demo-tenants.json'),
    LOG_LEVEL: 'error',
  },
});

let places = 0;
/** Uses a separate address for each call, so that the throttle counts each one separately. */
async function post(
  target: string,
  content: object,
): Promise<{ status: number; body: Record<string, string>; ms: number }> {
  const body = JSON.stringify(content);
  const contentType = 'application/json';
  places += 1;
  const ip = `10.${(places >> 16) & 255}.${(places >> 8) & 255}.${places & 255}`;
  const headers = gateway.sign({
    method: 'POST',
    target,
    body,
    contentType,
    facts: { kind: 'anonymous' },
    audience: 'auth-service',
    ip,
  });
  const startedAt = performance.now();
  const answer = await fetch(`http://127.0.0.1:${port}${target}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': contentType },
    body,
  });
  const text = await answer.text();
  return { status: answer.status, body: JSON.parse(text), ms: performance.now() - startedAt };
}
const logIn = (email: string, secret: string) => post('/v1/auth/login', { email, password: secret });

async function timeRefreshes(session: { body: Record<string, string> }): Promise<number[]> {
  let { body } = session;
  const times: number[] = [];
  while (times.length < refreshes) {
    const answer = await post('/v1/auth/refresh', { refresh_token: body.refresh_token });
    if (answer.status !== 200) throw new Error(`a refresh was answered ${answer.status} ${answer.body.code}`);
    times.push(answer.ms);
    body = answer.body;
  }
  return times;
}

/** Keeps 200 logins in flight until it is stopped. */
function floodLogins(): () => Promise<Map<number, number>> {
  let going = true;
  const statuses = new Map<number, number>();
  const one = async (index: number) => {
    while (going) {
      const { status } = await logIn(`unknown-${index}@acme.test`, 'wrong');
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      // Clients that were asked to retry in two seconds do not all return at once.
      if (status === 503 && going) await new Promise((done) => setTimeout(done, 2_000 + Math.random() * 2_000));
    }
  };
  const all = Promise.all(Array.from({ length: 200 }, (_, index) => one(index)));
  return async () => {
    going = false;
    await all;
    return statuses;
  };
}

const show = (times: number[]) =>
  [0.5, 0.9, 0.99].map((share) => `p${share * 100} ${quantile(times, share).toFixed(1)} ms`).join('  ');
const say = (line: string) => process.stdout.write(`${line}\n`);

try {
  await eventually(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.status !== 200) throw new Error(`the auth-service is not ready: ${service.output()}`);
  }, 60_000);

  const [one, two] = [await logIn('agent@acme.test', password), await logIn('agent@acme.test', password)];
  say(`refreshes alone            ${show(await timeRefreshes(one))}`);
  const stop = floodLogins();
  const during = await timeRefreshes(two).finally(stop);
  const statuses = await stop();
  say(`beside 200 logins at once  ${show(during)}`);
  say(`logins answered            ${[...statuses].map(([status, count]) => `${status}: ${count}`).join('  ')}`);

  await sendCommand(socket, ['users', 'disable', 'admin@globex.test']);
  const kinds = { known: 'agent@globex.test', unknown: 'unknown@globex.test', disabled: 'admin@globex.test' };
  const times = new Map(Object.keys(kinds).map((kind): [string, number[]] => [kind, []]));
  for (let round = 0; round < tries; round += 1) {
    // Alternate the kinds, so that load on this machine slows all three equally.
    for (const [kind, email] of Object.entries(kinds)) {
      const { status, ms } = await logIn(email, 'wrong');
      if (status !== 401) throw new Error(`a wrong password was answered ${status}`);
      times.get(kind)?.push(ms);
    }
  }
  for (const [kind, all] of times) say(`wrong password, ${kind.padEnd(8)}   ${show(all)}`);
  const medians = [...times.values()].map((all) => quantile(all, 0.5));
  say(`largest median over smallest: ${(Math.max(...medians) / Math.min(...medians)).toFixed(3)}`);
} finally {
  await service.stop();
  await gateway.close();
  if (process.env.DATABASE_URL) await dropDatabases(process.env.DATABASE_URL, `${prefix}_`);
  rmSync(home, { recursive: true, force: true });
}
