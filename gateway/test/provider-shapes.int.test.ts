import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { staticKeySet } from '@countersign/jwks';
import { mintIssuer, type TestIssuer } from '@countersign/testing';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseConfig } from '../src/config/load.ts';
import { createTokenVerifier } from '../src/tokens/verify-access-token.ts';
import { type Shape, timed, type Wrong } from './providers/shape.ts';
import { shapes } from './providers/shapes.ts';

/** Wrong for every provider. */
const wrongEverywhere: readonly Wrong[] = [
  { title: 'expired', claims: { exp: Math.floor(Date.now() / 1000) - 60 }, code: 'token_expired' },
  { title: 'issued in the future', claims: { iat: Math.floor(Date.now() / 1000) + 60 }, code: 'token_not_yet_valid' },
  {
    title: 'valid for two days',
    claims: { exp: Math.floor(Date.now() / 1000) + 172_800 },
    code: 'token_lifetime_refused',
  },
  { title: 'without an end', claims: { exp: undefined }, code: 'token_claims_invalid' },
  { title: 'without a subject', claims: { sub: undefined }, code: 'token_claims_invalid' },
  { title: 'with another audience', claims: { aud: 'https://other.example.test' }, code: 'token_audience_refused' },
  { title: 'with an audience that is an object', claims: { aud: {} }, code: 'token_audience_refused' },
  { title: 'with another type', header: { typ: 'dpop+jwt' }, code: 'token_type_refused' },
  { title: 'with the id of another key', header: { kid: 'other' }, code: 'token_key_unknown' },
  { title: 'with an embedded key', header: { jwk: {} }, code: 'token_header_refused' },
  { title: 'with a URL of keys', header: { jku: 'https://evil.test' }, code: 'token_header_refused' },
  { title: 'with an unknown binding', claims: { cnf: { kid: 'x' } }, code: 'token_claims_invalid' },
];

describe.each(shapes.map((shape) => [shape.name, shape] as const))('a token of %s', (_name, shape: Shape) => {
  let issuer: TestIssuer;
  let directory: string;
  type Verify = ReturnType<typeof createTokenVerifier>;
  let verify: Verify;
  let verifyWithMachines: Verify;

  beforeAll(async () => {
    issuer = await mintIssuer({ alg: shape.algorithm });
    directory = mkdtempSync(join(tmpdir(), 'countersign-provider-'));
    writeFileSync(join(directory, 'keys.json'), JSON.stringify(issuer.jwks));
    verify = verifierFor(shape.yaml);
    verifyWithMachines = verifierFor(`${shape.yaml.trimEnd()}
    machines: { tenantId: { constant: robots } }
`);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  function verifierFor(yaml: string): Verify {
    const config = parseConfig(
      `version: 1
issuers:
  - jwks: ./keys.json${yaml}
identity: { keys: ./gateway-keys }
upstreams: { api: { targets: ["http://127.0.0.1:8082"] } }
routes: [{ name: a, path: /a, methods: [GET], upstream: api, auth: required }]
`,
      { file: join(directory, 'gateway.yaml'), env: {} },
    );
    const keys = staticKeySet(issuer.jwks, { algorithms: [shape.algorithm] });
    const trusted = config.issuers.map((one) => [one.issuer, { config: one, keys, revocations: undefined }] as const);
    return createTokenVerifier(new Map(trusted), Date.now);
  }

  const sign = ({ header, claims }: Pick<Wrong, 'header' | 'claims'> = {}) => {
    const whole = timed({ ...shape.claims, ...claims }, Math.floor(Date.now() / 1000));
    const without: Record<string, unknown> = { typ: undefined };
    return issuer.sign(whole, { ...without, ...shape.header, ...header });
  };
  const codeOf = async (wrong: Wrong): Promise<unknown> => {
    const result = await verify(await sign(wrong)).catch((error: { code: string }) => error);
    return 'code' in result ? result.code : 'accepted';
  };

  test('is accepted as its provider documents it', async () => {
    const { claims } = await verify(await sign());
    expect(claims).toMatchObject({ ...shape.gives, issuer: shape.claims.iss, subject: shape.claims.sub });
  });

  test.each(shape.wrong.map((wrong) => [wrong.title, wrong] as const))('is refused: %s', async (_title, wrong) => {
    expect(await codeOf(wrong)).toBe(wrong.code);
  });

  test.each(wrongEverywhere.map((wrong) => [wrong.title, wrong] as const))('is refused %s', async (_title, wrong) => {
    expect(await codeOf(wrong)).toBe(wrong.code);
  });

  test("never counts as a user's if it is a machine's and machines are accepted", async () => {
    for (const one of shape.wrong.filter(({ code }) => code === 'token_machine_refused')) {
      const result = await verifyWithMachines(await sign(one)).catch((error: { code: string }) => error);
      const { cid, client_id, azp, appid } = { ...shape.claims, ...one.claims };
      // The client of a Clerk token is the origin of a page, which is not an id.
      if ('code' in result)
        expect([shape.name, result.code]).toEqual([expect.stringContaining('clerk'), 'token_claims_invalid']);
      else {
        const clientId = cid ?? client_id ?? azp ?? appid;
        expect(result.claims).toMatchObject({ kind: 'client', clientId, userId: undefined, tenantId: 'robots' });
      }
    }
  });

  test('has at least eight invalid variants', () => {
    expect(shape.wrong.length).toBeGreaterThanOrEqual(8);
  });
});
