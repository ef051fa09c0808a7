import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { newAgreementJwk } from '@countersign/identity';
import { ConfigError } from '@countersign/process-kit';
import { eventually, freePorts } from '@countersign/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { runCli } from '../src/cli/cli.ts';
import { loadConfig } from '../src/config/load.ts';
import { readAgreementKeys, readKeys } from '../src/keys/key-files.ts';
import { gatewayUnderTest } from './gateway-under-test.ts';
import { agreedService } from './kit/agreed-service.ts';
import { exampleHead, exampleRoutes } from './kit/example-config.ts';
import { thingsAt } from './kit/raw-service.ts';

const agreedHead = (...targets: readonly string[]) =>
  exampleHead.replace(
    '{ targets: ["http://127.0.0.1:8082"] }',
    `{ targets: ${JSON.stringify(targets)}, identity: { algorithm: agreed } }`,
  );

let directory: string;
let file: string;
let nowMs: number;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-agreed-'));
  file = join(directory, 'gateway.yaml');
  nowMs = Date.now();
});
afterEach(() => rmSync(directory, { recursive: true }));

async function runWith(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(args, {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    paint: (_style, text) => text,
    isInteractive: false,
    env,
    nowMs: () => nowMs,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}
const run = (...args: readonly string[]) => runWith({}, ...args);
const keysDir = () => join(directory, 'gateway-keys');

describe('keys', () => {
  beforeEach(() => writeFileSync(file, agreedHead('http://127.0.0.1:8082') + exampleRoutes));

  test('create makes both kinds of keys if an upstream has algorithm: agreed, with mode 0600', async () => {
    const { code, out } = await run('keys', 'create', '-c', file);
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/^\S{43} {2}signs from now on\n\S{43} {2}agrees with services from now on$/),
    ]);
    const names = readdirSync(keysDir());
    expect(names.map((name) => name.slice(43)).sort()).toEqual(['.jwk.json', '.x25519.json']);
    for (const name of names) expect(statSync(join(keysDir(), name)).mode & 0o777).toBe(0o600);
    expect((await run('keys', 'create', '-c', file)).code).toBe(1);
  });

  test('create adds the missing kind to the keys of an older version, and services get time to fetch it', async () => {
    writeFileSync(file, exampleHead + exampleRoutes);
    await run('keys', 'create', '-c', file);
    expect(readAgreementKeys(keysDir())).toEqual([]);
    writeFileSync(file, agreedHead('http://127.0.0.1:8082') + exampleRoutes);
    expect((await run('keys', 'create', '-c', file)).out).toMatch(/published now, agrees with services from 20/);
    expect(readAgreementKeys(keysDir())[0]?.notBeforeSec).toBe(Math.floor(nowMs / 1000) + 900);
    expect(readKeys(keysDir())).toHaveLength(1);
  });

  test('rotate and retire replace a key of each kind', async () => {
    await run('keys', 'create', '--dir', keysDir());
    const [old] = readAgreementKeys(keysDir());
    if (old === undefined) throw new Error('no key');
    expect((await run('keys', 'retire', old.kid, '--dir', keysDir())).err).toContain('only key that may agree');
    expect((await run('keys', 'rotate', '--dir', keysDir())).out.split('\n')).toHaveLength(2);
    expect((await run('keys', 'retire', old.kid, '--dir', keysDir())).code).toBe(1);
    nowMs += 15 * 60_000;
    const listed = (await run('keys', 'list', '--dir', keysDir())).out;
    expect(listed).toContain(`${old.kid}  x25519  published, a newer key agrees with services: can be retired`);
    expect((await run('keys', 'retire', old.kid, '--dir', keysDir())).code).toBe(0);
    expect(readAgreementKeys(keysDir())[0]?.expiresSec).toBe(Math.floor(nowMs / 1000) + 70);
    expect((await run('keys', 'retire', old.kid, '--now', '--dir', keysDir())).code).toBe(0);
    expect(readAgreementKeys(keysDir()).map(({ kid }) => kid)).not.toContain(old.kid);
  });

  test.each([
    ['is not JSON', '{"d":"hidden', 'is not a key-agreement key: it is not a JWK'],
    ['is empty', '', 'is empty'],
    ['is of another kind', '{"kty":"RSA","d":"hidden"}', 'is not a key-agreement key: it is not an X25519 private JWK'],
  ])('a file that %s is refused, and its content is not shown', async (_what, content, why) => {
    await run('keys', 'create', '-c', file);
    writeFileSync(join(keysDir(), 'a.x25519.json'), content, { mode: 0o600 });
    const { code, err } = await run('check', file);
    expect([code, err]).toEqual([1, expect.stringContaining(`a.x25519.json: ${why}`)]);
    expect(err).not.toContain('hidden');
  });

  test('list says so if no gateway runs, because only a gateway knows the key pairs in use', async () => {
    const [port] = await freePorts(1);
    writeFileSync(
      file,
      `${agreedHead('http://127.0.0.1:8082')}listen: { admin: "127.0.0.1:${port}" }\n${exampleRoutes}`,
    );
    await run('keys', 'create', '-c', file);
    const { code, out } = await run('keys', 'list', '-c', file);
    expect(code).toBe(0);
    expect(out).toContain(`-  agreed  users-service, unknown: no gateway answers at http://127.0.0.1:${port}`);
    const explained = (await run('explain', 'GET', '/v1/users/me', '--role', 'agent', '-c', file)).out;
    expect(explained).toContain(
      'a key that both sides agreed on (hmac-sha256), or with ed25519 until there is such a key',
    );
    expect(explained).toContain('now: unknown: no gateway answers');
    expect(explained).toContain('keyid="GATEWAY-KID.SERVICE-KID";alg="hmac-sha256"');
  });
});

