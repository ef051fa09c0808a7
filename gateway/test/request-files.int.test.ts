import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { type GatewayProcess, gatewayProcess } from './gateway-process.ts';
import { type CallWatch, watchCalls } from './kit/called-files.ts';

let place: GatewayProcess;
let watch: CallWatch;
let token: string;

beforeAll(async () => {
  place = await gatewayProcess({
    env: { NODE_OPTIONS: '--inspect=127.0.0.1:0', SECRET: randomBytes(32).toString('base64url') },
  });
  const { url } = place.upstream;
  const service = `targets: ["${url}"], health: { path: /healthz }, retry: { attempts: 1 }, breaker: {}`;
  const rules =
    'methods: [GET], auth: required, allow: { roles: [agent] }, limits: [{ requests: 10000, per: 1s, by: user }]';
  place.write(
    place.yaml
      .replace(
        'upstreams:\n',
        `upstreams:
  signed: { ${service}, identity: { algorithm: ed25519 } }
  hashed: { ${service}, identity: { algorithm: hmac-sha256, secret: "\${SECRET}" } }
`,
      )
      .replace(
        'routes:\n',
        `routes:
  - { name: signed, path: "/v1/signed/:id", upstream: signed, ${rules} }
  - { name: hashed, path: "/v1/hashed/:id", upstream: hashed, ${rules} }
`,
      ),
  );
  const gateway = await place.start();
  watch = await watchCalls(gateway.output());
  token = await place.issuer.accessToken();
});
afterAll(async () => {
  watch?.close();
  await place?.close();
});

const maxFiles = 36;

test('a GET runs only functions in the files that docs/request-flow.md names', async () => {
  expect(await filesOf('/v1/signed/1')).toEqual(documentedFiles());
});

test.each(['/v1/signed/1', '/v1/hashed/1'])(`GET %s runs functions of at most ${maxFiles} files`, async (path) => {
  const files = await filesOf(path);
  expect(files.length > maxFiles ? files : []).toEqual([]);
});

const gets = 10;

/**
 * The files with a function that every GET with a known token calls. Functions called by timers run less often, or not
 * in each round.
 */
async function filesOf(path: string): Promise<readonly string[]> {
  await getMany(path);
  const rounds: ReadonlyMap<string, number>[] = [];
  for (let round = 0; round < 6; round += 1) rounds.push(await watch.during(() => getMany(path)));
  const urls = [...(rounds[0]?.keys() ?? [])].filter((url) =>
    rounds.every((calls) => (calls.get(url) ?? 0) > gets / 2),
  );
  return urls.flatMap((url) => /\/((gateway|packages\/[^/]+)\/src\/.*)$/.exec(url)?.[1] ?? []).sort();
}

async function getMany(path: string): Promise<void> {
  for (let count = 0; count < gets; count += 1) {
    const { statusCode, body } = await request(place.url + path, { headers: { authorization: `Bearer ${token}` } });
    await body.dump();
    expect(statusCode).toBe(200);
  }
}

/** A name without a slash is in the folder of the name before it. */
function documentedFiles(): readonly string[] {
  const page = readFileSync(new URL('../../docs/request-flow.md', import.meta.url), 'utf8');
  const [, section = ''] = page.split('\n## The files of one request\n');
  const rows = section.split('\n## ')[0]?.match(/^\|.*\|$/gm) ?? [];
  let folder = '';
  const names = rows.flatMap((row) => [...(row.split('|')[2] ?? '').matchAll(/`(?:([^`]+)\/)?([^`/]+)`/g)]);
  return names
    .map(([, path = folder, name]) => {
      folder = path;
      const [first = '', ...rest] = path.split('/');
      const root = packages.has(first) ? ['packages', first, 'src', ...rest] : ['gateway/src', path];
      return [...root, `${name}.ts`].join('/');
    })
    .sort();
}

const packages = new Set(['http1-client', 'identity', 'jwks', 'process-kit', 'revocations', 'service-kit']);
