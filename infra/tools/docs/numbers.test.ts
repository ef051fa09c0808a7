import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { maxMailAttempts, retryDelayMs } from '../../../auth-service/src/flows/mail/deliver.ts';

const root = resolve(import.meta.dirname, '../../..');
const textOf = (file: string) => readFileSync(resolve(root, file), 'utf8');

/** The value of a constant, default or member in a source file: a number, or a product, sum or difference of such. */
function valueIn(file: string, name: string): number {
  const [, expression] = new RegExp(`\\b${name} ?[=:] ([\\w. *+-]+)`).exec(textOf(file)) ?? [];
  if (expression === undefined) throw new Error(`${file} has no ${name}`);
  return resultOf(file, expression.trim());
}

function resultOf(file: string, expression: string): number {
  const factor = (text: string) => (/^\d/.test(text) ? Number(text.replaceAll('_', '')) : valueIn(file, text));
  const term = (text: string) => text.split(' * ').reduce((product, each) => product * factor(each), 1);
  const [first = '', ...rest] = expression.split(/ ([+-]) /);
  return rest.reduce(
    (sum, part, at) => (at % 2 === 1 ? sum + (rest[at - 1] === '-' ? -1 : 1) * term(part) : sum),
    term(first),
  );
}

const words = 'zero one two three four five six seven eight nine ten eleven twelve'.split(' ');
const units: readonly [RegExp, number][] = [
  [/^(?:s|seconds?)$/, 1_000],
  [/^minutes?$/, 60_000],
  [/^(?:h|hours?)$/, 3_600_000],
  [/^days?$/, 86_400_000],
  [/^KiB$/, 1024],
  [/^MiB$/, 1024 ** 2],
  [/^(?:|times a second)$/, 1],
];

/** The number that a phrase of a page states, in milliseconds or bytes if it has a unit: "five seconds", "a day". */
function stated(phrase: string): number {
  const [, amount = '', unit = ''] = /^(\S+) ?(.*)$/.exec(phrase) ?? [];
  const word = /^an?$/i.test(amount) ? 1 : words.indexOf(amount.toLowerCase());
  const scale = units.find(([name]) => name.test(unit))?.[1] ?? Number.NaN;
  return (word === -1 ? Number(amount.replaceAll(',', '')) : word) * scale;
}

const webhooks = 'complaint-service/src/domain/webhooks/retry-rules.ts';
const lifecycle = 'auth-service/src/domain/keys/signing-key-lifecycle.ts';
const accounts = 'auth-service/src/domain/accounts/account-rules.ts';
const sessions = 'auth-service/src/domain/sessions/session-rules.ts';
const outages = 'packages/process-kit/src/process/outage-log.ts';
const listener = 'gateway/src/listen/listener.ts';
const linger = 'packages/process-kit/src/http/lingering-close.ts';
const yaml = 'packages/strict-yaml/src';
const rates = 'gateway/src/limits/min-rate.ts';
const introspection = 'gateway/src/upstreams/introspection-client.ts';
const refused = 'gateway/src/reload/process-resources.ts';

