import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  audience,
  caep,
  eventPayload,
  exampleSigner,
  issuer,
  logoutPayload,
  nowMs,
  nowSec,
  risc,
} from '../test/example-tokens.ts';
import { type SecurityEventTokenOptions, verifySecurityEventToken } from './security-event-token.ts';

const signer = exampleSigner();
const other = exampleSigner();
const options: SecurityEventTokenOptions = {
  transmitter: issuer,
  keys: signer.keys,
  algorithms: ['RS256'],
  audience: [audience],
  issuers: new Map([[issuer, issuer]]),
  nowMs,
};
const verify = (text: string, changes: Partial<SecurityEventTokenOptions> = {}) =>
  verifySecurityEventToken(text, { ...options, ...changes });
const token = (claims: object = {}, header: object = {}) =>
  signer.sign({ ...eventPayload, ...claims }, { typ: 'secevent+jwt', ...header });
const user = { format: 'iss_sub', iss: issuer, sub: 'u-1' };
const complex = (members: object) => ({ format: 'complex', ...members });
const opaque = (id: string) => ({ format: 'opaque', id });
const about = (subject: unknown, type = `${caep}session-revoked`) => ({ sub_id: subject, events: { [type]: {} } });
const end = { issuer, notBeforeMs: nowMs + 1_000 };
const endsOf = async (claims: object, changes: Partial<SecurityEventTokenOptions> = {}) =>
  (await verify(await token(claims), changes)).ends;

describe('an event', () => {
  test.each([
    [`${caep}session-revoked`, 'session-revoked'],
    [`${caep}credential-change`, 'credential-change'],
    [`${caep}token-claims-change`, 'token-claims-change'],
    [`${risc}account-disabled`, 'account-disabled'],
    [`${risc}account-purged`, 'account-purged'],
    [`${risc}credential-compromise`, 'credential-compromise'],
    [`${risc}sessions-revoked`, 'sessions-revoked'],
  ])('%s ends the older tokens of the user', async (type, event) => {
    expect(await endsOf(about(user, type))).toEqual([{ ...end, kind: 'user', userId: 'u-1', event }]);
  });

  test.each([
    ['unknown', about(user, 'https://example.test/other')],
    ['about an address', about({ format: 'email', email: 'ann@example.test' })],
    ['about a telephone number', about({ format: 'phone_number', phone_number: '+1' })],
    ['about a user of another issuer', about({ ...user, iss: 'https://evil.test' })],
    ['about nothing', { sub_id: undefined, events: { [`${caep}session-revoked`]: {} } }],
    ['about a device', about(complex({ device: opaque('d') }))],
    ['that enables an account', about(user, `${risc}account-enabled`)],
  ])('%s is acknowledged and ends nothing', async (_name, claims) => {
    expect(await verify(await token(claims))).toMatchObject({ ends: [], ignored: [expect.any(String)] });
  });

  test('in the older form has its subject inside', async () => {
    const events = { [`${caep}session-revoked`]: { subject: { subject_type: 'iss-sub', iss: issuer, sub: 'u-1' } } };
    expect(await endsOf({ sub_id: undefined, events })).toMatchObject([{ kind: 'user', userId: 'u-1' }]);
  });

  test('may name its subject by aliases', async () => {
    const aliases = { format: 'aliases', identifiers: [{ format: 'email', email: 'a@b.test' }, user] };
    expect(await endsOf(about(aliases))).toMatchObject([{ kind: 'user', userId: 'u-1' }]);
    const elsewhere = { format: 'iss_sub', iss: 'https://other.example.test', sub: 'another' };
    const several = (...identifiers: object[]) => endsOf(about({ format: 'aliases', identifiers }));
    expect(await several(elsewhere, user)).toMatchObject([{ kind: 'user', userId: 'u-1' }]);
    expect(await several(elsewhere)).toEqual([]);
  });

  test('of a verification has its state', async () => {
    const events = { 'https://schemas.openid.net/secevent/ssf/event-type/verification': { state: 'abc' } };
    const verified = await verify(await token({ sub_id: opaque('stream-1'), events }));
    expect(verified).toMatchObject({ ends: [], ignored: [], verification: { state: 'abc' } });
  });

  test('changes of a credential end tokens only where they are listed', async () => {
    const changed = (change_type: string) => ({ events: { [`${caep}credential-change`]: { change_type } } });
    const changes = { credentialChange: ['revoke', 'delete'] } as const;
    expect(await endsOf(changed('revoke'), changes)).toHaveLength(1);
    expect(await endsOf(changed('create'), changes)).toHaveLength(0);
    expect(await endsOf(changed('create'))).toHaveLength(1);
  });
});

