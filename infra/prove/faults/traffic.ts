import { randomInt, randomUUID } from 'node:crypto';
import { password } from '../../stacks/client.ts';
import { type Outcome, steadyLoad } from '../../stacks/steady-load.ts';
import { ask, askForSure, type Client, createClient, type Question, type Reply } from './client.ts';
import type { Part } from './stack.ts';

type User = { tenant: string; role: string; client: Client; token: string; refreshToken: string };
/** A session to refresh or log out. */
type Session = User & { unsureSinceMs?: number | undefined };

/** A successful response that a client received, so its effect must survive the fault. */
export type Acknowledged = Readonly<{
  what: string;
  /** @throws Error while the stack cannot answer. */
  holds(): Promise<boolean>;
}>;

/**
 * `part` is the service that the request needs. `failure` is a status and error code, or the error code of the
 * connection that was opened from the address and port `from`.
 */
export type Sent = Outcome<Readonly<{ part: Part; isRead: boolean; failure?: string; from?: string | undefined }>>;

export type Traffic = Awaited<ReturnType<typeof startTraffic>>;

const addresses = 12;
/** A refresh can be retried for 30 s after a lost response. */
const repeatWithinMs = 25_000;

class Failed extends Error {}

const anyOf = <T>(all: readonly T[]): T => all[randomInt(all.length)] as T;

/**
 * Sends realistic requests at a constant rate: users of both demo tenants, from twelve addresses, within the limits
 * of the shipped gateway.yaml.
 */
