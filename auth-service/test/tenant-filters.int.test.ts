import { databases, runAsSuperuser, type ThrowAway } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { queueMembership } from '../src/flows/mail/deliver.ts';
import { invitationLimit } from '../src/flows/sessions/throttle.ts';
import { lockHolder } from '../src/store/accounts/accounts.ts';
import { appendAudit, auditHash, holdChains, readChain, readNewest } from '../src/store/audit/audit.ts';
import {
  deleteOAuthClient,
  deleteSecrets,
  expireSecret,
  findOAuthClient,
  holdOAuthClient,
  listAgents,
  listOAuthClients,
  listSecrets,
  lockOAuthClient,
  markUsed,
  updateOAuthClient,
  useSecret,
} from '../src/store/clients/clients.ts';
import { countDelegations, type Delegation, findDelegation, holdDelegation } from '../src/store/clients/delegations.ts';
import type { AuthSchema } from '../src/store/schema.ts';
import { appendRevocations, issueTimeSec, type NewRevocation } from '../src/store/sessions/revocations.ts';
import {
  endEverySession,
  findSessionUser,
  holdSession,
  lastLogins,
  lockOwnSessions,
  lockSession,
  readSessionProof,
  rotateSession,
} from '../src/store/sessions/sessions.ts';
import {
  insertInvitation,
  listInvitations,
  revokeInvitation,
  revokeInvitationsBy,
  revokeInvitationsTo,
} from '../src/store/tenants/invitations.ts';
import { holdsRole, isMember, listMembers, lockMemberAndAdmins, updateMember } from '../src/store/tenants/tenants.ts';
import { actAs, roles, type Trx } from '../src/store/transaction.ts';
import { openProbed, probedTables } from './support/probed-database.ts';

/** The ids of a tenant's rows. People are members of both tenants, with another role in each. */
const idsOf = (tenantId: string) => {
  const letter = tenantId === 'acme' ? 'a' : 'b';
  return {
    tenantId,
    userId: 'ann',
    onlyMember: `only-${tenantId}@acme.test`,
    role: `role-${tenantId}`,
    clientId: `client-01936f00-0000-7000-8000-00000000000${letter}`,
    secretId: `secret-${tenantId}`,
    sessionId: `session-${tenantId}`,
    delegationId: `delegation-${tenantId}`,
    invitationId: `invitation-${tenantId}`,
    hash: Buffer.alloc(32, letter),
  };
};
type Ids = ReturnType<typeof idsOf>;
const [acme, globex] = [idsOf('acme'), idsOf('globex')];

const hex = (bytes: Buffer) => `'\\x${bytes.toString('hex')}'`;
const soon = `now() + interval '1 hour'`;
const rowsOf = ({ tenantId, onlyMember, role, clientId, hash, ...ids }: Ids) => [
  `insert into tenants (id, slug, name) values ('${tenantId}', '${tenantId}', '${tenantId}')`,
  `insert into users (id, email_ci, email_verified_at) values ('only-${tenantId}', '${onlyMember}', now())`,
  `insert into memberships (tenant_id, user_id, role) values ('${tenantId}', 'ann', '${role}'),
     ('${tenantId}', 'only-${tenantId}', 'admin')`,
  `insert into clients (id, tenant_id, name, scopes, grant_types) values ('${clientId}', '${tenantId}', 'x', '{}',
     '{urn:ietf:params:oauth:grant-type:token-exchange}')`,
  `insert into client_secrets (id, tenant_id, client_id, hash)
     values ('${ids.secretId}', '${tenantId}', '${clientId}', ${hex(hash)})`,
  `insert into sessions (id, tenant_id, user_id, counter, token_hash, mac_kid, absolute_expires_at, idle_expires_at,
     client_id, auth_time, amr) values ('${ids.sessionId}', '${tenantId}', 'ann', 1, ${hex(hash)}, 'm', ${soon}, ${soon},
     'x', now(), '{pwd}')`,
  `insert into delegations (id, tenant_id, user_id, client_id, session_id, scopes, token_hash, expires_at)
     values ('${ids.delegationId}', '${tenantId}', 'ann', '${clientId}', '${ids.sessionId}', '{}', ${hex(hash)}, ${soon})`,
  `insert into invitations (id, tenant_id, email_ci, role, invited_by, expires_at)
     values ('${ids.invitationId}', '${tenantId}', 'bob@acme.test', 'agent', 'ann', ${soon})`,
  `insert into invitations (id, tenant_id, email_ci, role, expires_at)
     values ('expired-${tenantId}', '${tenantId}', 'cat@acme.test', 'agent', now() - interval '1 hour')`,
  `insert into audit_log select '${tenantId}', seq, now(), '${tenantId}', null, null, '', '{}', ${hex(hash)}, ${hex(hash)}
     from generate_series(1, ${tenantId === 'acme' ? 1 : 3}) seq`,
];
/** Concern globex far in the future, so that a token or revocation in acme must not follow them. */
const futureRevocations = ['tenant', 'member', 'client'].map(
  (kind) => `insert into revocations (kind, user_id, tenant_id, client_id, not_before, expires_at)
    values ('${kind}', 'ann', 'globex', '${acme.clientId}', '2100-01-01', '2100-01-02')`,
);

