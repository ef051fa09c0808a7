import { randomInt, randomUUID } from 'node:crypto';
import { password } from '../e2e/client.ts';
import { type Outcome, steadyLoad } from '../fleet/steady-load.ts';
import { type Acknowledged, askForSure } from './acknowledged.ts';
import { ask, type Client, createClient, type Question, type Reply } from './ask.ts';

export type Tenant = 'acme' | 'globex';
type Role = 'complainant' | 'agent' | 'admin';
export type User = Readonly<{ tenant: Tenant; role: Role; client: Client; token: string }>;

/** A session to refresh or log out. */
type Session = { client: Client; token: string; refreshToken: string; unsureSinceMs: number | undefined };
type Complaint = Readonly<{ id: string; title: string; tenant: Tenant }>;

/**
 * `part` is the service that the request needs. `failure` is a status and error code, or the error code of the
 * connection that was opened from the address and port `from`.
 */
export type Sent = Outcome<Readonly<{ kind: Kind; part: string; failure?: string; from?: string | undefined }>>;

export type Traffic = Readonly<{
  nowMs(): number;
  /** The requests that have ended. */
  sent: readonly Sent[];
  acknowledged: readonly Acknowledged[];
  /** Adds the effect of a request of a fault's own. */
  acknowledge(effect: Acknowledged): void;
  users: readonly User[];
  /** The path of a complaint, and the token of an admin who can change it. */
  complaint(): Readonly<{ path: string; token: string }>;
  /** Resolves after the last response. */
  stop(): Promise<void>;
}>;

const auth = 'auth-service';
const users = 'users-service';
const complaints = 'complaint-service';
const tenants: readonly Tenant[] = ['acme', 'globex'];
const roles: readonly Role[] = ['complainant', 'agent', 'admin'];
const addresses = 12;
/** A refresh can be retried for 30 s after a lost response. */
const repeatWithinMs = 25_000;

/** How many of each 40 requests are of each kind. */
const mix = {
  list: 12,
  read: 8,
  profile: 4,
  directory: 3,
  categories: 2,
  statistics: 1,
  create: 3,
  comment: 3,
  logIn: 1,
  refresh: 2,
  logOut: 1,
} as const;

export type Kind = keyof typeof mix;

class Failed extends Error {}

const anyOf = <T>(all: readonly T[]): T => all[randomInt(all.length)] as T;

/**
 * Sends realistic requests at a constant rate: users of both demo tenants, from twelve addresses, within the limits
 * of the shipped gateway.yaml.
 */
