import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { prepareIdentity, signRequest } from '@countersign/identity';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { exampleRoute } from '../../test/kit/example-route.ts';
import { method } from '../config/schema/routes.ts';
import { AppError } from '../errors.ts';
import { parseRequestTarget } from '../routing/route-table.ts';
import { type Admitted, Exchange } from './exchange.ts';
import { RequestRecord } from './request-record.ts';
import { createSign } from './sign.ts';

const requestId = '01234567-89ab-7def-8123-456789abcdef';
const key = { algorithm: 'hmac-sha256', keyid: 'k', secret: Buffer.alloc(32, 1) } as const;

function admitted(): Admitted {
  const record = new RequestRecord(requestId, 'GET', '/a', 0);
  const request = {
    kind: 'http',
    method: 'GET',
    requestTarget: '/a',
    httpVersion: '1.1',
    rawHeaders: [],
    peer: {},
    stream: new IncomingMessage(new Socket()),
    interim: undefined,
  } as const;
  const exchange = new Exchange(request, record, () => {}, withoutBody);
  return Object.assign(exchange, {
    path: '/a',
    headers: ['accept', '*/*'],
    credentials: { authorization: undefined, dpop: undefined, cookie: undefined },
    client: { address: '192.0.2.1', protocol: 'http', host: 'gateway.test', origin: undefined },
    body: { present: false, length: undefined, type: undefined, encoding: undefined },
    route: exampleRoute({ path: '/a', auth: 'public' }),
    caller: { kind: 'anonymous', jkt: undefined },
  }) as unknown as Admitted;
}

const withoutBody = (): never => {
  throw new Error('there is no body');
};

const headerOf = (headers: readonly string[], name: string) => headers[headers.indexOf(name) + 1];

test('signs a retry into its own outbound request, with a new nonce and the same request id', async () => {
  const { sign, signAgain } = createSign({
    keyFor: () => key,
    txnTokens: { mint: () => '' },
    identityTokens: { append() {} },
    lifetimeSec: 30,
    nowMs: () => 1_790_000_000_000,
  });
  const signed = await sign(admitted());
  const first = signed.outbound;
  const before = [...first.headers];
  const retry = signAgain(signed);
  expect(signed.outbound).toBe(first);
  expect(first.headers).toEqual(before);
  expect(signed.headers).toEqual(['accept', '*/*']);
  expect(headerOf(retry.headers, 'signature')).not.toBe(headerOf(first.headers, 'signature'));
  expect(headerOf(retry.headers, 'x-request-id')).toBe(requestId);
  expect(retry.headers.filter((_, at) => at % 2 === 0)).toEqual(first.headers.filter((_, at) => at % 2 === 0));
});

test('repeats a refused attempt with the same nonce and times, so that a service accepts only one of the two', async () => {
  let nowMs = 1_790_000_000_000;
  const { sign, signAgain } = createSign({
    keyFor: (_upstream, nowSec) => ({ ...key, keyid: `k-${nowSec}` }),
    txnTokens: { mint: () => '' },
    identityTokens: { append() {} },
    lifetimeSec: 30,
    nowMs: () => nowMs,
  });
  const signed = await sign(admitted());
  nowMs += 20_000;
  const inputOf = ({ headers }: Pick<typeof signed.outbound, 'headers'>) => headerOf(headers, 'signature-input');
  const repeat = inputOf(signAgain(signed, signed.outbound));
  expect(repeat).toBe(inputOf(signed.outbound)?.replace('k-1790000000', 'k-1790000020'));
});

test('the contract accepts every method and target that the gateway forwards', () => {
  const anonymous = prepareIdentity({ kind: 'anonymous' }, 'users-service');
  const isForwarded = (raw: string) => {
    try {
      return parseRequestTarget(raw);
    } catch (error) {
      if (error instanceof AppError) return undefined;
      throw error;
    }
  };
  const character = fc.oneof(fc.constantFrom(..."/.%2eE?#;'[]|\\~!$&()*+,=:@_-aZ0"), fc.string({ maxLength: 1 }));
  const target = fc.array(character, { maxLength: 12 }).map((parts) => `/${parts.join('')}`);
  fc.assert(
    fc.property(target, fc.constantFrom(...method.options), (raw, requestMethod) => {
      const accepted = isForwarded(raw);
      if (accepted === undefined) return;
      const request = { ...accepted, method: requestMethod, requestId };
      signRequest(key, anonymous, request, { createdSec: 1, lifetimeSec: 30, nonce: 'n'.repeat(22) });
    }),
    { numRuns: 5000 },
  );
});
