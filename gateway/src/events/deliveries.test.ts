import { expect, test } from '@jest/globals';
import type { Issuer } from '../config/config.ts';
import { LocalLimiter } from '../limits/limiter.ts';
import { createDeliveries } from './deliveries.ts';
import type { EventStream } from './event-stream.ts';

test('a source beyond its rate gets 503, which does not stop the other source', async () => {
  const received: string[] = [];
  const stream = {
    async receive(_: unknown, { jti }: { jti: string }) {
      received.push(jti);
      return 'applied';
    },
    count() {},
  } as unknown as EventStream;
  const secret = Buffer.from('the-secret-of-this-test-of-32-byte');
  const format = { verify: { kind: 'bearer' }, type: '/type', id: '/id', ends: [{ type: ['a'], user: '/user' }] };
  const config = {
    issuer: 'https://sso.test',
    events: { revoke: true, webhook: { format, where: {} } },
    claims: { tenantId: { kind: 'constant', value: 'a' } },
    userPrefix: '',
    tenantPrefix: '',
  } as unknown as Issuer;
  const secrets = { revoke: [secret], webhook: [secret] };
  const { receiveCall, receiveWebhook } = createDeliveries({
    issuer: { config, stream },
    secrets,
    nowMs: Date.now,
    limiter: new LocalLimiter({ requests: 100, perSec: 1 }, 2, () => 0),
  });
  const header = () => `Bearer ${secret}`;
  const outcomes = await Promise.allSettled(
    Array.from({ length: 101 }, (_, at) => receiveCall?.({ header, body: Buffer.from(`{"id":"c-${at}","user":"u"}`) })),
  );
  expect(outcomes.map(({ status }) => status).lastIndexOf('fulfilled')).toBe(99);
  expect(outcomes[100]).toMatchObject({ reason: { code: 'events_unavailable' } });
  await receiveWebhook?.({ header, body: Buffer.from('{"type":"a","id":"w","user":"u"}') });
  expect(received.length).toBe(101);
  // A call without the secret does not count.
  await expect(receiveCall?.({ header: () => 'Bearer x', body: Buffer.from('{}') })).rejects.toMatchObject({
    code: 'authentication_failed',
  });
});
