import { describe, expect, test } from '@jest/globals';
import { problemsOf } from '../../../test/kit/problems-of.ts';
import { type LoadContext, parseConfig } from '../load.ts';

const secret = 'Zr4u7x-A%D*G-KaPdSgVkYp3s6v9y-B&E(H+MbQeThWmZq4t';
const env = { SSF_SECRET: secret };

type Parts = Readonly<{ issuer?: string; events?: string; more?: string; provider?: string }>;

const fileOf = ({
  provider = 'provider: keycloak, issuer: https://sso.test/realms/acme, audience: orders',
  issuer = ', name: sso',
  events = '{ audience: gateway, backchannelLogout: true }',
  more = 'journal: /var/lib/countersign',
}: Parts) => `version: 1
issuers: [{ ${provider}${issuer}, events: ${events} }]
${more}
identity: { keys: ./gateway-keys }
upstreams: { api: { targets: ["http://127.0.0.1:8082"] } }
routes: [{ name: a, path: /a, methods: [GET], upstream: api, auth: required }]
`;
const problems = (parts: Parts, context: LoadContext = {}) =>
  problemsOf(fileOf(parts), env, context).map((problem) => problem.replace(/^gateway\.yaml:\d+:\d+: /, ''));
const eventsOf = (parts: Parts) =>
  parseConfig(fileOf(parts), { file: '/etc/countersign/gateway.yaml', env }).issuers.map(({ events }) => events);

const revokeCalls = `{ revoke: { secret: "\${SSF_SECRET}" } }`;
const signals = `{ audience: gateway, sharedSignals: { secret: "\${SSF_SECRET}" } }`;
const okta = 'provider: okta, issuer: https://acme.okta.test/oauth2/default, audience: api';

