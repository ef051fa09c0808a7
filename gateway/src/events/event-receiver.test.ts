import { expect, test } from '@jest/globals';
import { LocalLimiter } from '../limits/limiter.ts';
import { createEventReceiver, type EventIssuer } from './event-receiver.ts';

test('a source beyond its rate gets 503, which does not stop the other source', async () => {
  const received: string[] = [];
  const stream = {
    async receive(_: unknown, { jti }: { jti: string }) {
      received.push(jti);
      return 'applied';
    },
    count() {},
  };
  const secret = Buffer.from('the-secret-of-this-test-of-32-byte');
  const format = { verify: { kind: 'bearer' }, type: '/type', id: '/id', ends: [{ type: ['a'], user: '/user' }] };
  const config = {
    issuer: 'https://sso.test',
    algorithms: ['ES256'],
    events: { revoke: true, webhook: { format, where: {} } },
    claims: { tenantId: { kind: 'constant', value: 'a' } },
    userPrefix: '',
    tenantPrefix: '',
  };
  const receiver = createEventReceiver({
    issuers: [{ config, stream } as unknown as EventIssuer],
    transmitterKeys: undefined,
    secrets: { revoke: [secret], webhook: [secret], sharedSignals: [] },
    nowMs: Date.now,
    limiter: new LocalLimiter({ requests: 100, perSec: 1 }, 2, () => 0),
  });
  const header = () => `Bearer ${secret}`;
  const outcomes = await Promise.allSettled(
    Array.from({ length: 101 }, (_, at) =>
      receiver?.revoke?.({ header, body: Buffer.from(`{"id":"c-${at}","user":"u"}`) }),
    ),
  );
  expect(outcomes.map(({ status }) => status).lastIndexOf('fulfilled')).toBe(99);
  expect(outcomes[100]).toMatchObject({ reason: { code: 'events_unavailable' } });
  await receiver?.webhook?.({ header, body: Buffer.from('{"type":"a","id":"w","user":"u"}') });
  expect(received.length).toBe(101);
  // A call without the secret does not count.
  await expect(receiver?.revoke?.({ header: () => 'Bearer x', body: Buffer.from('{}') })).rejects.toMatchObject({
    code: 'authentication_failed',
  });
});