describe('a complex subject', () => {
  const session = opaque('s-1');
  test.each([
    ['a session', { session }, {}, { kind: 'session', sessionId: 's-1' }],
    ['a user and a session', { user, session }, {}, { kind: 'session', sessionId: 's-1' }],
    ['a user and a device', { user, device: opaque('d') }, {}, { kind: 'user', userId: 'u-1' }],
    [
      'a user and a session, without sessions in tokens',
      { user, session },
      { sessions: false },
      { kind: 'user', userId: 'u-1' },
    ],
    ['a user and an unreadable session', { user, session: 'x' }, {}, { kind: 'user', userId: 'u-1' }],
    [
      'a user and a tenant that tokens do not name',
      { user, tenant: opaque('t-1') },
      {},
      { kind: 'user', userId: 'u-1' },
    ],
    [
      'a user and a tenant',
      { user, tenant: opaque('t-1') },
      { tenants: 'any' },
      { kind: 'member', userId: 'u-1', tenantId: 't-1' },
    ],
    [
      'a user, a tenant and a group',
      { user, tenant: opaque('t-1'), group: opaque('g') },
      { tenants: 'any' },
      { kind: 'member', tenantId: 't-1' },
    ],
    ['a tenant', { tenant: opaque('t-1') }, { tenants: new Set(['t-1']) }, { kind: 'tenant', tenantId: 't-1' }],
  ] as const)('of %s ends no more than that', async (_name, members, changes, expected) => {
    const [one, ...more] = await endsOf(about(complex(members)), changes);
    expect([one, more]).toEqual([expect.objectContaining(expected), []]);
  });

  test.each([
    ['a tenant and a device', { tenant: opaque('t-1'), device: opaque('d') }, { tenants: 'any' }],
    [
      'a tenant and an unreadable user',
      { tenant: opaque('t-1'), user: { format: 'email', email: 'a@b.test' } },
      { tenants: 'any' },
    ],
    [
      'a session and a tenant, without sessions in tokens',
      { tenant: opaque('t-1'), session },
      { tenants: 'any', sessions: false },
    ],
    ['a tenant that tokens do not name', { tenant: opaque('t-1') }, {}],
    ['a foreign tenant', { tenant: opaque('t-2') }, { tenants: new Set(['t-1']) }],
    ['a user of a foreign tenant', { user, tenant: opaque('t-2') }, { tenants: new Set(['t-1']) }],
  ] as const)('of %s ends nothing', async (_name, members, changes) => {
    expect(await endsOf(about(complex(members)), changes)).toEqual([]);
  });

  const elsewhere = 'https://evil.test';
  const here = (sub: string) => ({ format: 'iss_sub', iss: issuer, sub });
  const tenants = { tenants: 'any' } as const;
  const asFormats = (id: string) => ({
    iss_sub: here(id),
    'the older iss-sub': { subject_type: 'iss-sub', iss: issuer, sub: id },
    aliases: { format: 'aliases', identifiers: [{ format: 'email', email: 'a@b.test' }, here(id)] },
    'aliases at two issuers': { format: 'aliases', identifiers: [{ ...here('x'), iss: elsewhere }, here(id)] },
    opaque: opaque(id),
  });
  const elsewhereAs = (id: string) => ({
    iss_sub: { ...here(id), iss: elsewhere },
    'the older iss-sub': { subject_type: 'iss-sub', iss: elsewhere, sub: id },
    'iss_sub, with another case': { ...here(id), iss: issuer.toUpperCase() },
    'iss_sub, with a slash': { ...here(id), iss: `${issuer}/` },
    'iss_sub, with a space': { ...here(id), iss: `${issuer}\u00a0` },
    aliases: { format: 'aliases', identifiers: [{ ...here(id), iss: elsewhere }] },
  });
  const memberIds = { user: 'u-1', session: 's-1', tenant: 't-1', device: 'd', group: 'g' };
  const others = { user, session: opaque('s-1'), tenant: opaque('t-1'), device: opaque('d'), group: opaque('g') };
  const members = Object.entries(memberIds);

  test.each(members.flatMap(([member, id]) => Object.entries(elsewhereAs(id)).map((row) => [member, ...row] as const)))(
    'whose %s is from another issuer, as %s, ends nothing',
    async (member, _format, value) => {
      for (const rest of [{}, { user }, { session: others.session }, { tenant: others.tenant }, others]) {
        const subject = complex({ ...rest, [member]: value });
        expect(await verify(await token(about(subject)), tenants)).toMatchObject({
          ends: [],
          ignored: ['a subject of another issuer'],
        });
      }
    },
  );

  test.each(members.flatMap(([member, id]) => Object.entries(asFormats(id)).map((row) => [member, ...row] as const)))(
    'whose %s is ours, as %s, ends the session in its tenant',
    async (member, format, value) => {
      const ends = await endsOf(about(complex({ ...others, [member]: value })), tenants);
      // Aliases name users only.
      const isUnread = format.startsWith('aliases');
      const ofUser = { kind: 'member', userId: 'u-1', tenantId: 't-1' };
      const ofSession = { kind: 'session', sessionId: 's-1', tenantId: 't-1', issuer };
      if (isUnread && member === 'tenant') expect(ends).toEqual([]);
      else expect(ends).toEqual([expect.objectContaining(isUnread && member === 'session' ? ofUser : ofSession)]);
    },
  );

  test.each([
    ['a session without iss', { session: { format: 'iss_sub', sub: 's-1' } }],
    ['a tenant without iss', { tenant: { format: 'iss_sub', sub: 't-1' } }],
    ['a session with an iss that is not a text', { session: { ...here('s-1'), iss: [issuer] } }],
    ['a tenant with an empty iss', { tenant: { ...here('t-1'), iss: '' } }],
    ['a user and a tenant without iss', { user, tenant: { format: 'iss_sub', sub: 't-1' } }],
    ['a session and a tenant by its address', { ...others, tenant: { format: 'uri', uri: 'https://t-1.test' } }],
    ['a session inside a complex member', { session: complex({ session: opaque('s-1') }) }],
  ])('of %s ends nothing', async (_name, subject) => {
    expect(await endsOf(about(complex(subject)), tenants)).toEqual([]);
  });

  test('is about one issuer of several', async () => {
    const [ours, theirs] = [issuer, 'https://sso.example.test/realms/globex'];
    const issuers = new Map([ours, theirs].map((one) => [one, one]));
    const of = (iss: string, sub: string) => ({ format: 'iss_sub', iss, sub });
    const both = { user: of(theirs, 'u-2'), session: of(theirs, 's-2') };
    expect(await endsOf(about(complex(both)), { issuers })).toMatchObject([{ issuer: theirs, sessionId: 's-2' }]);
    expect(await endsOf(about(complex({ ...both, user })), { issuers })).toEqual([]);
    expect(await endsOf(about(complex({ session: opaque('s-2') })), { issuers })).toEqual([]);
    const aliases = { format: 'aliases', identifiers: [user, of(theirs, 'u-2')] };
    expect(await endsOf(about(complex({ user: aliases, device: of(theirs, 'd') })), { issuers })).toMatchObject([
      { kind: 'user', issuer: theirs, userId: 'u-2' },
    ]);
  });

  test('never ends more than its user', async () => {
    const id = fc.constantFrom<unknown>(undefined, user, opaque('x'), { format: 'email', email: 'a@b.test' }, 7, {});
    const subject = fc.record({ user: fc.constantFrom<unknown>(user), session: id, tenant: id, device: id, group: id });
    const tenants = fc.constantFrom<SecurityEventTokenOptions['tenants']>('any', 'none', new Set(['x']));
    await fc.assert(
      fc.asyncProperty(subject, tenants, fc.boolean(), async (members, known, sessions) => {
        for (const one of await endsOf(about(complex(members)), { tenants: known, sessions })) {
          expect(one.kind === 'session' || (one.kind !== 'tenant' && one.userId === 'u-1')).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('the time of an event', () => {
  const timed = (event_timestamp: unknown, iat = nowSec) => ({
    iat,
    events: { [`${caep}session-revoked`]: { event_timestamp } },
  });
  const notBefore = async (claims: object, changes: Partial<SecurityEventTokenOptions> = {}) =>
    (await endsOf(claims, changes))[0]?.notBeforeMs;

  test.each([
    ['now', timed(nowSec), 1],
    ['an hour ago', timed(nowSec - 3_600), -3_599],
    ['absent', timed(undefined, nowSec - 10), -9],
    ['a text', timed('yesterday'), 1],
    ['negative', timed(-5), 1],
    ['3 s ahead, as is the clock of the issuer', timed(nowSec + 3, nowSec + 3), 4],
    ['a year ahead', timed(nowSec + 31_536_000), 6],
    ['in milliseconds, where seconds are expected', timed(nowMs), 6],
    ['with an iat a year ahead', timed(undefined, nowSec + 31_536_000), 6],
  ])('%s is the next second, at most now plus the tolerance', async (_name, claims, offsetSec) => {
    expect(await notBefore(claims)).toBe(nowMs + offsetSec * 1_000);
  });

  test('is read in milliseconds only where the provider sends them', async () => {
    expect(await notBefore(timed(nowMs - 1_500), { timestamps: 'milliseconds' })).toBe(nowMs - 1_000);
  });

  test('more than a day before iat is marked', async () => {
    const isLate = async (claims: object, changes = {}) => (await verify(await token(claims), changes)).isLate;
    expect(await isLate(timed(nowSec - 86_400))).toBe(false);
    expect(await isLate(timed(nowSec - 86_401))).toBe(true);
    expect(await isLate(timed(nowSec), { timestamps: 'milliseconds' })).toBe(true);
  });
});

describe('a Security Event Token', () => {
  test.each([
    ['a logout token', logoutPayload, { typ: 'logout+jwt' }, 'invalid_request'],
    ['an access token', { events: undefined }, { typ: 'at+jwt' }, 'invalid_request'],
    ['the usual typ', {}, { typ: 'JWT' }, 'invalid_request'],
    ['no typ', {}, { typ: undefined }, 'invalid_request'],
    ['no events', { events: {} }, {}, 'invalid_request'],
    [
      '17 events',
      { events: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`https://e.test/${at}`, {}])) },
      {},
      'invalid_request',
    ],
    ['no jti', { jti: undefined }, {}, 'invalid_request'],
    ['no iat', { iat: undefined }, {}, 'invalid_request'],
    ['another transmitter', { iss: 'https://evil.test' }, {}, 'invalid_issuer'],
    ['another audience', { aud: ['orders-api'] }, {}, 'invalid_audience'],
    ['an unknown key', {}, { kid: 'k2' }, 'invalid_key'],
  ])('with %s is refused', async (_name, claims, header, code) => {
    await expect(verify(await token(claims, header))).rejects.toMatchObject({ name: 'EventTokenError', code });
  });

  test('signed by another is refused, and so is an unsigned one', async () => {
    await expect(verify(await other.sign(eventPayload, { typ: 'secevent+jwt' }))).rejects.toMatchObject({
      code: 'invalid_key',
    });
    const [head, body] = (await token()).split('.');
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'secevent+jwt', kid: 'k1' })).toString('base64url');
    for (const text of [`${none}.${body}.`, `${head}.${body}.`]) {
      await expect(verify(text)).rejects.toMatchObject({ name: 'EventTokenError' });
    }
  });

  test('signed with PS256 is refused without the leading zero byte of its signature', async () => {
    const pss = exampleSigner('k1', 'PS256');
    const trust = { keys: pss.keys, algorithms: ['PS256'] };
    let text: string;
    do text = await pss.sign(eventPayload, { typ: 'secevent+jwt' });
    while (!/\.A[A-P][^.]*$/.test(text));
    const end = text.lastIndexOf('.') + 1;
    const shorter = Buffer.from(text.slice(end), 'base64url').subarray(1).toString('base64url');
    expect((await verify(text, trust)).ends).toHaveLength(1);
    await expect(verify(text.slice(0, end) + shorter, trust)).rejects.toMatchObject({ code: 'invalid_key' });
  });

  test('may have the full media type, several audiences, and an exp that is past', async () => {
    const text = await token({ aud: ['x', audience], exp: 1 }, { typ: 'application/secevent+jwt' });
    expect((await verify(text)).ends).toHaveLength(1);
  });

  test('with any subject and event is read or ignored, and never throws another error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), async (subject, event) => {
        const events = { [`${caep}session-revoked`]: event, [`${risc}account-disabled`]: event };
        await verify(await token({ sub_id: subject, events }), { tenants: 'any' });
      }),
      { numRuns: 200 },
    );
  });
});