describe('events of an issuer', () => {
  test('need only an audience, something to receive, a name and a journal', () => {
    expect(problems({})).toEqual([]);
    expect(problems({ events: signals })).toEqual([]);
    expect(problems({ events: signals, provider: okta })).toEqual([]);
  });

  test('default to the realm for Keycloak', () => {
    expect(eventsOf({ events: signals })[0]).toMatchObject({
      subjectIssuer: 'https://sso.test/realms/acme',
      sessions: true,
      logoutTypes: ['logout+jwt', 'jwt'],
      sharedSignals: { transmitter: 'https://sso.test/realms/acme', jwks: undefined, timestamps: 'seconds' },
    });
  });

  test('default to the org for Okta', () => {
    expect(eventsOf({ events: signals, provider: okta })[0]).toMatchObject({
      subjectIssuer: 'https://acme.okta.test',
      sessions: false,
      sharedSignals: {
        transmitter: 'https://acme.okta.test',
        jwks: 'https://acme.okta.test/oauth2/v1/keys',
        timestamps: 'milliseconds',
      },
    });
  });

  test('need no audience for revoke calls alone', () => {
    expect(problems({ events: revokeCalls })).toEqual([]);
  });

  test('are resolved for each template value', () => {
    const provider =
      'provider: keycloak, issuer: "https://sso.test/realms/{realm}", template: { realm: [a, b] }, audience: orders, claims: { tenantId: { fromIssuer: realm } }';
    expect(eventsOf({ provider }).map((events) => events?.subjectIssuer)).toEqual([
      'https://sso.test/realms/a',
      'https://sso.test/realms/b',
    ]);
    for (const events of [signals, revokeCalls])
      expect(problems({ provider, events })).toEqual([expect.stringContaining('each has its own transmitter')]);
  });

  test.each<readonly [string, Parts, string]>([
    ['without a name', { issuer: '' }, '"name" is required with events'],
    ['without a journal', { more: '' }, '"journal" is required with events'],
    ['without an audience', { events: '{ backchannelLogout: true }' }, 'audience'],
    ['of a call without a secret', { events: '{ revoke: {} }' }, '"secret" or "secretFile" is required'],
    [
      'with one secret for two purposes',
      { events: signals.replace(' }', `, previousSecret: "\${SSF_SECRET}" }`) },
      'every secret must be different',
    ],
    ['that receive nothing', { events: '{ audience: gateway }' }, 'receives nothing'],
    [
      'and a feed',
      { issuer: ', name: sso, revocations: { url: "http://127.0.0.1:8082/feed" }' },
      'cannot be combined with revocations',
    ],
    [
      'whose users have other names',
      { issuer: ', name: sso, claims: { userId: employee_id }' },
      'must be "sub", because events name users by it',
    ],
    [
      'without a secret',
      { events: '{ audience: gateway, sharedSignals: {} }' },
      '"secret" or "secretFile" is required',
    ],
    [
      'with a secret in the file',
      { events: `{ audience: gateway, sharedSignals: { secret: "${secret}" } }` },
      'from a variable',
    ],
    ['by polling', { events: signals.replace('secret:', 'delivery: poll, secret:') }, 'push'],
    [
      'with keys over plain http',
      { events: signals.replace('secret:', 'jwks: "http://a.test/keys", secret:') },
      'http',
    ],
    [
      'with a key file that does not exist',
      { events: signals.replace('secret:', 'jwks: nothing.json, secret:') },
      'is a file that cannot be read',
    ],
    ['whose journal is in memory', { more: 'journal: /dev/shm/countersign/journal' }, 'is in memory (tmpfs)'],
    [
      'of many gateways without Redis',
      { more: 'journal: /var/lib/countersign\ninstances: many' },
      '"redis" is required with instances: many: each process would know only some events from sso',
    ],
  ])('%s are refused', (_name, parts, expected) => {
    expect(problems(parts)).toContainEqual(expect.stringContaining(expected));
  });

  const hook = (format: string, more = '') => ({
    events: `{ webhook: { format: ${format}, secret: "\${SSF_SECRET}"${more} } }`,
  });
  const own = (verify: string, ends: string, more = '') =>
    hook(`{ verify: ${verify}, type: /type, ends: [${ends}]${more} }`);
  const plain = '{ kind: hmac, header: X-Sig }';

  test.each([
    ['bearer', own('{ kind: bearer }', '{ type: [a], user: /u }', ', challenge: X-Challenge')],
    ['an HMAC with a time', own('{ kind: hmac, header: X-Sig, time: seconds }', '{ type: [a], session: /s }')],
    [
      'an HMAC without',
      own(plain, '{ type: [a], user: /u, tenant: /t, when: { /a~1b: null }, at: /at }', ', each: /events'),
    ],
    ...['workos', 'logto', 'zitadel', 'okta'].map((name) => [name, hook(name, ', where: { /hookId: a }')] as const),
  ])('a webhook by %s is accepted, without an audience', (_name, parts) => {
    expect(problems(parts)).toEqual([]);
  });

  test.each<readonly [string, Parts, string]>([
    ['an unknown preset', hook('auth0'), 'must be'],
    ['a secret of another form', hook('clerk'), 'must be of Standard Webhooks'],
    ['no secret', { events: '{ webhook: { format: okta } }' }, '"secret" or "secretFile" is required'],
    ['a secret in the file', { events: `{ webhook: { format: okta, secret: "${secret}" } }` }, 'from a variable'],
    ['neither time nor window', own(plain, '{ type: [a], user: /u }'), '"at" is required'],
    ['an HMAC in no header', own('{ kind: hmac }', '{ type: [a], user: /u, at: /at }'), '"header" is required'],
    ['an unknown proof', own('{ kind: none }', '{ type: [a], user: /u }'), 'verify.kind'],
    ['a challenge for everyone', own(plain, '{ type: [a], user: /u, at: /at }', ', challenge: X'), 'needs verify'],
    ['no subject', own('{ kind: bearer }', '{ type: [a] }'), '"session" or "user" is required'],
    ['a tenant alone', own('{ kind: bearer }', '{ type: [a], tenant: /t }'), '"session" or "user" is required'],
    [
      'a tenant of a session',
      own('{ kind: bearer }', '{ type: [a], session: /s, user: /u, tenant: /t }'),
      '"tenant" needs',
    ],
    ['a path that is no pointer', own('{ kind: bearer }', '{ type: [a], user: u }'), 'a JSON pointer'],
    ['a pointer with a bad escape', own('{ kind: bearer }', '{ type: [a], user: /a~2 }'), 'a JSON pointer'],
    [
      'a condition on no pointer',
      own('{ kind: bearer }', '{ type: [a], user: /u, when: { banned: true } }'),
      'pointers',
    ],
    ['an unknown key', own('{ kind: bearer }', '{ type: [a], user: /u, issuer: /iss }'), 'issuer'],
    ['no ends', own('{ kind: bearer }', ''), 'ends'],
  ])('a webhook with %s is refused', (_name, parts, expected) => {
    expect(problems(parts).join('\n')).toContain(expected);
  });

  test('of several workers need Redis', () => {
    expect(problems({}, { workers: 2 })).toEqual([expect.stringContaining('know only some events from sso')]);
    const redis = 'journal: /var/lib/countersign\nredis: redis://127.0.0.1:6379';
    expect(problems({ more: redis }, { workers: 2 })).toEqual([]);
  });

  test('an event listener without events is refused', () => {
    const text = fileOf({ more: 'listen: { events: "127.0.0.1:8092" }' }).replace(/, events: .*$/m, ' }]');
    expect(problemsOf(text)).toEqual([expect.stringContaining('listen.events: receives nothing')]);
  });

  test('neither the redacted configuration nor the issuer contains a secret', () => {
    const config = parseConfig(fileOf({ events: signals }), { file: '/etc/countersign/gateway.yaml', env });
    expect(config.redacted).not.toContain(secret);
    expect(JSON.stringify(config.issuers)).not.toContain(secret);
    expect(config.eventSecrets.get('sso')?.sharedSignals).toEqual([new Uint8Array(Buffer.from(secret))]);
  });
});