export async function startTraffic(origin: string, perSecond: number): Promise<Traffic> {
  const clients = Array.from({ length: addresses }, (_, at) => createClient(origin, at + 1));
  const people = await Promise.all(
    tenants.flatMap((tenant, at) =>
      roles.map(async (role, index): Promise<User> => {
        const client = clients[at * roles.length + index] as Client;
        const { token } = await logIn(client, `${role}@${tenant}.test`);
        return { tenant, role, client, token };
      }),
    ),
  );
  // Several connections a client, as browsers have.
  const keySet = { path: '/.well-known/jwks.json' };
  await Promise.all(clients.flatMap((client) => Array.from({ length: 6 }, () => ask(client, keySet))));
  const acknowledged: Acknowledged[] = [];
  const sessions: Session[] = [];
  const known: Complaint[] = [];
  const staff = people.filter(({ role }) => role !== 'complainant');
  const staffOf = (tenant: Tenant) => staff.filter((one) => one.tenant === tenant);
  const adminOf = (tenant: Tenant) => people.find((one) => one.role === 'admin' && one.tenant === tenant) as User;
  const get = async (path: string, from: readonly User[] = people) => {
    const { client, token } = anyOf(from);
    await expectStatus(200, client, { path, token });
  };

  async function createComplaint(): Promise<void> {
    const { client, token, tenant } = anyOf(people);
    const title = `No heat in flat ${randomUUID()}`;
    const body = { title, description: 'The radiators have been cold since Monday.', category: 'housing' };
    const reply = await expectStatus(201, client, { path: '/v1/complaints', token, body });
    const complaint = { id: String(reply.body.id), title, tenant };
    known.push(complaint);
    const admin = adminOf(tenant);
    const path = `/v1/complaints/${complaint.id}`;
    acknowledged.push({
      what: `complaint ${complaint.id}`,
      holds: async () => (await askForSure(admin.client, { path, token: admin.token })).body.title === title,
    });
  }

  async function comment(): Promise<void> {
    const { id, tenant } = known.at(-1) as Complaint;
    const { client, token } = anyOf(staffOf(tenant));
    const path = `/v1/complaints/${id}/comments`;
    const reply = await expectStatus(201, client, {
      path,
      token,
      body: { body: `We are on our way: ${randomUUID()}` },
    });
    acknowledged.push({
      what: `comment ${reply.body.id} on complaint ${id}`,
      async holds() {
        const { body } = await askForSure(client, { path: `${path}?limit=100`, token });
        return (body.items as readonly { id: unknown }[]).some((one) => one.id === reply.body.id);
      },
    });
  }

  async function beginSession(): Promise<void> {
    const { tenant, role } = anyOf(people);
    sessions.push(await logIn(anyOf(clients), `${role}@${tenant}.test`));
  }

  async function endSession(): Promise<void> {
    const session = sessions.shift();
    if (session === undefined) return beginSession();
    const { client, token, refreshToken } = session;
    await expectStatus(204, client, { method: 'POST', path: '/v1/auth/logout', token });
    acknowledged.push({
      what: 'a logout',
      async holds() {
        const me = await askForSure(client, { path: '/v1/users/me', token });
        const again = await askForSure(client, refreshOf(refreshToken));
        return me.status === 401 && again.status === 401;
      },
    });
  }

  async function refresh(): Promise<void> {
    const session = sessions.shift();
    if (session === undefined) return beginSession();
    const isSure = session.unsureSinceMs === undefined;
    try {
      const { body } = await expectStatus(200, session.client, refreshOf(session.refreshToken));
      Object.assign(session, { ...tokensOf(body), unsureSinceMs: undefined });
    } catch (error) {
      const nowMs = performance.now();
      session.unsureSinceMs ??= nowMs;
      if ((error as Error).message.startsWith('401')) {
        if (isSure) acknowledged.push({ what: 'a session', holds: async () => false });
        throw error;
      }
      if (nowMs - session.unsureSinceMs < repeatWithinMs) sessions.push(session);
      throw error;
    }
    sessions.push(session);
  }

  const readComplaint = () => {
    const { id, tenant } = known.at(-1) as Complaint;
    return get(`/v1/complaints/${id}`, staffOf(tenant));
  };

  const kinds: Readonly<Record<Kind, readonly [part: string, send: () => Promise<unknown>]>> = {
    list: [complaints, () => get('/v1/complaints?limit=20')],
    read: [complaints, readComplaint],
    profile: [users, () => get('/v1/users/me')],
    directory: [users, () => get('/v1/users?limit=20', staff)],
    categories: [complaints, () => get('/v1/categories')],
    statistics: [complaints, () => get('/v1/complaints/statistics', staff)],
    create: [complaints, createComplaint],
    comment: [complaints, comment],
    logIn: [auth, beginSession],
    refresh: [auth, refresh],
    logOut: [auth, endSession],
  };

  await createComplaint();
  for (let count = 0; count < 8; count += 1) await beginSession();
  const order = spread(mix);
  let turn = 0;
  const load = steadyLoad(perSecond, async () => {
    const kind = order[turn % order.length] as Kind;
    turn += 1;
    const [part, send] = kinds[kind];
    return { kind, part, ...(await send().then(() => ({}), failureOf)) };
  });
  return {
    nowMs: load.nowMs,
    sent: load.outcomes,
    get acknowledged() {
      const held = sessions.filter(({ unsureSinceMs }) => unsureSinceMs === undefined);
      return [...acknowledged, ...held.map(sessionHolds)];
    },
    acknowledge: (effect) => void acknowledged.push(effect),
    users: people,
    complaint() {
      const { id, tenant } = known.at(-1) as Complaint;
      return { path: `/v1/complaints/${id}`, token: adminOf(tenant).token };
    },
    async stop() {
      await load.stop();
      for (const { agent } of clients) agent.destroy();
    },
  };
}

/** Lists each key of a table as often as its value says, evenly mixed. */
function spread<Key extends string>(counts: Readonly<Record<Key, number>>): readonly Key[] {
  const placed = (Object.entries(counts) as [Key, number][]).flatMap(([key, count]) =>
    Array.from({ length: count }, (_, at) => ({ key, place: (at + 0.5) / count })),
  );
  return placed.sort((a, b) => a.place - b.place).map(({ key }) => key);
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

const refreshOf = (refreshToken: string): Question => ({
  path: '/v1/auth/refresh',
  body: { refresh_token: refreshToken },
});

const tokensOf = (body: Reply['body']) => ({
  token: String(body.access_token),
  refreshToken: String(body.refresh_token),
});

async function logIn(client: Client, email: string): Promise<Session> {
  const { body } = await expectStatus(200, client, { path: '/v1/auth/login', body: { email, password } });
  return { client, ...tokensOf(body), unsureSinceMs: undefined };
}

/** Its last refresh or login was acknowledged. */
const sessionHolds = ({ client, refreshToken }: Session): Acknowledged => ({
  what: 'a session',
  holds: async () => (await askForSure(client, refreshOf(refreshToken))).status === 200,
});