type Work = (trx: Trx, tenantId: string, of: Ids) => Promise<unknown>;
const rotation = {
  token_hash: acme.hash,
  sealed_successor: null,
  mac_kid: 'm',
  ip: '',
  user_agent: '',
  fromCounter: 1,
};
const settings = { name: 'changed', scopes: [], grant_types: [], status: 'active' as const, jwks: null };
const audit = { action: 'client.created', userId: null, sessionId: null, requestId: '', detail: {} } as const;
const page = { before: undefined, limit: 10 };
const invitation = { id: 'new', email_ci: 'cat@acme.test', role: 'agent', invited_by: null };

/** Work that finds or changes rows by their ids: with those of another tenant, it must find nothing. */
const byId: [what: string, role: string, work: Work][] = [
  ['secrets of a client', roles.accounts, (trx, id, { clientId }) => listSecrets(trx, id, [clientId])],
  ['a secret to expire', roles.accounts, (trx, id, { secretId }) => expireSecret(trx, id, secretId, 60)],
  ['secrets to delete', roles.accounts, (trx, tenantId, { clientId }) => deleteSecrets(trx, { tenantId, clientId })],
  [
    'a secret in use',
    roles.app,
    (trx, tenantId, { clientId, secretId }) => useSecret(trx, { tenantId, clientId }, secretId),
  ],
  ['a client', roles.app, (trx, id, { clientId }) => findOAuthClient(trx, id, clientId)],
  ['a client to change', roles.accounts, (trx, id, { clientId }) => lockOAuthClient(trx, id, clientId)],
  ['a client to hold', roles.app, (trx, id, { clientId }) => holdOAuthClient(trx, id, clientId)],
  ['a changed client', roles.accounts, (trx, id, { clientId }) => updateOAuthClient(trx, id, clientId, settings)],
  ['a deleted client', roles.accounts, (trx, id, { clientId }) => deleteOAuthClient(trx, id, clientId)],
  ['a client in use', roles.app, (trx, id, { clientId }) => markUsed(trx, 'clients', { tenant_id: id, id: clientId })],
  ['a subject token', roles.app, (trx, tenantId, of) => findDelegation(trx, { ...of, tenantId }, of.hash)],
  [
    'a delegation',
    roles.app,
    (trx, tenant_id, of) => holdDelegation(trx, { tenant_id, id: of.delegationId } as Delegation),
  ],
  ['a session’s user', roles.app, (trx, id, { sessionId }) => findSessionUser(trx, id, sessionId)],
  ['a session', roles.app, (trx, tenantId, { sessionId }) => lockSession(trx, { tenantId, sessionId })],
  [
    'a session to rotate',
    roles.app,
    (trx, tenantId, { sessionId }) => rotateSession(trx, { tenantId, sessionId }, rotation),
  ],
  ['a login', roles.app, (trx, tenantId, { sessionId }) => readSessionProof(trx, { tenantId, sessionId }, 'ann')],
  ['a login to hold', roles.app, (trx, tenantId, { sessionId }) => holdSession(trx, { tenantId, sessionId }, 'ann')],
  ['an invitation', roles.accounts, (trx, id, { invitationId }) => revokeInvitation(trx, id, invitationId)],
  ['a member by address', roles.accounts, (trx, id, { onlyMember }) => isMember(trx, id, onlyMember)],
  [
    'a member with a role',
    roles.accounts,
    (trx, tenantId, { role }) => holdsRole(trx, { tenantId, userId: 'ann', role }),
  ],
];

