import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { exampleIssuer } from '../../../test/kit/example-issuer.ts';
import type { Issuer } from '../../config/config.ts';
import { presetOf } from '../../config/presets.ts';
import { described, refusalFor } from './finding.ts';
import { compileClaims } from './read-claims.ts';

const nowMs = Date.UTC(2026, 0, 1);
const nowSec = nowMs / 1000;
const header = { typ: 'at+jwt' };
const issuer = exampleIssuer({
  revocations: { url: 'http://issuer.test/feed', shownUrl: '', maxStalenessMs: 30_000, onStale: 'allow' },
});
const good: Record<string, unknown> = {
  iss: 'http://issuer.test',
  aud: 'complaints-api',
  sub: 'u1',
  jti: 'j1',
  user_id: 'u1',
  role: 'agent',
  tenant_id: 't1',
  sid: 's1',
  iat: nowSec,
  exp: nowSec + 900,
};
/** Returns a token's claims, or the code of its first refusal. */
function readClaims(typ: { typ: string }, payload: Record<string, unknown>, by: Issuer, atMs: number) {
  const { claims, findings } = compileClaims(by)(typ, payload, atMs);
  for (const finding of findings) throw refusalFor(finding, by.issuer, payload.sub);
  return claims;
}
const read = (changes: Record<string, unknown> = {}, by: Issuer = issuer, at = nowMs) => {
  const payload = Object.fromEntries(
    Object.entries({ ...good, ...changes }).filter(([, value]) => value !== undefined),
  );
  return readClaims(header, payload, by, at);
};
const refusedWith = (code: string) => expect.objectContaining({ code });

