import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '@countersign/process-kit';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseDocument, stringify } from 'yaml';
import { runCli } from '../src/cli/cli.ts';
import { providers } from '../src/config/config.ts';
import { parseConfig } from '../src/config/load.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const under = (pattern: string) =>
  globSync(pattern, { cwd: root, exclude: (name) => name === 'node_modules' }).toSorted();

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-warnings-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Variables without a default get a value that also serves as a secret. */
const envOf = (text: string) =>
  Object.fromEntries(
    [...text.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => {
      const secret = `${name}-0123456789abcdef0123456789`;
      // In the form of Standard Webhooks.
      return [name, name.includes('WEBHOOK') ? `whsec_${Buffer.from(secret).toString('base64')}` : secret];
    }),
  );

/** The warnings, without those about an admin listener: some pages show the address of a container. */
function warningsIn(text: string, file: string): readonly string[] {
  let found: readonly string[] = [];
  parseConfig(text, { file: join(root, file), env: envOf(text), onWarnings: (lines) => (found = lines) });
  return found.filter((line) => !line.includes('listen.admin'));
}

type Part = Record<string, unknown> & { upstreams?: Record<string, unknown>; routes?: readonly unknown[] };

/** Completes a page's part of a file with the keys that it does not show. */
function completed(part: Part): string {
  const named = [...stringify(part.routes ?? []).matchAll(/upstream: "?([\w-]+)/g)].map(([, name]) => String(name));
  const upstreams = part.upstreams ?? Object.fromEntries([...named, 'api'].map((name) => [name, {}]));
  const routes = part.routes ?? [];
  const unused = Object.keys(upstreams).filter((name) => !named.includes(name));
  const used = unused.map((upstream) => {
    const place = `for-${upstream}`;
    return { name: place, path: `/${place}`, methods: ['GET'], auth: 'public', upstream };
  });
  const targets = { targets: ['http://127.0.0.1:9999'] };
  return stringify({
    version: 1,
    identity: { keys: './keys', issuer: 'http://127.0.0.1:8090' },
    publicOrigins: ['https://api.example.test'],
    issuers: [{ issuer: 'https://id.example.test', discovery: true, audience: 'api' }],
    ...part,
    routes: [...routes, ...(part.routes && part.upstreams ? [] : used)],
    upstreams: Object.fromEntries(
      Object.entries(upstreams).map(([name, one]) => [name, { ...targets, ...(one as object) }]),
    ),
  });
}

const files = [...under('examples/*/gateway.yaml'), ...under('infra/gateway*.yaml')].filter(
  (file) => !file.endsWith('.tests.yaml'),
);

test.each(files)('%s gets no warning', (file) => {
  expect(warningsIn(readFileSync(join(root, file), 'utf8'), file)).toEqual([]);
});

const pages = [...under('docs/**/*.md'), ...under('examples/**/*.md'), ...under('packages/*/README.md')];
const blocks = [...pages, 'README.md', 'gateway/README.md'].flatMap((page) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/```ya?ml[^\n]*\n(.*?)```/gs)].map(
    ([, text]) => [page, String(text)] as const,
  ),
);

test('every YAML of the documentation gets no warning', () => {
  const loaded: string[] = [];
  const skipped: string[] = [];
  const warned: string[] = [];
  for (const [page, text] of blocks) {
    const part = parseDocument(text).toJS() as Part | null;
    if (!['issuers', 'routes', 'upstreams', 'tests'].some((key) => key in Object(part))) continue;
    try {
      warned.push(...warningsIn(part?.version === 1 ? text : completed(part ?? {}), page));
      loaded.push(page);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      skipped.push(page);
    }
  }
  expect(warned).toEqual([]);
  expect(loaded.length).toBeGreaterThan(40);
  // Another product's file, a file with mistakes, and parts that refer to what another block has.
  const [routes, moving, keys] = ['docs/operations/routes.md', 'docs/moving-to-countersign.md', 'docs/gateway-yaml.md'];
  expect(skipped.toSorted()).toEqual([keys, moving, routes, routes]);
});

test.each(providers)('what `init` writes for %s gets no warning', async (provider) => {
  const [dir, lines]: [string, string[]] = [join(directory, provider), []];
  const write = (line: string) => void lines.push(line);
  const terminal = { out: write, err: write, paint: (_: string, text: string) => text, isInteractive: false, env: {} };
  const from = provider === 'google' ? 'https://accounts.google.com' : `https://${provider}.example.test`;
  const args = ['init', '--dir', dir, '--provider', provider, '--issuer', from, '--upstream', 'http://127.0.0.1:3000'];
  const code = await runCli(args, { ...terminal, nowMs: () => 0 });
  expect([code, code === 0 ? [] : lines]).toEqual([0, []]);
  const file = join(dir, 'gateway.yaml');
  expect(warningsIn(readFileSync(file, 'utf8'), file)).toEqual([]);
});