/** Work on all rows of a tenant. */
const byTenant: [what: string, role: string, work: Work][] = [
  ['a member’s state', roles.app, (trx, id) => lockHolder(trx, 'ann', id)],
  ['a chain', roles.operator, (trx, id) => readChain(trx, id, undefined)],
  ['the newest entries', roles.app, (trx, id) => readNewest(trx, id, page)],
  ['a new entry', roles.app, (trx, tenantId) => appendAudit(trx, { ...audit, tenantId })],
  ['clients', roles.accounts, (trx, id) => listOAuthClients(trx, id, page)],
  ['the number of delegations', roles.app, (trx, id) => countDelegations(trx, id, 'ann')],
  ['sessions to end', roles.operator, (trx, id) => endEverySession(trx, 'operator', id)],
  ['members', roles.accounts, (trx, id) => listMembers(trx, id, { after: undefined, limit: 10 })],
  ['last logins', roles.app, (trx, id) => lastLogins(trx, id, ['ann'])],
  ['own sessions', roles.app, (trx, id) => lockOwnSessions(trx, 'ann', id)],
  ['invitations', roles.accounts, (trx, id) => listInvitations(trx, id, page)],
  ['a new invitation', roles.accounts, (trx, tenant_id) => insertInvitation(trx, { ...invitation, tenant_id }, 60)],
  ['invitations to an address', roles.accounts, (trx, id) => revokeInvitationsTo(trx, id, 'bob@acme.test')],
  ['a member’s invitations', roles.accounts, (trx, id) => revokeInvitationsBy(trx, 'ann', id)],
  [
    'administrators',
    roles.accounts,
    (trx, tenantId) => lockMemberAndAdmins(trx, { tenantId, userId: 'ann', adminRole: 'admin' }),
  ],
  [
    'a changed member',
    roles.accounts,
    (trx, id) => updateMember(trx, id, { userId: 'ann', role: 'x', status: 'active' }),
  ],
  [
    'the time of a token',
    roles.app,
    (trx, tenantId) => issueTimeSec(trx, { tenantId, userId: 'ann', clientId: acme.clientId }),
  ],
  ...(['tenant', 'client'] as const).map((kind): [string, string, Work] => [
    `the revocation of a ${kind}`,
    roles.app,
    (trx, tenant_id) => appendRevocations(trx, [{ kind, tenant_id, client_id: acme.clientId } as NewRevocation]),
  ]),
];

/**
 * Without row-level security, each filter by tenant must hold by itself. Roles for all tenants depend on the filters,
 * because their policies show all rows.
 */
