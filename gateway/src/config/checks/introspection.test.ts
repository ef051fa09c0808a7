import { describe, expect, test } from '@jest/globals';
import { problemsOf } from '../../../test/kit/problems-of.ts';
import { parseConfig } from '../load.ts';

const rest = `identity: { keys: ./gateway-keys }
upstreams: { api: { targets: ["http://127.0.0.1:8082"] } }
routes: [{ name: a, path: /a, methods: [GET], upstream: api, auth: required }]
`;
const env = { SECRET: 'short' };
const withIssuers = (...entries: readonly string[]) =>
  `version: 1\nissuers:\n${entries.map((entry) => `  - { ${entry} }\n`).join('')}${rest}`;
const problems = (...entries: readonly string[]) =>
  problemsOf(withIssuers(...entries), env).map((problem) => problem.replace(/^gateway\.yaml:\d+:\d+: /, ''));

const secret = `clientSecret: "\${SECRET}"`;
const keys = `url: https://a.test/introspect, clientId: gateway, ${secret}`;
const opaque = (more = '') => `introspection: { ${keys}${more} }`;
const head = 'issuer: https://a.test, audience: x';

function warnings(entry: string): readonly string[] {
  let lines: readonly string[] = [];
  parseConfig(withIssuers(entry), { file: 'gateway.yaml', env, onWarnings: (found) => (lines = found) });
  return lines.map((line) => line.replace(/^.*warning: /, ''));
}

describe('introspection', () => {
  test('needs no keys, and keeps answers for 5 s', () => {
    const { issuers } = parseConfig(withIssuers(`${head}, ${opaque()}`), { file: '/etc/gateway.yaml', env });
    expect(issuers[0]).toMatchObject({
      jwks: '',
      shownJwks: 'no keys: opaque tokens only',
      introspection: {
        url: 'https://a.test/introspect',
        shownUrl: 'https://a.test/introspect',
        clientId: 'gateway',
        secret: new Uint8Array(Buffer.from('short')),
        cacheForMs: 5_000,
        signed: false,
      },
    });
    expect(warnings(`${head}, ${opaque()}`)).toEqual([]);
  });

  test.each<[string, readonly string[], string]>([
    [
      'two issuers',
      [
        `${head}, ${opaque()}, roles: [user], tenants: [a]`,
        `issuer: https://b.test, audience: x, ${opaque()}, roles: [user], tenants: [b]`,
      ],
      'issuers[1].introspection: is written for two issuers',
    ],
    [
      'an issuer with several values',
      [
        `issuer: "https://a.test/{t}", template: { t: [a, b] }, audience: x, roles: [agent], claims: { tenantId: { fromIssuer: t } }, discovery: true, ${opaque()}`,
      ],
      'introspection: needs one literal issuer',
    ],
    ['ID tokens', [`provider: google, ${head}, require: { hd: [a] }, ${opaque()}`], 'does not go with id-token'],
    ['signed answers without keys', [`${head}, ${opaque(', signed: true')}`], 'introspection.signed: needs keys'],
    [
      'events without keys',
      [`name: a, ${head}, ${opaque()}, claims: { userId: sub }, events: { audience: y, backchannelLogout: true }`],
      'events: needs keys',
    ],
    ['plain http', [`${head}, ${opaque().replace('https:', 'http:')}`], 'introspection.url: plain http'],
    ['a metadata service', [`${head}, ${opaque().replace('a.test', '169.254.169.254')}`], 'introspection.url: must be'],
    [
      'a secret in the file',
      [`${head}, ${opaque().replace(secret, 'clientSecret: secret')}`],
      'introspection.clientSecret: must come from a variable',
    ],
    [
      'no secret',
      [`${head}, ${opaque().replace(`, ${secret}`, '')}`],
      '"clientSecret" or "clientSecretFile" is required',
    ],
    [
      'a long cache',
      [`${head}, ${opaque(', cacheFor: 2h')}`],
      'introspection.cacheFor: must be a duration from 1s to 1h',
    ],
  ])('is refused with %s', (_name, entries, problem) => {
    expect(problems(...entries)).toContainEqual(expect.stringContaining(problem));
  });

  test('gets a warning if answers are kept for longer than 5 s, and no revocation can end them', () => {
    const warning = 'issuers[0].introspection.cacheFor: is above 5s without events or revocations';
    expect(warnings(`${head}, ${opaque(', cacheFor: 6s')}`)).toEqual([expect.stringContaining(warning)]);
    const feed = 'revocations: { url: "http://127.0.0.1:8082/revocations" }';
    expect(warnings(`${head}, ${feed}, ${opaque(', cacheFor: 60s')}`)).toEqual([]);
  });
});
