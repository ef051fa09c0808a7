import { databases, eventually, tenants } from '@countersign/testing';
import type { CallOptions } from '@countersign/testing/service';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { api } from '../src/routes/api.ts';
import { eventClients } from './event-clients.ts';
import { complaintsWorld, directoryOf, people, tables } from './world.ts';

const { complainant, agent, admin } = people;
const names = Object.keys(tenants) as (keyof typeof tenants)[];
const gone = { ...complainant, userId: 'gone' };
const both = [...Object.values(people), gone].flatMap((who) =>
  Object.values(tenants).map((tenantId) => ({ ...who, tenantId })),
);

/** What the calls before have created, by its kind. */
type Made = Readonly<Record<string, string>>;
type Step = Readonly<{
  method: string;
  /** Parts such as `:complaint` are the ids of {@link Made}. */
  path: string;
  who?: typeof agent;
  /** The options of a call. Its texts contain the tenant's name. */
  send?: (name: string, made: Made) => CallOptions;
  /** Remembers the response's id under this name. */
  makes?: string;
}>;

const step = (method: string, path: string, more: Omit<Step, 'method' | 'path'> = {}): Step => ({
  method,
  path,
  ...more,
});
const json = (of: (name: string, made: Made) => unknown) => (name: string, made: Made) => ({ body: of(name, made) });
const fresh = () => ({ authTime: Math.floor(Date.now() / 1000) - 60 });

const steps: readonly Step[] = [
  step('POST', '/v1/teams', {
    send: json((name) => ({ name: `Team ${name}`, members: [agent.userId] })),
    makes: 'team',
  }),
  step('POST', '/v1/categories', {
    send: json((name, { team }) => ({ name: `Kind ${name}`, team_id: team })),
    makes: 'category',
  }),
  step('PATCH', '/v1/categories/:category', { send: json((name) => ({ description: `About ${name}` })) }),
  step('PATCH', '/v1/teams/:team', { send: json((name) => ({ name: `Crew ${name}` })) }),
  step('PATCH', '/v1/complaint-settings', { send: json(() => ({ open_catalogue: true })) }),
  step('POST', '/v1/webhooks', {
    send: json((name) => ({
      url: `http://127.0.0.1:9/${name}`,
      events: ['complaint.filed', 'comment.added'],
      signature: 'hmac-sha256',
    })),
    makes: 'webhook',
  }),
  step('PATCH', '/v1/webhooks/:webhook', { send: json(() => ({ events: ['complaint.filed'] })) }),
  step('POST', '/v1/webhooks/:webhook/secret'),
  step('POST', '/v1/webhooks/:webhook/ping', { makes: 'delivery' }),
  step('POST', '/v1/webhooks/:webhook/deliveries/:delivery/redeliver'),
  step('POST', '/v1/complaints', {
    who: complainant,
    send: (name, { category }) => ({
      body: { title: `Lamp ${name}`, description: name, category },
      headers: { 'idempotency-key': 'equal' },
    }),
    makes: 'complaint',
  }),
  step('PATCH', '/v1/complaints/:complaint', { who: complainant, send: json((name) => ({ title: `Light ${name}` })) }),
  step('PUT', '/v1/complaints/:complaint/watching', { who: agent }),
  step('POST', '/v1/complaints/:complaint/comments', {
    who: agent,
    send: json((name) => ({ body: `Note of ${name}`, internal: true })),
  }),
  step('POST', '/v1/complaints/:complaint/comments', {
    who: complainant,
    send: (name) => ({ body: { body: `Words of ${name}` }, headers: { 'idempotency-key': 'equal-too' } }),
  }),
  step('POST', '/v1/complaints/:complaint/assign', { who: agent, send: json(() => ({ assignee_id: agent.userId })) }),
  step('POST', '/internal/complaints/memberships'),
  step('POST', '/v1/complaints/:complaint/unassign', { who: agent, send: json((name) => ({ reason: `Of ${name}` })) }),
  step('PUT', '/v1/complaints/retention', {
    send: () => ({ body: { closed_days: 30, action: 'delete', texts: 'keep' }, context: fresh() }),
  }),
  step('POST', '/v1/complaints/erasures', {
    send: () => ({ body: { user_id: gone.userId }, context: fresh() }),
    makes: 'erasure',
  }),
  ...[
    ...['/v1/complaints', '/v1/complaints?q=light', '/v1/complaints/export', '/v1/complaints/statistics'],
    ...['/v1/complaints/retention', `/v1/complaints/erasures/preview?user_id=${complainant.userId}`],
    ...['/v1/complaints/erasures', '/v1/webhooks', '/v1/webhooks/:webhook', '/v1/webhooks/:webhook/deliveries'],
    ...['/v1/complaints/:complaint', '/v1/complaints/:complaint/comments', '/v1/complaints/:complaint/history'],
    ...['/v1/complaints/:complaint/watchers', '/v1/complaints/:complaint/attachments', '/v1/categories', '/v1/teams'],
    ...['/v1/complaint-settings', '/v1/mail/unsubscribed'],
  ].map((path) => step('GET', path)),
  step('POST', '/v1/complaints/erasures/:erasure/cancel', { send: () => ({ context: fresh() }) }),
  step('DELETE', '/v1/complaints/:complaint/watching', { who: agent }),
  step('POST', '/v1/complaints/:complaint/transition', {
    who: agent,
    send: json((name) => ({ to: 'rejected', reason: `Of ${name}` })),
  }),
  step('DELETE', '/v1/webhooks/:webhook'),
  step('DELETE', '/v1/mail/unsubscribed/:kind'),
];