describe('claims', () => {
  test('are returned with their types', () => {
    expect(read({ auth_time: nowSec, amr: ['pwd', 'otp'], azp: 'web' })).toEqual({
      kind: 'user',
      issuer: 'http://issuer.test',
      subject: 'u1',
      tokenId: 'j1',
      userId: 'u1',
      role: 'agent',
      tenantId: 't1',
      sessionId: 's1',
      issuedAtSec: nowSec,
      expiresAtSec: nowSec + 900,
      authTimeSec: nowSec,
      authMethods: ['pwd', 'otp'],
      jkt: undefined,
      certificate: undefined,
      clientId: 'web',
      scope: [],
      roles: [],
      act: undefined,
      kept: new Map(),
      copied: new Map(),
    });
  });

  test.each(['sub', 'jti', 'user_id', 'role', 'tenant_id', 'sid', 'iat', 'exp'])('are refused without %s', (name) => {
    expect(() => read({ [name]: undefined })).toThrow(refusedWith('token_claims_invalid'));
  });

  test('are not read from a prototype', () => {
    const payload = Object.create(good) as Record<string, unknown>;
    expect(() => readClaims(header, payload, issuer, nowMs)).toThrow(refusedWith('token_audience_refused'));
  });

  test('need no sid if the issuer has no revocation feed', () => {
    const { sessionId } = read({ sid: undefined }, { ...issuer, revocations: undefined });
    expect(sessionId).toBeUndefined();
  });

  test.each([
    ['role', ['agent']],
    ['role', 'Agent'],
    ['role', ''],
    ['role', 'a'.repeat(65)],
    ['role', 'agent,admin'],
    ['tenant_id', 't1,t2'],
    ['tenant_id', 't1\r\nX-User-Role: admin'],
    ['tenant_id', 't1\0'],
    ['tenant_id', 't\u202e1'],
    ['tenant_id', ' t1'],
    ['tenant_id', 1],
    ['tenant_id', null],
    ['user_id', { id: 'u1' }],
    ['user_id', 'a'.repeat(129)],
    ['user_id', 'u/1'],
    ['sub', ''],
    ['sub', 7],
    ['jti', 'with space'],
    ['sid', 's 1'],
    ['exp', String(nowSec + 900)],
    ['exp', 1e308],
    ['exp', Number.NaN],
    ['exp', nowSec + 0.5],
    ['exp', -1],
    ['exp', null],
    ['iat', true],
    ['nbf', 'now'],
    ['auth_time', 'now'],
    ['amr', 'pwd'],
    ['amr', ['pwd', 1]],
    ['amr', ['p"wd']],
    ['amr', Array.from({ length: 17 }, () => 'pwd')],
  ])('are refused when %s is %p', (name, value) => {
    expect(() => read({ [name]: value })).toThrow(refusedWith('token_claims_invalid'));
  });

  test.each([
    ['the expected value', 'complaints-api', true],
    ['a list with the expected value', ['other', 'complaints-api'], true],
    ['another value', 'other', false],
    ['the expected value inside a longer text', 'complaints-api,other', false],
    ['a list without the expected value', ['other'], false],
    ['an empty list', [], false],
    ['a list with a number', ['complaints-api', 1], false],
    ['an object', { 'complaints-api': true }, false],
    ['undefined', undefined, false],
  ])('with %s as the audience are accepted or refused', (_name, aud, isAccepted) => {
    if (isAccepted) expect(read({ aud }).userId).toBe('u1');
    else expect(() => read({ aud })).toThrow(refusedWith('token_audience_refused'));
  });

  test.each([
    ['expired within the tolerance', { exp: nowSec - 4 }, undefined],
    ['expired at the end of the tolerance', { exp: nowSec - 5 }, 'token_expired'],
    ['expired after the tolerance', { exp: nowSec - 6 }, 'token_expired'],
    ['issued in the future within the tolerance', { iat: nowSec + 5 }, undefined],
    ['issued in the future after the tolerance', { iat: nowSec + 6 }, 'token_not_yet_valid'],
    ['not yet valid within the tolerance', { nbf: nowSec + 5 }, undefined],
    ['not yet valid after the tolerance', { nbf: nowSec + 6 }, 'token_not_yet_valid'],
  ])('of a token %s are accepted or refused', (_name, times, code) => {
    if (code === undefined) expect(read(times).userId).toBe('u1');
    else expect(() => read(times)).toThrow(refusedWith(code));
  });

  test('are refused if the issuer may not name the tenant or role', () => {
    const bound: Issuer = { ...issuer, tenants: new Set(['t1']), roles: new Set(['agent']) };
    expect(read({}, bound).tenantId).toBe('t1');
    expect(() => read({ tenant_id: 't2' }, bound)).toThrow(refusedWith('token_tenant_refused'));
    expect(() => read({ role: 'admin' }, bound)).toThrow(refusedWith('token_role_refused'));
  });

  test('include the key that the token is bound to', () => {
    const jkt = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I';
    expect(read({ cnf: { jkt } }).jkt).toBe(jkt);
    expect(read({}).jkt).toBeUndefined();
    expect(() => read({ cnf: { jkt: 'x' } })).toThrow(refusedWith('token_claims_invalid'));
    expect(() => read({ cnf: { jkt, kid: 'x' } })).toThrow(refusedWith('token_claims_invalid'));
  });

  test('may have configured names', () => {
    const renamed: Issuer = {
      ...issuer,
      claims: {
        ...issuer.claims,
        userId: ['uid'],
        role: { kind: 'claim', path: ['https://x.test/role'] },
        tenantId: { kind: 'claim', path: ['org'] },
      },
    };
    expect(read({ uid: 'u9', 'https://x.test/role': 'admin', org: 'o1' }, renamed)).toMatchObject({
      userId: 'u9',
      role: 'admin',
      tenantId: 'o1',
    });
  });
});