describe('with a running gateway', () => {
  test('keys list and explain show which key pair is in use, and why ed25519 is used instead', async () => {
    const service = await agreedService();
    const [port] = await freePorts(1);
    const gateway = await gatewayUnderTest({
      hasAgreementKey: true,
      edits: [
        thingsAt([service.url], 'identity: { algorithm: agreed }'),
        ['admin: "127.0.0.1:0"', `admin: "127.0.0.1:${port}"`],
      ],
    });
    const env = { HASHED_SECRET: gateway.hmacSecret };
    const explain = [
      'explain',
      'GET',
      '/v1/things/1',
      '-H',
      'Host: gateway.test',
      '--role',
      'agent',
      '-c',
      gateway.file,
    ];
    expect((await runWith(env, 'keys', 'list', '-c', gateway.file)).out).toContain(
      '-  agreed  things, ed25519 is used: keys_unknown',
    );
    expect((await runWith(env, ...explain)).out).toContain('now: ed25519, because of keys_unknown');
    const jwk = newAgreementJwk();
    await service.trust(`http://127.0.0.1:${gateway.running.ports.internal}/.well-known/jwks.json`, { keys: [jwk] });
    const [own] = readAgreementKeys(join(dirname(gateway.file), 'keys'));
    const keyid = `${own?.kid}.${jwk.kid}`;
    await eventually(async () => {
      const { out } = await runWith(env, 'keys', 'list', '-c', gateway.file);
      expect(out).toContain(`${keyid}  agreed  things, in use`);
    });
    expect((await runWith(env, ...explain)).out).toContain(`now: agreed ${keyid}`);
    expect(JSON.parse((await runWith(env, ...explain, '--json')).out)).toMatchObject({
      upstream: { signed_now: `agreed ${keyid}` },
    });
    await gateway.close();
    await service.close();
  });
});

describe('check', () => {
  const jwks = 'http://127.0.0.1:9/jwks.json';

  test('refuses an upstream whose instances publish different keys', async () => {
    const [one, other] = [await agreedService('users-service'), await agreedService('users-service')];
    const [first, second] = [newAgreementJwk(), newAgreementJwk()];
    await one.trust(jwks, { keys: [first] });
    await other.trust(jwks, { keys: [second, first] });
    writeFileSync(file, agreedHead(one.url, other.url) + exampleRoutes);
    await run('keys', 'create', '-c', file);
    const refused = await run('check', file);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain(
      `upstreams.users-service: its targets publish different key agreement keys (${one.url} ${first.kid}, ${other.url} ${second.kid}): give them all the same key\n1 problem`,
    );
    await other.trust(jwks, { keys: [first, second] });
    expect(await run('check', file)).toMatchObject({ code: 0, err: '' });
    // A target that does not respond is ignored.
    await other.close();
    expect(await run('check', file)).toMatchObject({ code: 0, err: '' });
    await one.close();
  });

  test('with --services, notes a service that could agree on a key', async () => {
    const could = await agreedService('users-service');
    await could.trust(jwks, { keys: [newAgreementJwk()] });
    const head = agreedHead(could.url).replace(', identity: { algorithm: agreed }', '');
    writeFileSync(file, head + exampleRoutes);
    await run('keys', 'create', '-c', file);
    const note = 'note: upstreams.users-service: its service publishes a key for `identity: { algorithm: agreed }`';
    expect(await run('check', file, '--services')).toMatchObject({ code: 0, err: note });
    expect(await run('check', file)).toMatchObject({ code: 0, err: '' });
    expect(could.keyFetches()).toBe(1);
    await could.close();
    expect(await run('check', file, '--services')).toMatchObject({ code: 0, err: '' });
  });

  test('sends no request for a single target, and warns where the gateway has no key for agreement', async () => {
    const service = await agreedService('users-service');
    await service.trust(jwks, { keys: [newAgreementJwk()] });
    writeFileSync(file, exampleHead + exampleRoutes);
    await run('keys', 'create', '-c', file);
    writeFileSync(file, agreedHead(service.url) + exampleRoutes);
    const { code, err } = await run('check', file);
    expect(code).toBe(0);
    expect(err).toContain(
      'holds no X25519 key, so requests to users-service are signed with ed25519. To create one, run countersign keys create',
    );
    expect(service.keyFetches()).toBe(0);
    await service.close();
  });

  test('refuses agreed in FIPS mode, with its place in the file', () => {
    writeFileSync(file, agreedHead('http://127.0.0.1:8082') + exampleRoutes);
    const problemsOf = (isFips: boolean) => {
      try {
        loadConfig(file, {}, { isFips });
        return [];
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        return error.problems;
      }
    };
    expect(problemsOf(true)).toEqual([
      expect.stringMatching(/gateway\.yaml:9:\d+: .*agreed needs X25519, which Node does not offer in FIPS mode/),
    ]);
    expect(problemsOf(false)).toEqual([]);
  });
});