export async function startTraffic(origin: string, perSecond: number) {
  const clients = Array.from({ length: addresses }, (_, at) => createClient(origin, at + 1));
  const accounts = ['acme', 'globex'].flatMap((tenant) =>
    ['complainant', 'agent', 'admin'].map((role) => ({ tenant, role })),
  );
  const logIn = async (client: Client, { tenant, role }: (typeof accounts)[number]): Promise<User> => {
    const body = { email: `${role}@${tenant}.test`, password };
    const reply = await expectStatus(200, client, { path: '/v1/auth/login', body });
    return { tenant, role, client, ...tokensOf(reply) };
  };
  const users = await Promise.all(accounts.map((account, at) => logIn(clients[at] as Client, account)));
  // Several connections a client, as browsers have.
  const keySet = { path: '/.well-known/jwks.json' };
  await Promise.all(clients.flatMap((client) => Array.from({ length: 6 }, () => ask(client, keySet))));
  const acknowledged: Acknowledged[] = [];
  const sessions: Session[] = [];
  const staff = users.filter(({ role }) => role !== 'complainant');
  /** The last complaint, and its tenant's agent and admin. */
  let complaint: Readonly<{ path: string; staff: readonly User[] }> = { path: '', staff };
  const admin = () => complaint.staff.at(-1) as User;
  const get = async (path: string, from: readonly User[] = users) => {
    const { client, token } = anyOf(from);
    await expectStatus(200, client, { path, token });
  };

  async function createComplaint(): Promise<void> {
    const { client, token, tenant } = anyOf(users);
    const title = `No heat in flat ${randomUUID()}`;
    const body = { title, description: 'The radiators have been cold since Monday.', category: 'housing' };
    const reply = await expectStatus(201, client, { path: '/v1/complaints', token, body });
    const path = `/v1/complaints/${reply.body.id}`;
    complaint = { path, staff: staff.filter((one) => one.tenant === tenant) };
    const reader = admin();
    acknowledged.push({
      what: `complaint ${reply.body.id}`,
      holds: async () => (await askForSure(reader.client, { path, token: reader.token })).body.title === title,
    });
  }

  async function comment(): Promise<void> {
    const { client, token } = anyOf(complaint.staff);
    const path = `${complaint.path}/comments`;
    const body = { body: `We are on our way: ${randomUUID()}` };
    const reply = await expectStatus(201, client, { path, token, body });
    acknowledged.push({
      what: `comment ${reply.body.id} at ${path}`,
      async holds() {
        const { items } = (await askForSure(client, { path: `${path}?limit=100`, token })).body;
        return (items as readonly { id: unknown }[]).some(({ id }) => id === reply.body.id);
      },
    });
  }

  const beginSession = async () => void sessions.push(await logIn(anyOf(clients), anyOf(accounts)));

  async function endSession(): Promise<void> {
    const session = sessions.shift();
    if (session === undefined) return beginSession();
    const { client, token } = session;
    await expectStatus(204, client, { method: 'POST', path: '/v1/auth/logout', token });
    acknowledged.push({
      what: 'a logout',
      async holds() {
        const me = await askForSure(client, { path: '/v1/users/me', token });
        const again = await askForSure(client, refreshOf(session));
        return me.status === 401 && again.status === 401;
      },
    });
  }

  async function refresh(): Promise<void> {
    const session = sessions.shift();
    if (session === undefined) return beginSession();
    const { client, unsureSinceMs } = session;
    try {
      sessions.push({
        ...session,
        ...tokensOf(await expectStatus(200, client, refreshOf(session))),
        unsureSinceMs: undefined,
      });
    } catch (error) {
      const nowMs = performance.now();
      const isRefused = (error as Error).message.startsWith('401');
      if (isRefused && unsureSinceMs === undefined) acknowledged.push({ what: 'a session', holds: async () => false });
      const sinceMs = unsureSinceMs ?? nowMs;
      if (!isRefused && nowMs - sinceMs < repeatWithinMs) sessions.push({ ...session, unsureSinceMs: sinceMs });
      throw error;
    }
  }

  /** How many of each 40 requests need a service, and whether they only read. */
  const mix: readonly (readonly [count: number, part: Part, isRead: boolean, send: () => Promise<unknown>])[] = [
    [12, 'complaint-service', true, () => get('/v1/complaints?limit=20')],
    [8, 'complaint-service', true, () => get(complaint.path, complaint.staff)],
    [4, 'users-service', true, () => get('/v1/users/me')],
    [3, 'users-service', true, () => get('/v1/users?limit=20', staff)],
    [2, 'complaint-service', true, () => get('/v1/categories')],
    [1, 'complaint-service', true, () => get('/v1/complaints/statistics', staff)],
    [3, 'complaint-service', false, createComplaint],
    [3, 'complaint-service', false, comment],
    [1, 'auth-service', false, beginSession],
    [2, 'auth-service', false, refresh],
    [1, 'auth-service', false, endSession],
  ];
  const placed = mix.flatMap(([count, part, isRead, send]) =>
    Array.from({ length: count }, (_, at) => ({ part, isRead, send, place: (at + 0.5) / count })),
  );
  // Evenly mixed.
  const order = placed.sort((a, b) => a.place - b.place);

  await createComplaint();
  for (let count = 0; count < 8; count += 1) await beginSession();
  let turn = 0;
  const load = steadyLoad(perSecond, async () => {
    const { part, isRead, send } = order[turn++ % order.length] as (typeof order)[number];
    return { part, isRead, ...(await send().then(() => ({}), failureOf)) };
  });
  return {
    nowMs: load.nowMs,
    /** The requests that have ended. */
    sent: load.outcomes as readonly Sent[],
    get acknowledged(): readonly Acknowledged[] {
      const held = sessions.filter(({ unsureSinceMs }) => unsureSinceMs === undefined);
      return [...acknowledged, ...held.map(sessionHolds)];
    },
    /** Adds the effect of a request of a fault's own. */
    acknowledge: (effect: Acknowledged) => void acknowledged.push(effect),
    users,
    /** The path of a complaint, and the token of an admin who can change it. */
    complaint: () => ({ path: complaint.path, token: admin().token }),
    /** Resolves after the last response. */
    async stop() {
      await load.stop();
      for (const { agent } of clients) agent.destroy();
    },
  };
}

async function expectStatus(status: number, client: Client, question: Question): Promise<Reply> {
  const reply = await ask(client, question);
  if (reply.status !== status) throw new Failed(`${reply.status} ${reply.body.code ?? ''}`.trim());
  return reply;
}

const failureOf = (error: Error & { code?: string; from?: string }) => ({
  failure: error instanceof Failed ? error.message : (error.code ?? error.message),
  from: error.from,
});

const refreshOf = ({ refreshToken }: User): Question => ({
  path: '/v1/auth/refresh',
  body: { refresh_token: refreshToken },
});

const tokensOf = ({ body }: Reply) => ({ token: String(body.access_token), refreshToken: String(body.refresh_token) });

/** Its last refresh or login was acknowledged. */
const sessionHolds = (session: Session): Acknowledged => ({
  what: 'a session',
  holds: async () => (await askForSure(session.client, refreshOf(session))).status === 200,
});