describe('scopes', () => {
  const known = ['orders.read', 'orders.write', 'a:b/c'];
  const by: Issuer = { ...issuer, kept: { scopes: new Set(known), claims: [], copied: [] } };
  const scopes = (scope: unknown, claim = 'scope') =>
    read({ [claim]: scope }, { ...by, claims: { ...by.claims, scope: [claim] } }).scope;

  test.each<[string, unknown, readonly string[]]>([
    ['one', 'orders.read', ['orders.read']],
    ["two scopes, in the token's order", 'orders.write orders.read', ['orders.write', 'orders.read']],
    ['duplicates', 'orders.read orders.read', ['orders.read']],
    ['unknown scopes, which are dropped', 'openid orders.read https://graph.test/.default', ['orders.read']],
    ['double spaces', ' orders.read  orders.write ', ['orders.read', 'orders.write']],
    ['a list', ['orders.read', 'orders.write', 'orders.read'], ['orders.read', 'orders.write']],
    ['a list with spaces in an item', ['orders.read orders.write'], []],
    ['another case', 'Orders.Read ORDERS.READ orders.Write', []],
    ['a tab', 'orders.read\torders.write', []],
    ['a line feed between scopes', 'orders.read\norders.write', []],
    ['a comma', 'orders.read,orders.write', []],
    ['a no-break space', 'orders.read\u00a0orders.write', []],
    ['look-alike letters', 'оrders.read', []],
    ['an invisible character', 'orders.read\u200b', []],
    ['quotes', '"orders.read"', []],
    ['a backslash', 'orders.read\\', []],
    ['parts and extensions of scope names', 'orders orders.rea orders.read.all', []],
    ['names of prototype members', 'constructor __proto__ toString', []],
    ['nothing', '', []],
    ['an empty list', [], []],
  ])('with %s', (_name, scope, expected) => {
    expect(scopes(scope)).toEqual(expected);
    expect(scopes(scope, 'scp')).toEqual(expected);
  });

  test('are not split if they are in another claim', () => {
    expect(scopes('orders.read orders.write', 'permissions')).toEqual([]);
    expect(scopes('orders.read', 'permissions')).toEqual(['orders.read']);
  });

  test.each([[null], [7], [true], [{ 'orders.read': true }], [['orders.read', 1]], [[['orders.read']]]])(
    'are refused if they have another type: %j',
    (scope) => {
      expect(() => scopes(scope)).toThrow(refusedWith('token_claims_invalid'));
    },
  );

  test('are the known names between spaces, for any text', () => {
    const piece = fc.oneof(fc.constantFrom(...known, ' ', '  ', ',', '\t'), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = pieces.join('');
        expect(scopes(text)).toEqual([...new Set(text.split(' '))].filter((one) => known.includes(one)));
      }),
    );
  });

  test('a token is refused if its scopes and roles do not fit the identity contract', () => {
    const many = Array.from({ length: 65 }, (_, at) => `s${at}`);
    const long = Array.from({ length: 20 }, (_, at) => `${at}`.padEnd(128, 's'));
    const wide: Issuer = { ...issuer, kept: { scopes: new Set([...many, ...long]), claims: [], copied: [] } };
    expect(read({ scope: many.slice(1).join(' ') }, wide).scope).toHaveLength(64);
    expect(() => read({ scope: many.join(' ') }, wide)).toThrow(refusedWith('token_context_too_long'));
    expect(() => read({ scope: long.join(' ') }, wide)).toThrow(refusedWith('token_context_too_long'));
    const map = many.map((name) => [name, name] as const);
    const mapped: Issuer = {
      ...issuer,
      claims: { ...issuer.claims, role: { kind: 'mapped', path: ['roles'], map, otherwise: undefined } },
    };
    expect(read({ roles: ['s2', 's1', 's1', 'x'] }, mapped)).toMatchObject({ role: 's1', roles: ['s1', 's2'] });
    expect(() => read({ roles: many }, mapped)).toThrow(refusedWith('token_context_too_long'));
    const bound = { ...mapped, roles: new Set(['s1']) };
    expect(read({ roles: ['s1', 's2'] }, bound).roles).toEqual(['s1']);
  });
});

describe('a valid token without a role or a tenant', () => {
  const source = (path: string) =>
    ({ kind: 'mapped', path: [path], map: [['staff', 'agent']], otherwise: undefined }) as const;
  const mapped: Issuer = { ...issuer, claims: { ...issuer.claims, role: source('groups'), tenantId: source('org') } };
  const plain: Issuer = { ...issuer, isStrict: false };

  test.each<[name: string, claims: Record<string, unknown>, by: Issuer, code: string]>([
    ['no claim', { groups: undefined, org: 'staff' }, mapped, 'role_missing'],
    ['an empty list', { groups: [], org: 'staff' }, mapped, 'role_missing'],
    ['no mapped role', { groups: ['guests'], org: 'staff' }, mapped, 'role_missing'],
    ['no mapped tenant', { groups: ['staff'], org: 'other' }, mapped, 'tenant_missing'],
    ['neither', {}, mapped, 'role_missing'],
    ['no role claim, if the role is not mapped', { role: undefined }, plain, 'role_missing'],
    ['no tenant claim, if the tenant is not mapped', { tenant_id: undefined }, plain, 'tenant_missing'],
    ['a claim with another type', { groups: { staff: true }, org: 'staff' }, mapped, 'token_claims_invalid'],
    ['a role that the grammar does not allow', { role: 'Admin' }, plain, 'token_claims_invalid'],
    // The caller must replace these tokens first.
    ['no role, and has expired', { org: 'staff', exp: nowSec - 60 }, mapped, 'token_expired'],
    ['no role, and another audience', { org: 'staff', aud: 'other' }, mapped, 'token_audience_refused'],
    ['no role, and no subject', { org: 'staff', sub: undefined }, mapped, 'token_claims_invalid'],
  ])('that has %s', (_name, claims, by, code) => {
    expect(() => read(claims, by)).toThrow(refusedWith(code));
  });
});

