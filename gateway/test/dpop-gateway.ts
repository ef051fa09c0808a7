import { eventually } from '@countersign/testing';
import { expect } from '@jest/globals';
import { type GatewayOptions, type GatewayUnderTest, gatewayUnderTest } from './gateway-under-test.ts';

export const origin = 'http://gateway.test';
const path = '/v1/things/1';

const moreRoutes = [
  '  - { name: bare,',
  `  - { name: bound, path: "/v1/bound", methods: [GET], upstream: things, auth: required, senderConstrained: required }
  - { name: bound-maybe, path: "/v1/bound-maybe", methods: [GET], upstream: things, auth: optional, senderConstrained: required }
  - { name: token, path: "/v1/token", methods: [POST], upstream: things, auth: public, forward: { dpop: true } }
  - { name: switch, path: "/v1/switch", methods: [POST], upstream: things, auth: required, forward: { dpop: true } }
  - { name: bare,`,
] as const;

const allOk = { signing_key: 'ok', issuer_keys: 'ok', revocations: 'ok', dpop_replay: 'ok' };

/**
 * A gateway with more routes whose clock was 100 s behind at startup, so that its replay memory covers the present.
 *
 * @param aheadMs How far the clock is ahead afterwards.
 */
export async function dpopGateway(options: GatewayOptions = {}, aheadMs = 0) {
  return gatewayWithReplay({ ...options, edits: [moreRoutes, ...(options.edits ?? [])] }, aheadMs);
}

/** As {@link dpopGateway}, with no other routes than those of `options`. */
export async function gatewayWithReplay(options: GatewayOptions, aheadMs = 0) {
  const clock = { aheadMs: -100_000 };
  const nowMs = () => Date.now() + clock.aheadMs;
  const gateway = await gatewayUnderTest({ ...options, nowMs, isReady: false });
  clock.aheadMs = aheadMs;
  await eventually(async () => expect((await gateway.running.health.ready()).checks).toMatchObject(allOk));
  return { gateway, clock, nowMs };
}

export type Ask = Readonly<{
  method?: string;
  path?: string;
  auth?: string | undefined;
  proofs?: readonly string[];
  host?: string;
  lines?: string;
}>;

/** Sends requests with the given tokens and proofs, unchanged. */
export function asker(gateway: GatewayUnderTest) {
  return ({ method = 'GET', path: target = path, auth, proofs = [], host = 'gateway.test', lines = '' }: Ask) =>
    gateway.raw(
      `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${auth === undefined ? '' : `Authorization: ${auth}\r\n`}${proofs
        .map((proof) => `DPoP: ${proof}\r\n`)
        .join('')}${lines}<close>\r\n\r\n`,
    );
}
