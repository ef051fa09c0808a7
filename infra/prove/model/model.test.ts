import { expect, test } from '@jest/globals';
import { IdentityRefused } from '../../../packages/identity/src/contract/refusal.ts';
import { explore } from './explore.ts';
import { product, type Rules } from './rules.ts';
import { scenarios } from './scenarios.ts';

test.each(Object.entries(scenarios))('no step breaks a promise: %s', (_name, { depth, deep: _, ...scenario }) => {
  expect(explore(scenario, product, depth).trace).toBeUndefined();
});

const { assertFresh, scheduleKeys } = product;
const unsigned = (field: string): Partial<Rules> => ({
  covered: new Set([...product.covered].filter((one) => one !== field)),
});
const isBehind: Rules['assertFresh'] = (life, nowSec, rules) => {
  if (life.createdSec > nowSec) throw new IdentityRefused('created_in_future');
  assertFresh(life, nowSec, rules);
};
const isAhead: Rules['assertFresh'] = (life, nowSec, rules) => {
  if (nowSec > life.expiresSec) throw new IdentityRefused('expired');
  assertFresh(life, nowSec, rules);
};
const acceptsPublished: Rules['scheduleKeys'] = (...args) => {
  const { published, ...others } = scheduleKeys(...args);
  return { ...others, published, accepted: published };
};
const publishesAtOnce: Rules['scheduleKeys'] = (keys, ...args) => ({
  ...scheduleKeys(keys, ...args),
  published: keys.toReversed(),
});

/** Weaker rules, and the promise that the shortest trace breaks. */
test.each<readonly [name: string, scenario: keyof typeof scenarios, rules: Partial<Rules>, broken: string]>([
  ['nonces are kept per key', 'two instances', { nonceOf: ({ key, nonce }) => `${key} ${nonce}` }, 'handled twice'],
  [
    'a nonce is forgotten when its signature has expired',
    'a new key of the service',
    { nonceKeepUntilSec: ({ expiresSec }) => expiresSec + 5 },
    'handled twice',
  ],
  [
    'a nonce is kept as if all instances had one clock',
    'a new key of the service',
    { nonceKeepUntilSec: ({ expiresSec }) => expiresSec + 10 },
    'handled twice',
  ],
  ['the fallback forgets the nonce', 'two instances', { repeatOf: () => ({}) }, 'handled twice'],
  [
    'the fallback forgets when the signature expires',
    'keys and nonces in memory',
    { repeatOf: ({ nonce }) => ({ nonce }) },
    'handled twice',
  ],
  [
    'the fallback forgets the request',
    'keys and nonces in memory',
    { repeats: false },
    'an honest request is refused for a minute',
  ],
  ['a repeat without a connection gets a new nonce', 'two instances', { keepsNonce: false }, 'handled twice'],
  ['a POST is sent again after a broken connection', 'two instances', { mayRetry: () => true }, 'handled twice'],
  [
    'a POST is sent again to a service that has just started',
    'two instances',
    { isTooEarly: (_outbound, { detail }) => detail?.reason === 'created_before_start' },
    'handled twice',
  ],
  [
    'a memory of nonces begins in the second of its start',
    'keys and nonces in memory',
    { memoryStartSec: (nowSec) => nowSec },
    'handled twice',
  ],
  [
    "a memory of nonces ignores that the gateway's clock is ahead",
    'keys and nonces in memory',
    { memoryStartSec: (nowSec) => nowSec + 1 },
    'handled twice',
  ],
  [
    'no tolerance for a clock that is behind',
    'two instances',
    { assertFresh: isBehind },
    'an honest request was refused with created_in_future',
  ],
  [
    'no tolerance for a clock that is ahead',
    'two instances',
    { assertFresh: isAhead },
    'an honest request was refused with expired',
  ],
  [
    'the body may end at any time',
    'changed requests, and another service',
    { checksAfterBody: false },
    'handled twice',
  ],
  [
    'the audience is not checked',
    'changed requests, and another service',
    { checksAudience: false },
    'handled by another service',
  ],
  [
    "a request is sent again after its caller's logout",
    'keys and nonces in memory',
    { checksTokenAgain: false },
    'handled long after the logout',
  ],
  [
    "the gateway's old key is retired early",
    'the end of an old key of the gateway',
    { runOutSec: 0 },
    'an honest request was refused with key_unknown',
  ],
  [
    'the gateway signs with a new key at once',
    'a new key of the gateway',
    { publishAheadSec: 0 },
    'an honest request was refused with key_unknown',
  ],
  [
    "the service's old key is accepted only while it is published",
    'a new key of the service',
    { scheduleKeys: acceptsPublished },
    'an honest request was refused with key_unknown',
  ],
  [
    "the service's new key is published at once",
    'a new key of the service',
    { scheduleKeys: publishesAtOnce },
    'an honest request was refused with key_unknown',
  ],
  [
    'the gateway uses an unconfirmed key for two hours',
    'a new key of the service',
    { maxAgeSec: 7200 },
    'an honest request was refused with key_unknown',
  ],
  ...['path', 'body', 'caller', 'audience', 'nonce', 'expiresSec'].map(
    (field) =>
      [
        `another ${field} is not noticed`,
        'changed requests, and another service',
        unsigned(field),
        `handled with another ${field}`,
      ] as const,
  ),
])('weaker rules: %s', (_name, scenario, rules, broken) => {
  const { depth, ...given } = scenarios[scenario];
  expect(explore(given, { ...product, ...rules }, depth + 1).trace?.at(-1)).toBe(broken);
});

test('the shortest trace to a doubled POST can be read', () => {
  const { depth, ...scenario } = scenarios['two instances'];
  const perKey: Rules = { ...product, nonceOf: ({ key, nonce }) => `${key} ${nonce}` };
  expect(explore(scenario, perKey, depth).trace).toEqual([
    'the client asks',
    'the attacker answers key_unknown to n0, signed with g0.s0,',
    'n0 is sent',
    'n0, signed with g0, arrives at instance 0: handled',
    'the attacker delivers n0, signed with g0.s0, to instance 0: handled',
    'handled twice',
  ]);
});