describe('the claims that routes check', () => {
  const by: Issuer = {
    ...issuer,
    kept: { scopes: new Set(), claims: ['department', 'scope', '__proto__'], copied: [] },
  };
  test.each<[unknown, unknown]>([
    ['legal', ['legal']],
    [
      ['legal', 3, true, null, ['x'], { y: 1 }],
      ['legal', 3, true],
    ],
    [7, [7]],
    [{ legal: true }, undefined],
    [null, undefined],
  ])('are kept: %j', (department, kept) => {
    expect(read({ department }, by).kept.get('department')).toEqual(kept);
  });

  test('are split at spaces only if they are scopes', () => {
    const { kept } = read({ department: 'legal sales', scope: 'a b' }, by);
    expect([kept.get('department'), kept.get('scope'), kept.get('__proto__')]).toEqual([
      ['legal sales'],
      ['a', 'b'],
      undefined,
    ]);
  });
});

describe("an OAuth client's token", () => {
  const machines = { isAccepted: true, when: [], role: undefined, tenantId: undefined } as const;
  const by: Issuer = { ...issuer, machines };
  const oauthClient = { sub: 'job-1', client_id: 'job-1', user_id: undefined, role: undefined, tenant_id: undefined };

  test("has an OAuth client and no user, needs no session, and gets a role and tenant only if the issuer's configuration says so", () => {
    const bare = read({ ...oauthClient, sid: undefined }, by);
    expect(bare).toMatchObject({ kind: 'client', clientId: 'job-1', userId: undefined, role: undefined });
    expect([bare.tenantId, bare.sessionId]).toEqual([undefined, undefined]);
    const full: Issuer = {
      ...by,
      tenantPrefix: 'x:',
      machines: {
        ...machines,
        role: { kind: 'constant', value: 'service' },
        tenantId: { kind: 'claim', path: ['tenant_id'] },
      },
    };
    expect(read({ ...oauthClient, tenant_id: 't1', sid: 's1' }, full)).toMatchObject({
      role: 'service',
      tenantId: 'x:t1',
      sessionId: 's1',
    });
    expect(() => read(oauthClient, full)).toThrow(refusedWith('token_claims_invalid'));
  });

  test('may lack a role claim, but not have a malformed one', () => {
    const some: Issuer = { ...by, machines: { ...machines, role: { kind: 'claim', path: ['role'] } } };
    expect(read(oauthClient, some).role).toBeUndefined();
    expect(read({ ...oauthClient, role: 'admin' }, some).role).toBe('admin');
    for (const role of [null, 7, 'Admin', ['admin'], '']) {
      expect(() => read({ ...oauthClient, role }, some)).toThrow(refusedWith('token_claims_invalid'));
    }
    const bound = { ...some, roles: new Set(['agent']) };
    expect(() => read({ ...oauthClient, role: 'admin' }, bound)).toThrow(refusedWith('token_role_refused'));
  });

  test('is refused if it names a tenant that the issuer may not name', () => {
    const bound: Issuer = {
      ...by,
      tenants: new Set(['t1']),
      machines: { ...machines, tenantId: { kind: 'claim', path: ['tenant_id'] } },
    };
    expect(() => read({ ...oauthClient, tenant_id: 't2' }, bound)).toThrow(refusedWith('token_tenant_refused'));
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['its sub is both a user and its OAuth client', { sub: 'u1', client_id: 'u1', user_id: 'u1', role: 'admin' }, 'u1'],
    ['its sub is its azp', { sub: 'u1', azp: 'u1', user_id: 'u1', role: 'admin' }, 'u1'],
    ['it has a claim of OAuth clients', { sub: 'u1', client_id: 'job-1', user_id: 'u1', grant: 'cc' }, 'job-1'],
  ])("never counts as a user's, even if %s", (_name, changes, clientId) => {
    const when = [[{ claim: 'grant', expected: { is: 'oneOf', values: ['cc'] } }]] as const;
    const claims = read({ ...changes, tenant_id: 't1' }, { ...by, machines: { ...machines, when } });
    expect(claims).toMatchObject({ kind: 'client', clientId, userId: undefined, role: undefined, tenantId: undefined });
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['client_id and azp differ', { client_id: 'job-1', azp: 'job-2' }, 'token_client_refused'],
    ['the OAuth client is not a valid id', { sub: 'a/b', client_id: 'a/b' }, 'token_claims_invalid'],
    ['the OAuth client is not a text', { client_id: ['job-1'] }, 'token_client_refused'],
    ['it has a malformed actor', { act: 'agent' }, 'token_actor_invalid'],
  ])('is refused if %s', (_name, changes, code) => {
    expect(() => read({ ...oauthClient, ...changes }, by)).toThrow(refusedWith(code));
  });

  test('is refused if the issuer accepts no OAuth clients', () => {
    expect(() => read(oauthClient, issuer)).toThrow(refusedWith('token_machine_refused'));
  });
});

