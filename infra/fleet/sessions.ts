import { call, password } from '../e2e/client.ts';
import type { Session } from './logouts-under-load.ts';

const people = ['complainant', 'agent', 'admin'].flatMap((role) => [`${role}@acme.test`, `${role}@globex.test`]);

/** Logs in this many times, rotating through demo users and gateways. */
export async function openSessions(gateways: readonly string[], count: number): Promise<Session[]> {
  const sessions: Session[] = [];
  for (let index = 0; index < count; index += 1) {
    sessions.push(await logIn(gateways[index % gateways.length] ?? '', index));
  }
  return sessions;
}

async function logIn(gateway: string, index: number): Promise<Session> {
  const { status, body, text } = await call(`${gateway}/v1/auth/login`, {
    // Each login has its own address, because an address with hundreds of logins is throttled.
    headers: { 'x-forwarded-for': `10.0.${index >> 8}.${index & 255}` },
    body: { email: people[index % people.length], password },
  });
  if (status !== 200) throw new Error(`login: ${status} ${text}`);
  return { token: String(body.access_token) };
}

/** @throws Error if the response is not 204. */
export async function logOut(gateway: string, { token }: Session): Promise<void> {
  const { status, text } = await call(`${gateway}/v1/auth/logout`, { method: 'POST', token });
  if (status !== 204) throw new Error(`logout: ${status} ${text}`);
}
