import { describe, expect, test } from '@jest/globals';
import { exampleIssuer } from '../../../test/kit/example-issuer.ts';
import type { Issuer } from '../../config/issuer.ts';
import { presets } from '../../config/presets/index.ts';
import { readClaims } from './read-claims.ts';

const nowMs = Date.UTC(2026, 0, 1);
const nowSec = nowMs / 1000;
const header = { typ: 'at+jwt' };
const issuer = exampleIssuer({
  revocations: { url: 'http://issuer.test/feed', maxStalenessMs: 30_000, onStale: 'allow' },
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
const read = (changes: Record<string, unknown> = {}, by: Issuer = issuer, at = nowMs) => {
  const payload = Object.fromEntries(
    Object.entries({ ...good, ...changes }).filter(([, value]) => value !== undefined),
  );
  return readClaims(header, payload, by, at);
};
const refusedWith = (code: string) => expect.objectContaining({ code });

describe('claims', () => {
  test('are read with their types', () => {
    expect(read({ auth_time: nowSec, amr: ['pwd', 'otp'] })).toEqual({
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
    });
  });

  test.each(['sub', 'jti', 'user_id', 'role', 'tenant_id', 'sid', 'iat', 'exp'])('are refused without %s', (name) => {
    expect(() => read({ [name]: undefined })).toThrow(refusedWith('token_claims_invalid'));
  });

  test('are not read from the prototype', () => {
    const payload = Object.create(good) as Record<string, unknown>;
    expect(() => readClaims(header, payload, issuer, nowMs)).toThrow(refusedWith('token_audience_refused'));
  });

  test('need no sid when the issuer has no revocation feed', () => {
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
    ['the expected one', 'complaints-api', true],
    ['a list with the expected one', ['other', 'complaints-api'], true],
    ['another one', 'other', false],
    ['the expected one in a longer text', 'complaints-api,other', false],
    ['a list without the expected one', ['other'], false],
    ['an empty list', [], false],
    ['a list with a number', ['complaints-api', 1], false],
    ['an object', { 'complaints-api': true }, false],
    ['undefined', undefined, false],
  ])('with the audience %s are accepted or refused', (_name, aud, isAccepted) => {
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

  test('are refused for a tenant or role that is not allowed for the issuer', () => {
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

  test('can have configured names', () => {
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

describe('claims of Entra', () => {
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
    ['a tid of another tenant, where the file calls the variable otherwise', { tid: 'other' }, 'token_claims_invalid'],
  ])('%s', (_name, changes, code) => {
    const by = exampleIssuer({
      provider: 'entra',
      issuer: claims.iss,
      template: { variable: 'tenant', value: tid },
      audience: ['app'],
      types: ['id-token'],
      typeTest: presets.entra.idToken,
      claims: {
        ...presets.entra.claims,
        client: presets.entra.client,
      },
      isStrict: false,
    });
    const reading = () => readClaims({ typ: 'JWT' }, { ...good, ...claims, ...changes }, by, nowMs);
    if (code === undefined) expect(reading().tenantId).toBe(tid);
    else expect(reading).toThrow(refusedWith(code));
  });
});