test("a user's token may name an OAuth client, whose id must match the grammar if the issuer is strict", () => {
  expect(read({ client_id: 'web', azp: 'web' }).clientId).toBe('web');
  expect(() => read({ client_id: 'https://app.test' })).toThrow(refusedWith('token_claims_invalid'));
  expect(read({ client_id: 'https://app.test' }, { ...issuer, isStrict: false }).clientId).toBe('https://app.test');
});

test("an actor without iss belongs to the token's issuer", () => {
  expect(read({ act: { sub: 'agent-1' } }).act).toEqual({ sub: 'agent-1', iss: 'http://issuer.test' });
  expect(() => read({ act: { sub: 'agent 1' } })).toThrow(refusedWith('token_actor_invalid'));
});

test.each(['typ', 'token_use'])('a list of types in %s is refused, even if no condition tests it', (name) => {
  for (const types of [['ID'], ['Bearer'], []])
    expect(() => read({ [name]: types })).toThrow(refusedWith('token_type_refused'));
});

test('a role that is a list is refused with advice', () => {
  const list = { ...good, role: ['admin', 'agent'] };
  const [finding] = compileClaims(issuer)(header, list, nowMs).findings;
  expect(finding?.fix).toBe(
    'the claim is a list: choose one of its values with claims.role: { from: role, map: { … } }',
  );
});

test('a value that only looks like the expected one is shown with escapes', () => {
  const [finding] = compileClaims(issuer)(header, { ...good, aud: 'complaints-\u0430pi' }, nowMs).findings;
  expect([finding?.wanted, finding?.found]).toEqual(['"complaints-api"', '"complaints-\\u0430pi"']);
  expect(described('e\u0301\u{1f600}\u202e"')).toBe('"e\\u0301\\ud83d\\ude00\\u202e\\""');
  expect(described('é'.repeat(210))).toBe(`"${'\\u00e9'.repeat(200)}…"`);
});

describe('Entra claims', () => {
  const tid = '72f988bf-86f1-41af-91ab-2d7cd011db47';
  const claims = {
    iss: `https://e.test/${tid}/v2.0`,
    aud: 'app',
    oid: 'o1',
    tid,
    role: undefined,
    tenant_id: undefined,
  };

  test.each<[string, object, string | undefined]>([
    ['an ID token', {}, undefined],
    ['an access token of an app, without scp and idtyp, version 2.0', { azp: 'other-app' }, 'token_type_refused'],
    ['an access token of an app, without scp and idtyp, version 1.0', { appid: 'other-app' }, 'token_type_refused'],
    ['a tid of another tenant, if the file gives the variable another name', { tid: 'other' }, 'token_claims_invalid'],
  ])('%s', (_name, changes, code) => {
    const by = exampleIssuer({
      provider: 'entra',
      issuer: claims.iss,
      template: { variable: 'tenant', value: tid },
      audience: ['app'],
      types: ['id-token'],
      typeTest: presetOf('entra').idToken ?? [],
      claims: {
        ...presetOf('entra').claims,
        client: presetOf('entra').client,
      },
      isStrict: false,
    });
    const reading = () => readClaims({ typ: 'JWT' }, { ...good, ...claims, ...changes }, by, nowMs);
    if (code === undefined) expect(reading().tenantId).toBe(tid);
    else expect(reading).toThrow(refusedWith(code));
  });
});