describe.each(databases())('without row-level security, with people in two tenants, on %s', (_kind, database) => {
  let store: ThrowAway<AuthSchema>;
  beforeAll(async () => {
    store = await openProbed(database);
    await runAsSuperuser(store, [
      ...probedTables.map((table) => `alter table ${table} disable row level security`),
      `insert into users (id, email_ci, email_verified_at) values ('ann', 'ann@acme.test', now())`,
      ...rowsOf(globex),
      ...rowsOf(acme),
      ...futureRevocations,
    ]);
  });
  afterAll(() => store.close());

  const rows = async (trx: Trx, isOfTenant: string) => {
    await actAs(trx, 'countersign_auth_probe');
    const read = probedTables.map(
      (table) => `select to_json(t)::text as row from ${table} t where to_json(t)->>'tenant_id' ${isOfTenant}`,
    );
    return (await sql<{ row: string }>`${sql.raw(read.join(' union all '))} order by 1`.execute(trx)).rows;
  };

  /** Does the work, and undoes it. */
  async function doAndUndo(role: string, work: Work, of: Ids) {
    const undone = new Error('undone');
    let seen: Readonly<{ result: unknown; before: unknown[]; own: unknown[]; others: unknown[] }> | undefined;
    const done = store.db.transaction({ role, tenantId: 'acme', userId: 'ann' }, async (trx) => {
      const before = await rows(trx, 'is not null');
      await actAs(trx, role);
      const result = await work(trx, 'acme', of);
      seen = { result, before, own: await rows(trx, `= 'acme'`), others: await rows(trx, `<> 'acme'`) };
      throw undone;
    });
    await expect(done).rejects.toBe(undone);
    if (seen === undefined) throw new Error('nothing was done');
    const { result, before, own, others } = seen;
    const all = (rows: unknown[]) => rows.map((row) => JSON.stringify(row)).toSorted();
    const othersBefore = all(before).filter((row) => row.includes('\\"tenant_id\\":\\"globex\\"'));
    expect(all(others)).toEqual(othersBefore);
    const hasChanged = JSON.stringify(all([...own, ...others])) !== JSON.stringify(all(before));
    const value = result instanceof Map ? [...result] : result;
    const isEmpty =
      value === undefined || value === false || value === 0 || (Array.isArray(value) && value.length === 0);
    return { text: JSON.stringify([value ?? null, own]), foundNothing: isEmpty && !hasChanged };
  }

  const ofGlobex = new RegExp(`globex|2100-01|41024|${globex.clientId}|${globex.hash.toString('hex')}`);

  test.each([...byId, ...byTenant])('finds and changes %s of its tenant only', async (_what, role, work) => {
    const { text, foundNothing } = await doAndUndo(role, work, acme);
    expect(text).not.toMatch(ofGlobex);
    expect(foundNothing).toBe(false);
  });

  test.each(byId)('does not find %s of another tenant', async (_what, role, work) => {
    expect(await doAndUndo(role, work, globex)).toMatchObject({ foundNothing: true });
  });

  test('counts and numbers only the rows of its tenant', async () => {
    expect((await listAgents(store.db, 'acme')).map(({ id }) => id)).toEqual([acme.clientId]);
    const counted = await store.db.transaction({ role: roles.app, tenantId: 'acme' }, (trx) =>
      countDelegations(trx, 'acme', 'ann'),
    );
    expect(counted).toBe(1);
  });

  test('locks the audit chain of one tenant', async () => {
    const keyOf = (tenantId: string) =>
      store.db.transaction({ role: roles.app, tenantId }, async (trx) => {
        await holdChains(trx, [tenantId]);
        return (
          await sql`select objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()`.execute(trx)
        ).rows;
      });
    expect(await keyOf('acme')).not.toEqual(await keyOf('globex'));
  });

  test('delivers the memberships of a person independently of those in another tenant', async () => {
    const state = { user_id: 'ann', email: 'x', role: 'x', status: 'active', sequence: 1 } as const;
    const keys = await store.db.transaction({ role: roles.accounts, tenantId: 'acme' }, async (trx) => {
      for (const tenant_id of ['acme', 'globex']) await queueMembership(trx, { ...state, tenant_id });
      await actAs(trx, 'countersign_auth_probe');
      return trx.selectFrom('outbox').select('ordering_key').execute();
    });
    expect(new Set(keys.map(({ ordering_key }) => ordering_key)).size).toBe(4);
  });
});

describe.each(databases())('with row-level security, on %s', (_kind, database) => {
  let store: ThrowAway<AuthSchema>;
  beforeAll(async () => {
    store = await openProbed(database);
    const ann = `insert into users (id, email_ci, email_verified_at) values ('ann', 'ann@acme.test', now())`;
    await runAsSuperuser(store, [ann, ...rowsOf(globex), ...rowsOf(acme), ...futureRevocations]);
  });
  afterAll(() => store.close());

  /** Tables that a role reads before it knows the tenant: emailed tokens, by their hash. */
  const withoutTenant = [`${roles.accounts} mailed_tokens`];

  test.each([roles.app, roles.accounts, roles.factors])('%s sees rows of its tenant only', async (role) => {
    const inTenant = <T>(work: (trx: Trx) => Promise<T>) => store.db.transaction({ role, tenantId: 'acme' }, work);
    const { rows } = await inTenant((trx) =>
      sql<{ table: string }>`
        select table_name as table from information_schema.columns
        where table_schema = 'public' and column_name = 'tenant_id'
          and has_column_privilege(${role}, table_name::regclass, 'tenant_id', 'SELECT')`.execute(trx),
    );
    const tables = rows.map(({ table }) => table).filter((table) => !withoutTenant.includes(`${role} ${table}`));
    expect(tables).not.toEqual([]);
    for (const table of tables) {
      const seen = await inTenant((trx) =>
        sql<{ tenant_id: string }>`select distinct tenant_id from ${sql.table(table)}`.execute(trx),
      );
      expect([table, seen.rows.filter(({ tenant_id }) => tenant_id !== 'acme')]).toEqual([table, []]);
    }
  });
});

test('limits and audit hashes of two tenants differ', () => {
  expect(invitationLimit('acme', 'a@acme.test').key).not.toBe(invitationLimit('globex', 'a@acme.test').key);
  const entry = { seq: 1, at: new Date(0), action: 'x', user_id: null, session_id: null, request_id: '', detail: '{}' };
  const hashIn = (tenant_id: string) => auditHash(Buffer.alloc(32), { ...entry, tenant_id }).toString('hex');
  expect(hashIn('acme')).not.toBe(hashIn('globex'));
});