/** The numbers in braces are those of the constants, in this order. */
test.each<[page: string, sentence: string, file: string, ...constants: string[]]>([
  ['docs/webhooks.md', 'a status from 200 to 299 within {10 seconds},', webhooks, 'attemptTimeoutMs'],
  ['docs/webhooks.md', 'the `id` of each handled event for {three days},', webhooks, 'giveUpAfterMs'],
  ['docs/webhooks.md', 'After {three days} it is given up.', webhooks, 'giveUpAfterMs'],
  ['docs/webhooks.md', 'that took nothing for {three days} is', webhooks, 'giveUpAfterMs'],
  [
    'docs/webhooks.md',
    'again after {5 s}, 10 s, 20 s and so on, up to {an hour},',
    webhooks,
    'firstDelayMs',
    'longestDelayMs',
  ],
  ['docs/webhooks.md', 'after {three} failures in a row', webhooks, 'maxFailuresInRow'],
  ['docs/webhooks.md', 'For {a day}, each delivery has two signatures', webhooks, 'previousSecretMs'],
  ['docs/webhooks.md', 'larger than {16 KiB}.', 'complaint-service/src/outgoing/post-guarded.ts', 'maxHeaderSize'],

  ['docs/operations/keys.md', 'A key signs for {90 days}.', lifecycle, 'activeForMs'],
  ['docs/operations/keys.md', '{One minute} after its first use,', lifecycle, 'activeForMs - planAheadMs'],
  ['docs/operations/keys.md', 'in the key set for {27 hours},', lifecycle, 'retireForMs'],
  ['docs/operations/keys.md', 'has been published for {25 hours},', lifecycle, 'publishAheadMs'],
  ['docs/operations/keys.md', 'in force for {25 hours},', lifecycle, 'publishAheadMs'],
  ['docs/operations/keys.md', 'Keep the old key for {90 days},', sessions, 'absoluteLifetimeSec'],
  ['docs/operations/keys.md', 'less than {30 s} earlier', 'packages/jwks/src/remote-key-set.ts', 'cooldownMs'],
  ['docs/operations/keys.md', 'signs {15 minutes} after it was printed', 'gateway/src/cli/keys.ts', 'publishAheadSec'],
  ['docs/operations/keys.md', 'more than {70 seconds} ago', 'gateway/src/cli/keys.ts', 'runOutSec'],
  [
    'docs/operations/keys.md',
    'reads the directory every {5 s}.',
    'packages/process-kit/src/process/reloader.ts',
    'everyMs',
  ],
  ['docs/operations/keys.md', 'is published for {10 s} before', 'gateway/src/keys/key-directory.ts', 'publishFirstSec'],

  ['docs/operations/accounts.md', 'a link that works for {seven days}, once.', accounts, 'invitationLifetimeSec'],
  ['docs/operations/accounts.md', 'The link works for {an hour}, once.', accounts, 'resetLifetimeSec'],
  [
    'docs/operations/accounts.md',
    'took more than {45 s}.',
    'auth-service/src/flows/mail/deliver.ts',
    'deliveryTimeoutMs',
  ],
  ['docs/operations/accounts.md', 'until they expire, {15 minutes} at most,', sessions, 'accessTokenLifetimeSec'],
  [
    'auth-service/README.md',
    'send an email {17} times over',
    'auth-service/src/flows/mail/deliver.ts',
    'maxMailAttempts',
  ],
  ['auth-service/README.md', 'parks it for {30 days}', 'auth-service/src/flows/mail/deliver.ts', 'keptAfterExpirySec'],

  ['docs/operations/revocations.md', 'each entry for {15 minutes} and', sessions, 'accessTokenLifetimeSec'],
  ['docs/operations/revocations.md', 'minutes and {5 seconds}.', sessions, 'clockToleranceSec'],
  [
    'docs/operations/revocations.md',
    'After {10 s}, and then once {a minute}, it logs',
    outages,
    'startUpMs',
    'repeatMs',
  ],
  [
    'docs/operations/revocations.md',
    'pages of {5,000} entries',
    'auth-service/src/store/sessions/revocations.ts',
    'batchSize',
  ],
  ['docs/operations/revocations.md', 'at most {5,000} items per page', 'packages/revocations/src/feed.ts', 'maxItems'],
  [
    'docs/operations/revocations.md',
    'removed {a second} later, at most {10,000} at a time.',
    'packages/revocations/src/revocations.ts',
    'sweepEveryMs',
    'maxSweptPerTurn',
  ],
  [
    'docs/operations/revocations.md',
    'holds at most {2,000,000} entries',
    'gateway/src/events/event-stream.ts',
    'defaultMaxHeld',
  ],

  ['docs/gateway-yaml.md', '{60 s} (`timeouts.idle`, if shorter)', rates, 'downloadWindowMs'],
  ['docs/gateway-yaml.md', '{20 s} (`timeouts.idle`, if shorter)', rates, 'uploadWindowMs'],
  ['docs/gateway-yaml.md', '| between two requests | {60 s} |', listener, 'keepAliveMs'],
  ['docs/gateway-yaml.md', '| TLS handshake | {15 s} |', listener, 'defaultHeadMs'],
  ['docs/gateway-yaml.md', 'first byte on | {15 s}, checked every {5 s} |', listener, 'defaultHeadMs', 'checkEveryMs'],
  ['docs/gateway-yaml.md', 'per connection | {2,500} |', listener, 'maxPipelined'],
  ['docs/gateway-yaml.md', 'discarded for {1 MiB} or {2 s},', linger, 'lingerBytes', 'lingerMs'],
  ['docs/gateway-yaml.md', '{30 s} for a body in mode', 'gateway/src/pipeline/read-body.ts', 'wholeBodyMs'],
  [
    'docs/gateway-yaml.md',
    '| headers | {100}, {12 KiB} together |',
    'gateway/src/pipeline/sanitize.ts',
    'maxHeaders',
    'maxHeaderBytes',
  ],
  [
    'docs/gateway-yaml.md',
    '| request target | {8 KiB} |',
    'gateway/src/routing/request-target.ts',
    'maxRequestTargetBytes',
  ],
  ['docs/gateway-yaml.md', 'A file may have up to {8 MiB},', `${yaml}/yaml.ts`, 'maxBytes'],
  ['docs/gateway-yaml.md', '{24} levels of nesting', `${yaml}/source.ts`, 'maxDepth'],
  [
    'docs/gateway-yaml.md',
    'more than {64 KiB} in a separate thread, for at most {30 s}.',
    'gateway/src/config/config-loader.ts',
    'maxBytesHere',
    'timeoutMs',
  ],

  [
    'docs/operations/console.md',
    'refreshes them every {five seconds};',
    'packages/console/src/assets/console.js',
    'everyMs',
  ],
  ['docs/operations/console.md', 'It has the last {500} requests.', 'gateway/src/metrics/traffic.ts', 'keptRequests'],
  ['docs/operations/console.md', 'the process ends: {500} requests,', 'gateway/src/metrics/traffic.ts', 'keptRequests'],
  [
    'docs/operations/console.md',
    'the last {20} changes of each part,',
    'gateway/src/admin/observe/state-history.ts',
    'keptChanges',
  ],
  ['docs/operations/console.md', '{ten} reloads,', 'gateway/src/admin/observe/reload-log.ts', 'keptReloads'],
  [
    'docs/operations/console.md',
    '{1,000} limited callers.',
    'gateway/src/metrics/refusal-counts.ts',
    'maxLimitedCallers',
  ],
  ['docs/operations/console.md', '{an hour} of counts,', 'gateway/src/metrics/traffic.ts', 'hourMs'],
  ['docs/operations/console.md', 'its URL for {a second};', 'packages/console/src/routes.ts', 'keptMs'],
  ['docs/operations/console.md', 'Beyond {16} waiting readers,', 'gateway/src/admin/in-turn.ts', 'maxWaiting'],

  ['docs/opaque-tokens.md', 'sends at most {32} calls at once.', introspection, 'maxConcurrent'],
  ['docs/opaque-tokens.md', 'After {ten} calls in {ten seconds} of which half', introspection, 'minimum', 'windowMs'],
  ['docs/opaque-tokens.md', 'sends none for {two seconds}.', introspection, 'cooldownMs'],
  ['docs/opaque-tokens.md', 'An address with {600} refused tokens in {a minute}', refused, 'requests', 'perSec'],
  ['docs/opaque-tokens.md', 'no response in {5 s},', introspection, 'defaultTimeoutMs'],
  ['docs/opaque-tokens.md', 'more than {64 KiB}, not one', introspection, 'maxBytes'],
  ['docs/opaque-tokens.md', 'remembered for {5 s}.', 'gateway/src/tokens/verified-tokens.ts', 'refusedForMs'],
  ['docs/opaque-tokens.md', 'nested calls for up to {60 s}.', 'gateway/src/tokens/txn-token.ts', 'lifetimeSec'],

  [
    'docs/operations/routes.md',
    'The gateway waits up to {10 s} for',
    'gateway/src/reload/readiness.ts',
    'waitForIssuersMs',
  ],
  ['docs/operations/routes.md', 'tries again every {10 s} until', 'gateway/src/reload/reload.ts', 'retryEveryMs'],
  ['docs/operations/routes.md', 'a file of more than {64 KiB}', 'gateway/src/config/config-loader.ts', 'maxBytesHere'],
])('%s: %s', (page, sentence, file, ...constants) => {
  const inPage = sentence.replaceAll(/[{}]/g, '');
  expect(textOf(page).replaceAll(/\s+/g, ' ')).toContain(inPage);
  const phrases = [...sentence.matchAll(/\{([^}]+)\}/g)].map(([, phrase = '']) => phrase);
  const values = constants.map((name) => resultOf(file, name) * (/Sec\b/.test(name) ? 1_000 : 1));
  expect(phrases.map(stated)).toEqual(values);
});

describe('numbers that the code computes', () => {
  test('an email is retried for two hours before it is parked', () => {
    const tries = Array.from({ length: maxMailAttempts - 1 }, (_, at) => retryDelayMs(at + 1));
    const hours = tries.reduce((sum, ms) => sum + ms, 0) / 3_600_000;
    expect(hours).toBeGreaterThanOrEqual(2);
    expect(hours).toBeLessThan(2.25);
    for (const file of ['docs/operations/accounts.md', 'auth-service/README.md'])
      expect(textOf(file)).toContain('two hours');
  });

  test('routes.md: the file is read four times a second', () => {
    expect(textOf('docs/operations/routes.md')).toContain('The gateway checks the file four times a second');
    expect(1_000 / valueIn('gateway/src/reload/reload.ts', 'checkEveryMs')).toBe(4);
  });
});
