import { databases, silentLogger } from '@countersign/testing';
import { logIn } from '../src/flows/log-in.ts';
import { refresh } from '../src/flows/refresh.ts';
import { createHashQueue } from '../src/domain/hash-queue.ts';
import { parseKeyRing } from '../src/domain/key-ring.ts';
import { createPasswords } from '../src/domain/passwords.ts';
import { caller, loginParts } from './support/flows.ts';
import { makePerson, makeTenant, password, peppers } from './support/people.ts';
import { openProbed } from './support/probed-database.ts';
const median = (l: number[]) => [...l].sort((a, b) => a - b)[Math.floor(l.length / 2)]?.toFixed(1);
for (const [kind, database] of databases('postgres://postgres@127.0.0.1:5432/postgres')) {
  const store = await openProbed(database);
  const passwords = await createPasswords({ peppers: parseKeyRing(peppers), cost: 12, queue: createHashQueue({ concurrency: 2, maxWaiting: 300 }) });
  const parts = { ...(await loginParts(store.db)), passwords };
  const t = await makeTenant(store.db, 'acme');
  const p = await makePerson(store.db, passwords, [t]);
  const times: Record<string, number[]> = { known: [], unknown: [] };
  for (let i = 0; i < 40; i += 1) for (const [k, email] of [['known', p.email], ['unknown', `u${i}@x.test`]] as const) {
    const s = performance.now();
    await logIn(parts, { email, password: 'wrong', tenant: undefined }, { ...caller, ip: `10.0.${i}.${k.length}` }).catch(() => {});
    times[k]?.push(performance.now() - s);
  }
  const r = await logIn(parts, { email: p.email, password, tenant: undefined }, caller);
  if (r.kind !== 'granted') throw new Error();
  let token = r.grant.refreshToken; const rt: number[] = [];
  for (let i = 0; i < 300; i += 1) { const s = performance.now(); token = (await refresh(parts, token, caller)).refreshToken; rt.push(performance.now() - s); }
  const flood = Promise.all(Array.from({ length: 200 }, (_, i) => logIn(parts, { email: `f${i}@x.test`, password: 'w', tenant: undefined }, { ...caller, ip: `10.9.${i}.1` }).catch(() => {})));
  const under: number[] = []; let done = false; void flood.then(() => { done = true; });
  while (!done) { const s = performance.now(); token = (await refresh(parts, token, caller)).refreshToken; under.push(performance.now() - s); }
  under.sort((a, b) => a - b);
  console.log(kind, 'login median known', median(times.known ?? []), 'unknown', median(times.unknown ?? []), 'ms; refresh median', median(rt), 'ms; under 200 logins n', under.length, 'p99', under[Math.floor(under.length * 0.99)]?.toFixed(1));
  await store.close();
}
process.exit(0);
