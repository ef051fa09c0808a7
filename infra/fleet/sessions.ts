import { request } from 'undici';
import type { Session } from './logouts-under-load.ts';

const people = ['complainant', 'agent', 'admin'].flatMap((role) => [`${role}@acme.test`, `${role}@globex.test`]);
const password = 'correct horse battery staple';

/** Logs in the given number of times, rotating through demo users and gateways, with a few logins at once. */
export async function openSessions(gateways: readonly string[], count: number): Promise<Session[]> {
  const sessions: Session[] = [];
  const atOnce = 4;
  const one = async (): Promise<void> => {
    for (let index = started++; index < count; index = started++) {
      sessions[index] = await logIn(gateways[index % gateways.length] ?? '', index);
    }
  };
  let started = 0;
  await Promise.all(Array.from({ length: atOnce }, one));
  return sessions;
}

async function logIn(gateway: string, index: number): Promise<Session> {
  const { statusCode, body } = await request(`${gateway}/v1/auth/login`, {
    method: 'POST',
    // Use a separate address for each login, because one address with hundreds of logins is throttled.
    headers: { 'content-type': 'application/json', 'x-forwarded-for': `10.0.${index >> 8}.${index & 255}` },
    body: JSON.stringify({ email: people[index % people.length], password }),
  });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`login: ${statusCode} ${text}`);
  const { access_token: token } = JSON.parse(text) as { access_token: string };
  return { token };
}

/** @throws Error when the answer is not 204. */
export async function logOut(gateway: string, { token }: Session): Promise<void> {
  const { statusCode, body } = await request(`${gateway}/v1/auth/logout`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  const text = await body.text();
  if (statusCode !== 204) throw new Error(`logout: ${statusCode} ${text}`);
}