describe.each(databases())('two tenants with equal ids on %s', (_kind, database) => {
  let world: Awaited<ReturnType<typeof complaintsWorld>>;
  let clients: Awaited<ReturnType<typeof eventClients>>;
  beforeAll(async () => {
    world = await complaintsWorld(database, directoryOf(both, new Set([gone.userId])), { categories: [] });
    clients = await eventClients(world);
  });
  afterAll(async () => {
    clients.close();
    await world.close();
  });

  const made: Record<keyof typeof tenants, Record<string, string>> = {
    acme: { kind: 'news' },
    globex: { kind: 'news' },
  };
  const called = new Set<string>();
  const inTenant = (name: keyof typeof tenants, who: typeof agent) => ({ ...who, tenantId: tenants[name] });

  /** A digest of each table's rows of a tenant. */
  const digests = (name: keyof typeof tenants) =>
    world.as(inTenant(name, admin), async (trx) => {
      const each = tables.map(
        (table) => `select '${table}' as name, md5(string_agg(t::text, '' order by t::text)) as digest from ${table} t`,
      );
      return (await sql.raw(each.join(' union all ')).execute(trx)).rows;
    });

  async function take({ method, path, who = admin, send, makes }: Step, name: keyof typeof tenants) {
    const target = path.replace(/:([a-z]+)/g, (_part, kind: string) => made[name][kind] ?? kind);
    called.add(`${method} ${path.replace(/\?.*/, '')}`);
    if (path.startsWith('/internal/')) {
      const about = { tenant_id: tenants[name], user_id: agent.userId, role: 'agent', status: 'active' };
      const body = JSON.stringify({ event_id: 'equal', sequence: 1, ...about });
      const claims = { kind: 'service', serviceId: 'auth-service' } as const;
      const signed = world.sign({ method, target, body, claims, contentType: 'application/json' });
      return world.send(method, target, { ...signed, 'content-type': 'application/json' }, body);
    }
    const response = await world.call(inTenant(name, who), method, target, send?.(name, made[name]));
    if (makes !== undefined) made[name][makes] = response.body.id;
    return response;
  }

  test('each call reads and changes its own tenant', async () => {
    const streams = await Promise.all(names.map((name) => clients.stream(inTenant(name, agent))));
    let count = 0;
    for (const each of steps) {
      count += 1_000;
      for (const [at, name] of names.entries()) {
        const other = names[1 - at] ?? name;
        let next = count;
        world.nextIds(() => `0197c2a0-0000-7000-8000-${String(++next).padStart(12, '0')}`);
        const before = each.method === 'GET' ? undefined : await digests(other);
        const { status, text } = await take(each, name);
        expect([each.path, text, status < 300]).toEqual([each.path, text, true]);
        expect(text).not.toContain(other);
        expect(text).not.toContain(tenants[other]);
        if (before !== undefined) expect(await digests(other)).toEqual(before);
      }
    }
    world.nextIds(undefined);
    expect(made.acme).toEqual(made.globex);
    const announced = ['complaint.filed', 'complaint.edited', 'comment.added', 'comment.added', 'complaint.assigned'];
    await eventually(() => {
      for (const each of streams) {
        expect(each.types()).toEqual([...announced, 'complaint.unassigned', 'complaint.moved']);
      }
    });
    for (const each of streams) await each.end();
  });

  test('a file belongs to the tenant of its complaint', async () => {
    const path = '/v1/complaints/:complaint/attachments';
    for (const name of names) {
      const send = () => ({ upload: Buffer.from(`File of ${name}`), contentType: 'text/plain' });
      await take(step('POST', path, { who: complainant, send, makes: 'attachment' }), name);
    }
    for (const [at, name] of names.entries()) {
      const other = names[1 - at] ?? name;
      expect((await take(step('GET', `${path}/:attachment`), name)).text).toBe(`File of ${name}`);
      const foreign = `/v1/complaints/${made[name].complaint}/attachments/${made[other].attachment}`;
      for (const method of ['GET', 'DELETE']) {
        await world.call(inTenant(name, admin), method, foreign).expect(404);
      }
    }
    for (const name of names) expect((await take(step('DELETE', `${path}/:attachment`), name)).status).toBe(204);
  });

  test('these are all routes', () => {
    called.add('GET /v1/complaints/events');
    const pattern = (path: string) => path.replace(/:[a-zA-Z]+/g, ':');
    const missing = api.endpoints.filter(
      ({ method, path }) => ![...called].some((each) => pattern(each) === `${method.toUpperCase()} ${pattern(path)}`),
    );
    expect(missing.map(({ operationId }) => operationId)).toEqual([]);
  });
});
