import type { CallService, UserIdentity } from '@countersign/identity';
import { capturingLogger } from '@countersign/testing';
import { expect, test } from '@jest/globals';
import { createNames } from './names.ts';

const caller = (tenantId: string, txnToken: string | undefined = 'a.b.c') =>
  ({ kind: 'user', requestId: 'r', context: {}, userId: 'u', role: 'agent', tenantId, txnToken }) as UserIdentity;

/** A users-service whose display names contain the tenant, and a clock. */
function world(failing = () => false) {
  const asked: string[][] = [];
  const log = capturingLogger();
  let nowMs = 1_000_000;
  const tenants: string[] = [];
  const callService: CallService = async ({ json }) => {
    const { ids } = json as { ids: string[] };
    asked.push(ids);
    if (failing()) return Response.json({ code: 'unavailable' }, { status: 503 });
    const named = ids.filter((id) => id !== 'nameless').map((id) => [id, `${id} of ${tenants.at(-1)}`]);
    return Response.json({ names: Object.fromEntries(named) });
  };
  const names = createNames(callService, { logger: log.logger, nowMs: () => nowMs });
  return {
    asked,
    log,
    wait: (ms: number) => {
      nowMs += ms;
    },
    read: async (tenantId: string, ...ids: string[]) => {
      tenants.push(tenantId);
      return Object.fromEntries(await names(caller(tenantId), ids));
    },
  };
}

test('requests all uncached names at once, and also caches that a person has no name', async () => {
  const { asked, read, wait } = world();
  expect(await read('acme', 'ann', 'bob', 'ann', 'nameless')).toEqual({
    ann: 'ann of acme',
    bob: 'bob of acme',
    nameless: null,
  });
  expect(await read('acme', 'bob', 'cat', 'nameless')).toEqual({
    bob: 'bob of acme',
    cat: 'cat of acme',
    nameless: null,
  });
  expect(asked).toEqual([['ann', 'bob', 'nameless'], ['cat']]);
  wait(60_001);
  await read('acme', 'ann');
  expect(asked).toHaveLength(3);
});

test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])('finds no name for the id %s', async (id) => {
  const callService: CallService = async () => Response.json({ names: {} });
  const names = createNames(callService, { logger: capturingLogger().logger });
  expect([...(await names(caller('acme'), [id]))]).toEqual([[id, null]]);
});

test('keeps the names of staff, which may be addresses, from others', async () => {
  let name = 'ann@acme.test';
  const callService: CallService = async () => Response.json({ names: { ann: name } });
  const names = createNames(callService, { logger: capturingLogger().logger });
  await names(caller('acme'), ['ann']);
  name = 'Ann';
  expect([...(await names({ ...caller('acme'), role: 'complainant' }, ['ann']))]).toEqual([['ann', 'Ann']]);
});

test('never shows a name from another tenant, whatever the ids look like', async () => {
  const { read } = world();
  await read('acme', 'ann', 'x","ann');
  expect(await read('globex', 'ann')).toEqual({ ann: 'ann of globex' });
  expect(await read('acme","x', 'ann')).toEqual({ ann: 'ann of acme","x' });
  expect(await read('', 'ann')).toEqual({ ann: 'ann of ' });
  expect(await read('*', 'ann')).toEqual({ ann: 'ann of *' });
  expect(await read('acme', 'ann')).toEqual({ ann: 'ann of acme' });
});

test('omits names while the users-service fails, without a call for every list', async () => {
  let isDown = true;
  const { asked, read, wait, log } = world(() => isDown);
  expect(await read('acme', 'ann')).toEqual({});
  expect(await read('acme', 'ann')).toEqual({});
  expect(asked).toHaveLength(1);
  expect(log.text()).toContain('display names are unavailable');
  isDown = false;
  wait(5_001);
  expect(await read('acme', 'ann')).toEqual({ ann: 'ann of acme' });
});

test.each(['token_revoked', 'txn_token_expired'])('the error %s hides names only from that caller', async (code) => {
  const log = capturingLogger();
  const callService: CallService = async ({ txnToken }) =>
    txnToken === 'revoked' ? Response.json({ code }, { status: 401 }) : Response.json({ names: { ann: 'Ann' } });
  const names = createNames(callService, { logger: log.logger });
  expect([...(await names(caller('acme', 'revoked'), ['ann']))]).toEqual([]);
  expect([...(await names(caller('globex'), ['ann']))]).toEqual([['ann', 'Ann']]);
  expect([...(await names(caller('acme'), ['ann']))]).toEqual([['ann', 'Ann']]);
  expect(log.text()).toBe('');
});

test('makes no call without people or without a txn-token', async () => {
  const calls: unknown[] = [];
  const names = createNames(
    async (call) => {
      calls.push(call);
      return Response.json({ names: {} });
    },
    { logger: capturingLogger().logger },
  );
  await names(caller('acme'), []);
  await names({ ...caller('acme'), txnToken: undefined } as unknown as UserIdentity, ['ann']);
  expect(calls).toEqual([]);
});
