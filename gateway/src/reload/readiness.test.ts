import { createHealth } from '@countersign/process-kit';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { readinessChecks } from './readiness.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const issuer = 'http://issuer.test';
const readinessOf = (isKnown: boolean, signingKey = () => ({})) => {
  const known = { config: { issuer }, keys: { ready: isKnown }, revocations: { ready: isKnown } };
  const current = { gatewayKeys: { signingKey }, trust: { issuers: new Map([[issuer, known]]) } };
  return createHealth(
    readinessChecks(
      () => current as never,
      () => 0,
    ),
  );
};

test('waits ten seconds for an issuer and is then ready without it, because the issuer may answer only a ready gateway', async () => {
  const health = readinessOf(false);
  jest.advanceTimersByTime(9_999);
  expect(await health.ready()).toMatchObject({ ok: false, checks: { issuer_keys: `no keys of ${issuer} yet` } });
  jest.advanceTimersByTime(1);
  expect(await health.ready()).toEqual({
    ok: true,
    checks: {
      signing_key: 'ok',
      issuer_keys: `no keys of ${issuer} yet: tokens get 503`,
      revocations: `no revocations of ${issuer} yet: tokens get 503`,
    },
  });
});

test('is ready immediately if the keys of every issuer are known', async () => {
  expect((await readinessOf(true).ready()).ok).toBe(true);
});

test('is never ready without a key that may sign', async () => {
  const health = readinessOf(true, () => {
    throw new Error('no key may sign now');
  });
  jest.advanceTimersByTime(60_000);
  expect(await health.ready()).toMatchObject({ ok: false, checks: { signing_key: 'no key may sign now' } });
});
