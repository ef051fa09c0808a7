import { setTimeout as delay } from 'node:timers/promises';
import { type CallOptions, call, logIn } from '../e2e/client.ts';

// Realistic requests from the demo accounts. Most succeed, a few are refused.

type Ask = Pick<CallOptions, 'method' | 'body'> & Readonly<{ path: string; as?: string; every: number }>;

const asks: readonly Ask[] = [
  { path: '/v1/complaints', as: 'agent@acme.test', every: 1 },
  { path: '/v1/users/me', as: 'agent@acme.test', every: 1 },
  { path: '/v1/complaints?status=open', as: 'complainant@globex.test', every: 2 },
  { path: '/v1/users/me', as: 'admin@globex.test', every: 3 },
  { path: '/v1/auth/audit', as: 'complainant@globex.test', every: 9 },
  { path: '/v1/users/me', every: 13 },
  { path: '/v1/orders', as: 'agent@acme.test', every: 17 },
  { path: '/v1/users/me', method: 'DELETE', as: 'agent@acme.test', every: 29 },
  {
    path: '/v1/complaints',
    as: 'complainant@globex.test',
    body: { title: 'No heat', description: 'The radiators have been cold since Monday.', category: 'housing' },
    every: 11,
  },
];

/** Sends requests until this time on the clock of `performance.now()`. */
export async function liveThrough(gateway: string, untilMs: number): Promise<void> {
  const accounts = [...new Set(asks.flatMap(({ as }) => as ?? []))];
  const tokens = new Map<string, string>();
  for (const email of accounts) tokens.set(email, (await logIn(gateway, email)).token);
  for (let turn = 1; performance.now() < untilMs; turn += 1) {
    const due = asks.filter(({ every }) => turn % every === 0);
    await Promise.all(
      due.map(({ path, as = '', ...asked }) => call(gateway + path, { ...asked, token: tokens.get(as) })),
    );
    // The rate varies by the minute.
    await delay(60 + 50 * Math.sin(turn / 120) ** 2 + 60 * Math.random());
  }
}
